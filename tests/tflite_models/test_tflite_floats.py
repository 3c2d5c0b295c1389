"""Files of reals alone: their values in floating point as LiteRT's, and what hwsim quantizes them to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from model_builder import Graph, Operator, Tensor, options
from real_samples import digits, model, real_images

from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.execute.floating import float_values
from hwsim.network.operator import quantization_of
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples, with_calibration
from hwsim.simulate import run, simulate

IMAGE = (1, 6, 5, 4)
SAMPLES = 24
RANDOM = np.random.default_rng(0)
TOLERANCE = 1e-5  # of a tensor's greatest value: sums are exact here, in float32 there


def real(graph: Graph, shape: Sequence[int]) -> int:
    return graph.add(Tensor(tuple(shape), "float32"))


def numbers(graph: Graph, *shape: int) -> int:
    return graph.constant(RANDOM.normal(size=shape).astype(np.float32) / 3)


WINDOW = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
POOL = {"padding": 0, "strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 2}


def graph_of(kind: str, after: tuple[int, ...], table: object = None, *more: object) -> Graph:
    """A convolution, the operator on its output, and a convolution of that where it is an image."""
    graph = Graph()
    graph.inputs = [real(graph, IMAGE)]
    middle = real(graph, IMAGE)
    conv = options("Conv2D", padding=0, **WINDOW)
    first = [graph.inputs[0], numbers(graph, 4, 3, 3, 4), numbers(graph, 4)]
    graph.operators = [Operator("CONV_2D", first, [middle], conv)]
    lists = [graph.constant(np.array(values, np.int32)) for values in more]
    result = real(graph, after)
    graph.operators.append(Operator(kind, [middle, *lists], [result], table))
    graph.outputs = [result]
    if len(after) == 4 and after[3] == 4:
        graph.outputs = [real(graph, after)]
        last = [result, numbers(graph, 4, 3, 3, 4), numbers(graph, 4)]
        graph.operators.append(Operator("CONV_2D", last, graph.outputs, conv))
    return graph


def two(kind: str, after: tuple[int, ...], table: object, *, constant: bool = False) -> Graph:
    """Two branches of other ranges, or one and a constant."""
    graph = Graph()
    graph.inputs = [real(graph, IMAGE)]
    branches = [real(graph, IMAGE) for _ in range(1 if constant else 2)]
    for branch in branches:
        taken = [graph.inputs[0], numbers(graph, 4, 1, 1, 4), numbers(graph, 4)]
        graph.operators.append(Operator("CONV_2D", taken, [branch], options("Conv2D", padding=0, **WINDOW)))
    if constant:
        branches.append(numbers(graph, 1, 1, 1, 4))
    graph.outputs = [real(graph, after)]
    graph.operators.append(Operator(kind, branches, graph.outputs, table))
    return graph


def products(*, depthwise: bool) -> Graph:
    graph = Graph()
    graph.inputs = [real(graph, IMAGE)]
    shape = (1, 3, 2, 8) if depthwise else (8, 3, 2, 4)
    middle, flat = real(graph, (1, 3, 3, 8)), real(graph, (1, 72))
    graph.outputs = [real(graph, (1, 5))]
    more = {"depthMultiplier": 2} if depthwise else {}
    window = {**WINDOW, "strideW": 2, "strideH": 2}
    table = options(
        "DepthwiseConv2D" if depthwise else "Conv2D", padding=0, fusedActivationFunction=1, **window, **more
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    shared = numbers(graph, 8)
    graph.operators = [
        Operator(kind, [graph.inputs[0], numbers(graph, *shape), shared], [middle], table),
        Operator("RESHAPE", [middle, graph.constant(np.array([1, 72], np.int32))], [flat], options("Reshape")),
        Operator("FULLY_CONNECTED", [flat, numbers(graph, 5, 72)], graph.outputs, options("FullyConnected")),
    ]
    return graph


def in_a_row(*, shared: bool) -> Graph:
    """Three convolutions by one weight and one bias, or by copies of them."""
    chance = np.random.default_rng(7)
    weight, bias = (chance.normal(size=shape).astype(np.float32) for shape in ((4, 1, 1, 4), (4,)))
    graph = Graph()
    ends = [real(graph, IMAGE) for _ in range(4)]
    constants = [[graph.constant(weight), graph.constant(bias)] for _ in range(1 if shared else 3)] * (
        3 if shared else 1
    )
    table = options("Conv2D", padding=0, **WINDOW)
    graph.operators = [
        Operator("CONV_2D", [before, *read], [after], table)
        for before, after, read in zip(ends, ends[1:], constants, strict=False)
    ]
    graph.inputs, graph.outputs = ends[:1], ends[-1:]
    return graph


MODELS: dict[str, Callable[[], Graph]] = {
    "one weight for all": lambda: in_a_row(shared=True),
    "copies of one weight": lambda: in_a_row(shared=False),
    "conv and fully connected": lambda: products(depthwise=False),
    "depthwise": lambda: products(depthwise=True),
    "add": lambda: two("ADD", IMAGE, options("Add", fusedActivationFunction=1)),
    "add a constant": lambda: two("ADD", IMAGE, options("Add"), constant=True),
    "sub": lambda: two("SUB", IMAGE, options("Sub")),
    "mul": lambda: two("MUL", IMAGE, options("Mul")),
    "mul by a constant": lambda: two("MUL", IMAGE, options("Mul"), constant=True),
    "concatenation": lambda: two("CONCATENATION", (1, 12, 5, 4), options("Concatenation", axis=1)),
    "average pool": lambda: graph_of("AVERAGE_POOL_2D", (1, 3, 3, 4), options("Pool2D", **POOL)),
    "max pool": lambda: graph_of("MAX_POOL_2D", (1, 3, 3, 4), options("Pool2D", **POOL)),
    "mean": lambda: graph_of("MEAN", (1, 4), options("Reducer", keepDims=False), [1, 2]),
    "pad": lambda: graph_of("PAD", (1, 8, 9, 4), options("Pad"), [[0, 0], [2, 0], [1, 3], [0, 0]]),
    "transpose": lambda: graph_of("TRANSPOSE", (1, 5, 6, 4), options("Transpose"), [0, 2, 1, 3]),
    "relu": lambda: graph_of("RELU", IMAGE),
    "relu6": lambda: graph_of("RELU6", IMAGE),
    "leaky relu": lambda: graph_of("LEAKY_RELU", IMAGE, options("LeakyRelu", alpha=0.3)),
    "logistic": lambda: graph_of("LOGISTIC", IMAGE),
    "tanh": lambda: graph_of("TANH", IMAGE),
    "softmax": lambda: graph_of("SOFTMAX", IMAGE, options("Softmax", beta=1.0)),
}


@cache
def samples() -> np.ndarray:
    return RANDOM.normal(size=(SAMPLES, *IMAGE[1:])).astype(np.float32)


@cache
def built(name: str) -> bytes:
    return MODELS[name]().build()


@cache
def answers() -> dict[str, Answer]:
    cases = [Case(built(name), [samples().reshape(-1, *IMAGE)]) for name in MODELS]
    return dict(zip(MODELS, ask("litert_reference", cases), strict=True))


def read(name: str, tmp_path: Path) -> Workload:
    path = tmp_path / "model.tflite"
    path.write_bytes(built(name))
    return read_workload(path)


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_in_floating_point_is_litert_s(name: str, tmp_path: Path) -> None:
    network, answer = read(name, tmp_path).network, answers()[name]
    assert not answer.failure
    assert not network.holds_codes
    for tensor, values in float_values(network, samples().reshape(-1, *network.tensors[network.input].shape)):
        theirs = answer.tensors[int(tensor)]
        assert np.abs(values.reshape(theirs.shape) - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("bits", "decibels"), [(8, 20), (12, 35)])
def test_it_is_quantized_and_runs_on_the_machine(name: str, bits: int, decibels: float, tmp_path: Path) -> None:
    """More bits come nearer to the reals; the LUT of logistic and tanh, of 256 entries, does not."""
    widths = [f"array.weight_bits={bits}", f"array.activation_bits={bits}", "array.guard_bits=12"]
    result = run("edge16", read(name, tmp_path), inputs=samples(), calibration=samples(), overrides=widths)
    assert result.sqnr_db is not None
    assert result.sqnr_db > (20 if name in ("logistic", "tanh") else decibels)
    assert result.totals["overflow_events"] == 0


@pytest.mark.parametrize("bits", [4, 16])
def test_softmax_has_a_grid_of_its_own(bits: int, tmp_path: Path) -> None:
    from hwsim.compilation import compile_workload

    widths = [f"array.weight_bits={bits}", f"array.activation_bits={bits}"]
    workload = with_calibration(read("softmax", tmp_path), samples())
    network = compile_workload(load_arch("edge16", widths), workload).network
    grid = network.tensors[network.operators[1].output].quantization
    assert grid is not None
    assert (float(grid.scale), int(grid.zero_point)) == (2.0**-bits, -(2 ** (bits - 1)))


def test_joined_tensors_are_rescaled_to_one_grid(tmp_path: Path) -> None:
    """Two tensors of 120 elements, of which one reaches as far as both together: the other is rescaled."""
    RANDOM.bit_generator.state = np.random.default_rng(0).bit_generator.state  # whatever tests have drawn before
    built.cache_clear()
    result = run("edge16", read("concatenation", tmp_path), inputs=samples(), calibration=samples(), samples=1)
    layer = result.layer_results[-1]
    counts = {entry.action: entry.count for entry in layer.energy if entry.component == "vector_unit"}
    assert counts == {"move": 240, "multiply": 120, "shift": 120, "add": 120}


def test_a_weight_and_bias_of_several_layers_serve_as_copies_do_and_are_fetched_once(tmp_path: Path) -> None:
    """4 x 4 weights of 8 bits; the layers' inputs have ranges of their own, and each bias a grid of its own."""
    ratios, fetched = [], []
    for name in ("one weight for all", "copies of one weight"):
        result = run("edge16", read(name, tmp_path), inputs=samples(), calibration=samples())
        energy = result.energy
        written = (energy["component"] == "weight_scratchpad") & (energy["action"] == "write_bits")
        ratios.append(result.sqnr_db)
        fetched.append(energy[written]["count"].sum())
    assert ratios[0] == ratios[1]
    assert fetched == [4 * 4 * 8, 3 * 4 * 4 * 8]


