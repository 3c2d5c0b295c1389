"""Files that are quantized dynamically: codes, sums and reals against ONNX Runtime, node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_files import ModelBuilder, compared, random_codes

from hwsim.simulate import run

SEEDS = range(4)
WEIGHT_LIMIT = 63  # larger weights saturate pairs of products in x86 kernels without VNNI


def dynamic(file: ModelBuilder, source: str, name: str) -> list[str]:
    outputs = [f"{name}.codes", f"{name}.scale", f"{name}.zero"]
    file.nodes.append(helper.make_node("DynamicQuantizeLinear", [source], outputs))
    return outputs


def layer(file: ModelBuilder, random: np.random.Generator, source: str, sizes: tuple[int, int], output: str) -> str:
    """A dense layer as quantize_dynamic of ONNX Runtime writes it."""
    codes, scale, zero = dynamic(file, source, output)
    weights = file.constant(random_codes(random, np.int8, sizes, WEIGHT_LIMIT), np.int8)
    file.node("MatMulInteger", [codes, weights, zero, file.constant(0, np.int8)], f"{output}.sums")
    file.node("Cast", [f"{output}.sums"], f"{output}.cast", to=TensorProto.FLOAT)
    file.node("Mul", [scale, file.constant(0.01, np.float32)], f"{output}.factor")
    file.node("Mul", [f"{output}.cast", f"{output}.factor"], f"{output}.product")
    return file.node("Add", [f"{output}.product", file.constant(random.normal(0, 1, sizes[1]), np.float32)], output)


def written(tmp_path: Path, file: ModelBuilder, output: str, kind: type) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(file.build({output: kind}))
    return path


@pytest.mark.parametrize("seed", SEEDS)
def test_two_dense_layers(tmp_path: Path, seed: int) -> None:
    random, file = np.random.default_rng(seed), ModelBuilder()
    file.input("x", np.float32, ["batch", 5, 12])
    layer(file, random, "x", (12, 9), "a")
    file.node("Relu", ["a"], "r")
    layer(file, random, "r", (9, 4), "y")
    inputs = {"x": random.normal(0, 1, (4, 5, 12)).astype(np.float32)}
    path = written(tmp_path, file, "y", np.float32)
    found = compared(path, inputs, ["a.codes", "a.sums", "y.codes", "y.sums", "y"])
    assert found.total == 0, found.differences
    assert run("edge16", path, inputs=inputs["x"]).totals["macs"] == 5 * (12 * 9 + 9 * 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_convolution_whose_padding_is_known_at_run_time(tmp_path: Path, seed: int) -> None:
    random, file = np.random.default_rng(seed), ModelBuilder()
    file.input("x", np.float32, ["batch", 4, 7, 6])
    codes, _, zero = dynamic(file, "x", "q")
    weights = file.constant(random_codes(random, np.uint8, (6, 2, 3, 3), WEIGHT_LIMIT), np.uint8)
    file.node("ConvInteger", [codes, weights, zero, file.constant(17, np.uint8)], "y", group=2, pads=[1, 0, 2, 1])
    inputs = {"x": (random.normal(0.4, 1, (3, 4, 7, 6)) * (seed > 0)).astype(np.float32)}
    found = compared(written(tmp_path, file, "y", np.int32), inputs)
    assert set(found.tensors) == {"q.codes", "y"}
    assert found.total == 0, found.differences


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_integers_with_constant_zero_points(tmp_path: Path, dtype: type) -> None:
    random, file = np.random.default_rng(0), ModelBuilder()
    file.input("x", dtype, ["batch", 12])
    weights = file.constant(random_codes(random, np.int8, (12, 5), WEIGHT_LIMIT), np.int8)
    file.node("MatMulInteger", ["x", weights, file.constant(9, dtype)], "y")
    found = compared(written(tmp_path, file, "y", np.int32), {"x": random_codes(random, dtype, (6, 12))})
    assert (found.total, found.elements) == (0, 6 * 17)
