"""Products of two activations, as attention has them, held against ONNX Runtime and float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import ModelBuilder, compared, random_codes, random_scale, runtime_tensors
from processor import in_order_of_x86

from hwsim import run
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.readers.read import read_workload

SAMPLES = 3
PAIRS = [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)]


def stack(random: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Draw axes before the last two: the product's, and what each operand has of them, perhaps 1 or none at all."""
    whole = tuple(int(size) for size in random.integers(1, 4, int(random.integers(0, 3))))
    left, right = (tuple(size if random.random() < 0.8 else 1 for size in whole) for _ in range(2))
    return whole, left, right[int(random.integers(0, 2)) :]


@pytest.mark.parametrize("seed", range(40))
def test_qlinear_matmul_of_two_activations_is_onnx_runtimes(tmp_path: Path, seed: int) -> None:
    """Random stacks, zero points, signs and scales; the second operand keeps 7 bits where kernels add pairs in 16."""
    random = np.random.default_rng(seed)
    rows, depth, columns = (int(size) for size in random.integers(1, 12, 3))
    _, left, right = stack(random)
    types = PAIRS[seed % len(PAIRS)]
    model = ModelBuilder()
    shapes = ((1, *left, rows, depth), (1, *right, depth, columns))
    operands, inputs = [], {}
    for name, shape, dtype in zip("ab", shapes, types, strict=True):
        grid = model.grid(random_scale(random, seed), random_codes(random, dtype, (), 100), dtype)
        operands += [model.input(name, dtype, shape), *grid]
        inputs[name] = random_codes(random, dtype, (SAMPLES, *shape[1:]), 256 if name == "a" else 63)
    grid = model.grid(np.float32(random.uniform(0.05, 0.5)), random_codes(random, types[0], (), 100), types[0])
    model.node("QLinearMatMul", [*operands, *grid], "y")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.build({"y": types[0]}))
    found = compared(path, inputs)
    assert found.total == 0, found
    assert "y" in found.tensors


@pytest.mark.parametrize("seed", range(6))
def test_matmul_integer_of_two_activations_is_onnx_runtimes(tmp_path: Path, seed: int) -> None:
    """With constant zero points, or none; the sums are the output."""
    random = np.random.default_rng(seed)
    model, inputs = ModelBuilder(), {}
    for name, shape in (("a", (1, 2, 5, 7)), ("b", (1, 2, 7, 4))):
        model.input(name, np.uint8, shape)
        inputs[name] = random_codes(random, np.uint8, (SAMPLES, *shape[1:]))
    zeros = [model.constant(random_codes(random, np.uint8, ()), np.uint8) for _ in range(2 if seed % 2 else 0)]
    model.node("MatMulInteger", ["a", "b", *zeros], "y")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.build({"y": np.int32}))
    assert compared(path, inputs).total == 0


class Stacks:
    """A QDQ file that multiplies two stacks of matrices, and samples of both."""

    def __init__(self, seed: int, dtype: type) -> None:
        self.random, self.dtype, self.file = np.random.default_rng(seed), dtype, ModelBuilder(opset=21)
        rows, columns = (int(size) for size in self.random.choice((1, 2, 7, 11), 2))
        depth = int(self.random.choice((5, 40, 300)))
        _, left, right = stack(self.random)
        self.samples, reals = {}, []
        for name, shape in (("a", (1, *left, rows, depth)), ("b", (1, *right, depth, columns))):
            self.file.input(name, dtype, shape)
            self.samples[name] = random_codes(self.random, dtype, (SAMPLES, *shape[1:]), np.iinfo(dtype).max)
            scale = np.float32(self.random.uniform(0.001, 0.1))
            reals.append(self.file.dequantize(name, self.file.grid(scale, self.zero_point(), dtype)))
        self.file.node("MatMul", reals, "real")

    def zero_point(self) -> np.ndarray:
        return random_codes(self.random, self.dtype, (), 100)

    def differences(self, path: Path) -> int:
        """Of the sums' bits and of codes that they fill."""
        settings = ["array.weight_bits=16", "array.activation_bits=16", "array.guard_bits=12"]
        content = self.file.build({"real": np.float32})
        path.write_bytes(content)
        found = compared(path, self.samples, ["real"], settings=settings).total
        spread = float(np.std(runtime_tensors(content, self.samples, ["real"])["real"]))
        scale = 3 * spread / np.iinfo(self.dtype).max
        self.file.quantize("real", self.file.grid(scale, self.zero_point(), self.dtype), "y")
        path.write_bytes(self.file.build({"y": self.dtype}))
        return found + compared(path, self.samples, settings=settings).total


