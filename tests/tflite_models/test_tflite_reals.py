"""Files whose activations are reals: 8-bit weights by codes made at run time, dequantized weights, operators on reals.

Reals of several kernels differ in the last bits; here they are compared to 1e-6 of a tensor's greatest value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from model_builder import Graph, Operator, Tensor, options
from real_samples import model, real_images

from hwsim.config.load import load_arch
from hwsim.errors import CheckFailedError, ConfigError, UnsupportedError
from hwsim.numerics.tflite.profiles import LITERT
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.oracles.compare import compare_with_oracle
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

TOLERANCE = 1e-6
IMAGE = (1, 7, 6, 3)
ROW = (1, 20)
SAMPLES = 12
RANDOM = np.random.default_rng(0)
LARGE_SCRATCHPAD = "scratchpads.outputs.capacity_bytes=262144"


def real(graph: Graph, shape: tuple[int, ...]) -> int:
    return graph.add(Tensor(shape, "float32"))


def weights(graph: Graph, shape: tuple[int, ...], axis: int, *, dequantized: bool) -> int:
    codes = RANDOM.integers(-127, 128, shape).astype(np.int8)
    stored = graph.constant(codes, RANDOM.uniform(0.001, 0.02, shape[axis]), axis)
    if not dequantized:
        return stored
    reals = real(graph, shape)
    graph.operators.append(Operator("DEQUANTIZE", [stored], [reals]))
    return reals


def bias(graph: Graph, outputs: int) -> int:
    return graph.constant(RANDOM.normal(size=outputs).astype(np.float32))


def convolution(*, depthwise: bool, stride: int, padding: int, dequantized: bool = False) -> Graph:
    graph = Graph()
    graph.inputs = [real(graph, IMAGE)]
    shape, axis = ((1, 3, 2, 6), 3) if depthwise else ((8, 3, 2, 3), 0)
    weight = weights(graph, shape, axis, dequantized=dequantized)
    rows, cols = (
        -(-size // stride) if padding == 0 else (size - kernel) // stride + 1 for size, kernel in ((7, 3), (6, 2))
    )
    graph.outputs = [real(graph, (1, rows, cols, shape[axis]))]
    name = "DepthwiseConv2D" if depthwise else "Conv2D"
    more = {"depthMultiplier": 2} if depthwise else {}
    table = options(
        name, padding=padding, strideW=stride, strideH=stride, dilationWFactor=1, dilationHFactor=1,
        fusedActivationFunction=1, **more,
    )  # fmt: skip
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    graph.operators.append(Operator(kind, [*graph.inputs, weight, bias(graph, shape[axis])], graph.outputs, table))
    return graph


def dense(*, asymmetric: bool = False, dequantized: bool = False) -> Graph:
    graph = Graph()
    graph.inputs = [real(graph, ROW)]
    weight = weights(graph, (7, 20), 0, dequantized=dequantized)
    graph.outputs = [real(graph, (1, 7))]
    table = options("FullyConnected", asymmetricQuantizeInputs=asymmetric)
    graph.operators.append(Operator("FULLY_CONNECTED", [*graph.inputs, weight, bias(graph, 7)], graph.outputs, table))
    return graph


def beside(kind: str, after: tuple[int, ...], table: object = None, *more: object, inputs: int = 1) -> Graph:
    """An operator on reals beside a product of 8-bit weights, without which the file would be one of reals alone."""
    graph = dense()
    sources = [real(graph, IMAGE) for _ in range(inputs)]
    lists = [graph.constant(np.array(values, np.int32)) for values in more]
    result = real(graph, after)
    graph.inputs, graph.outputs = [*graph.inputs, *sources], [*graph.outputs, result]
    graph.operators.append(Operator(kind, [*sources, *lists], [result], table))
    return graph


POOL = {"padding": 0, "strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 2}
MODELS: dict[str, Callable[[], Graph]] = {
    "conv": lambda: convolution(depthwise=False, stride=1, padding=0),
    "conv, stride": lambda: convolution(depthwise=False, stride=2, padding=0),
    "conv, valid": lambda: convolution(depthwise=False, stride=1, padding=1),
    "depthwise": lambda: convolution(depthwise=True, stride=1, padding=0),
    "depthwise, stride": lambda: convolution(depthwise=True, stride=2, padding=0),
    "fully connected": dense,
    "fully connected, asymmetric": lambda: dense(asymmetric=True),
    "conv of dequantized weights": lambda: convolution(depthwise=False, stride=2, padding=0, dequantized=True),
    "depthwise of dequantized weights": lambda: convolution(depthwise=True, stride=1, padding=0, dequantized=True),
    "fully connected of dequantized weights": lambda: dense(dequantized=True),
    "add": lambda: beside("ADD", IMAGE, options("Add", fusedActivationFunction=1), inputs=2),
    "sub": lambda: beside("SUB", IMAGE, options("Sub"), inputs=2),
    "mul": lambda: beside("MUL", IMAGE, options("Mul", fusedActivationFunction=3), inputs=2),
    "average pool": lambda: beside("AVERAGE_POOL_2D", (1, 4, 3, 3), options("Pool2D", **POOL)),
    "max pool": lambda: beside("MAX_POOL_2D", (1, 4, 3, 3), options("Pool2D", **POOL)),
    "mean": lambda: beside("MEAN", (1, 3), options("Reducer", keepDims=False), [1, 2]),
    "pad": lambda: beside("PAD", (1, 9, 10, 3), options("Pad"), [[0, 0], [2, 0], [1, 3], [0, 0]]),
    "reshape": lambda: beside("RESHAPE", (1, 126), options("Reshape", newShape=[1, 126]), [1, 126]),
    "transpose": lambda: beside("TRANSPOSE", (1, 3, 7, 6), options("Transpose"), [0, 3, 1, 2]),
    "concatenation": lambda: beside("CONCATENATION", (1, 14, 6, 3), options("Concatenation", axis=1), inputs=2),
    "relu": lambda: beside("RELU", IMAGE),
    "relu6": lambda: beside("RELU6", IMAGE),
    "leaky relu": lambda: beside("LEAKY_RELU", IMAGE, options("LeakyRelu", alpha=0.3)),
    "logistic": lambda: beside("LOGISTIC", IMAGE),
    "tanh": lambda: beside("TANH", IMAGE),
    "softmax": lambda: beside("SOFTMAX", IMAGE, options("Softmax", beta=0.5)),
}


@dataclass
class Built:
    graph: Graph
    content: bytes
    inputs: dict[str, np.ndarray]


@cache
def built(name: str) -> Built:
    """Samples of several magnitudes, one of zeros, some without negative values."""
    graph = MODELS[name]()
    inputs = {}
    for number in graph.inputs:
        values = RANDOM.normal(size=(SAMPLES, *graph.tensors[number].shape)) * 3
        values[0] = 0
        values[1] = np.abs(values[1])
        inputs[str(number)] = values.astype(np.float32)
    return Built(graph, graph.build(), inputs)


@cache
def answers(profile: str) -> dict[str, Answer]:
    cases = [Case(built(name).content, list(built(name).inputs.values())) for name in MODELS]
    return dict(zip(MODELS, ask(profile, cases), strict=True))


def read(name: str, tmp_path: Path) -> Workload:
    path = tmp_path / "model.tflite"
    path.write_bytes(built(name).content)
    return read_workload(path)


@pytest.mark.parametrize("profile", LITERT)
@pytest.mark.parametrize("name", MODELS)
def test_an_operator(name: str, profile: str, tmp_path: Path) -> None:
    answer = answers(profile)[name]
    assert not answer.failure
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}"])
    ours = integer_tensors(spec, choose_samples(read(name, tmp_path), inputs=built(name).inputs))
    for number in built(name).graph.outputs:
        theirs, values = answer.tensors[number], ours[str(number)]
        assert values.dtype == np.float32
        assert np.abs(values.reshape(theirs.shape) - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize("name", ["conv, stride", "fully connected", "conv of dequantized weights", "softmax"])
def test_it_runs_on_the_machine(name: str, tmp_path: Path) -> None:
    """The machine's values equal those without its clock: the run compares them."""
    overrides = ["requantizer.rounding_profile=litert_reference"]
    assert run("edge16", read(name, tmp_path), inputs=built(name).inputs, overrides=overrides).totals["energy_pj"] > 0


