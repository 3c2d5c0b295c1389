"""TensorFlow Lite's multiplications against plain Python integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.numerics.tflite.multipliers import (
    BLOCK,
    multiply_double,
    multiply_double_half_up,
    multiply_single,
    multiply_wide,
    quantize_multiplier,
)
from hwsim.numerics.tflite.schemes import DepthwiseHalfUp, DoubleRounding, Float32Product, scheme_name

INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
MANTISSAS = st.integers(1 << 30, (1 << 31) - 1)


def multiplier(mantissa: int, exponent: int) -> Multiplier:
    return Multiplier(np.asarray(mantissa), np.asarray(-exponent), 31)


def int32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def high_multiply(value: int, mantissa: int) -> int:
    return (value * mantissa + (1 << 30)) >> 31


def divide_by_power_of_two(value: int, exponent: int) -> int:
    """gemmlowp's own words: remainder above threshold."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> exponent) + ((value & mask) > threshold)


@given(INT32, MANTISSAS, st.integers(-31, 10))
def test_double_rounding(value: int, mantissa: int, exponent: int) -> None:
    expected = divide_by_power_of_two(high_multiply(int32(value << max(exponent, 0)), mantissa), max(-exponent, 0))
    assert multiply_double(np.array([value]), multiplier(mantissa, exponent)).tolist() == [expected]


@given(INT32, MANTISSAS, st.integers(-31, 10))
def test_double_rounding_half_up(value: int, mantissa: int, exponent: int) -> None:
    right = max(-exponent, 0)
    expected = (high_multiply(int32(value << max(exponent, 0)), mantissa) + ((1 << right) >> 1)) >> right
    assert multiply_double_half_up(np.array([value]), multiplier(mantissa, exponent)).tolist() == [expected]


@given(INT32, MANTISSAS, st.integers(-31, 0))
def test_single_rounding(value: int, mantissa: int, exponent: int) -> None:
    expected = (value * mantissa + (1 << (30 - exponent))) >> (31 - exponent)
    assert multiply_single(np.array([value]), multiplier(mantissa, exponent)).tolist() == [expected]


@given(st.integers(-(1 << 40), 1 << 40), MANTISSAS, st.integers(-31, 7))
def test_wide_accumulators(value: int, mantissa: int, exponent: int) -> None:
    reduced = (mantissa + (1 << 15)) >> 16 if mantissa < 0x7FFF0000 else 0x7FFF
    expected = int32((value * reduced + (1 << (14 - exponent))) >> (15 - exponent))
    assert multiply_wide(np.array([value]), multiplier(mantissa, exponent)).tolist() == [expected]


@given(st.floats(1e-9, 1e9))
def test_a_quantized_multiplier_is_within_half_a_unit(real: float) -> None:
    quantized = quantize_multiplier(real)
    mantissa, exponent = int(quantized.mantissa), -int(quantized.shift)
    assert 1 << 30 <= mantissa < 1 << 31
    assert abs(real - math.ldexp(mantissa, exponent - 31)) <= math.ldexp(0.5, exponent - 31)


def test_special_multipliers() -> None:
    """0.01 is published; 1 - 2**-33 rounds up to 2**31; below 2**-32 nothing is left; slopes may be negative."""
    quantized = quantize_multiplier(np.array([0.01, 1 - 2.0**-33, 2.0**-32, 2.0**-33, 0.0, -0.5]))
    assert quantized.mantissa.tolist() == [1374389535, 1 << 30, 1 << 30, 0, 0, -(1 << 30)]
    assert quantized.shift.tolist() == [6, -1, 31, 0, 0, 0]


def test_blocks_change_no_value() -> None:
    random = np.random.default_rng(1)
    values = random.integers(-(1 << 31), 1 << 31, (7, 3 * BLOCK // 40, 40))
    for constants in (random.uniform(1e-4, 1e-2, 40), random.uniform(1e-4, 1e-2)):
        quantized = quantize_multiplier(constants)
        whole = multiply_double(values, quantized)
        assert np.array_equal(whole[3], np.stack([multiply_double(row, quantized) for row in values[3]]))


def test_32_bit_accumulators_wrap() -> None:
    scheme = DoubleRounding.build(1.0, np.asarray(1.0), 1024.0, RequantizerOptions("tflm"))
    assert scheme.scale(np.array([(1 << 31) - 1, 1 << 31, (1 << 32) + 2048])).tolist() == [2097152, -2097152, 2]


@pytest.mark.parametrize(("mantissa", "code"), [(11930465, 6), (11930466, 7)])
def test_xnnpack_rounds_once_in_float32(mantissa: int, code: int) -> None:
    scheme = Float32Product.build(mantissa * 2.0**-30, np.asarray(1.0), 1.0, RequantizerOptions("xnnpack"))
    assert scheme.scale(np.array([585])).tolist() == [code]


def test_columns_of_a_scheme_keep_their_channels_rule() -> None:
    scales = np.full(12, 2.0**-3)
    scheme = DepthwiseHalfUp.build(1.0, scales, 1.0, RequantizerOptions("litert_optimized_depthwise_convolution"))
    whole = scheme.scale(np.full(12, -4))
    assert whole.tolist() == [0] * 8 + [-1] * 4
    assert scheme.columns(slice(6, 10)).scale(np.full(4, -4)).tolist() == [0, 0, -1, -1]


def test_scheme_names() -> None:
    assert scheme_name("tflm", "convolution", per_channel=True) == "tflm"
    assert scheme_name("litert_optimized", "fully_connected", per_channel=True) == "litert_optimized"
    assert scheme_name("tflm", "convolution", per_channel=True, accumulator_bits=64) == "tflite_wide"


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown rounding profile 'tflmm'; .*did you mean 'tflm'"):
        scheme_name("tflmm", "convolution", per_channel=True)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="accumulator of 48 bits in a rounding profile; allowed: 32, 64"):
        scheme_name("tflm", "convolution", per_channel=True, accumulator_bits=48)
    with pytest.raises(ConfigError, match="needs one scale per channel"):
        DepthwiseHalfUp.build(1.0, np.asarray(1.0), 1.0, RequantizerOptions())
