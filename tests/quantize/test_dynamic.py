"""Dynamic quantization: ranges of activations at run time, by a min-max unit that costs cycles and energy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hwsim.compilation import Compiled, compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import float_output
from hwsim.execute.integer import run_integer
from hwsim.metrics.sqnr import sqnr_db
from hwsim.network.operators.dynamic import DynamicGrid
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule
from hwsim.quantize.dynamic import quantize_dynamically
from hwsim.quantize.fuse import fuse
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.simulate import run

DYNAMIC = {"quantization.mode": "dynamic"}


@pytest.fixture(scope="module", params=["digits_mlp", "digits_cnn"])
def digits(request: pytest.FixtureRequest) -> Workload:
    return read_workload(request.param)


def compiled(workload: Workload, overrides: dict[str, Any]) -> Compiled:
    return compile_workload(apply_overrides(load_arch("edge16"), DYNAMIC | overrides), workload)


def tensors(of: Compiled, workload: Workload, samples: int = 60) -> dict[str, np.ndarray]:
    assert workload.inputs is not None
    codes = of.codes({of.input: workload.inputs[:samples]})
    return codes | run_integer(of.steps, of.params, codes, keep=[step.output for step in of.steps]).values


@pytest.mark.parametrize("signed", [False, True])
def test_the_grid_of_a_range(signed: bool) -> None:
    """From -1 to 3 in 8 bits: S = 4 / 255, Z = round(1 / S) = round(63.75) = 64, on top of the least code."""
    rule = GridRule(IntFormat(8, signed), symmetric=False)
    grid = DynamicGrid.of(np.array([[-1.0, 3.0]], np.float32), rule)
    assert float(grid.scale[0, 0]) == np.float32(4 / 255)
    assert int(grid.zero_point[0, 0]) == 64 + rule.format.min
    codes = grid.quantize(np.array([[-1.0, 0.0, 3.0]], np.float32)) - rule.format.min
    assert codes.tolist() == [[0, 64, 255]]


def test_codes_are_those_of_onnxs_dynamic_quantize_linear() -> None:
    """ONNX's operator is unsigned, 8 bits, with the same scale and zero point."""
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [50])],
        [
            helper.make_tensor_value_info("y", TensorProto.UINT8, [50]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("z", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    rule = GridRule(IntFormat(8, signed=False), symmetric=False)
    for _ in range(50):
        values = random.normal(random.normal(), 10 ** random.uniform(-3, 3), 50).astype(np.float32)
        codes, scale, zero_point = session.run(None, {"x": values})
        limits = np.array([[min(values.min(), 0), max(values.max(), 0)]], np.float32)
        grid = DynamicGrid.of(limits, rule)
        assert grid.scale[0, 0] == scale
        assert grid.zero_point[0, 0] == zero_point
        assert np.count_nonzero(grid.quantize(values[None])[0] != codes) <= 1  # a product by 1 / S may tip a tie


def test_a_tensor_of_zeros_has_scale_1() -> None:
    grid = DynamicGrid.of(np.zeros((1, 2), np.float32), GridRule(IntFormat(8), symmetric=False))
    assert (float(grid.scale[0, 0]), int(grid.zero_point[0, 0])) == (1.0, -128)


def test_the_four_operators_compute_the_layers_reals(digits: Workload) -> None:
    assert digits.inputs is not None
    found = quantize_dynamically(digits.network, QuantizationSpec(), weight_bits=16, activation_bits=8)
    names = [operator.name for operator in found.operators if operator.layer.split(".")[0] == "logits"]
    assert names == ["logits.range", "logits.codes", "logits", "logits.rescale"]
    of = compiled(digits, {"array.weight_bits": 12, "array.activation_bits": 12, "array.guard_bits": 16})
    ratio = sqnr_db(float_output(digits.network, digits.inputs[:60]), of.reals(tensors(of, digits)[of.output]))
    assert ratio > 50


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"quantization.weights.symmetric": False},
        {"quantization.activations.signed": False},
        {"quantization.activations.symmetric": True},
        {"array.weight_bits": 4, "array.activation_bits": 6, "quantization.weights.granularity": "per_tensor"},
    ],
)
def test_a_layer_is_its_codes_real_product(digits: Workload, settings: dict[str, Any]) -> None:
    """S S_w sum((q - Z) (q_w - Z_w)) + bias in float64, of the codes and ranges that the machine has found itself."""
    of = compiled(digits, settings)
    values, real = tensors(of, digits), fuse(digits.network)
    steps = {step.name: step for step in of.steps}
    for whole in real.operators:
        if f"{whole.name}.range" not in steps:
            continue
        step = steps[whole.name]
        assert isinstance(step, MatmulStep)
        low, high = values[steps[f"{whole.name}.range"].output].astype(float).T
        source = values[whole.inputs[0]].astype(float)
        assert np.array_equal(low, np.minimum(source.min(axis=1), 0))
        codes = values[step.inputs[0]]
        word = step.activation_format
        symmetric = settings.get("quantization.activations.symmetric", False)
        scale = np.maximum(-low, high) / word.max if symmetric else (high - low) / (word.max - word.min)
        inner = (codes - codes[:, -1:]) * scale[:, None]
        weight = of.network.tensors[whole.constants[0]]
        assert weight.quantization is not None
        reals = weight.quantization.dequantize(np.asarray(weight.data))
        matrix = reals.reshape(-1, reals.shape[-1])
        total = inner[:, step.gather.indices(0)] @ matrix
        total = total + np.asarray(real.tensors[whole.constants[1]].data)
        if getattr(whole, "activation") == "relu":  # noqa: B009
            total = np.maximum(total, 0)
        found = values[whole.output]
        np.testing.assert_allclose(found, total.reshape(found.shape), rtol=1e-5, atol=1e-5 * np.abs(total).max())


