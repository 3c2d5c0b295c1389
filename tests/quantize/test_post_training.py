"""Post-training quantization: what is fused, which ranges are found, which grids are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim import registry
from hwsim.config.quantization import ActivationQuantizationSpec, QuantizationSpec, WeightQuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import float_output, float_values
from hwsim.network.network import Network
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import LutFunction, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule, Quantization
from hwsim.quantize.calibrators import MinMax
from hwsim.quantize.fuse import fuse
from hwsim.quantize.post_training import activation_ranges, quantize
from hwsim.quantize.schemes import activation_schemes
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload

DEFAULT = QuantizationSpec()


@pytest.fixture(scope="module")
def digits() -> Workload:
    return read_workload("digits_cnn")


def calibration_of(workload: Workload) -> np.ndarray:
    assert workload.calibration is not None
    return workload.calibration


def dense_network(weight: np.ndarray, bias: np.ndarray | None = None, *, after: str | None = None) -> Network:
    inputs, units = weight.shape
    tensors = {
        "x": Tensor("x", (inputs,)),
        "fc.w": Tensor("fc.w", weight.shape, weight),
        "fc": Tensor("fc", (units,)),
        "end": Tensor("end", (units,)),
    }
    if bias is not None:
        tensors["fc.b"] = Tensor("fc.b", bias.shape, bias)
    operators: tuple[Dense | LutFunction, ...] = (
        Dense("fc", ("x",), "fc", "fc.w", None if bias is None else "fc.b", units=units),
    )
    if after:
        operators = (*operators, LutFunction(after, ("fc",), "end", after))
    return Network("n", tensors, operators, ("x",), (operators[-1].output,))


def quantized(network: Network, spec: QuantizationSpec = DEFAULT, *, bits: int = 8, samples: int = 20) -> Network:
    inputs = np.random.default_rng(0).uniform(-1, 1, (samples, *network.tensors[network.input].shape))
    return quantize(network, inputs, spec, weight_bits=bits, activation_bits=bits)


def grid_of(network: Network, tensor: str) -> Quantization:
    found = network.tensors[tensor].quantization
    assert found is not None
    return found


def test_fusion_changes_no_real_number(digits: Workload) -> None:
    inputs = calibration_of(digits)
    fused = fuse(digits.network)
    np.testing.assert_allclose(float_output(fused, inputs), float_output(digits.network, inputs), rtol=0, atol=1e-9)


def test_batch_norm_and_relu_become_part_of_the_product(digits: Workload) -> None:
    fused = fuse(digits.network)
    assert [operator.name for operator in fused.operators] == [
        "conv1", "pool1", "conv2", "pool2", "conv3", "flatten", "fc1", "logits",
    ]  # fmt: skip
    products = [operator for operator in fused.operators if isinstance(operator, MatmulOperator)]
    assert [product.activation for product in products] == ["relu", "relu", "relu", "relu", "none"]
    assert products[0].output == "relu1"
    assert products[0].bias == "conv1.bias"  # batch normalization brings one


def test_only_the_first_rectifier_is_fused() -> None:
    network = dense_network(np.eye(2))
    rectifiers = (Rectify("r", ("fc",), "r", "relu"), Rectify("s", ("r",), "end", "relu6"))
    tensors = {**network.tensors, "r": Tensor("r", (2,))}
    network = replace(network, tensors=tensors, operators=(*network.operators, *rectifiers), outputs=("end",))
    found = quantized(network)
    assert [operator.name for operator in found.operators] == ["fc", "s"]
    assert grid_of(found, "end") is grid_of(found, "r")


def test_pooling_and_flattening_share_their_inputs_quantization(digits: Workload) -> None:
    found = quantize(digits.network, calibration_of(digits), DEFAULT, weight_bits=8, activation_bits=8)
    assert grid_of(found, "pool1") is grid_of(found, "relu1")
    assert grid_of(found, "flatten") is grid_of(found, "relu3")
    assert grid_of(found, "relu2").scale != grid_of(found, "relu1").scale


def test_activation_ranges_are_those_of_the_fused_network(digits: Workload) -> None:
    inputs = calibration_of(digits)
    fused = fuse(digits.network)
    ranges = activation_ranges(fused, inputs, activation_schemes(fused, DEFAULT, weight_bits=8, activation_bits=8))
    values = dict(float_values(digits.network, inputs))
    assert set(ranges) == {"input", "relu1", "pool1", "relu2", "pool2", "relu3", "flatten", "relu4", "logits"}
    for name, limits in ranges.items():
        assert limits == pytest.approx((values[name].min(), values[name].max()))


def test_a_channel_of_its_own_scale_or_one_for_all() -> None:
    weight = np.array([[1.0, 0.01], [-0.5, 0.02]])
    each = quantized(dense_network(weight))
    assert grid_of(each, "fc.w").scale.tolist() == pytest.approx([1 / 127, 0.02 / 127])
    assert each.tensors["fc.w"].data is not None
    assert each.tensors["fc.w"].data.tolist() == [[127, 64], [-64, 127]]
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity="per_tensor"))
    whole = quantized(dense_network(weight), spec)
    assert float(grid_of(whole, "fc.w").scale) == pytest.approx(1 / 127)
    assert whole.tensors["fc.w"].data is not None
    assert whole.tensors["fc.w"].data.tolist() == [[127, 1], [-64, 3]]


def test_asymmetric_weights_use_all_codes() -> None:
    spec = QuantizationSpec(weights=WeightQuantizationSpec(symmetric=False))
    found = quantized(dense_network(np.array([[0.0], [2.55]])), spec)
    codes = found.tensors["fc.w"].data
    assert codes is not None
    assert codes.tolist() == [[-128], [127]]
    assert grid_of(found, "fc.w").zero_point.tolist() == [-128]


def test_unsigned_activations() -> None:
    spec = QuantizationSpec(activations=ActivationQuantizationSpec(signed=False))
    assert grid_of(quantized(dense_network(np.eye(2)), spec), "fc").format == IntFormat(8, signed=False)


def test_the_bias_lies_on_the_grid_of_the_products() -> None:
    found = quantized(dense_network(np.array([[0.5, 2.0]]), np.array([0.3, -0.7])))
    scale = grid_of(found, "fc.w").scale * grid_of(found, "x").scale
    assert found.tensors["fc.b"].data is not None
    assert found.tensors["fc.b"].data.tolist() == np.rint(np.array([0.3, -0.7]) / scale).tolist()
    assert grid_of(found, "fc.b").format == IntFormat(32)


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_a_bias_too_large_for_32_bits_widens_its_weight_scale(granularity: str) -> None:
    """1000 on a grid of 1e-6 / 127 times about 1 / 128 would be 1.6e13: the scale grows until 2**31 - 1 holds it."""
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity=granularity))
    weight, bias = np.array([[1e-6, 1e-6]]), np.array([1000.0, 1e-6])
    found = quantized(dense_network(weight, bias), spec)
    codes = found.tensors["fc.b"].data
    assert codes is not None
    assert codes[0] == (1 << 31) - 1
    real = grid_of(found, "fc.b").dequantize(np.asarray(codes))
    assert real[0] == pytest.approx(1000.0)
    narrow = grid_of(quantized(dense_network(weight)), "fc.w").scale[0]
    scales = np.broadcast_to(grid_of(found, "fc.w").scale, 2)
    assert scales[0] > 1000 * narrow
    assert (scales[1] == pytest.approx(narrow)) == (granularity == "per_channel")


def test_a_dead_channel_has_a_scale() -> None:
    found = quantized(dense_network(np.array([[0.0, 1.0]]), np.array([0.25, 0.0])))
    assert grid_of(found, "fc.w").scale.tolist() == [1.0, 1 / 127]


@pytest.mark.parametrize(("function", "scale", "zero_point"), [("sigmoid", 1 / 256, -128), ("tanh", 1 / 128, 0)])
def test_bounded_functions_have_fixed_grids(function: str, scale: float, zero_point: int) -> None:
    found = grid_of(quantized(dense_network(np.eye(2), after=function)), "end")
    assert (float(found.scale), int(found.zero_point)) == (scale, zero_point)


def test_any_registered_calibrator_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed(MinMax):
        def range(self, grid: GridRule) -> tuple[float, float]:  # noqa: ARG002
            return -1.0, 1.0

    def load(group: str, name: str) -> type[MinMax]:
        assert (group, name) == ("hwsim.calibrators", "min_max")
        return Fixed

    monkeypatch.setattr(registry, "load", load)
    found = quantize(dense_network(np.eye(2)), np.full((3, 2), 9.0), DEFAULT, weight_bits=8, activation_bits=8)
    assert float(grid_of(found, "fc").scale) == float(grid_of(found, "x").scale) == 2 / 255


def test_min_max_is_registered_as_an_entry_point() -> None:
    assert registry.load(registry.CALIBRATORS, "min_max") is MinMax


def test_an_unknown_calibrator_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        registry.make(registry.CALIBRATORS, "minmax", {})
    allowed = ", ".join(registry.names(registry.CALIBRATORS))
    assert str(refused.value) == f"unknown calibrator 'minmax'; allowed: {allowed}; did you mean 'min_max'?"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_calibration_data_that_are_not_finite_are_refused(bad: float) -> None:
    inputs = np.array([[1.0, bad], [0.0, 0.0]])
    with pytest.raises(ConfigError) as refused:
        quantize(dense_network(np.eye(2)), inputs, DEFAULT, weight_bits=8, activation_bits=8)
    assert str(refused.value) == "inputs hold NaN or infinity; allowed: finite numbers"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_and_biases_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ConfigError) as refused:
        quantized(dense_network(np.array([[1.0, bad]]), np.array([0.0, bad])))
    assert str(refused.value).splitlines() == [
        "layer fc: fc.w holds NaN or infinity; allowed: finite numbers",
        "layer fc: fc.b holds NaN or infinity; allowed: finite numbers",
    ]


def test_sums_beyond_floating_point_are_refused() -> None:
    with pytest.raises(ConfigError) as refused, np.errstate(over="ignore", invalid="ignore"):
        quantized(dense_network(np.full((2, 1), 1.7e308)))
    assert str(refused.value) == "tensor fc: calibration data hold NaN or infinity; allowed: finite numbers"


def test_constant_data_and_constant_weights_are_quantized() -> None:
    network = dense_network(np.full((2, 3), 0.25), np.zeros(3))
    found = quantize(network, np.full((4, 2), 0.5), DEFAULT, weight_bits=8, activation_bits=8)
    assert grid_of(found, "fc").dequantize(grid_of(found, "fc").quantize(np.array([0.25])))[0] == pytest.approx(0.25)
    zero = quantize(dense_network(np.zeros((2, 3))), np.zeros((4, 2)), DEFAULT, weight_bits=8, activation_bits=8)
    assert float(grid_of(zero, "fc").scale) == 1.0
    assert np.count_nonzero(np.asarray(zero.tensors["fc.w"].data)) == 0


@pytest.mark.parametrize("shape", [(0, 2), (4, 3)], ids=["empty", "wrong shape"])
def test_calibration_data_of_the_wrong_shape_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ConfigError) as refused:
        quantize(dense_network(np.eye(2)), np.zeros(shape), DEFAULT, weight_bits=8, activation_bits=8)
    assert str(refused.value) == f"inputs of shape {list(shape)}; allowed: [samples, 2], one sample or more"


def test_negative_weights_in_a_symmetric_unsigned_format_are_refused() -> None:
    spec = QuantizationSpec(weights=WeightQuantizationSpec(signed=False))
    with pytest.raises(ConfigError) as refused:
        quantized(dense_network(-np.eye(2)), spec)
    assert str(refused.value) == (
        "layer fc, weights: symmetric unsigned quantization of negative values; allowed: signed, or asymmetric"
    )
