"""Each operator on codes, in generated one-operator files: every code equal to ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import CODES, MICROSOFT, ModelBuilder, compared, random_codes, random_scale, runtime_tensors

from hwsim import simulate
from hwsim.errors import UnsupportedError

WEIGHT_LIMIT = 63  # larger weights saturate pairs of products in x86 kernels without VNNI
SEEDS = range(6)


def run(tmp_path: Path, file: ModelBuilder, dtype: type, inputs: dict[str, np.ndarray]) -> int:
    path = tmp_path / "model.onnx"
    path.write_bytes(file.build({"y": dtype}))
    found = compared(path, inputs)
    assert found.total == 0, found.differences
    assert "y" in found.tensors
    return found.elements


class Drawn:
    """A file with an input of codes, and grids to use."""

    def __init__(self, seed: int, dtype: type, shape: tuple[int, ...]) -> None:
        self.random, self.seed, self.dtype = np.random.default_rng(seed), seed, dtype
        self.file = ModelBuilder()
        self.shape = shape
        self.file.input("x", dtype, ["batch", *shape])
        self.codes = random_codes(self.random, dtype, (3, *shape))

    def grid(self, factor: float = 1.0) -> list[str]:
        scale = random_scale(self.random, self.seed) * np.float32(factor)
        return self.file.grid(scale, random_codes(self.random, self.dtype, ()), self.dtype)

    def check(self, tmp_path: Path) -> int:
        return run(tmp_path, self.file, self.dtype, {"x": self.codes})


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_qlinear_conv(tmp_path: Path, dtype: type, seed: int, per_channel: bool) -> None:
    """Groups, strides, dilations, uneven padding; signed weights, or unsigned ones with a zero point."""
    random = np.random.default_rng(seed)
    groups = int(random.choice([1, 2, 4]))
    drawn = Drawn(seed, dtype, (4, 11, 9))
    filters, kernel = 4 * int(random.integers(1, 4)), (int(random.integers(1, 4)), int(random.integers(1, 4)))
    weight_type = np.uint8 if dtype is np.uint8 and seed % 2 else np.int8
    weights = random_codes(random, weight_type, (filters, 4 // groups, *kernel), WEIGHT_LIMIT)
    scales = random.uniform(0.005, 0.02, filters if per_channel else ())
    zero = np.full(scales.shape, 31 if weight_type is np.uint8 else 0)
    file = drawn.file
    inputs = ["x", *drawn.grid(), file.constant(weights, weight_type), *file.grid(scales, zero, weight_type),
              *drawn.grid(3.0), file.constant(random.integers(-3000, 3000, filters), np.int32)]  # fmt: skip
    file.node("QLinearConv", inputs, "y", group=groups, strides=[1 + seed % 2, 1], dilations=[1, 1 + seed % 2],
              pads=[0, 1, 2, 1])  # fmt: skip
    assert drawn.check(tmp_path) > 1000


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_padding_that_the_file_leaves_to_a_rule(tmp_path: Path, mode: str) -> None:
    drawn = Drawn(1, np.int8, (2, 8, 7))
    weights = drawn.file.constant(random_codes(drawn.random, np.int8, (3, 2, 4, 2), WEIGHT_LIMIT), np.int8)
    inputs = ["x", *drawn.grid(), weights, *drawn.file.grid(0.01, 0, np.int8), *drawn.grid()]
    drawn.file.node("QLinearConv", inputs, "y", strides=[2, 2], auto_pad=mode)
    drawn.check(tmp_path)


def test_a_convolution_over_one_axis(tmp_path: Path) -> None:
    drawn = Drawn(2, np.uint8, (3, 20))
    weights = drawn.file.constant(random_codes(drawn.random, np.int8, (5, 3, 4), WEIGHT_LIMIT), np.int8)
    inputs = ["x", *drawn.grid(), weights, *drawn.file.grid(0.01, 0, np.int8), *drawn.grid()]
    drawn.file.node("QLinearConv", inputs, "y", strides=[2], pads=[1, 2])
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rows", [(), (5,)])
def test_qlinear_matmul(tmp_path: Path, dtype: type, seed: int, rows: tuple[int, ...]) -> None:
    drawn = Drawn(seed, dtype, (*rows, 17))
    weights = drawn.file.constant(random_codes(drawn.random, np.int8, (17, 6), WEIGHT_LIMIT), np.int8)
    scales = drawn.random.uniform(0.005, 0.02, (6,) if seed % 2 else ())
    inputs = ["x", *drawn.grid(), weights, *drawn.file.grid(scales, np.zeros(scales.shape), np.int8), *drawn.grid(3.0)]
    drawn.file.node("QLinearMatMul", inputs, "y")
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("transposed", [0, 1])
def test_qgemm(tmp_path: Path, dtype: type, seed: int, transposed: int) -> None:
    drawn = Drawn(seed, dtype, (17,))
    codes = random_codes(drawn.random, np.int8, (6, 17) if transposed else (17, 6), WEIGHT_LIMIT)
    scales = drawn.random.uniform(0.005, 0.02, (6,) if seed % 2 else ())
    grid = drawn.file.grid(scales, np.zeros(scales.shape), np.int8)
    bias = drawn.file.constant(drawn.random.integers(-3000, 3000, 6), np.int32)
    inputs = ["x", *drawn.grid(), drawn.file.constant(codes, np.int8), *grid, bias, *drawn.grid(3.0)]
    drawn.file.node("QGemm", inputs, "y", MICROSOFT, transB=transposed)
    drawn.check(tmp_path)


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_the_machine_agrees_on_every_dataflow(tmp_path: Path, dataflow: str, zero_point: str) -> None:
    """A run holds the machine against the array's shadow; both against ONNX Runtime here."""
    drawn = Drawn(4, np.uint8, (4, 9, 7))
    weights = drawn.file.constant(random_codes(drawn.random, np.uint8, (6, 2, 3, 3), WEIGHT_LIMIT), np.uint8)
    inputs = ["x", *drawn.grid(), weights, *drawn.file.grid(0.01, 31, np.uint8), *drawn.grid(3.0)]
    drawn.file.node("QLinearConv", inputs, "a", group=2, pads=[1, 1, 1, 1])
    drawn.file.node("Flatten", ["a"], "y")
    drawn.check(tmp_path)
    expected = runtime_tensors((tmp_path / "model.onnx").read_bytes(), {"x": drawn.codes}, ["y"])["y"]
    settings = [f"array.dataflow={dataflow}", f"array.zero_point={zero_point}"]
    result = simulate.run(
        "edge16", tmp_path / "model.onnx", inputs=drawn.codes, labels=expected.argmax(axis=1), overrides=settings
    )
    assert (result.accuracy, result.totals["overflow_events"]) == (1.0, 0)


