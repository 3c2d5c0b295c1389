"""Products wider than int64, shifted and rounded once: against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.wide import RESULT_LIMIT, ShiftRounding, multiply_shift, shift_right

THOROUGH = settings(derandomize=True, deadline=None, max_examples=400)
HALF = Fraction(1, 2)

accumulators = st.integers(2, 63).flatmap(lambda bits: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
multipliers = st.integers(0, 32).flatmap(lambda bits: st.integers(0, 2**bits - 1))
shifts = st.integers(-31, 94)
roundings = st.sampled_from(["half_up", "half_even", "half_away", "floor"])


def rounded(exact: Fraction, rounding: ShiftRounding) -> int:
    if rounding == "half_up":
        return floor(exact + HALF)
    if rounding == "half_even":
        return round(exact)
    if rounding == "half_away":
        return floor(exact + HALF) if exact >= 0 else -floor(HALF - exact)
    return floor(exact)


def expected(value: int, multiplier: int, shift: int, rounding: ShiftRounding) -> int:
    exact = rounded(Fraction(value * multiplier) / Fraction(2) ** shift, rounding)
    return min(max(exact, -RESULT_LIMIT), RESULT_LIMIT)


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@THOROUGH
@given(accumulators, multipliers, shifts, roundings)
def test_one_product_equals_the_exact_fraction(
    value: int, multiplier: int, shift: int, rounding: ShiftRounding
) -> None:
    result = multiply_shift(int64(value), int64(multiplier), int64(shift), rounding)
    assert result.tolist() == [expected(value, multiplier, shift, rounding)]


@THOROUGH
@given(st.lists(st.tuples(accumulators, multipliers, shifts), min_size=2, max_size=6), roundings)
def test_neighbours_do_not_influence_each_other(cases: list[tuple[int, int, int]], rounding: ShiftRounding) -> None:
    values, multiplier, shift = (int64(*column) for column in zip(*cases, strict=True))
    result = multiply_shift(values, multiplier, shift, rounding)
    assert result.tolist() == [expected(*case, rounding) for case in cases]


@THOROUGH
@given(
    high=st.integers(-(2**61), 2**61 - 1),
    odd=st.integers(0, 2**31 - 1).map(lambda half: 2 * half + 1),
    shift=st.integers(1, 61),
    nudge=st.sampled_from([-1, 0, 1]),
    rounding=roundings,
)
def test_ties_and_their_neighbours(high: int, odd: int, shift: int, nudge: int, rounding: ShiftRounding) -> None:
    """The value is chosen so that the product ends in 1000...0, 0111...1 or 1000...1 below the shift."""
    end = (pow(odd, -1, 2**shift) * (2 ** (shift - 1) + nudge)) % 2**shift
    value = (high >> shift << shift) + end
    assert (value * odd - nudge) % 2**shift == 2 ** (shift - 1)
    result = multiply_shift(int64(value), int64(odd), int64(shift), rounding)
    assert result.tolist() == [expected(value, odd, shift, rounding)]


@pytest.mark.parametrize("rounding", ["half_up", "half_even", "half_away", "floor"])
@pytest.mark.parametrize("multiplier", [0, 1, 3, 2**31, 2**32 - 1])
def test_every_shift(multiplier: int, rounding: ShiftRounding) -> None:
    every_shift = int64(*range(-31, 95))
    for value in (0, 1, -1, 3, -3, 2**40 + 1, -(2**61) - 1, 2**62 - 1, -(2**62)):
        result = multiply_shift(int64(value), int64(multiplier), every_shift, rounding)
        assert result.tolist() == [expected(value, multiplier, shift, rounding) for shift in range(-31, 95)]
        alone = [
            int(multiply_shift(int64(value), int64(multiplier), each, rounding)[0]) for each in every_shift[:, None]
        ]
        assert alone == result.tolist()


@pytest.mark.parametrize("rounding", ["half_up", "half_even", "half_away", "floor"])
def test_results_saturate_at_two_to_the_61(rounding: ShiftRounding) -> None:
    greatest, least = 2**62 - 1, -(2**62) + 12345
    for shift in (-31, -1, 0, 1, 31, 32):
        result = multiply_shift(int64(greatest, least), int64(2**32 - 1), int64(shift), rounding)
        assert result.tolist() == [2**61, -(2**61)]
    assert multiply_shift(int64(greatest, 5), int64(1), int64(0), rounding).tolist() == [2**61, 5]


def test_one_multiplier_serves_many_values_and_channels_have_their_own() -> None:
    values = np.arange(-6, 6, dtype=np.int64).reshape(3, 4)
    shared = multiply_shift(values, np.asarray(3), np.asarray(1), "floor")
    assert np.array_equal(shared, values * 3 // 2)
    each = multiply_shift(values, int64(1, 2, 3, 4), int64(0, 1, 0, 2), "floor")
    assert np.array_equal(each, values * [1, 1, 3, 1])


@pytest.mark.parametrize("size", [0, 1])
def test_scalars_and_empty_arrays_pass(size: int) -> None:
    values = np.full((size, 2), 2**62 - 1, np.int64)
    assert multiply_shift(values, np.asarray(2**32 - 1), np.asarray(94), "floor").shape == (size, 2)
    assert int(multiply_shift(np.asarray(2**62 - 1), np.asarray(2**32 - 1), np.asarray(94), "half_up")) == 1


@THOROUGH
@given(st.integers(-(2**62) + 1, 2**62 - 1), st.integers(0, 62), roundings)
def test_a_right_shift_rounds_the_exact_quotient(value: int, shift: int, rounding: ShiftRounding) -> None:
    assert shift_right(int64(value), int64(shift), rounding).tolist() == [rounded(Fraction(value, 2**shift), rounding)]


def test_a_negative_right_shift_multiplies() -> None:
    assert shift_right(int64(5, -5), int64(-3), "half_up").tolist() == [40, -40]


def test_multipliers_and_shifts_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^multiplier outside 0 to 2\*\*32 - 1$"):
        multiply_shift(int64(1), int64(2**32), int64(0), "floor")
    with pytest.raises(ConfigError, match=r"^multiplier outside 0 to 2\*\*32 - 1$"):
        multiply_shift(int64(1), int64(-1), int64(0), "floor")
    for shift in (-32, 95):
        with pytest.raises(ConfigError, match=rf"^right shift of {shift}; allowed: -31 to 94$"):
            multiply_shift(int64(1), int64(1), int64(shift), "floor")
