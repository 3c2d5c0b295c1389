"""Generated models of one operator on 16-bit activations, read from their files and held against the interpreters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from model_builder import Graph, Operator, Tensor, options

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

RANDOM = np.random.default_rng(0)
IMAGE = (1, 6, 5, 4)
SAMPLES = 5
WIDE_ARRAY = ["array.activation_bits=16"]


def add(graph: Graph, shape: Sequence[int], scale: float = 0.0002) -> int:
    return graph.add(Tensor(tuple(shape), "int16", scale))


def bias_of(graph: Graph, dtype: str | None, outputs: int) -> list[int]:
    return [] if dtype is None else [graph.constant(RANDOM.integers(-9000, 9000, outputs).astype(dtype), 1e-6)]


def convolution(*, depthwise: bool, bias: str | None = "int64") -> Graph:
    graph = Graph()
    graph.inputs = [add(graph, IMAGE)]
    shape = (1, 3, 2, 8) if depthwise else (8, 3, 2, 4)
    weights = RANDOM.integers(-127, 128, shape).astype(np.int8)
    weight = graph.constant(weights, RANDOM.uniform(0.001, 0.01, 8), axis=3 if depthwise else 0)
    inputs = [*graph.inputs, weight, *bias_of(graph, bias, 8)]
    graph.outputs = [add(graph, (1, 3, 3, 8))]
    name = "DepthwiseConv2D" if depthwise else "Conv2D"
    more = {"depthMultiplier": 2} if depthwise else {}
    table = options(name, padding=0, strideW=2, strideH=2, dilationWFactor=1, dilationHFactor=1, **more)
    graph.operators = [Operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, graph.outputs, table)]
    return graph


def dense(*, per_channel: bool, bias: str | None = "int64") -> Graph:
    graph = Graph()
    graph.inputs = [add(graph, (1, 20))]
    weights = RANDOM.integers(-127, 128, (6, 20)).astype(np.int8)
    weight = graph.constant(weights, RANDOM.uniform(0.001, 0.01, 6) if per_channel else 0.004)
    inputs = [*graph.inputs, weight, *bias_of(graph, bias, 6)]
    graph.outputs = [add(graph, (1, 6))]
    graph.operators = [Operator("FULLY_CONNECTED", inputs, graph.outputs, options("FullyConnected"))]
    return graph


def one(code: str, after: tuple[int, ...], table: object = None, *more: object, scale: float = 0.0002) -> Graph:
    """One input, constant lists of numbers, one output."""
    graph = Graph()
    graph.inputs = [add(graph, IMAGE)]
    constants = [graph.constant(np.array(values, np.int32)) for values in more]
    graph.outputs = [add(graph, after, scale)]
    graph.operators = [Operator(code, [*graph.inputs, *constants], graph.outputs, table)]
    return graph


def two(code: str, table: object, scales: Sequence[float], shapes: Sequence[tuple[int, ...]] = (IMAGE, IMAGE)) -> Graph:
    graph = Graph()
    graph.inputs = [add(graph, shape, scale) for shape, scale in zip(shapes, scales[:2], strict=True)]
    after = shapes[0] if code != "CONCATENATION" else (1, 12, 5, 4)
    graph.outputs = [add(graph, after, scales[2])]
    graph.operators = [Operator(code, graph.inputs, graph.outputs, table)]
    return graph


def parts(code: str) -> Graph:
    graph = Graph()
    graph.inputs = [add(graph, IMAGE)]
    shape = (1, 5, 4) if code == "UNPACK" else (1, 1, 5, 4)
    graph.outputs = [add(graph, shape) for _ in range(6)]
    axis = [graph.constant(np.array([1], np.int32))] if code == "SPLIT" else []
    table = options("Split", numSplits=6) if code == "SPLIT" else options("Unpack", num=6, axis=1)
    graph.operators = [Operator(code, [*axis, *graph.inputs], graph.outputs, table)]
    return graph


def conversion(before: Tensor, after: Tensor, code: str = "QUANTIZE") -> Graph:
    graph = Graph()
    graph.inputs, graph.outputs = [graph.add(before)], [graph.add(after)]
    table = options("Softmax", beta=1.0) if code == "SOFTMAX" else None
    graph.operators = [Operator(code, graph.inputs, graph.outputs, table)]
    return graph


POOL = {"padding": 0, "strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 2}
ROW = (1, 12)
MODELS: dict[str, Callable[[], Graph]] = {
    "conv": lambda: convolution(depthwise=False),
    "conv without bias": lambda: convolution(depthwise=False, bias=None),
    "depthwise": lambda: convolution(depthwise=True),
    "depthwise without bias": lambda: convolution(depthwise=True, bias=None),
    "fully connected": lambda: dense(per_channel=False),
    "fully connected, per channel": lambda: dense(per_channel=True),
    "fully connected without bias": lambda: dense(per_channel=False, bias=None),
    "add": lambda: two("ADD", options("Add", fusedActivationFunction=1), (0.0002, 0.0003, 0.0004)),
    "add, scales that are powers of two": lambda: two("ADD", options("Add"), (2**-13, 2**-12, 2**-12)),
    "sub": lambda: two("SUB", options("Sub"), (0.0002, 0.0003, 0.0004), (IMAGE, (1, 1, 1, 4))),
    "sub, scales that are powers of two": lambda: two("SUB", options("Sub"), (2**-12, 2**-14, 2**-12)),
    "mul": lambda: two("MUL", options("Mul"), (0.0002, 0.0003, 0.002)),
    "average pool": lambda: one("AVERAGE_POOL_2D", (1, 3, 3, 4), options("Pool2D", **POOL)),
    "max pool": lambda: one("MAX_POOL_2D", (1, 3, 3, 4), options("Pool2D", **POOL)),
    "mean": lambda: one("MEAN", (1, 4), options("Reducer", keepDims=False), [1, 2], scale=0.0001),
    "pad": lambda: one("PAD", (1, 8, 9, 4), options("Pad"), [[0, 0], [2, 0], [1, 3], [0, 0]]),
    "reshape": lambda: one("RESHAPE", (1, 120), options("Reshape", newShape=[1, 120]), [1, 120]),
    "transpose": lambda: one("TRANSPOSE", (1, 4, 6, 5), options("Transpose"), [0, 3, 1, 2]),
    "relu": lambda: one("RELU", IMAGE, scale=0.0001),
    "relu6": lambda: one("RELU6", IMAGE),
    "leaky relu": lambda: one("LEAKY_RELU", IMAGE, options("LeakyRelu", alpha=0.3), scale=0.00015),
    "logistic": lambda: one("LOGISTIC", IMAGE, scale=2**-15),
    "tanh": lambda: one("TANH", IMAGE, scale=2**-15),
    "concatenation": lambda: two("CONCATENATION", options("Concatenation", axis=1), (0.0002, 0.0002, 0.0002)),
    "split": lambda: parts("SPLIT"),
    "unpack": lambda: parts("UNPACK"),
    "quantize 8 to 16": lambda: conversion(Tensor(ROW, "int8", 0.05, -3), Tensor(ROW, "int16", 0.0002)),
    "quantize 16 to 8": lambda: conversion(Tensor(ROW, "int16", 0.0002), Tensor(ROW, "int8", 0.05, -3)),
    "quantize reals": lambda: conversion(Tensor(ROW, "float32"), Tensor(ROW, "int16", 0.0002)),
    "dequantize": lambda: conversion(Tensor(ROW, "int16", 0.0002), Tensor(ROW, "float32"), "DEQUANTIZE"),
    "softmax": lambda: conversion(Tensor(ROW, "int16", 0.0002), Tensor(ROW, "int16", 2**-15), "SOFTMAX"),
}


@dataclass
class Built:
    """A model with samples for it: one array for each input."""

    graph: Graph
    content: bytes
    inputs: dict[str, np.ndarray]

    @property
    def case(self) -> Case:
        return Case(self.content, list(self.inputs.values()))


@cache
def built(name: str) -> Built:
    graph = MODELS[name]()
    return Built(graph, graph.build(), {str(number): samples(graph.tensors[number]) for number in graph.inputs})


def samples(tensor: Tensor) -> np.ndarray:
    shape = (SAMPLES, *tensor.shape)
    if tensor.dtype == "float32":
        return RANDOM.normal(size=shape).astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(tensor.dtype)


@cache
def answers(profile: str) -> dict[str, Answer]:
    return dict(zip(MODELS, ask(profile, [built(name).case for name in MODELS]), strict=True))


def read(name: str, tmp_path: Path) -> Workload:
    path = tmp_path / "model.tflite"
    path.write_bytes(built(name).content)
    return read_workload(path)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", MODELS)
def test_an_operator(name: str, profile: str, tmp_path: Path) -> None:
    answer = answers(profile)[name]
    if name == "conv without bias" and profile != "tflm":
        assert "has_bias was not true" in answer.failure  # LiteRT has no kernel for it
        return
    spec = load_arch("edge16", [*WIDE_ARRAY, f"requantizer.rounding_profile={profile}"])
    ours = integer_tensors(spec, choose_samples(read(name, tmp_path), inputs=built(name).inputs))
    assert not answer.failure
    for number in built(name).graph.outputs:
        theirs = answer.tensors[number]
        assert np.array_equal(ours[str(number)].reshape(theirs.shape), theirs)


@pytest.mark.parametrize("name", MODELS)
def test_an_operator_runs_on_the_machine(name: str, tmp_path: Path) -> None:
    result = run("edge16", read(name, tmp_path), inputs=built(name).inputs, samples=1, overrides=WIDE_ARRAY)
    assert result.totals["energy_pj"] > 0 or name == "reshape"


def test_a_narrow_array_takes_no_wide_activations(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        run("edge16", read("conv", tmp_path), inputs=built("conv").inputs)
    assert str(refused.value) == (
        "layer conv_2d_0: activations of 16 bits; array.activation_bits is 8; allowed: 16 or more"
    )


def test_interpolation_reads_two_entries_a_look_up(tmp_path: Path) -> None:
    result = run("edge16", read("tanh", tmp_path), inputs=built("tanh").inputs, samples=1, overrides=WIDE_ARRAY)
    (layer,) = result.layer_results
    assert {entry.count for entry in layer.energy if entry.action == "lookup"} == {2 * 120}


def refusal(graph: Graph, tmp_path: Path, profile: str) -> str:
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.build())
    with pytest.raises((ConfigError, UnsupportedError)) as refused:
        run(load_arch("edge16", [*WIDE_ARRAY, f"requantizer.rounding_profile={profile}"]), path,
            inputs={str(number): samples(graph.tensors[number]) for number in graph.inputs})  # fmt: skip
    return str(refused.value).replace(f"{path}: ", "").splitlines()[0]


@pytest.mark.parametrize(
    ("graph", "profile", "text"),
    [
        (
            lambda: two("ADD", options("Add"), (2**-12, 2**-12, 2**-13)),
            "xnnpack",
            "layer add_0: 16-bit addition of scales 2**-12 and 2**-12 to 2**-13; available: inputs of the output's "
            "scale, one of them of a smaller one",
        ),
        (
            lambda: one("RELU_N1_TO_1", IMAGE),
            "litert_reference",
            "layer relu_n1_to_1_0: relu_n1_to_1 of 16-bit codes; available: 8",
        ),
        (
            lambda: convolution(depthwise=False, bias="int32"),
            "tflm",
            "operator 0 (CONV_2D): constant 2 is INT32; allowed: INT64",
        ),
        (
            lambda: conversion(Tensor(ROW, "int16", 0.0002), Tensor(ROW, "int8", 1 / 256, -128), "SOFTMAX"),
            "tflm",
            "layer softmax_0: softmax of 16-bit codes to 8 bits; available: 8 to 8 or 16, 16 to 16",
        ),
        (
            lambda: conversion(Tensor(ROW, "int16", 0.0002, 3), Tensor(ROW, "int16", 0.0002), "RELU"),
            "tflm",
            "tensor 0: INT16 with zero point 3; allowed: 0",
        ),
        (
            lambda: conversion(Tensor(ROW, "int8", 0.0002, 3), Tensor(ROW, "int16", 0.0002), "RELU"),
            "tflm",
            "operator 0 (RELU): tensor 1 is INT16; allowed: INT8",
        ),
    ],
)
def test_what_has_no_kernel_is_refused(graph: Callable[[], Graph], profile: str, text: str, tmp_path: Path) -> None:
    assert refusal(graph(), tmp_path, profile) == text
