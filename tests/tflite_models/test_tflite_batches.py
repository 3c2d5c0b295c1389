"""Files whose first axis counts several inputs at once: a sample of theirs is all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lstm_models import LstmModel, random_lstm
from model_builder import Graph, Operator, Tensor, options

from hwsim.config.load import load_arch
from hwsim.network.gather import SampleRows
from hwsim.network.operators.conv_gather import ConvGather
from hwsim.network.operators.windows import axis
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

IMAGES = 3
SHAPE = (IMAGES, 6, 5, 4)
RANDOM = np.random.default_rng(0)
WINDOW = {"padding": 0, "strideW": 2, "strideH": 2}


def product(kind: str, *, real: bool = False) -> Graph:
    graph = Graph()
    depthwise, dense = kind == "DEPTHWISE_CONV_2D", kind == "FULLY_CONNECTED"
    before, after = ((IMAGES, 20), (IMAGES, 8)) if dense else (SHAPE, (IMAGES, 3, 3, 8))
    shape = (8, 20) if dense else (1, 3, 2, 8) if depthwise else (8, 3, 2, 4)
    if real:
        graph.inputs = [graph.add(Tensor(before, "float32"))]
    else:
        graph.inputs = [graph.add(Tensor(before, "int8", 0.05, -3))]
    weights = RANDOM.integers(-127, 128, shape).astype(np.int8)
    scales = RANDOM.uniform(0.001, 0.01, 8)
    weight = graph.constant(weights, scales, 3 if depthwise else 0)
    values = RANDOM.integers(-500, 500, 8)
    bias = graph.constant(values.astype(np.float32 if real else np.int32), None if real else 0.05 * scales)
    graph.outputs = [graph.add(Tensor(after, "float32") if real else Tensor(after, "int8", 0.04, 5))]
    dilated = {**WINDOW, "dilationWFactor": 1, "dilationHFactor": 1}
    tables = {
        "CONV_2D": lambda: options("Conv2D", **dilated),
        "DEPTHWISE_CONV_2D": lambda: options("DepthwiseConv2D", depthMultiplier=2, **dilated),
        "FULLY_CONNECTED": lambda: options("FullyConnected"),
    }
    graph.operators = [Operator(kind, [*graph.inputs, weight, bias], graph.outputs, tables[kind]())]
    return graph


def one(kind: str, after: tuple[int, ...], table: object, *lists: object, scale: float = 0.05, zero: int = -3) -> Graph:
    graph = Graph()
    graph.inputs = [graph.add(Tensor(SHAPE, "int8", 0.05, -3))]
    constants = [graph.constant(np.array(values, np.int32)) for values in lists]
    graph.outputs = [graph.add(Tensor(after, "int8", scale, zero))]
    graph.operators = [Operator(kind, [*graph.inputs, *constants], graph.outputs, table)]
    return graph


POOL = {**WINDOW, "filterWidth": 3, "filterHeight": 2}
MODELS: dict[str, Callable[[], Graph]] = {
    "conv": lambda: product("CONV_2D"),
    "depthwise": lambda: product("DEPTHWISE_CONV_2D"),
    "fully connected": lambda: product("FULLY_CONNECTED"),
    "average pool": lambda: one("AVERAGE_POOL_2D", (IMAGES, 3, 3, 4), options("Pool2D", **POOL)),
    "max pool": lambda: one("MAX_POOL_2D", (IMAGES, 3, 3, 4), options("Pool2D", **POOL)),
    "mean": lambda: one("MEAN", (IMAGES, 4), options("Reducer", keepDims=False), [1, 2], scale=0.03),
    "pad": lambda: one("PAD", (IMAGES, 8, 5, 4), options("Pad"), [[0, 0], [1, 1], [0, 0], [0, 0]]),
    "softmax": lambda: one("SOFTMAX", SHAPE, options("Softmax", beta=1.0), scale=1 / 256, zero=-128),
    "conv of reals": lambda: product("CONV_2D", real=True),
    "depthwise of reals": lambda: product("DEPTHWISE_CONV_2D", real=True),
    "fully connected of reals": lambda: product("FULLY_CONNECTED", real=True),
}


@dataclass
class Built:
    graph: Graph
    content: bytes
    samples: np.ndarray


@cache
def built(name: str) -> Built:
    """Of reals, inputs of one sample have ranges of their own."""
    graph = MODELS[name]()
    tensor = graph.tensors[graph.inputs[0]]
    shape = (4, *tensor.shape)
    if tensor.dtype == "float32":
        spread = RANDOM.uniform(0.5, 5, (*shape[:2], *(1,) * (len(shape) - 2)))
        return Built(graph, graph.build(), (RANDOM.normal(size=shape) * spread).astype(np.float32))
    return Built(graph, graph.build(), RANDOM.integers(-128, 128, shape).astype(np.int8))


@cache
def answers(profile: str) -> dict[str, Answer]:
    return dict(zip(MODELS, ask(profile, [Case(built(n).content, [built(n).samples]) for n in MODELS]), strict=True))


@pytest.mark.parametrize(
    ("name", "profile"),
    [(name, profile) for name in MODELS for profile in PROFILES if profile != "tflm" or "reals" not in name],
)
def test_an_operator(name: str, profile: str, tmp_path: Path) -> None:
    path, answer = tmp_path / "model.tflite", answers(profile)[name]
    path.write_bytes(built(name).content)
    assert not answer.failure
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}"])
    ours = integer_tensors(spec, choose_samples(read_workload(path), inputs=built(name).samples))
    (number,) = built(name).graph.outputs
    theirs = answer.tensors[number]
    values = ours[str(number)].reshape(theirs.shape)
    tolerance = 1e-6 * np.abs(theirs).max() if "reals" in name else 0
    assert np.abs(values.astype(np.float64) - theirs).max() <= tolerance


@pytest.mark.parametrize("name", ["conv", "depthwise", "average pool", "conv of reals"])
def test_it_runs_on_the_machine(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(built(name).content)
    overrides = ["requantizer.rounding_profile=litert_reference", "array.rows=4"]
    result = run("edge16", path, inputs=built(name).samples, samples=2, overrides=overrides)
    assert result.totals["total_cycles"] > 0


def test_pixels_of_all_images_are_rows_of_one_product(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(built("conv").content)
    result = run("edge16", path, inputs=built("conv").samples, samples=1)
    assert (result.layer_results[0].out_rows, result.layer_results[0].depth) == (IMAGES * 9, 24)


def test_windows_of_images_name_what_a_table_would() -> None:
    one = ConvGather(axis(6, 3, 2, "same"), axis(5, 2, 2, "same"), 2, 2)
    gather = SampleRows(one, IMAGES, 6 * 5 * 4)
    table = gather.indices(1)
    assert table.shape == (IMAGES * 9, 12)
    for rows in (slice(0, 9), slice(4, 20), slice(9, 27), slice(26, 27)):
        part = gather.indices(1, rows, slice(3, 9))
        assert np.array_equal(part, table[rows, 3:9])
        assert gather.distinct(1, rows, slice(3, 9)) == np.unique(part[part >= 0]).size


@cache
def lstms() -> list[LstmModel]:
    """Up to three sequences, either axis first, with and without a cell clip."""
    random = np.random.default_rng(3)
    return [random_lstm(random) for _ in range(14)]


@pytest.mark.parametrize("profile", ["tflm", "litert_reference"])
def test_lstms_of_several_sequences(profile: str, tmp_path: Path) -> None:
    models = lstms()
    batches = {model.codes.shape[1 if model.time_major else 0] for model in models}
    assert batches == {1, 2, 3}
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}"])
    for model, answer in zip(models, ask(profile, [model.case for model in models]), strict=True):
        path = tmp_path / "model.tflite"
        path.write_bytes(model.case.model)
        assert not answer.failure
        codes = np.asarray(model.case.inputs[0])
        shape = codes.shape[2:] if codes.shape[1] == 1 else codes.shape[1:]
        inputs = codes.reshape(len(codes), *shape)
        ours = integer_tensors(spec, choose_samples(read_workload(path), inputs=inputs))
        for number in (model.output_tensor, model.hidden_tensor, model.cell_tensor):
            if number in answer.tensors:
                assert np.array_equal(ours[str(number)].reshape(-1), answer.tensors[number].reshape(-1))


def test_sequences_of_a_batch_run_on_the_machine_one_by_one(tmp_path: Path) -> None:
    model = next(one for one in lstms() if one.time_major and one.codes.shape[1] == 2)
    path = tmp_path / "model.tflite"
    path.write_bytes(model.case.model)
    codes = np.asarray(model.case.inputs[0])
    inputs = codes.reshape(1, *(codes.shape[2:] if codes.shape[1] == 1 else codes.shape[1:]))
    result = run("edge16", path, inputs=inputs)
    steps, _, width = model.codes.shape
    cells = len(model.tensors.biases[0])
    assert result.totals["macs"] == 2 * steps * (width + cells) * 4 * cells
    inputs_product = result.layer_results[0]
    assert (inputs_product.out_rows, inputs_product.depth, inputs_product.out_cols) == (2 * steps, width, 4 * cells)
