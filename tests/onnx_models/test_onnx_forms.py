"""Forms that operators and numbers take in files: windows that hang over the edge, reals of 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import ModelBuilder, compared, random_codes, runtime_tensors

from hwsim.errors import UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.readers.read import read_workload

SIZES = [
    ((7, 6), (3, 2), (2, 2), [0, 0, 0, 0]),
    ((8, 8), (3, 3), (3, 2), [1, 0, 1, 1]),
    ((5, 9), (2, 4), (2, 3), [0, 1, 1, 0]),
]


def pooled(kind: str, size: tuple[int, int], **attributes: object) -> ModelBuilder:
    model = ModelBuilder()
    grid = model.grid(0.037, 5, np.int8)
    source = model.dequantize(model.input("x", np.int8, ("n", 3, *size)), grid)
    model.quantize(model.node(kind, [source], "pooled", ceil_mode=1, **attributes), grid, "y")
    return model


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("size", "kernel", "strides", "pads"), SIZES)
def test_windows_may_hang_over_the_far_edge(
    tmp_path: Path, kind: str, size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], pads: list[int]
) -> None:
    model = pooled(kind, size, kernel_shape=kernel, strides=strides, pads=pads)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    inputs = {"x": random_codes(np.random.default_rng(0), np.int8, (4, 3, *size))}
    assert compared(path, inputs).differences == {"x": 0, "y": 0}


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("kernel", [[2, 2], [3, 2], [8, 8]])
def test_averages_are_summed_in_the_order_of_each_versions_kernel(
    tmp_path: Path, opset: int, kernel: list[int]
) -> None:
    """Scales that are no powers of two: every other order of float32 sums gives other codes."""
    random, model = np.random.default_rng(0), ModelBuilder(opset)
    source = model.dequantize(model.input("x", np.int8, ("n", 16, 8, 8)), model.grid(0.0371, 5, np.int8))
    pooled = model.node("AveragePool", [source], "pooled", kernel_shape=kernel)
    model.quantize(pooled, model.grid(0.0371 / 8, 3, np.int8), "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    assert compared(path, {"x": random_codes(random, np.int8, (20, 16, 8, 8))}).total == 0


def test_an_average_that_counts_padding_there_is_refused(tmp_path: Path) -> None:
    model = pooled("AveragePool", (7, 7), kernel_shape=[2, 2], strides=[2, 2], count_include_pad=1)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    with pytest.raises(UnsupportedError) as refused:
        read_workload(path)
    assert str(refused.value).splitlines()[0] == f"{path}: node 1 (AveragePool): ceil_mode with count_include_pad"


def test_a_model_of_16_bit_reals_is_read_as_one_of_32_bits(tmp_path: Path) -> None:
    """ONNX Runtime rounds every result to 16 bits: 11 bits of fraction."""
    random, model = np.random.default_rng(0), ModelBuilder()
    kernel = model.constant(random.normal(0, 0.3, (4, 2, 3, 3)), np.float16)
    model.node("Cast", [model.input("x", np.float32, ("n", 2, 6, 6))], "half", to=10)
    model.node("Conv", ["half", kernel], "sums")
    model.node("Relu", ["sums"], "positive")
    model.node("Flatten", ["positive"], "row")
    model.node("MatMul", ["row", model.constant(random.normal(0, 0.2, (64, 5)), np.float16)], "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.float16}))
    inputs = random.normal(0, 1, (3, 2, 6, 6)).astype(np.float32)
    network = read_workload(path).network
    ours = dict(float_values(network, network.laid_out("x", inputs)))["y"].reshape(3, 5)
    theirs = runtime_tensors(path.read_bytes(), {"x": inputs}, ["y"])["y"]
    assert theirs.dtype == np.float16
    assert np.allclose(ours, theirs.astype(np.float64), rtol=4e-3, atol=4e-3)


def test_a_convolution_of_three_spatial_axes_is_named(tmp_path: Path) -> None:
    model = ModelBuilder()
    weight = model.constant(np.ones((2, 1, 2, 2, 2)), np.float32)
    model.node("Conv", [model.input("x", np.float32, ("n", 1, 4, 4, 4)), weight], "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.float32}))
    with pytest.raises(UnsupportedError) as refused:
        read_workload(path)
    assert str(refused.value).splitlines()[0] == (
        f"{path}: node 0 (Conv): input [1, 1, 4, 4, 4] by weights [2, 1, 2, 2, 2]; allowed: one or two spatial axes"
    )
