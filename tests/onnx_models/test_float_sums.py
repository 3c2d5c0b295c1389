"""Rounded float32 sums of products, term by term as ONNX Runtime adds them: bit for bit, and as codes of QDQ files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from onnx_files import ModelBuilder, compared, random_codes, runtime_tensors
from processor import in_order_of_x86

from hwsim.analysis.explain import explain
from hwsim.array.batch import run_batch
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import UnsupportedError
from hwsim.execute.integer import run_integer
from hwsim.network.float_sums import OutputBlock, Streamed
from hwsim.network.operator import LoweringOptions
from hwsim.network.steps import MatmulStep
from hwsim.numerics.onnxruntime.pooling import PoolWindow
from hwsim.numerics.onnxruntime.sum_order import convolution_order, dense_order, lane_forms
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import run

pytestmark = in_order_of_x86


@dataclass(frozen=True)
class Convolution:
    """Sizes of one: channels and image in, filters, kernel, and what ONNX calls attributes."""

    channels: int
    image: tuple[int, ...]
    filters: int
    kernel: tuple[int, ...]
    stride: int = 1
    pad: int = 0
    group: int = 1
    dilation: int = 1

    @property
    def attributes(self) -> dict[str, object]:
        axes = len(self.image)
        return {
            "strides": [self.stride] * axes,
            "pads": [self.pad] * 2 * axes,
            "dilations": [self.dilation] * axes,
            "group": self.group,
        }


CONVOLUTIONS = [
    Convolution(3, (16, 16), 16, (3, 3), pad=1),
    Convolution(16, (16, 16), 16, (3, 3), pad=1),
    Convolution(16, (17, 15), 32, (3, 3), stride=2, pad=1),
    Convolution(32, (8, 8), 32, (3, 3), pad=1),  # depth 288 in panels of 256 terms
    Convolution(64, (4, 4), 24, (3, 3), pad=1),  # narrower than 32 pixels: panels of 1024 terms
    Convolution(64, (3, 3), 40, (3, 3), pad=1),  # more filters than pixels
    Convolution(20, (5, 6), 12, (1, 1)),
    Convolution(300, (6, 6), 4, (1, 1)),
    Convolution(20, (9, 9), 12, (1, 1), stride=2),
    Convolution(1, (12, 10), 8, (5, 5), pad=2),
    Convolution(1, (12, 10), 8, (4, 10)),  # as wide as the image: read where it lies
    Convolution(1, (12, 10), 1, (4, 10)),
    Convolution(1, (12, 10), 8, (12, 10)),  # the whole image
    Convolution(1, (9, 1), 7, (9, 1)),
    Convolution(1, (12, 10), 3, (12, 1)),  # as high as the image
    Convolution(16, (5, 5), 23, (5, 5)),  # a single output pixel
    Convolution(16, (5, 5), 1, (5, 5)),
    Convolution(8, (12, 9), 8, (3, 3), pad=1, group=8),  # depthwise
    Convolution(8, (12, 9), 16, (3, 3), stride=2, pad=1, group=8),
    Convolution(8, (12, 9), 8, (4, 9), group=8),
    Convolution(8, (5, 5), 8, (5, 5), group=8),
    Convolution(8, (12, 9), 16, (3, 3), pad=1, group=4),
    Convolution(8, (12, 12), 4, (3, 3), dilation=2, pad=2),
    Convolution(1, (20, 20), 1, (3, 3), pad=1),
    Convolution(6, (40,), 10, (5,), pad=2),  # one axis
    Convolution(1, (40,), 5, (40,)),
]
MATRICES = [
    (1, 64, 10), (1, 480, 32), (1, 33, 7), (1, 300, 1), (2, 64, 10), (5, 300, 40), (40, 300, 5), (7, 500, 1),
    (130, 300, 130), (3, 1, 2), (12, 20, 3),
]  # fmt: skip


class Quantized:
    """A file with one product between DequantizeLinear and QuantizeLinear, and samples of its input."""

    def __init__(self, seed: int, dtype: type, shape: Sequence[int]) -> None:
        self.random, self.dtype = np.random.default_rng(seed), dtype
        self.file = ModelBuilder(opset=21)
        self.file.input("x", dtype, ["batch", *shape])
        self.codes = random_codes(self.random, dtype, (2, *shape), np.iinfo(dtype).max)
        self.scale = np.float32(self.random.uniform(0.001, 0.1))
        self.real = self.file.dequantize("x", self.file.grid(self.scale, self._zero_point(), dtype))

    def _zero_point(self) -> np.ndarray:
        return random_codes(self.random, self.dtype, (), 100)

    def weights(self, shape: Sequence[int], axis: int) -> str:
        codes = self.file.constant(random_codes(self.random, np.int8, shape), np.int8)
        size = shape[axis] if self.random.integers(2) else ()
        self.weight_scale = self.random.uniform(0.001, 0.01, size).astype(np.float32)
        grid = self.file.grid(self.weight_scale, np.zeros(self.weight_scale.shape), np.int8)
        return self.file.dequantize(codes, grid, axis=axis)

    def bias(self, channels: int) -> str:
        """Integers on the grid of the sums, as quantizers write them, or on one of their own."""
        scale = self.scale * self.weight_scale if self.random.integers(2) else np.float32(0.003)
        codes = self.file.constant(self.random.integers(-9000, 9000, channels), np.int32)
        return self.file.dequantize(codes, self.file.grid(scale, np.zeros(np.shape(scale)), np.int32), axis=0)

    def written(self, path: Path, spread: float) -> Path:
        """``spread`` is about the size of the sums: codes fill their range."""
        top = np.iinfo(self.dtype).max
        self.file.quantize("real", self.file.grid(3 * spread / top, self._zero_point(), self.dtype), "y")
        path.write_bytes(self.file.build({"y": self.dtype}))
        return path

    def differences(self, folder: Path) -> int:
        """Codes that differ, of sums whose spread ONNX Runtime tells."""
        content = self.file.build({"real": np.float32})
        spread = float(np.std(runtime_tensors(content, {"x": self.codes}, ["real"])["real"]))
        found = compared(self.written(folder / "model.onnx", spread), {"x": self.codes}, settings=self.settings)
        return found.total

    def differing_reals(self, folder: Path) -> int:
        """Sums that leave as float32 and differ in any bit but the sign of zero."""
        path = folder / "reals.onnx"
        path.write_bytes(self.file.build({"real": np.float32}))
        return compared(path, {"x": self.codes}, ["real"], settings=self.settings).total

    @property
    def settings(self) -> list[str]:
        bits = 8 * np.dtype(self.dtype).itemsize
        return ["array.weight_bits=8", f"array.activation_bits={bits}", "array.guard_bits=12"]


def convolving(case: Convolution, seed: int, dtype: type) -> Quantized:
    drawn = Quantized(seed, dtype, (case.channels, *case.image))
    weights = drawn.weights((case.filters, case.channels // case.group, *case.kernel), 0)
    inputs = [drawn.real, weights, *([drawn.bias(case.filters)] if seed % 3 else [])]
    drawn.file.node("Conv", inputs, "real", **case.attributes)
    return drawn


def multiplying(sizes: tuple[int, int, int], form: str, seed: int, dtype: type) -> Quantized:
    rows, depth, columns = sizes
    drawn = Quantized(seed, dtype, (depth,) if rows == 1 else (rows, depth))
    if form == "MatMul":
        drawn.file.node("MatMul", [drawn.real, drawn.weights((depth, columns), 1)], "sums")
        drawn.file.node("Add", ["sums", drawn.bias(columns)], "real")
        return drawn
    matrix = drawn.file.node("Reshape", [drawn.real, drawn.file.constant([-1, depth], np.int64)], "matrix")
    is_transposed = form == "transposed Gemm"
    weights = drawn.weights((columns, depth), 0) if is_transposed else drawn.weights((depth, columns), 1)
    bias = [drawn.bias(columns)] if seed % 2 else []
    drawn.file.node("Gemm", [matrix, weights, *bias], "sums", transB=int(is_transposed))
    drawn.file.node("Reshape", ["sums", drawn.file.constant([1, rows, columns], np.int64)], "real")
    return drawn


@pytest.mark.parametrize("number", range(len(CONVOLUTIONS)))
def test_sums_of_convolutions(tmp_path: Path, number: int) -> None:
    assert convolving(CONVOLUTIONS[number], number, np.uint8).differing_reals(tmp_path) == 0


@pytest.mark.parametrize("form", ["MatMul", "transposed Gemm", "plain Gemm"])
@pytest.mark.parametrize("sizes", MATRICES)
def test_sums_of_matrix_products(tmp_path: Path, sizes: tuple[int, int, int], form: str) -> None:
    assert multiplying(sizes, form, sum(sizes), np.int8).differing_reals(tmp_path) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize("number", range(len(CONVOLUTIONS)))
def test_codes_of_convolutions(tmp_path: Path, number: int, dtype: type) -> None:
    assert convolving(CONVOLUTIONS[number], number, dtype).differences(tmp_path) == 0


@pytest.mark.parametrize("dtype", [np.int8, np.uint16])
@pytest.mark.parametrize("sizes", MATRICES)
def test_codes_of_matrix_products(tmp_path: Path, sizes: tuple[int, int, int], dtype: type) -> None:
    assert multiplying(sizes, "MatMul", sum(sizes), dtype).differences(tmp_path) == 0


@pytest.mark.parametrize("form", ["transposed Gemm", "plain Gemm"])
@pytest.mark.parametrize("sizes", MATRICES)
def test_codes_of_general_matrix_products(tmp_path: Path, sizes: tuple[int, int, int], form: str) -> None:
    assert multiplying(sizes, form, sum(sizes), np.int16).differences(tmp_path) == 0


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution some of whose sums leave an accumulator of 18 bits."""
    return convolving(CONVOLUTIONS[2], 5, np.uint8).written(tmp_path_factory.mktemp("narrow") / "model.onnx", 3.0)