def test_samples_to_quantize_by_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        run("edge16", read("relu", tmp_path), inputs=samples())
    assert str(refused.value) == (
        "workload model has no calibration data; allowed: data.calibration in its YAML, or --calibration"
    )


def test_a_quantized_file_takes_none() -> None:
    with pytest.raises(ConfigError) as refused:
        with_calibration(read_workload(model("hello_world_int8")), np.zeros((1, 1)))
    assert str(refused.value) == (
        "calibration samples: workload hello_world_int8 is quantized already; allowed: a network of reals"
    )


def test_calibration_samples_have_the_inputs_shape(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        with_calibration(read("relu", tmp_path), np.zeros((3, 5, 5, 4)))
    assert str(refused.value) == (
        "calibration samples: inputs of shape [3, 5, 5, 4]; allowed: [samples, 6, 5, 4], one sample or more"
    )


def test_several_real_inputs_have_a_range_each(tmp_path: Path) -> None:
    """The second one's values are a hundred times the first one's."""
    graph = Graph()
    graph.inputs = [real(graph, IMAGE), real(graph, IMAGE)]
    graph.outputs = [real(graph, IMAGE)]
    graph.operators = [Operator("ADD", graph.inputs, graph.outputs, options("Add"))]
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.build())
    random = np.random.default_rng(0)
    given = {name: scale * random.normal(0, 1, (8, *IMAGE[1:])) for name, scale in (("0", 1.0), ("1", 100.0))}
    workload = with_calibration(read_workload(path), given)
    chosen = choose_samples(workload, inputs=given)
    assert chosen.float_outputs is not None
    np.testing.assert_allclose(chosen.float_outputs.reshape(8, -1), (given["0"] + given["1"]).reshape(8, -1))
    tensors = compile_workload(load_arch("edge16", []), workload).network.tensors
    ratio = float(quantization_of(tensors["1"]).scale / quantization_of(tensors["0"]).scale)
    assert 80 < ratio < 125
    result = run("edge16", workload, inputs=given)
    assert result.sqnr_db is not None
    assert result.sqnr_db > 35