def test_no_calibration_can_be_as_good_as_the_sample_itself(digits: Workload) -> None:
    static = run("edge16", digits, samples=100)
    dynamic = run(apply_overrides(load_arch("edge16"), DYNAMIC), digits, samples=100)
    assert dynamic.accuracy is not None
    assert static.accuracy is not None
    assert dynamic.sqnr_db is not None
    assert static.sqnr_db is not None
    assert dynamic.accuracy >= static.accuracy - 0.01
    assert dynamic.sqnr_db > static.sqnr_db


def test_the_min_max_unit_costs_cycles_and_energy() -> None:
    """64 inputs: 128 comparisons on 16 lanes are 8 cycles, and 256 bytes through a port of 16 bytes a cycle are 16."""
    result = run(apply_overrides(load_arch("edge16"), DYNAMIC), "digits_mlp", samples=2)
    layers = result.layers.set_index("layer")
    assert layers.index.tolist()[:4] == ["hidden.range", "hidden.codes", "hidden", "hidden.rescale"]
    assert layers.loc["hidden.range", "vector_cycles"] == 16
    energy = result.energy[result.energy["layer"] == "hidden.range"].set_index(["component", "action"])
    compared = energy.loc[("vector_unit", "float_compare")]
    assert compared["count"] == 128
    assert compared["energy_pj"] > 0
    assert result.totals["total_cycles"] > run("edge16", "digits_mlp", samples=2).totals["total_cycles"]


@pytest.mark.parametrize(
    ("overrides", "kind", "problem"),
    [
        (
            {"array.number_format": "fp16"},
            ConfigError,
            "quantization.mode: dynamic needs integers in array.number_format, not fp16",
        ),
        (
            {"quantization.repairs": ["bias_correction"]},
            ConfigError,
            "repair bias_correction with mode dynamic, which has no ranges before a run",
        ),
        (
            {"quantization.activations.scale": "power_of_two"},
            ConfigError,
            "layer hidden: activations of scale power_of_two with mode dynamic; allowed: free",
        ),
        (
            {"quantization.weights.granularity": "per_group"},
            ConfigError,
            "layer hidden: granularity per_group with mode dynamic; allowed: per_tensor, per_channel",
        ),
        (
            {"array.weight_bits": 16, "array.activation_bits": 16},
            ConfigError,
            "layer hidden: sums of 64 products of 16 and 16 bits may need more than 32; allowed with mode dynamic: "
            "narrower operands",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(overrides: dict[str, Any], kind: type[Exception], problem: str) -> None:
    with pytest.raises(kind) as refused:
        compiled(read_workload("digits_mlp"), overrides)
    assert str(refused.value) == problem


def test_layers_without_a_form_between_reals_are_all_listed() -> None:
    with pytest.raises(UnsupportedError) as refused:
        compiled(read_workload("digits_lstm"), {})
    assert str(refused.value) == (
        "layer lstm: GateProduct, LstmStart, LstmCell, LstmHidden\nallowed with quantization.mode dynamic: dense and "
        "convolution layers, pools, sums, relu, relu6, sigmoid, tanh, layer_norm, moves; of files also other functions "
        "of elements and of rows"
    )
