"""Weights of 4 bits, two in a byte: generated models held against the interpreters."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from model_builder import Graph, Operator, Tensor

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

IMAGE = (1, 6, 5, 3)
IMAGES, ROWS = 8, 300
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
NARROW_ARRAY = "array.weight_bits=4"


def options(kind: str) -> object:
    if kind == "FULLY_CONNECTED":
        return schema.FullyConnectedOptionsT()
    table = schema.Conv2DOptionsT() if kind == "CONV_2D" else schema.DepthwiseConv2DOptionsT()
    table.strideW = table.strideH = table.dilationWFactor = table.dilationHFactor = 1
    if kind == "DEPTHWISE_CONV_2D":
        table.depthMultiplier = 3
    return table


@cache
def graph(kind: str, *, per_channel: bool = True) -> Graph:
    """An odd number of weights, so that the last byte is half empty."""
    random = np.random.default_rng(KINDS.index(kind))
    built, filters = Graph(), 9
    dense = kind == "FULLY_CONNECTED"
    before, after = ((1, 21), (1, filters)) if dense else (IMAGE, (1, 6, 5, filters))
    shapes = {"CONV_2D": (filters, 3, 3, 3), "DEPTHWISE_CONV_2D": (1, 3, 3, filters), "FULLY_CONNECTED": (filters, 21)}
    shape = shapes[kind]
    assert np.prod(shape) % 2
    built.inputs = [built.add(Tensor(before, "int8", 0.05, -3))]
    scale = random.uniform(0.01, 0.1, filters) if per_channel else 0.05
    axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
    weight = built.add(Tensor(shape, "int4", scale, 0, axis, random.integers(-8, 8, shape)))
    bias = built.constant(random.integers(-500, 500, filters).astype(np.int32), 0.001)
    built.outputs = [built.add(Tensor(after, "int8", 0.2, 5))]
    built.operators = [Operator(kind, [*built.inputs, weight, bias], built.outputs, options(kind))]
    return built


MODELS = {kind.lower(): graph(kind) for kind in KINDS} | {
    "fully_connected, one scale": graph("FULLY_CONNECTED", per_channel=False)
}


@cache
def codes(name: str) -> np.ndarray:
    shape = MODELS[name].tensors[0].shape
    samples = IMAGES if len(shape) == len(IMAGE) else ROWS
    return np.random.default_rng(1).integers(-128, 128, (samples, *shape)).astype(np.int8)


@cache
def answers(profile: str) -> dict[str, Answer]:
    return dict(zip(MODELS, ask(profile, [Case(MODELS[n].build(), [codes(n)]) for n in MODELS]), strict=True))


def written(name: str, tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(MODELS[name].build())
    return path


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", MODELS)
def test_a_product_of_4_bit_weights(name: str, profile: str, tmp_path: Path) -> None:
    if (name, profile) == ("fully_connected", "tflm"):
        pytest.skip("the interpreter has no kernel for it: refused below")
    spec = load_arch("edge16", [NARROW_ARRAY, f"requantizer.rounding_profile={profile}"])
    answer, number = answers(profile)[name], MODELS[name].outputs[0]
    ours = integer_tensors(spec, choose_samples(read_workload(written(name, tmp_path)), inputs=codes(name)))
    assert not answer.failure
    theirs = answer.tensors[number]
    assert np.array_equal(ours[str(number)].reshape(theirs.shape), theirs)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "fully_connected"])
def test_a_4_bit_array_takes_them(name: str, tmp_path: Path) -> None:
    result = run("edge16", written(name, tmp_path), inputs=codes(name), samples=1, overrides=[NARROW_ARRAY])
    assert result.layer_results[0].weight_bits == 4


def test_what_an_interpreter_has_no_kernel_for_is_refused(tmp_path: Path) -> None:
    assert answers("tflm")["fully_connected"].failure
    with pytest.raises(UnsupportedError) as refused:
        run("edge16", written("fully_connected", tmp_path), inputs=codes("fully_connected"))
    assert str(refused.value) == (
        "layer fully_connected_0: fully connected with packed weights and a scale per channel in profile 'tflm'; "
        "available: litert_reference, litert_optimized, xnnpack, or one scale"
    )


def test_a_3_bit_array_does_not(tmp_path: Path) -> None:
    path = written("conv_2d", tmp_path)
    with pytest.raises(ConfigError) as refused:
        run("edge16", path, inputs=codes("conv_2d"), overrides=["array.weight_bits=3"])
    assert str(refused.value) == "layer conv_2d_0: weights of 4 bits; array.weight_bits is 3; allowed: 4 or more"


def test_as_many_bytes_as_the_shape_says(tmp_path: Path) -> None:
    damaged = Graph(list(MODELS["conv_2d"].tensors), MODELS["conv_2d"].operators, [0], [3])
    weight = damaged.tensors[1]
    assert weight.data is not None
    damaged.tensors[1] = Tensor(weight.shape, "int4", weight.scale, 0, 0, weight.data[1:])
    path = tmp_path / "model.tflite"
    path.write_bytes(damaged.build())
    with pytest.raises(ConfigError) as refused:
        read_workload(path)
    assert str(refused.value) == f"{path}: tensor 1: 108 bytes of data for shape [9, 3, 3, 3] of INT4"
