"""Multiplication by a real constant: quantized multipliers and the roundings of the profiles.

Notation: m is the real multiplier, M0 the mantissa and e the exponent with m = M0 2**(e - 31). The class
`hwsim.numerics.fixed_point.Multiplier` holds M0 as ``mantissa`` and -e as ``shift``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from hwsim.numerics.fixed_point import (
    Multiplier,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.rounding import FloatArray, round_half_away

MULTIPLIER_BITS = 31
SMALLEST_EXPONENT = -31

INT32 = IntFormat(32)
INT16 = IntFormat(16)
INT8 = IntFormat(8)

BLOCK = 1 << 14  # values: the temporaries of a block stay in the processor's cache

Multiply = Callable[[IntArray, Multiplier], IntArray]


def in_blocks(multiply: Multiply) -> Multiply:
    """Apply ``multiply`` to large arrays in blocks, which is several times as fast. Values are the same."""

    @wraps(multiply)
    def blocked(values: IntArray, multiplier: Multiplier) -> IntArray:
        constants = multiplier.mantissa
        fits = values.size > BLOCK and (constants.ndim == 0 or constants.shape == values.shape[-1:])
        if not fits:
            return multiply(values, multiplier)
        rows = values.reshape(-1) if constants.ndim == 0 else values.reshape(-1, values.shape[-1])
        step = max(1, BLOCK * len(rows) // values.size)
        result = np.empty(rows.shape, np.int64)
        for start in range(0, len(rows), step):
            result[start : start + step] = multiply(rows[start : start + step], multiplier)
        return result.reshape(values.shape)

    return blocked


def quantize_multiplier(real: FloatArray | float) -> Multiplier:
    """Write real multipliers as 31-bit mantissas and powers of two.

    ``q, e = frexp(m)``; M0 = round(q 2**31), half away from zero; M0 = 2**31 becomes 2**30 with e + 1; below
    e = -31 both are 0. Negative multipliers (leaky ReLU) have negative mantissas.

    Source: QuantizeMultiplier in TensorFlow Lite's ``kernels/internal/quantization_util.cc``.
    """
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    mantissa = round_half_away(fraction * 2.0**MULTIPLIER_BITS).astype(np.int64)
    carried = mantissa == 1 << MULTIPLIER_BITS
    mantissa = np.where(carried, mantissa >> 1, mantissa)
    exponents = exponent.astype(np.int64) + carried
    tiny = exponents < SMALLEST_EXPONENT
    return Multiplier(np.where(tiny, 0, mantissa), np.where(tiny, 0, -exponents), MULTIPLIER_BITS)


def wrap32(values: IntArray) -> IntArray:
    """Keep the low 32 bits, as an int32 does; the array itself where nothing would change."""
    return values if INT32.holds(values) else INT32.wrap(values)


@in_blocks
def multiply_double(values: IntArray, multiplier: Multiplier) -> IntArray:
    """Return ``values m`` with the two roundings of gemmlowp.

    x' = int32(x << max(e, 0)); y = (x' M0 + 2**30) >> 31, half up, saturating; y / 2**max(-e, 0), half away
    from zero. Values are int32.

    Source: MultiplyByQuantizedMultiplier in TensorFlow Lite's ``kernels/internal/common.cc``, built without
    TFLITE_SINGLE_ROUNDING (the default of LiteRT and of TensorFlow Lite for Microcontrollers).
    """
    high = saturating_rounding_doubling_high_multiply(_shifted_left(values, multiplier), multiplier.mantissa)
    return rounding_divide_by_power_of_two(high, np.maximum(multiplier.shift, 0))


@in_blocks
def multiply_double_half_up(values: IntArray, multiplier: Multiplier) -> IntArray:
    """Return ``values m`` with two roundings, both half up.

    y as in `multiply_double`, then ``(y + 2**(r - 1)) >> r`` with r = max(-e, 0).

    Source: the AVX2 and SSE kernels of ruy, which LiteRT's optimized convolutions use on x86.
    """
    high = saturating_rounding_doubling_high_multiply(_shifted_left(values, multiplier), multiplier.mantissa)
    right = np.maximum(multiplier.shift, 0)
    rounded: IntArray = high + ((np.int64(1) << right) >> 1)
    rounded >>= right
    return rounded


@in_blocks
def multiply_single(values: IntArray, multiplier: Multiplier) -> IntArray:
    """Return ``values m`` rounded once: ``(x M0 + 2**(30 - e)) >> (31 - e)``.

    Exponents above 30 saturate to e = 30, M0 = 2**31 - 1. Values are int32.

    Source: MultiplyByQuantizedMultiplier in ``kernels/internal/common.cc`` under TFLITE_SINGLE_ROUNDING.
    """
    huge = multiplier.shift < -30
    mantissa = np.where(huge, (1 << 31) - 1, multiplier.mantissa)
    total = np.where(huge, 1, MULTIPLIER_BITS + multiplier.shift).astype(np.int64)
    rounded: IntArray = values * mantissa + (np.int64(1) << (total - 1))
    return rounded >> total


@in_blocks
def multiply_wide(values: IntArray, multiplier: Multiplier) -> IntArray:
    """Return ``values m`` for accumulators of up to 48 bits (16-bit activations, 8-bit weights), as an int32.

    R = (M0 + 2**15) >> 16, at most 0x7FFF; y = (x R + 2**(14 - e)) >> (15 - e). Exponents below 8.

    Source: the int64 overload of MultiplyByQuantizedMultiplier in ``kernels/internal/common.cc``.
    """
    reduced = np.minimum((multiplier.mantissa + (1 << 15)) >> 16, 0x7FFF)
    total = 15 + multiplier.shift
    product = values * reduced
    product = product + (np.int64(1) << (total - 1))
    return wrap32(product >> total)


def _shifted_left(values: IntArray, multiplier: Multiplier) -> IntArray:
    """Shift left by max(e, 0) inside int32: bits beyond it are lost."""
    left = np.maximum(-multiplier.shift, 0)
    return INT32.wrap(values << left) if np.any(left) else values
