"""Quantized multipliers, and gemmlowp's two rounding steps against a transcription of its C code."""

from __future__ import annotations

from fractions import Fraction
from math import floor, frexp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.fixed_point import (
    Multiplier,
    quantize_multiplier,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)
from hwsim.numerics.requantize import FixedPoint

THOROUGH = settings(derandomize=True, deadline=None, max_examples=500)
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
EDGES = [INT32_MIN, INT32_MIN + 1, -(2**30) - 1, -(2**30), -1, 0, 1, 2**30 - 1, 2**30, 2**30 + 1, INT32_MAX]

int32 = st.integers(INT32_MIN, INT32_MAX) | st.integers(-1000, 1000) | st.sampled_from(EDGES)
mantissas = st.integers(2**30, INT32_MAX) | st.sampled_from([2**30, 2**30 + 1, INT32_MAX])


def truncating_divide(dividend: int, divisor: int) -> int:
    """C's integer division."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def high_multiply_in_c(a: int, b: int) -> int:
    """gemmlowp/fixedpoint/fixedpoint.h, SaturatingRoundingDoublingHighMul, line by line."""
    overflow = a == b and a == INT32_MIN
    ab_64 = a * b
    nudge = (1 << 30) if ab_64 >= 0 else (1 - (1 << 30))
    ab_x2_high32 = truncating_divide(ab_64 + nudge, 1 << 31)
    return INT32_MAX if overflow else ab_x2_high32


def divide_in_c(x: int, exponent: int) -> int:
    """gemmlowp/fixedpoint/fixedpoint.h, RoundingDivideByPOT, line by line."""
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def multiply_by_quantized_multiplier_in_c(x: int, mantissa: int, shift: int) -> int:
    """TFLite's MultiplyByQuantizedMultiplier with its left shift (TFLite's ``shift`` is minus this one)."""
    left_shift, right_shift = max(-shift, 0), max(shift, 0)
    shifted = (x * (1 << left_shift) - INT32_MIN) % 2**32 + INT32_MIN
    return divide_in_c(high_multiply_in_c(shifted, mantissa), right_shift)


@pytest.mark.parametrize(
    ("real", "mantissa", "shift"),
    [
        (0.01, 1374389535, 6),
        (0.5, 1 << 30, 0),
        (1.0, 1 << 30, -1),
        (3.0, 3 << 29, -2),
        (1.0 - 2.0**-53, 1 << 30, -1),  # M0 rounds up to 2**31: halved
        (2.0**-62 * (1.0 - 2.0**-40), 1 << 30, 61),
        (2.0**-63, 1 << 30, 62),
        (2.0**-63 * 0.99, 0, 0),  # too small for the shifter
    ],
)
def test_known_multipliers_of_31_bits(real: float, mantissa: int, shift: int) -> None:
    quantized = quantize_multiplier(real)
    assert (int(quantized.mantissa), int(quantized.shift), quantized.bits) == (mantissa, shift, 31)


@THOROUGH
@given(st.floats(2.0**-60, 2.0**31), st.integers(8, 32))
def test_the_mantissa_is_the_real_multiplier_rounded_to_its_bits(real: float, bits: int) -> None:
    quantized = quantize_multiplier(real, bits)
    mantissa, shift = int(quantized.mantissa), int(quantized.shift)
    assert 2 ** (bits - 1) <= mantissa < 2**bits
    exponent = frexp(real)[1]
    nearest = floor(Fraction(real) / Fraction(2) ** (exponent - bits) + Fraction(1, 2))
    assert Fraction(mantissa) / Fraction(2) ** (bits + shift) == nearest * Fraction(2) ** (exponent - bits)


@pytest.mark.parametrize("bits", range(8, 33))
def test_a_mantissa_that_rounds_up_to_one_is_halved(bits: int) -> None:
    quantized = quantize_multiplier(1.0 - 2.0 ** -(bits + 2), bits)
    assert (int(quantized.mantissa), int(quantized.shift)) == (2 ** (bits - 1), -1)


def test_channels_are_quantized_one_by_one() -> None:
    quantized = quantize_multiplier(np.array([0.01, 0.5]))
    assert (quantized.mantissa.tolist(), quantized.shift.tolist()) == ([1374389535, 1 << 30], [6, 0])


@pytest.mark.parametrize("real", [0.0, -0.5, np.nan, np.inf])
def test_a_multiplier_must_be_positive_and_finite(real: float) -> None:
    with pytest.raises(ConfigError, match=rf"^requantization multiplier {real}; allowed: positive and finite$"):
        quantize_multiplier(real)


@pytest.mark.parametrize("bits", [7, 33])
def test_a_multiplier_has_8_to_32_bits(bits: int) -> None:
    with pytest.raises(ConfigError, match=rf"^multiplier of {bits} bits; allowed: 8 to 32$"):
        quantize_multiplier(0.5, bits)


@THOROUGH
@given(int32, int32)
def test_the_doubling_high_multiply_is_gemmlowps(a: int, b: int) -> None:
    result = saturating_rounding_doubling_high_multiply(np.array([a]), np.array([b]))
    assert result.tolist() == [high_multiply_in_c(a, b)]


def test_int_min_squared_saturates() -> None:
    least = np.array([INT32_MIN])
    assert saturating_rounding_doubling_high_multiply(least, least).tolist() == [INT32_MAX]


@THOROUGH
@given(int32, st.integers(0, 31))
def test_the_rounding_division_is_gemmlowps(value: int, exponent: int) -> None:
    result = rounding_divide_by_power_of_two(np.array([value]), np.array([exponent]))
    assert result.tolist() == [divide_in_c(value, exponent)]


@THOROUGH
@given(st.lists(int32, min_size=1, max_size=5), mantissas, st.integers(-31, 31))
def test_double_rounding_is_tflites_multiply_by_quantized_multiplier(
    values: list[int], mantissa: int, shift: int
) -> None:
    scheme = FixedPoint(Multiplier(np.asarray(mantissa), np.asarray(shift), 31), "double")
    expected = [multiply_by_quantized_multiplier_in_c(value, mantissa, shift) for value in values]
    assert scheme.scale(np.array(values, np.int64)).tolist() == expected