def convolution_step(path: Path, guard_bits: int) -> tuple[MatmulStep, np.ndarray, np.ndarray]:
    """Return the step, its operands for two samples, and what the array sums of them."""
    spec = load_arch("edge16", [f"array.guard_bits={guard_bits}"])
    chosen = choose_samples(read_workload(path), inputs=convolving(CONVOLUTIONS[2], 5, np.uint8).codes)
    compiled = compile_workload(spec, chosen.workload)
    (step,) = (step for step in compiled.steps if isinstance(step, MatmulStep))
    moved = run_integer(compiled.steps, compiled.params, compiled.codes(chosen.inputs), keep=step.inputs)
    operands = step.activation_operands(moved.values[step.inputs[0]], 0)
    initial = np.zeros((step.shape.out_rows, step.shape.out_cols), np.int64)
    return step, operands, run_batch(compiled.params[step.name], operands, step.weight_operands(0), initial).output


def test_an_overflowed_accumulator_is_requantized_as_it_is_and_an_exact_one_follows_the_float_sum(
    narrow: Path,
) -> None:
    """So that what narrow accumulators break shows, and nothing else differs from ONNX Runtime."""
    step, operands, narrow_sums = convolution_step(narrow, 2)
    wide_sums = convolution_step(narrow, 12)[2]
    row_sums = operands.sum(axis=2)
    block = OutputBlock(0, slice(0, step.shape.out_rows), slice(0, step.shape.out_cols))
    found = step.requantize(narrow_sums, row_sums, block, operands)
    float_codes = step.requantize(wide_sums, row_sums, block, operands)
    of_integers = replace(step, float_sums=None).requantize(narrow_sums, row_sums, block, operands)
    overflowed = narrow_sums != wide_sums
    assert 0 < np.count_nonzero(overflowed) < overflowed.size
    assert np.array_equal(found, np.where(overflowed, of_integers, float_codes))
    assert np.any(found != float_codes)


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize(
    "setting", ["array.zero_point=folded", "array.zero_point=operand", "requantizer.bias=preload", "array.guard_bits=8"]
)
def test_the_stepped_machine_gives_the_same_codes(narrow: Path, dataflow: str, setting: str) -> None:
    """A stepped run is held against the functional one: a difference would be an error."""
    settings = ["array.guard_bits=0", f"array.dataflow={dataflow}", setting]
    inputs = convolving(CONVOLUTIONS[2], 5, np.uint8).codes
    result = run("edge16", narrow, inputs=inputs, engine="stepped", overrides=settings)
    assert (result.totals["overflow_events"] > 0) == (setting != "array.guard_bits=8")


