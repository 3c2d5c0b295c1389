"""Repairs: clipping by hand, equalization that changes no real number, bias correction that leaves no mean error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim import registry
from hwsim.compilation import compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.config.quantization import QuantizationSpec, WeightQuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import float_output, float_values
from hwsim.execute.integer import run_integer
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Tensor
from hwsim.quantize.fuse import fuse
from hwsim.quantize.post_training import quantize
from hwsim.quantize.repairs.equalization import Equalization, pairs_in
from hwsim.quantize.repairs.outlier_clipping import OutlierClipping
from hwsim.quantize.schemes import products
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload

RANDOM = np.random.default_rng(3)


@pytest.fixture(scope="module", params=["digits_mlp", "digits_cnn"])
def digits(request: pytest.FixtureRequest) -> Workload:
    return read_workload(request.param)


def two_layers(left: np.ndarray, right: np.ndarray, activation: str = "relu") -> Network:
    """x -> a -> activation -> b."""
    tensors = {
        "x": Tensor("x", (left.shape[0],)),
        "a": Tensor("a", (left.shape[1],)),
        "r": Tensor("r", (left.shape[1],)),
        "b": Tensor("b", (right.shape[1],)),
        "a.w": Tensor("a.w", left.shape, left),
        "b.w": Tensor("b.w", right.shape, right),
    }
    operators: tuple[Operator, ...] = (
        Dense("a", ("x",), "a", "a.w", units=left.shape[1]),
        Rectify("r", ("a",), "r", "relu6" if activation == "relu6" else "relu"),
        Dense("b", ("r",), "b", "b.w", units=right.shape[1]),
    )
    return fuse(Network("n", tensors, operators, ("x",), ("b",)))


def weights(network: Network) -> list[np.ndarray]:
    return [np.asarray(network.tensors[product.weight].data) for product in products(network)]


def test_all_repairs_are_registered_by_name() -> None:
    assert registry.names(registry.REPAIRS) == ["bias_correction", "equalization", "outlier_clipping"]


def test_outliers_are_clipped_to_so_many_standard_deviations() -> None:
    """Nine zeros and a 10: mean 1, standard deviation 3; 1 + 2 * 3 = 7."""
    left = np.array([[0.0] * 9 + [10.0]])
    found, untouched = weights(OutlierClipping(deviations=2.0).before(two_layers(left, np.ones((10, 1)))))
    assert found.tolist() == [[0.0] * 9 + [7.0]]
    assert untouched.tolist() == np.ones((10, 1)).tolist()


def test_equalization_gives_both_sides_of_a_channel_the_same_range() -> None:
    """Channel 0: 8 before, 2 after: both become 4. Channel 1: 1 and 9 become 3."""
    left, right = weights(Equalization().before(two_layers(np.array([[8.0, 1.0]]), np.array([[2.0], [9.0]]))))
    np.testing.assert_allclose(left, [[4.0, 3.0]])
    np.testing.assert_allclose(right, [[4.0], [3.0]])


def test_equalization_leaves_a_dead_channel_alone() -> None:
    left, right = weights(Equalization().before(two_layers(np.array([[0.0, 5.0]]), np.array([[2.0], [0.0]]))))
    assert (left.tolist(), right.tolist()) == ([[0.0, 5.0]], [[2.0], [0.0]])


def test_equalization_changes_no_real_number(digits: Workload) -> None:
    assert digits.inputs is not None
    before = fuse(digits.network)
    after = Equalization().before(before)
    assert any(not np.allclose(a, b) for a, b in zip(weights(before), weights(after), strict=True))
    np.testing.assert_allclose(
        float_output(after, digits.inputs), float_output(before, digits.inputs), rtol=0, atol=1e-11
    )


def test_equalization_follows_groups_of_channels() -> None:
    """A grouped convolution reads the channels of its own group only."""
    shapes = {"x": (5, 5, 2), "a": (5, 5, 4), "b": (5, 5, 6)}
    tensors = {name: Tensor(name, shape) for name, shape in shapes.items()}
    tensors["a.w"] = Tensor("a.w", (1, 1, 2, 4), RANDOM.normal(size=(1, 1, 2, 4)) * [1, 10, 100, 1000])
    tensors["b.w"] = Tensor("b.w", (3, 3, 2, 6), RANDOM.normal(size=(3, 3, 2, 6)))
    operators = (
        Conv2d("a", ("x",), "a", "a.w", activation="relu", filters=4),
        Conv2d("b", ("a",), "b", "b.w", groups=2, filters=6, kernel=(3, 3), padding="same"),
    )
    network = Network("n", tensors, operators, ("x",), ("b",))
    inputs = RANDOM.normal(size=(4, 5, 5, 2))
    equalized = Equalization().before(network)
    np.testing.assert_allclose(float_output(equalized, inputs), float_output(network, inputs), rtol=1e-10)
    ranges = np.abs(weights(equalized)[0]).max(axis=(0, 1, 2))
    assert ranges.max() / ranges.min() < 100


def test_equalization_crosses_pooling_but_neither_relu6_nor_a_second_reader() -> None:
    network = fuse(read_workload("digits_cnn").network)
    names = [(first.name, second.name) for first, second in pairs_in(network)]
    assert names == [("conv1", "conv2"), ("conv2", "conv3"), ("conv3", "fc1"), ("fc1", "logits")]
    assert not list(pairs_in(two_layers(np.eye(2), np.eye(2), "relu6")))
    plain = two_layers(np.eye(2), np.eye(2))
    assert not list(pairs_in(replace(plain, outputs=("b", "r"))))


@pytest.mark.parametrize("bits", [3, 8])
def test_bias_correction_leaves_each_channel_without_a_mean_error(digits: Workload, bits: int) -> None:
    """The array's own sums against the float network's: what remains is the rounding of the bias.

    At 8 bits a step of the bias is so small that the few codes show which the fixed-point multiplier rounds another
    way than an exact one.
    """
    assert digits.calibration is not None
    overrides = {
        "array.weight_bits": bits,
        "array.activation_bits": bits,
        "array.guard_bits": 16,
        "quantization.weights.granularity": "per_tensor",
        "quantization.repairs": ["bias_correction"],
    }
    compiled = compile_workload(apply_overrides(load_arch("edge16"), overrides), digits)
    values = compiled.codes({compiled.input: digits.calibration})
    values |= run_integer(compiled.steps, compiled.params, values, keep=[step.output for step in compiled.steps]).values
    real = fuse(digits.network)
    plain = [replace(op, activation="none") if isinstance(op, MatmulOperator) else op for op in real.operators]
    exact = dict(float_values(real, digits.calibration))
    for step, operator in zip(compiled.steps, plain, strict=True):
        if not isinstance(step, MatmulStep):
            continue
        sums = step.activation_operands(values[step.inputs[0]], 0) @ step.weights[0] + step.bias[0]
        scale = bias_scale(compiled.network, operator)
        expected = operator.float_values([exact[name] for name in operator.inputs], real.tensors)
        errors = (sums * scale).reshape(expected.shape) - expected
        means = errors.reshape(-1, errors.shape[-1]).mean(axis=0)
        assert np.all(np.abs(means) <= scale * (0.5 if bits == 3 else 5)), step.name
        assert np.abs(errors).max() > 10 * np.abs(means).max()


def bias_scale(network: Network, operator: Operator) -> np.ndarray:
    grid = network.tensors[operator.constants[1]].quantization
    assert grid is not None
    return grid.scale


def test_bias_correction_gives_a_layer_without_a_bias_one() -> None:
    network = two_layers(np.array([[0.3, 1.0]]), np.array([[0.4], [1.0]]))
    spec = QuantizationSpec(repairs=("bias_correction",), weights=WeightQuantizationSpec(granularity="per_tensor"))
    inputs = np.abs(RANDOM.normal(size=(50, 1)))
    found = quantize(network, inputs, spec, weight_bits=2, activation_bits=8)
    assert [product.bias for product in products(found)] == ["a.bias", "b.bias"]
    codes = found.tensors["a.bias"].data
    assert codes is not None
    assert codes[0] != 0  # 0.3 rounds to 0 on a grid of 1
    assert network.operators[0].constants == ("a.w",)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        (
            "bias_corection",
            {},
            "unknown repair 'bias_corection'; allowed: bias_correction, equalization, outlier_clipping; "
            "did you mean 'bias_correction'?",
        ),
        ("bias_correction", {"steps": 3}, "bias_correction: unknown option 'steps'; allowed: none"),
        ("outlier_clipping", {"deviations": 0}, "outlier_clipping: deviations 0; allowed: 0.1 to 100"),
        ("equalization", {"iterations": 0}, "equalization: iterations 0; allowed: 1 to 1000"),
    ],
)
def test_unknown_repairs_and_options_are_refused(name: str, options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registry.make(registry.REPAIRS, name, options)
    assert str(refused.value) == problem


def test_weights_that_an_lstms_steps_share_are_clipped_once_and_not_equalized() -> None:
    network = fuse(read_workload("digits_lstm").network)
    clipped = OutlierClipping(deviations=1.0).before(network)
    assert len({product.weight for product in products(network)}) < len(products(network))
    for product in products(network):
        before, after = (np.asarray(one.tensors[product.weight].data) for one in (network, clipped))
        reach = before.std()
        np.testing.assert_allclose(after, np.clip(before, before.mean() - reach, before.mean() + reach))
    assert not list(pairs_in(network))
