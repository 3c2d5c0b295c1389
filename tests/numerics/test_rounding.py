"""The named ways to round a real number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.numerics.rounding import RealRounding, round_half_away, round_real

TIES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    ("rounding", "rounded"),
    [
        ("half_even", [-2, -2, 0, 0, 2, 2]),
        ("half_away", [-3, -2, -1, 1, 2, 3]),
        ("half_up", [-2, -1, 0, 1, 2, 3]),
        ("half_toward_zero", [-2, -1, 0, 0, 1, 2]),
        ("floor", [-3, -2, -1, 0, 1, 2]),
        ("ceil", [-2, -1, 0, 1, 2, 3]),
        ("toward_zero", [-2, -1, 0, 0, 1, 2]),
        ("away_from_zero", [-3, -2, -1, 1, 2, 3]),
    ],
)
def test_the_rules_differ_on_ties(rounding: RealRounding, rounded: list[int]) -> None:
    assert round_real(TIES, rounding).tolist() == rounded


def test_just_below_a_tie_is_no_tie() -> None:
    """floor(x + 0.5) would round the float64 below one half up to 1."""
    below = np.array([np.nextafter(0.5, 0), -np.nextafter(0.5, 0)])
    for rounding in ("half_even", "half_away", "half_up", "half_toward_zero"):
        assert round_real(below, rounding).tolist() == [0, 0]


@settings(derandomize=True, deadline=None)
@given(st.floats(-1e15, 1e15))
def test_half_away_is_symmetric_round_zero(value: float) -> None:
    assert round_half_away(np.float64(-value)) == -round_half_away(np.float64(value))
    assert abs(round_half_away(np.float64(value)) - value) <= 0.5