def test_a_public_network_in_floating_point_and_in_8_bits() -> None:
    """The residual network: its float accuracy on these images is LiteRT's own."""
    inputs, labels = real_images(30)
    path = model("pretrainedResnet")
    workload = with_calibration(read_workload(path), inputs)
    result = simulate(
        load_arch("edge16", []), choose_samples(workload, inputs=inputs, labels=labels), engine="functional",
        with_data=False,
    )  # fmt: skip
    (answer,) = ask("litert_reference", [Case(path.read_bytes(), [inputs.reshape(-1, 1, 32, 32, 3)])])
    theirs = answer.tensors[37].reshape(30, 10).argmax(axis=1)
    assert result.float_accuracy == float(np.mean(theirs == labels))
    assert result.accuracy is not None
    assert result.accuracy >= 0.8
    assert result.sqnr_db is not None
    assert result.sqnr_db > 15


def lstm(*, time_major: bool, clip: float) -> Graph:
    """Three inputs, four cells, six steps; a variable for each state."""
    graph = Graph()
    shape = (6, 1, 3) if time_major else (1, 6, 3)
    graph.inputs = [real(graph, shape)]
    inner = [numbers(graph, 4, 3) for _ in range(4)] + [numbers(graph, 4, 4) for _ in range(4)]
    biases = [numbers(graph, 4) for _ in range(4)]
    states = [graph.add(Tensor((1, 4), "float32", variable=True)) for _ in range(2)]
    graph.outputs = [real(graph, (*shape[:2], 4))]
    left_out = [-1, -1, -1]
    inputs = [*graph.inputs, *inner, *left_out, *biases, -1, -1, *states, *left_out, -1]
    table = options(
        "UnidirectionalSequenceLSTM", fusedActivationFunction=4, cellClip=clip, projClip=0.0, timeMajor=time_major
    )
    graph.operators = [Operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, graph.outputs, table)]
    return graph