@in_order_of_x86
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize("seed", range(20))
def test_qdq_products_have_the_bits_and_codes_of_onnx_runtimes_float32_sums(
    tmp_path: Path, seed: int, dtype: type
) -> None:
    """Single rows and columns have kernels of their own; a stack by one matrix is multiplied as a tall matrix."""
    assert Stacks(seed, dtype).differences(tmp_path / "m.onnx") == 0


class Attention:
    """A quantized encoder block over (1, tokens, channels); with scales that are powers of two float32 sums are exact.

    Each product's operands and output are quantized; heads are split by Reshape and Transpose, as PyTorch writes them.
    """

    def __init__(self, seed: int, dtype: type, *, tokens: int = 6, heads: int = 2, depth: int = 8) -> None:
        self.random, self.dtype, self.file = np.random.default_rng(seed), dtype, ModelBuilder(opset=20)
        self.tokens, self.heads, self.depth, self.channels = tokens, heads, depth, heads * depth
        self.file.input("x", dtype, (1, tokens, self.channels))
        self.codes = random_codes(self.random, dtype, (SAMPLES, tokens, self.channels))
        self.zero_point = 128 if dtype is np.uint8 else 0

    def grid(self, scale: float) -> list[str]:
        return self.file.grid(np.float32(scale), self.zero_point, self.dtype)

    def quantized(self, real: str, scale: float, name: str) -> str:
        grid = self.grid(scale)
        self.file.quantize(real, grid, name)
        return self.file.dequantize(name, grid)

    def dense(self, source: str, name: str, *, outputs: int | None = None) -> str:
        depth = 2 * self.channels if source.startswith("wide") else self.channels
        codes = self.file.constant(random_codes(self.random, np.int8, (depth, outputs or self.channels), 40), np.int8)
        weight = self.file.dequantize(codes, self.file.grid(np.float32(2**-7), 0, np.int8))
        return self.file.node("MatMul", [source, weight], f"{name}.sums")

    def split(self, source: str, name: str, order: tuple[int, ...]) -> str:
        sizes = self.file.constant((1, self.tokens, self.heads, self.depth), np.int64)
        parts = self.file.node("Reshape", [source, sizes], f"{name}.parts")
        return self.file.node("Transpose", [parts], f"{name}.heads", perm=order)

    def build(self) -> bytes:
        node = self.file.node
        x = self.file.dequantize("x", self.grid(2**-5))
        query, key, value = (self.quantized(self.dense(x, name), 2**-3, name) for name in ("query", "key", "value"))
        scores = node(
            "MatMul",
            [self.split(query, "query", (0, 2, 1, 3)), self.split(key, "key", (0, 2, 3, 1))],
            "scores.sums",
        )
        scaled = node("Mul", [scores, self.file.constant(0.25, np.float32)], "scores.scaled")
        shares = node("Softmax", [self.quantized(scaled, 2**-2, "scores")], "shares.sums", axis=-1)
        shares = self.quantized(shares, 2**-7, "shares")
        context = node("MatMul", [shares, self.split(value, "value", (0, 2, 1, 3))], "context.sums")
        context = self.quantized(context, 2**-4, "context")
        moved = node("Transpose", [context], "context.moved", perm=(0, 2, 1, 3))
        sizes = self.file.constant((1, self.tokens, self.channels), np.int64)
        joined = node("Reshape", [moved, sizes], "context.joined")
        projected = self.quantized(self.dense(joined, "projected"), 2**-4, "projected")
        attended = self.quantized(node("Add", [x, projected], "attended.sum"), 2**-3, "attended")
        factors = [self.file.constant(self.random.normal(1, 0.1, self.channels), np.float32) for _ in range(2)]
        normal = node("LayerNormalization", [attended, *factors], "normal.row")
        normal = self.quantized(normal, 2**-5, "normal")
        wide = self.quantized(self.dense(normal, "wide", outputs=2 * self.channels), 2**-4, "wide")
        self.quantized(self.dense(self.quantized(node("Gelu", [wide], "g"), 2**-4, "wide_gelu"), "narrow"), 2**-2, "y")
        return self.file.build({"y": self.dtype})


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("seed", range(4))
def test_a_quantized_encoder_block_is_onnx_runtimes(tmp_path: Path, seed: int, dtype: type) -> None:
    """Every tensor of codes, from the heads' scores over softmax and normalization to the Gaussian units."""
    block = Attention(seed, dtype)
    path = tmp_path / "block.onnx"
    path.write_bytes(block.build())
    found = compared(path, {"x": block.codes})
    assert {"scores", "shares", "context", "normal", "wide_gelu", "y"} <= set(found.tensors)
    assert found.total == 0, found


