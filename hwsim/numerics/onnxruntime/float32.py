"""Float32 steps that ONNX Runtime's kernels are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization

Float32Array = NDArray[np.float32]
Numbers = np.ndarray[Any, Any]
Number = Numbers | np.float32
MANTISSA_OF_POWERS = 0.5


def scale_of(grid: Quantization) -> np.float32:
    """Return a tensor's scale as the file holds it."""
    return np.float32(grid.scale)


def is_power_of_two(scales: Numbers | np.floating[Any]) -> bool:
    """Tell whether all numbers are powers of two in float32, so that multiplying by them rounds nothing."""
    return bool(np.all(np.frexp(np.asarray(scales, np.float32))[0] == MANTISSA_OF_POWERS))


def dequantize(codes: Numbers, grid: Quantization) -> Float32Array:
    """Return ``float32(q - Z) S`` of codes (samples, *shape): DequantizeLinear."""
    sizes = [] if grid.axis is None else [-1 if axis == grid.axis + 1 else 1 for axis in range(codes.ndim)]
    steps = np.asarray(codes, np.int64) - grid.zero_point.reshape(sizes)
    return steps.astype(np.float32) * grid.scale.reshape(sizes).astype(np.float32)


def quantize(real: Float32Array, grid: Quantization) -> IntArray:
    """Return ``rint(r / S) + Z``, clamped: QuantizeLinear. A division, not a multiplication by 1 / S.

    What is not a number becomes the least code, as the kernel's maximum of a vector has it.
    """
    low, high, zero = grid.format.min, grid.format.max, int(grid.zero_point)
    with np.errstate(over="ignore"):  # a quotient beyond float32 is beyond every code
        steps = np.rint(real / scale_of(grid))
    return np.fmin(np.fmax(steps, low - zero), high - zero).astype(np.int64) + zero


def quantize_after_offset(real: Float32Array, grid: Quantization) -> IntArray:
    """Return ``rint(r + Z)`` for reals in units of the scale, clamped: ties follow the parity of the whole code."""
    return np.clip(np.rint(real + np.float32(grid.zero_point)), grid.format.min, grid.format.max).astype(np.int64)


def fused_multiply_add(first: Number, second: Number, addend: Number) -> Float32Array:
    """Return ``first second + addend`` of float32 values, rounded once.

    The product is exact in float64. The sum is rounded there to odd: where it is not exact, to the neighbour whose last
    bit is set, so that rounding it again to float32 is as good as rounding once.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd".
    """
    product, other = np.asarray(first, np.float64) * np.asarray(second, np.float64), np.asarray(addend, np.float64)
    total = np.asarray(product + other)
    part = total - product
    error = (product - (total - part)) + (other - part)
    is_even = total.view(np.int64) % 2 == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & is_even, odd, total).astype(np.float32)