@pytest.mark.parametrize("clip", [0.0, 0.2])
@pytest.mark.parametrize("time_major", [False, True])
def test_an_lstm_of_reals(time_major: bool, clip: float, tmp_path: Path) -> None:
    """The smaller clip holds in floating point and in codes."""
    graph = lstm(time_major=time_major, clip=clip)
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.build())
    sequences = RANDOM.normal(size=(10, *graph.tensors[0].shape)).astype(np.float32) * 2
    (answer,) = ask("litert_reference", [Case(path.read_bytes(), [sequences])])
    assert not answer.failure
    theirs = answer.tensors[graph.outputs[0]]
    workload = with_calibration(read_workload(path), sequences.reshape(10, *workload_shape(path)))
    ours = choose_samples(workload, inputs=sequences.reshape(10, *workload_shape(path))).float_outputs
    assert ours is not None
    assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= TOLERANCE
    result = run("edge16", workload, inputs=sequences.reshape(10, *workload_shape(path)))
    assert result.sqnr_db is not None
    assert result.sqnr_db > 18


def workload_shape(path: Path) -> tuple[int, ...]:
    network = read_workload(path).network
    return network.sample_shape(network.input)


def test_a_public_lstm_of_reals() -> None:
    """Handwritten digits; all 10,000 of them come to 98.53 %, as LiteRT's."""
    codes, labels = digits(30)
    pixels = (codes.astype(np.float32) + 128) / 255
    result = run("edge16", model("trained_lstm"), inputs=pixels, labels=labels, calibration=pixels, engine="functional")
    assert result.float_accuracy == 29 / 30
    assert result.accuracy is not None
    assert result.accuracy >= 0.95
    assert result.sqnr_db is not None
    assert result.sqnr_db > 30