def counted(name: str, tmp_path: Path, layer: str) -> dict[str, float]:
    overrides = ["requantizer.rounding_profile=litert_reference"]
    result = run("edge16", read(name, tmp_path), inputs=built(name).inputs, samples=1, overrides=overrides)
    (found,) = [one for one in result.layer_results if one.layer == layer]
    return {entry.action: entry.count for entry in found.energy if entry.component == "vector_unit"}


def test_a_product_of_8_bit_weights_is_four_layers(tmp_path: Path) -> None:
    overrides = ["requantizer.rounding_profile=litert_reference"]
    result = run("edge16", read("conv", tmp_path), inputs=built("conv").inputs, samples=1, overrides=overrides)
    assert [layer.layer for layer in result.layer_results] == [
        "conv_2d_0_range", "conv_2d_0_codes", "conv_2d_0", "conv_2d_0_rescale",
    ]  # fmt: skip
    product = result.layer_results[2]
    assert (product.out_rows, product.depth, product.out_cols) == (42, 18, 8)
    assert {entry.component for entry in product.energy} >= {"pe", "dram"}
    assert not any(entry.count for entry in product.energy if entry.action == "multiply" and entry.component != "pe")


def test_the_passes_over_the_input_are_counted(tmp_path: Path) -> None:
    """126 elements, padded to 9 x 7 x 3; one grid takes four operations and a reciprocal."""
    assert counted("conv", tmp_path, "conv_2d_0_range") == {"float_compare": 252}
    assert counted("conv", tmp_path, "conv_2d_0_codes") == {
        "compare": 252, "add": 126, "move": 63, "float_add": 4, "float_multiply": 132,
    }  # fmt: skip