def test_heads_are_read_where_they_lie(tmp_path: Path) -> None:
    """Splitting heads and joining them again moves nothing: no step off the array but softmax and what has values."""
    path = tmp_path / "block.onnx"
    path.write_bytes(Attention(0, np.int8).build())
    compiled = compile_workload(load_arch("edge16"), read_workload(path))
    products = [step for step in compiled.steps if isinstance(step, ActivationMatmulStep)]
    assert [(step.groups, step.shape.out_rows, step.shape.depth, step.shape.out_cols) for step in products] == [
        (2, 6, 8, 6),
        (2, 6, 6, 8),
    ]
    moves = sum(int(step.counts["vector_unit", "move"]) for step in compiled.steps if isinstance(step, ElementwiseStep))
    assert moves == 0


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_the_machine_steps_an_encoder_block(tmp_path: Path, dataflow: str) -> None:
    block = Attention(1, np.uint8)
    path = tmp_path / "block.onnx"
    path.write_bytes(block.build())
    settings = [f"array.dataflow={dataflow}", "array.rows=4", "array.cols=5"]
    result = run("edge16", path, inputs={"x": block.codes}, samples=1, overrides=settings)
    assert result.samples == 1
    assert "column_sum_add" in set(result.energy["action"])


@pytest.mark.parametrize(
    ("left", "right", "problem"),
    [
        ((1, 4, 6), (1, 5, 3), "[1, 4, 6] by [1, 5, 3] do not go together"),
        ((1, 2, 4, 6), (1, 3, 6, 5), "shapes [1, 2] and [1, 3] do not go together"),
        ((1, 4, 6), (6,), "[1, 4, 6] by [6]; allowed: activations of two axes or more"),
    ],
)
def test_operands_that_do_not_go_together_are_refused(
    tmp_path: Path, left: tuple[int, ...], right: tuple[int, ...], problem: str
) -> None:
    model = ModelBuilder()
    reals = []
    for name, shape in (("a", left), ("b", right)):
        model.input(name, np.int8, shape)
        reals.append(model.dequantize(name, model.grid(0.1, 0, np.int8)))
    model.node("MatMul", reals, "real")
    model.quantize("real", model.grid(0.3, 3, np.int8), "y")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    with pytest.raises((ConfigError, UnsupportedError)) as refused:
        read_workload(path)
    assert f"node 2 (MatMul): {problem}" in str(refused.value)


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_the_machine_steps_a_product_of_two_inputs(tmp_path: Path, dataflow: str, zero_point: str) -> None:
    """Stacks of 2 by 3 with a repeated axis, narrow accumulators: a stepped run is held against the array's shadow."""
    random, model, operands, inputs = np.random.default_rng(0), ModelBuilder(), [], {}
    for name, shape, zero in (("a", (1, 2, 1, 9, 7), 130), ("b", (1, 3, 7, 11), 90)):
        operands += [model.input(name, np.uint8, shape), *model.grid(0.1, zero, np.uint8)]
        inputs[name] = random_codes(random, np.uint8, (1, *shape[1:]))
    model.node("QLinearMatMul", [*operands, *model.grid(0.4, 128, np.uint8)], "y")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.build({"y": np.uint8}))
    settings = [
        f"array.dataflow={dataflow}", f"array.zero_point={zero_point}", "array.rows=4", "array.cols=3",
        "array.guard_bits=0" if zero_point == "operand" else "array.guard_bits=2",
    ]  # fmt: skip
    stepped, functional = (
        run("edge16", path, inputs=inputs, engine=engine, overrides=settings) for engine in ("stepped", "functional")
    )
    assert [one.macs for one in stepped.layer_results] == [2 * 3 * 9 * 7 * 11]
    assert stepped.overflows.equals(functional.overflows)
    counts = stepped.energy.set_index("action")["count"]
    sums = {"row_sum_add": 2 * 3 * 9 * 7, "column_sum_add": 2 * 3 * 7 * 11} if zero_point == "folded" else {}
    assert {action: counts[action] for action in ("row_sum_add", "column_sum_add") if action in counts} == sums
