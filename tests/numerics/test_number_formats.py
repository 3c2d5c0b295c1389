"""Number formats against NumPy's and ml_dtypes' own descriptions, and the figures that textbooks print."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from hwsim.errors import ConfigError
from hwsim.numerics.number_formats import FLOAT_FORMATS, Codebook, FixedPointFormat, float_format


@pytest.mark.parametrize("name", list(FLOAT_FORMATS))
def test_against_finfo(name: str) -> None:
    one = FLOAT_FORMATS[name]
    info = ml_dtypes.finfo(one.dtype)
    assert (one.bits, one.exponent_bits, one.fraction_bits) == (info.bits, info.nexp, info.nmant)
    assert one.max == float(info.max)
    assert one.min == float(info.min)
    assert one.smallest_normal == float(info.smallest_normal)
    assert one.smallest_subnormal == float(info.smallest_subnormal)
    assert one.epsilon == float(info.eps)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_decimal_digits_against_finfo(name: str) -> None:
    assert FLOAT_FORMATS[name].decimal_digits == ml_dtypes.finfo(FLOAT_FORMATS[name].dtype).precision


def test_single_precision_as_textbooks_have_it() -> None:
    """Bias 127, stored exponents 0 and 255 reserved, largest (2 - 2^-23) 2^127."""
    fp32 = float_format("fp32")
    assert fp32.bias == 127
    assert fp32.max == (2 - 2**-23) * 2.0**127
    assert fp32.smallest_normal == 2.0**-126


def test_half_precision_as_textbooks_have_it() -> None:
    """From 6.1035e-5 to 6.5504e4."""
    fp16 = float_format("fp16")
    assert (f"{fp16.smallest_normal:.4e}", f"{fp16.max:.4e}") == ("6.1035e-05", "6.5504e+04")


def test_fp8_as_the_open_compute_project_defines_it() -> None:
    """OCP 8-bit Floating Point Specification 1.0, Table 1: maxima 448 and 57344, subnormals from 2^-9 and 2^-16."""
    e4m3, e5m2 = float_format("fp8_e4m3"), float_format("fp8_e5m2")
    assert (e4m3.bias, e4m3.max, e4m3.smallest_subnormal) == (7, 448, 2**-9)
    assert (e5m2.bias, e5m2.max, e5m2.smallest_subnormal) == (15, 57344, 2**-16)


@pytest.mark.parametrize("name", list(FLOAT_FORMATS))
def test_conversion_gives_the_nearest_number_ties_to_even(name: str) -> None:
    """Exactly, from float64, also half way between two neighbours, where rounding by way of float32 could err."""
    one = FLOAT_FORMATS[name]
    random = np.random.default_rng(3)
    low = 1.5 ** random.uniform(np.log(one.smallest_normal) / np.log(1.5) + 5, np.log(one.max) / np.log(1.5) - 5, 500)
    numbers = low.astype(one.dtype).astype(np.float64)
    step = np.array([2.0 ** (np.frexp(number)[1] - one.significand_bits) for number in numbers])
    for offset in (0.25, 0.5, 0.5 + 2.0**-24, 0.5 - 2.0**-24, 0.75):
        between = numbers + offset * step
        found = one.convert(between).astype(np.float64)
        for number, width, exact, rounded in zip(numbers, step, between, found, strict=True):
            below, above = Fraction(number), Fraction(number) + Fraction(width)
            distance = Fraction(exact) - below, above - Fraction(exact)
            is_even = (below / Fraction(width)) % 2 == 0
            wanted = below if distance[0] < distance[1] or (distance[0] == distance[1] and is_even) else above
            assert Fraction(rounded) == wanted


@pytest.mark.parametrize("name", list(FLOAT_FORMATS))
def test_conversion_of_small_and_special_numbers(name: str) -> None:
    """Subnormals keep their step; half of the smallest is a tie, which 0 wins; NaN and infinity stay themselves."""
    one = FLOAT_FORMATS[name]
    tiny = one.smallest_subnormal
    found = one.convert(np.array([tiny, 1.5 * tiny, 2.5 * tiny, tiny / 2, 0.51 * tiny, -tiny, 0.0, -0.0]))
    assert (found.astype(np.float64) / tiny).tolist() == [1, 2, 2, 0, 1, -1, 0, 0]
    assert np.isnan(one.convert(np.array([np.nan])).astype(np.float64)).all()
    infinite = one.convert(np.array([np.inf, -np.inf])).astype(np.float64)
    assert np.isinf(infinite).all() if one.has_infinity else np.isnan(infinite).all()


@pytest.mark.parametrize("name", list(FLOAT_FORMATS))
def test_conversion_beyond_the_range(name: str) -> None:
    """Up to half a step beyond the largest number it is that number; from there on infinity, or NaN without one."""
    one = FLOAT_FORMATS[name]
    half = (2.0 ** (np.frexp(one.max)[1] - one.significand_bits)) / 2
    inside, outside = one.convert(np.array([one.max + 0.99 * half, one.max + 1.01 * half])).astype(np.float64)
    assert inside == one.max
    assert outside == np.inf if one.has_infinity else np.isnan(outside)


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_conversion_against_numpy(name: str) -> None:
    one = FLOAT_FORMATS[name]
    reals = np.random.default_rng(8).standard_normal(5000) * 10.0 ** np.random.default_rng(9).integers(-9, 6, 5000)
    with np.errstate(over="ignore"):
        assert np.array_equal(one.convert(reals), reals.astype(one.dtype))


def test_an_unknown_format() -> None:
    with pytest.raises(ConfigError, match=r"unknown number format 'fp61'; allowed: fp32, .*; did you mean 'fp16'\?"):
        float_format("fp61")


def test_a_binary_fraction() -> None:
    """11.001 in binary is 3.125, which is 1.1001 2^1."""
    q2_3 = FixedPointFormat(2, 3)
    assert q2_3.reals(np.array([0b11001])).tolist() == [3.125]
    assert (1 + 0b1001 / 16) * 2 == 3.125
    assert q2_3.codes(np.array([3.125, 3.1, -4.0, 9.9, -9.9])).tolist() == [25, 25, -32, 31, -32]
    assert (q2_3.name, q2_3.bits, q2_3.min, q2_3.max, q2_3.resolution) == ("q2.3", 6, -4.0, 3.875, 0.125)


def test_integers_are_fixed_point_without_a_fraction() -> None:
    int8 = FixedPointFormat(7, 0)
    assert (int8.name, int8.min, int8.max) == ("int8", -128, 127)


def test_a_codebook() -> None:
    """Four 32-bit values, words of two bits: 100 weights take 200 + 128 bits instead of 3200."""
    book = Codebook((-0.6, 0.0, 0.4, 1.1))
    assert (book.bits, book.min, book.max) == (2, -0.6, 1.1)
    assert book.reals(np.array([[3, 0], [1, 2]])).tolist() == [[1.1, -0.6], [0.0, 0.4]]
    assert book.indices(np.array([-9.0, -0.1, 0.2, 0.75, 5.0])).tolist() == [0, 1, 1, 2, 3]
    assert book.storage_bits(100) == 328


def test_wrong_codebooks() -> None:
    with pytest.raises(ConfigError, match="codebook of 1 entries; allowed: 2 or more"):
        Codebook((1.0,))
    with pytest.raises(ConfigError, match="codebook index outside 0 to 1"):
        Codebook((1.0, 2.0)).reals(np.array([2]))
