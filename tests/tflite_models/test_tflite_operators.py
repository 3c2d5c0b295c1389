"""Generated models of one operator, read from their files and held against TensorFlow Lite for Microcontrollers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_builder import Graph, Operator, Tensor, options

from hwsim.config.load import load_arch
from hwsim.oracles.ask import Case, ask
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

RANDOM = np.random.default_rng(0)
IMAGE = (1, 6, 5, 4)


def activations(graph: Graph, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = -3) -> int:
    return graph.add(Tensor(shape, "int8", scale, zero_point))


def given(graph: Graph, shape: tuple[int, ...], **grid: float) -> int:
    number = activations(graph, shape, **grid)  # type: ignore[arg-type]
    graph.inputs.append(number)
    return number


def result(graph: Graph, shape: tuple[int, ...], **grid: float) -> int:
    number = activations(graph, shape, **grid)  # type: ignore[arg-type]
    graph.outputs.append(number)
    return number


def numbers(graph: Graph, *values: object) -> int:
    return graph.constant(np.array(values, np.int32))


def convolution(*, depthwise: bool, dilation: int, stride: int, padding: int) -> Graph:
    graph = Graph()
    image = given(graph, IMAGE)
    filters = 8
    shape = (1, 3, 2, filters) if depthwise else (filters, 3, 2, 4)
    weights = RANDOM.integers(-127, 128, shape).astype(np.int8)
    weight = graph.constant(weights, RANDOM.uniform(0.001, 0.01, filters), axis=3 if depthwise else 0)
    bias = graph.constant(RANDOM.integers(-500, 500, filters).astype(np.int32), 0.001)
    rows, cols = (
        -(-size // stride) if padding == 0 else (size - (kernel - 1) * dilation - 1) // stride + 1
        for size, kernel in ((6, 3), (5, 2))
    )
    output = result(graph, (1, rows, cols, filters), scale=0.04, zero_point=5)
    name = "DepthwiseConv2D" if depthwise else "Conv2D"
    more = {"depthMultiplier": 2} if depthwise else {}
    table = options(
        name, padding=padding, strideW=stride, strideH=stride, dilationWFactor=dilation, dilationHFactor=dilation,
        fusedActivationFunction=1, **more,
    )  # fmt: skip
    code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    graph.operators.append(Operator(code, [image, weight, bias], [output], table))
    return graph


def one(code: str, shape: tuple[int, ...], after: tuple[int, ...], table: object = None, *more: object) -> Graph:
    """One input, constant lists of numbers, one output of another scale where the operator rescales."""
    graph = Graph()
    source = given(graph, shape)
    constants = [graph.constant(np.array(values, np.int32)) for values in more]
    rescales = code in ("MEAN", "RELU", "LEAKY_RELU", "QUANTIZE")
    grid = {"scale": 0.031, "zero_point": 7} if rescales else {}
    graph.operators.append(Operator(code, [source, *constants], [result(graph, after, **grid)], table))
    return graph


def two(code: str, shapes: list[tuple[int, ...]], after: tuple[int, ...], table: object) -> Graph:
    graph = Graph()
    scales = (0.05, 0.03) if code == "SUB" else (0.05, 0.05)
    sources = [given(graph, shape, scale=scale) for shape, scale in zip(shapes, scales, strict=True)]
    graph.operators.append(Operator(code, sources, [result(graph, after)], table))
    return graph


def split(code: str) -> Graph:
    graph = Graph()
    source = given(graph, (1, 6, 4))
    sizes = (2, 2, 2) if code == "SPLIT" else (1, 3, 2)
    parts = [result(graph, (1, size, 4)) for size in sizes]
    axis = graph.constant(np.array(1, np.int32).reshape(1))
    inputs = [axis, source] if code == "SPLIT" else [source, numbers(graph, 1, 3, -1), axis]
    table = options("Split" if code == "SPLIT" else "SplitV", numSplits=3)
    graph.operators.append(Operator(code, inputs, parts, table))
    return graph


def unpack() -> Graph:
    graph = Graph()
    source = given(graph, (2, 3, 4))
    parts = [result(graph, (2, 4)) for _ in range(3)]
    graph.operators.append(Operator("UNPACK", [source], parts, options("Unpack", num=3, axis=1)))
    return graph


MODELS: dict[str, Callable[[], Graph]] = {
    "conv": lambda: convolution(depthwise=False, dilation=1, stride=2, padding=0),
    "dilated conv": lambda: convolution(depthwise=False, dilation=2, stride=1, padding=0),
    "dilated conv, valid": lambda: convolution(depthwise=False, dilation=2, stride=1, padding=1),
    "depthwise": lambda: convolution(depthwise=True, dilation=1, stride=2, padding=0),
    "dilated depthwise": lambda: convolution(depthwise=True, dilation=2, stride=1, padding=0),
    "pad": lambda: one("PAD", IMAGE, (1, 8, 9, 4), options("Pad"), [[0, 0], [2, 0], [1, 3], [0, 0]]),
    "transpose": lambda: one("TRANSPOSE", IMAGE, (1, 4, 6, 5), options("Transpose"), [0, 3, 1, 2]),
    "mean": lambda: one("MEAN", IMAGE, (1, 4), options("Reducer", keepDims=False), [1, 2]),
    "mean, axes kept": lambda: one("MEAN", IMAGE, (1, 1, 1, 4), options("Reducer", keepDims=True), [1, 2]),
    "relu": lambda: one("RELU", IMAGE, IMAGE),
    "relu6": lambda: one("RELU6", IMAGE, IMAGE),
    "leaky relu": lambda: one("LEAKY_RELU", IMAGE, IMAGE, options("LeakyRelu", alpha=0.3)),
    "requantize": lambda: one("QUANTIZE", IMAGE, IMAGE, options("Quantize")),
    "squeeze": lambda: one("SQUEEZE", (1, 1, 5, 1), (1, 5), options("Squeeze", squeezeDims=[1, 3])),
    "expand dims": lambda: one("EXPAND_DIMS", (1, 5), (1, 1, 5), options("ExpandDims"), [1]),
    "sub, repeated": lambda: two("SUB", [IMAGE, (1, 1, 1, 4)], IMAGE, options("Sub")),
    "mul": lambda: two("MUL", [IMAGE, IMAGE], IMAGE, options("Mul", fusedActivationFunction=3)),
    "concatenation": lambda: two("CONCATENATION", [(1, 3, 2), (1, 4, 2)], (1, 7, 2), options("Concatenation", axis=1)),
    "pack": lambda: two("PACK", [(2, 3), (2, 3)], (2, 2, 3), options("Pack", valuesCount=2, axis=1)),
    "split": lambda: split("SPLIT"),
    "split by sizes": lambda: split("SPLIT_V"),
    "unpack": unpack,
}


@pytest.mark.parametrize("name", MODELS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    graph = MODELS[name]()
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.build())
    workload = read_workload(path)
    shapes = {str(number): graph.tensors[number].shape for number in graph.inputs}
    inputs = {tensor: RANDOM.integers(-128, 128, (5, *shape)).astype(np.int8) for tensor, shape in shapes.items()}
    spec = load_arch("edge16", [])
    ours = integer_tensors(spec, choose_samples(workload, inputs=inputs))
    (answer,) = ask("tflm", [Case(path.read_bytes(), list(inputs.values()))])
    assert not answer.failure
    for number in graph.outputs:
        theirs = answer.tensors[number]
        assert np.array_equal(ours[str(number)].reshape(theirs.shape), theirs)
    run(spec, workload, inputs=inputs)
