"""Requantization: published values of every scheme, fused activations, refusals."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import (
    Activation,
    FixedPoint,
    FloatScale,
    PowerOfTwo,
    Requantizer,
    RequantizerOptions,
    Rounding,
    activation_range,
    build_requantizer,
)

INT8, UINT8 = IntFormat(8), IntFormat(8, signed=False)


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def output(scale: float, zero_point: int, word: IntFormat = INT8) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


def fixed_point(mantissa: int, shift: int, rounding: Rounding) -> FixedPoint:
    return FixedPoint(Multiplier(np.asarray(mantissa), np.asarray(shift), 31), rounding)


@pytest.mark.parametrize(
    ("accumulator", "mantissa", "shift", "single", "double"),
    [
        (7984, 1583594044, 9, 11, 12),  # 11.4992 becomes 5887.6 -> 5888 first, which is 11.5
        (585, 1527099593, 6, 7, 7),
        (-7984, 1583594044, 9, -11, -12),
    ],
)
def test_double_rounding_can_be_one_off(accumulator: int, mantissa: int, shift: int, single: int, double: int) -> None:
    assert fixed_point(mantissa, shift, "single").scale(int64(accumulator)).tolist() == [single]
    assert fixed_point(mantissa, shift, "double").scale(int64(accumulator)).tolist() == [double]


def test_one_unit_of_a_float32_scale_decides_a_tie() -> None:
    """585 * M in float32 is 6.5 for the first scale, which rounds to the even 6."""
    for mantissa, code in ((11930465, 6), (11930466, 7)):
        scheme = FloatScale(np.asarray(mantissa * 2.0**-30, np.float32))
        assert scheme.scale(int64(585)).tolist() == [code]


@pytest.mark.parametrize(
    ("scheme", "rounding", "code"),
    [
        ("fixed_point", "single", 12),
        ("fixed_point", "double", 12),
        ("fixed_point", "floor", 12),
        ("fixed_point", "half_even", 12),
        ("float", "single", 12),
        ("power_of_two", "floor", 9),  # 0.01 becomes 2**-7: 1234 / 128 = 9.64
        ("power_of_two", "single", 10),
    ],
)
def test_1234_times_a_hundredth(scheme: str, rounding: Rounding, code: int) -> None:
    options = RequantizerOptions(scheme, rounding)
    requantizer = build_requantizer(0.1, np.asarray(0.1), output(1.0, 0), "none", options)
    assert requantizer.apply(int64(1234)).tolist() == [code]


@pytest.mark.parametrize(
    ("rounding", "codes"),
    [
        ("single", [-1, 0, 1, 2, 3]),
        ("double", [-2, -1, 1, 2, 3]),
        ("floor", [-2, -1, 0, 1, 2]),
        ("half_even", [-2, 0, 0, 2, 2]),
    ],
)
@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two"])
def test_the_roundings_differ_on_ties(scheme: str, rounding: Rounding, codes: list[int]) -> None:
    """Halves of odd accumulators; in fixed point ``double`` rounds half up first, exactly here."""
    options = RequantizerOptions(scheme, rounding)
    requantizer = build_requantizer(0.5, np.asarray(0.5), output(0.5, 0), "none", options)
    if (scheme, rounding) == ("fixed_point", "double"):
        codes = [-1, 0, 1, 2, 3]  # M = 0.5 needs no division after the high multiply, which rounds half up
    assert requantizer.apply(int64(-3, -1, 1, 3, 5)).tolist() == codes


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    accumulator=st.integers(-(2**62), 2**62 - 1),
    real=st.floats(2.0**-62, 1.0),
    bits=st.integers(8, 32),
)
def test_single_rounding_is_exact_for_accumulators_of_63_bits(accumulator: int, real: float, bits: int) -> None:
    options = RequantizerOptions("fixed_point", "single", bits)
    scheme = FixedPoint.build(real, np.asarray(1.0), 1.0, options)
    mantissa, shift = int(scheme.multiplier.mantissa), int(scheme.multiplier.shift)
    exact = floor(Fraction(accumulator * mantissa) / Fraction(2) ** (bits + shift) + Fraction(1, 2))
    assert scheme.scale(int64(accumulator)).tolist() == [min(max(exact, -(2**61)), 2**61)]


@pytest.mark.parametrize(("real", "exponent"), [(0.01, -7), (0.70, -1), (0.71, 0), (1.0, 0), (1.42, 1), (3.0, 2)])
def test_power_of_two_takes_the_nearest_on_a_log_scale(real: float, exponent: int) -> None:
    scheme = PowerOfTwo.build(real, np.asarray(1.0), 1.0, RequantizerOptions("power_of_two"))
    assert int(scheme.shift) == -exponent


def test_the_float_multiplier_is_computed_in_float32() -> None:
    scheme = FloatScale.build(0.1, np.asarray(0.2), 0.3, RequantizerOptions("float"))
    assert scheme.real == (np.float32(0.1) * np.float32(0.2)) / np.float32(0.3)
    assert scheme.real.dtype == np.float32


def test_zero_point_then_clamp() -> None:
    requantizer = build_requantizer(1.0, np.asarray(1.0), output(1.0, 10), "none", RequantizerOptions())
    assert requantizer.apply(int64(-200, -1, 0, 117, 118)).tolist() == [-128, 9, 10, 127, 127]


@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two", "float"])
def test_each_output_channel_has_its_multiplier(scheme: str) -> None:
    weight_scale = np.array([1.0, 0.5, 0.25])
    whole = build_requantizer(1.0, weight_scale, output(1.0, 0), "none", RequantizerOptions(scheme))
    accumulators = int64(8, 8, 8, 16, 16, 16).reshape(2, 3)
    assert whole.apply(accumulators).tolist() == [[8, 4, 2], [16, 8, 4]]
    assert whole.columns(slice(1, 3)).apply(accumulators[:, 1:]).tolist() == [[4, 2], [8, 4]]
    shared = build_requantizer(1.0, np.asarray(1.0), output(1.0, 0), "none", RequantizerOptions(scheme))
    assert shared.columns(slice(1, 2)).apply(accumulators[:, 1:2]).tolist() == [[8], [16]]


@pytest.mark.parametrize(
    ("activation", "word", "scale", "zero_point", "clamp"),
    [
        ("none", INT8, 0.1, 3, (-128, 127)),
        ("relu", INT8, 0.1, 3, (3, 127)),
        ("relu6", INT8, 0.1, 3, (3, 63)),
        ("relu6", INT8, 0.01, -128, (-128, 127)),  # 6 lies beyond the format
        ("relu", UINT8, 0.1, 0, (0, 255)),
        ("relu6", UINT8, 6 / 255, 0, (0, 255)),
    ],
)
def test_a_fused_activation_is_a_clamp(
    activation: Activation, word: IntFormat, scale: float, zero_point: int, clamp: tuple[int, int]
) -> None:
    assert activation_range(output(scale, zero_point, word), activation) == clamp


def test_the_code_of_six_follows_the_rounding_of_ties() -> None:
    """6 / S = 2.5."""
    assert activation_range(output(2.4, 0), "relu6", "half_even") == (0, 2)
    assert activation_range(output(2.4, 0), "relu6", "half_away") == (0, 3)


def test_relu6_applies_to_what_the_scheme_returns() -> None:
    requantizer = build_requantizer(0.1, np.asarray(1.0), output(0.1, -5), "relu6", RequantizerOptions())
    assert requantizer.apply(int64(-20, 0, 30, 60, 90)).tolist() == [-5, -5, 25, 55, 55]


def test_double_rounding_is_refused_where_gemmlowp_does_not_define_it() -> None:
    with pytest.raises(ConfigError, match=r"^double rounding with 16 multiplier bits; allowed: 31$"):
        FixedPoint.build(0.5, np.asarray(1.0), 1.0, RequantizerOptions("fixed_point", "double", 16))
    for outside in (2**31, -(2**31) - 1):
        with pytest.raises(ConfigError, match=r"^double rounding of a sum outside 32 bits; allowed: -2\*\*31 to"):
            fixed_point(1 << 30, 0, "double").scale(int64(outside))
    assert fixed_point(1 << 30, 0, "double").scale(int64(-(2**31), 2**31 - 1)).tolist() == [-(2**30), 2**30]


def test_an_unknown_scheme_is_refused_with_the_closest_name() -> None:
    with pytest.raises(ConfigError, match=r"^unknown requantization scheme 'fixed_pint'; allowed: .*fixed_point"):
        build_requantizer(1.0, np.asarray(1.0), output(1.0, 0), "none", RequantizerOptions("fixed_pint"))


def test_a_requantizer_can_be_put_together_by_hand() -> None:
    assert Requantizer(fixed_point(1 << 30, 0, "floor"), 1, -4, 4).apply(int64(-9, 3, 9)).tolist() == [-4, 2, 4]