def test_reals_of_a_product_in_another_profile_are_refused(tmp_path: Path) -> None:
    drawn = convolving(CONVOLUTIONS[0], 1, np.uint8)
    path = tmp_path / "model.onnx"
    path.write_bytes(drawn.file.build({"real": np.float32}))
    with pytest.raises(UnsupportedError) as refused:
        run("edge16", path, inputs=drawn.codes, overrides=["requantizer.rounding_profile=tflm"])
    assert "sums as reals in profile 'tflm'; available: onnxruntime" in str(refused.value)


def test_outputs_in_lanes_are_written_four_two_and_one_at_a_time() -> None:
    assert lane_forms(7).tolist() == [4, 4, 4, 4, 2, 2, 1]
    assert lane_forms(4).tolist() == [4, 4, 4, 4]


def test_narrow_products_have_deep_panels() -> None:
    """MLAS's panels hold 128 x 128 numbers: `MlasSgemmOperation`."""
    assert [dense_order(2, 300, columns).block for columns in (300, 129, 64, 40, 32, 17, 16, 5)] == [
        128, 128, 256, 256, 512, 512, 1024, 1024,
    ]  # fmt: skip
    assert dense_order(2, 20, 300).block == 32


def test_a_column_that_windows_slide_down_is_a_transposed_matrix() -> None:
    slides = PoolWindow((4, 10), (1, 1))
    assert convolution_order(slides, 10, 9, 1, 1).kind == "lanes"
    assert convolution_order(slides, 11, 18, 1, 1).kind == "fours"


