"""ONNX Runtime's element-wise operators on 8-bit codes: QLinearAdd, QLinearMul and those by table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.onnxruntime.float32 import (
    Float32Array,
    dequantize,
    fused_multiply_add,
    quantize,
    quantize_after_offset,
    scale_of,
)
from hwsim.numerics.quantization import Quantization

Single = Literal["none", "first", "second"]
"""Which operand the kernel takes as one number for a whole run of the other's."""


def add(
    first: IntArray,
    second: IntArray,
    grids: tuple[Quantization, Quantization],
    output: Quantization,
    single: Single = "none",
) -> IntArray:
    """Return ``rint(A a + (B b + c))``, clamped, with A = S_a / S_y, B = S_b / S_y, c = Z_y - (A Z_a + B Z_b).

    Every multiplication is fused with the addition after it. An operand that is one number goes into c first.

    Source: MLAS, ``qladd_avx2.cpp``; the fusions were found by comparison.
    """
    ratios = [scale_of(grid) / scale_of(output) for grid in grids]
    zeros = [np.float32(grid.zero_point) for grid in grids]
    offset = np.float32(output.zero_point) - fused_multiply_add(ratios[0], zeros[0], ratios[1] * zeros[1])
    order = (1, 0) if single != "first" else (0, 1)
    total: Float32Array = np.asarray(offset, np.float32)
    for number in order:
        total = fused_multiply_add((first, second)[number], ratios[number], total)
    return np.clip(np.rint(total), output.format.min, output.format.max).astype(np.int64)


def multiply(
    first: IntArray, second: IntArray, grids: tuple[Quantization, Quantization], output: Quantization
) -> IntArray:
    """Return ``rint(float32((a - Z_a) (b - Z_b)) m + Z_y)``, clamped, with m = (S_a S_b) / S_y.

    Source: MLAS, ``qlmul.cpp``.
    """
    product = (first - int(grids[0].zero_point)) * (second - int(grids[1].zero_point))
    ratio = scale_of(grids[0]) * scale_of(grids[1]) / scale_of(output)
    return quantize_after_offset(product.astype(np.float32) * ratio, output)


@dataclass(frozen=True, eq=False)
class CodeTable:
    """A table with an output code for every input code."""

    codes: IntArray
    first: int

    def look_up(self, codes: IntArray) -> IntArray:
        """Return the output codes."""
        return self.codes[codes - self.first]


def table(function: Callable[[Float32Array], Float32Array], source: Quantization, output: Quantization) -> CodeTable:
    """Tabulate ``quantize(function(dequantize(q)))`` over all codes of the input: QLinearSigmoid and its like.

    Source: ONNX Runtime, ``qlinear_lookup_table.cc``.
    """
    codes = np.arange(source.format.min, source.format.max + 1)
    return CodeTable(quantize(function(dequantize(codes, source)), output), source.format.min)


def global_average(codes: IntArray, source: Quantization, output: Quantization) -> IntArray:
    """Return the mean of (samples, pixels, channels) over the pixels: integers until one multiplication.

    ``rint(float32(sum q - n Z_x) m) + Z_y``, clamped, with m = S_x / (S_y n) in float32.

    Source: MLAS, ``qlgavgpool.cpp``.
    """
    pixels = codes.shape[1]
    ratio = scale_of(source) / (scale_of(output) * np.float32(pixels))
    total = codes.sum(axis=1) - pixels * int(source.zero_point)
    steps = np.rint(total.astype(np.float32) * ratio).astype(np.int64)
    return np.clip(steps + int(output.zero_point), output.format.min, output.format.max)


def softmax(codes: IntArray, source: Quantization, output: Quantization) -> IntArray:
    """Return the softmax along the last axis, by a table of exponentials.

    With n codes a row and the codes numbered 0 to 255, T[i] = exp((i - 255 + h) S_x), h = (ln(largest / n) - r) / S_x,
    in float64, then kept as float32; y = rint(T[q - max + 255] s / sum T) + Z_y with s = floor(1 / S_y). Sums run in
    float32, from the first code on.

    Source: ONNX Runtime, ``qlinear_softmax.cc``.
    """
    exponentials = _exponentials(float(scale_of(source)), codes.shape[-1])
    powers = exponentials[codes - codes.max(axis=-1, keepdims=True) + 255]
    total = powers[..., 0]
    for number in range(1, codes.shape[-1]):
        total = total + powers[..., number]
    steps = np.rint(powers * np.floor(np.float32(1) / scale_of(output)) / total[..., np.newaxis])
    return np.clip(steps.astype(np.int64) + int(output.zero_point), output.format.min, output.format.max)


LARGEST = float(np.finfo(np.float32).max)
RESERVED = 5  # nats below the largest float32


def _exponentials(scale: float, length: int) -> Float32Array:
    shift = max(0.0, float(np.log(np.float32(LARGEST) / np.float32(length))) - RESERVED) / scale
    return np.exp((np.arange(256.0) - 255 + shift) * scale).astype(np.float32)


def average(total: Float32Array, count: int | Float32Array, output: Quantization) -> IntArray:
    """Return the code of ``(total / count) / S_y + Z_y``, rounded after the zero point is added: QLinearAveragePool.

    Source: ONNX Runtime, ``qlinear_pool.cc``.
    """
    mean = total / np.float32(count)
    return quantize_after_offset(mean / scale_of(output), output)
