"""Named ways to round a real number to an integer."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
RealRounding = Literal["half_even", "half_away", "half_up", "floor"]


def round_half_away(values: FloatArray) -> FloatArray:
    """Round to nearest, ties away from zero (C's ``round``). Exact: no 0.5 is added to the value itself."""
    truncated = np.trunc(values)
    return truncated + np.copysign(np.abs(values - truncated) >= 0.5, values)


def round_real(values: FloatArray, rounding: RealRounding) -> FloatArray:
    """Round to integers (kept as float64) by the named rule; ties are what the rules differ in."""
    if rounding == "half_even":
        return np.rint(values)
    if rounding == "half_away":
        return round_half_away(values)
    floor = np.floor(values)
    if rounding == "floor":
        return floor
    return floor + ((values - floor) >= 0.5)