@pytest.mark.parametrize(("number", "kind"), [(15, "lanes"), (2, "chain"), (17, "fours")])
def test_a_block_of_outputs_is_summed_as_within_the_whole_product(tmp_path: Path, number: int, kind: str) -> None:
    """A core's share of a product, or what a tile drains."""
    drawn = convolving(CONVOLUTIONS[number], 1, np.uint8)
    network = read_workload(drawn.written(tmp_path / "model.onnx", 3.0)).network
    (step,) = (one for one in network.lower(LoweringOptions(profile="onnxruntime")) if isinstance(one, MatmulStep))
    assert step.float_sums is not None
    assert step.float_sums.kernel.order.kind == kind
    rows, cols = step.shape.out_rows, step.shape.out_cols
    operands = random_codes(drawn.random, np.uint8, (rows, step.shape.depth)).astype(np.int64)
    whole = step.float_sums.reals(Streamed(operands, 3), OutputBlock(0, slice(0, rows), slice(0, cols)))
    block = OutputBlock(0, slice(rows // 3, rows), slice(cols // 3, cols))
    part = step.float_sums.reals(Streamed(operands[block.rows], 3), block)
    assert np.array_equal(part, whole[block.rows, block.columns])


def test_a_code_of_the_float_sum_alone_is_not_explained_by_integers(tmp_path: Path) -> None:
    """16-bit codes meet ties often; every other code is explained."""
    drawn = convolving(CONVOLUTIONS[3], 1, np.int16)
    path = drawn.written(tmp_path / "model.onnx", 3.0)
    spec, chosen = load_arch("edge16", drawn.settings), choose_samples(read_workload(path), inputs=drawn.codes)
    compiled = compile_workload(spec, chosen.workload)
    of_integers = [replace(one, float_sums=None) if isinstance(one, MatmulStep) else one for one in compiled.steps]
    runs = [
        run_integer(steps, compiled.params, compiled.codes(chosen.inputs), keep=["y"]).values["y"][0]
        for steps in (compiled.steps, of_integers)
    ]
    place = int(np.flatnonzero(runs[0] != runs[1])[0])
    (layer,) = (step.name for step in compiled.steps if isinstance(step, MatmulStep))
    with pytest.raises(UnsupportedError) as refused:
        explain(spec, chosen, layer, output=[place])
    assert str(refused.value) == (
        f"layer {layer}: output {place} is {runs[1][place]} by the integer sum, {runs[0][place]} by ONNX Runtime's "
        "rounded float32 sum, which lies on the other side of a tie; allowed: another output"
    )
    same = int(np.flatnonzero(runs[0] == runs[1])[0])
    assert explain(spec, chosen, layer, output=[same]).requantized.code == runs[0][same]