def test_the_rescaling_is_counted_in_reals(tmp_path: Path) -> None:
    """336 sums: zero point, two scales, bias, ReLU."""
    assert counted("conv", tmp_path, "conv_2d_0_rescale") == {
        "add": 336, "multiply": 336, "float_multiply": 672, "float_add": 336, "float_compare": 672,
    }  # fmt: skip


def test_dequantized_weights_are_products_of_reals(tmp_path: Path) -> None:
    """7 x 20 weights, one reading, one scaling each; 140 products and sums."""
    name = "fully connected of dequantized weights"
    assert counted(name, tmp_path, "dequantize_0") == {"add": 140, "float_multiply": 140}
    assert counted(name, tmp_path, "fully_connected_1") == {"float_add": 140, "float_multiply": 140}


def test_stored_weights_are_read_in_8_bits_and_stay_on_chip_as_reals(tmp_path: Path) -> None:
    """The second layer reads its 20 inputs from DRAM, and the 140 weights from where the first one left them."""
    name = "fully connected of dequantized weights"
    overrides = ["requantizer.rounding_profile=litert_reference"]
    result = run("edge16", read(name, tmp_path), inputs=built(name).inputs, samples=1, overrides=overrides)
    read_bits = [
        sum(entry.count for entry in layer.energy if (entry.component, entry.action) == ("dram", "read_bits"))
        for layer in result.layer_results
    ]
    assert read_bits == [140 * 8, 20 * 32]


def test_real_arithmetic_costs_what_horowitz_says(tmp_path: Path) -> None:
    """Float32: 3.7 pJ a multiplication, 0.9 pJ an addition (M. Horowitz, ISSCC 2014)."""
    overrides = ["requantizer.rounding_profile=litert_reference"]
    result = run("edge16", read("softmax", tmp_path), inputs=built("softmax").inputs, samples=1, overrides=overrides)
    each = {
        entry.action: entry.energy_pj / entry.count
        for layer in result.layer_results
        for entry in layer.energy
        if entry.action.startswith("float_")
    }
    assert each["float_multiply"] == pytest.approx(3.7, rel=1e-4)
    assert each["float_add"] == pytest.approx(0.9, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fully connected", "quantization at run time in profile 'tflm'"),
        ("fully connected of dequantized weights", "dequantization per channel in profile 'tflm'"),
    ],
)
def test_what_micro_has_no_kernel_for_is_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as refused:
        run("edge16", read(name, tmp_path), inputs=built(name).inputs)
    assert f"{text}; available: litert_reference, litert_optimized, xnnpack" in str(refused.value)


def test_inputs_are_reals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_samples(read("fully connected", tmp_path), inputs=np.full((1, 20), np.nan))
    assert str(refused.value) == "input 0 of type float64; allowed: finite numbers"


@pytest.mark.parametrize("profile", LITERT)
@pytest.mark.parametrize("name", ["resnet8_dynamic_wi8_afp32", "resnet8_weight_only_wi8_afp32"])
def test_a_public_network(name: str, profile: str) -> None:
    """All real tensors; those inside XNNPACK's delegate, which fold dequantized weights, are not to be read."""
    inputs, _ = real_images(4)
    path = model(name)
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}", LARGE_SCRATCHPAD])
    ours = integer_tensors(spec, choose_samples(read_workload(path), inputs=inputs))
    (answer,) = ask(profile, [Case(path.read_bytes(), [inputs.reshape(-1, 1, 32, 32, 3)])])
    assert not answer.failure
    for number in [tensor for tensor in answer.tensors if 22 <= tensor <= 37]:
        theirs, values = answer.tensors[number], ours[str(number)]
        assert np.abs(values.reshape(theirs.shape) - theirs).max() <= 2 * TOLERANCE * np.abs(theirs).max()


def test_a_check_against_an_interpreter_takes_the_last_bits_of_reals_for_equal(tmp_path: Path) -> None:
    spec = load_arch("edge16", ["requantizer.rounding_profile=litert_reference"])
    chosen = choose_samples(read("fully connected", tmp_path), inputs=built("fully connected").inputs)
    found = compare_with_oracle(spec, tmp_path / "model.tflite", chosen, "litert_reference")
    assert (found.samples, found.tensors, found.elements) == (SAMPLES, 2, SAMPLES * 27)


def test_a_check_against_other_kernels_finds_codes_made_otherwise(tmp_path: Path) -> None:
    """LiteRT makes symmetric codes of a fully connected input here, XNNPACK asymmetric ones."""
    spec = load_arch("edge16", ["requantizer.rounding_profile=litert_reference"])
    chosen = choose_samples(read("fully connected", tmp_path), inputs=built("fully connected").inputs)
    with pytest.raises(CheckFailedError) as found:
        compare_with_oracle(spec, tmp_path / "model.tflite", chosen, "xnnpack")
    assert str(found.value).startswith("tensor 2 'tensor2': element [")