def test_another_rounding_profile_is_refused(tmp_path: Path) -> None:
    drawn = Drawn(0, np.int8, (3, 4, 4))
    drawn.file.node("QLinearGlobalAveragePool", ["x", *drawn.grid(), *drawn.grid()], "y", MICROSOFT)
    path = tmp_path / "model.onnx"
    path.write_bytes(drawn.file.build({"y": np.int8}))
    with pytest.raises(UnsupportedError) as refused:
        simulate.run("edge16", path, inputs=drawn.codes, overrides=["requantizer.rounding_profile=tflm"])
    assert str(refused.value) == (
        "layer qlinearglobalaveragepool_0: an ONNX operator in profile 'tflm'; available: onnxruntime"
    )


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("shape", [None, (6, 5, 7), (7,), (6, 1, 1), ()])
def test_two_tensors(tmp_path: Path, dtype: type, seed: int, kind: str, shape: tuple[int, ...] | None) -> None:
    """By itself, by a constant of the same shape, of a row, of a number a channel, and of one number."""
    drawn = Drawn(seed, dtype, (6, 5, 7))
    second = "x" if shape is None else drawn.file.constant(random_codes(drawn.random, dtype, shape), dtype)
    own = drawn.grid()
    other = own if shape is None else drawn.grid()
    drawn.file.node(kind, ["x", *own, second, *other, *drawn.grid()], "y", MICROSOFT)
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_average_pools(tmp_path: Path, dtype: type, seed: int) -> None:
    drawn = Drawn(seed, dtype, (3, 9, 8))
    attributes = {"kernel_shape": [3, 2], "strides": [1 + seed % 3, 2], "pads": [1, 0, 1, 1]}
    drawn.file.node("QLinearAveragePool", ["x", *drawn.grid(), *drawn.grid()], "y", MICROSOFT,
                    count_include_pad=seed % 2, **attributes)  # fmt: skip
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_global_average_pools(tmp_path: Path, dtype: type, seed: int) -> None:
    drawn = Drawn(seed, dtype, (30, 7, 7))
    drawn.file.node("QLinearGlobalAveragePool", ["x", *drawn.grid(), *drawn.grid(0.3)], "y", MICROSOFT)
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_softmax(tmp_path: Path, dtype: type, seed: int) -> None:
    drawn = Drawn(seed, dtype, (int(np.random.default_rng(seed).integers(2, 200)),))
    result = drawn.file.grid(1 / 256, np.iinfo(dtype).min, dtype)
    drawn.file.node("QLinearSoftmax", ["x", *drawn.grid(), *result], "y", MICROSOFT, opset=13, axis=-1)
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "attributes"), [("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.1})])
def test_functions_of_all_codes(
    tmp_path: Path, dtype: type, seed: int, kind: str, attributes: dict[str, float]
) -> None:
    drawn = Drawn(seed, dtype, (256,))
    drawn.codes = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)[np.newaxis]
    drawn.file.node(kind, ["x", *drawn.grid(), *drawn.grid(0.2)], "y", MICROSOFT, **attributes)
    assert drawn.check(tmp_path) == 512


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_tensors_of_several_scales_side_by_side(tmp_path: Path, dtype: type, axis: int) -> None:
    drawn = Drawn(3, dtype, (2, 4, 3))
    own, result = drawn.grid(), drawn.grid()
    drawn.file.node("QLinearSigmoid", ["x", *own, *result], "z", MICROSOFT)
    drawn.file.node("QLinearConcat", [*result, "x", *own, "z", *result], "y", MICROSOFT, axis=axis)
    drawn.check(tmp_path)


@pytest.mark.parametrize("dtype", CODES)
def test_moves_maximum_and_clamps_of_codes(tmp_path: Path, dtype: type) -> None:
    """Transposed, padded, pooled, cut, joined, clamped, reshaped: axes of the file whatever hwsim keeps them in."""
    drawn = Drawn(5, dtype, (5, 8, 6))
    file, grid = drawn.file, drawn.grid()
    weights = file.constant(random_codes(drawn.random, np.int8, (4, 5, 3, 3), WEIGHT_LIMIT), np.int8)
    file.node("QLinearConv", ["x", *grid, weights, *file.grid(0.01, 0, np.int8), *grid], "a", pads=[1] * 4)
    zero = file.constants[grid[1]]
    file.node("Pad", ["a", file.constant([0, 0, 1, 2, 0, 0, 0, 1], np.int64), file.constant(zero, dtype)], "b")
    file.node("MaxPool", ["b"], "c", kernel_shape=[2, 3], strides=[2, 1], pads=[0, 1, 1, 0])
    file.node("Transpose", ["c"], "d", perm=[0, 2, 3, 1])
    ends = [file.constant([number], np.int64) for number in (1, 3, 1)]
    file.node("Slice", ["d", *ends], "e")
    file.node("Concat", ["e", "e"], "f", axis=2)
    bounds = [file.constant(number, dtype) for number in (20, 90)]
    file.node("Clip", ["f", *bounds], "g")
    file.node("Reshape", ["g", file.constant([0, -1, 4], np.int64)], "h")
    file.node("Unsqueeze", ["h", file.constant([1], np.int64)], "i")
    file.node("Squeeze", ["i", file.constant([1], np.int64)], "j")
    file.node("Flatten", ["j"], "y")
    assert drawn.check(tmp_path) > 1000
