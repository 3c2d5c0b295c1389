"""Named ways to round a real number to an integer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError, did_you_mean

FloatArray = NDArray[np.float64]
RealRounding = Literal[
    "half_even", "half_away", "half_up", "half_toward_zero", "floor", "ceil", "toward_zero", "away_from_zero"
]


def round_half_away(values: FloatArray) -> FloatArray:
    """Round to nearest, ties away from zero (C's ``round``). Exact: no 0.5 is added to the value itself."""
    truncated = np.trunc(values)
    return truncated + np.copysign(np.abs(values - truncated) >= 0.5, values)


def round_real(values: FloatArray, rounding: RealRounding) -> FloatArray:
    """Round to integers (kept as float64) by the named rule; ties are what the rules differ in.

    Raises:
        ConfigError: no such rule.
    """
    if rounding not in _RULES:
        raise ConfigError(
            f"unknown rounding '{rounding}'; allowed: {', '.join(_RULES)}{did_you_mean(rounding, _RULES)}"
        )
    return _RULES[rounding](values)


def _round_half_toward_zero(values: FloatArray) -> FloatArray:
    truncated = np.trunc(values)
    return truncated + np.copysign(np.abs(values - truncated) > 0.5, values)


def _round_away_from_zero(values: FloatArray) -> FloatArray:
    return np.copysign(np.ceil(np.abs(values)), values)


def _round_half_up(values: FloatArray) -> FloatArray:
    floor = np.floor(values)
    return floor + ((values - floor) >= 0.5)


_RULES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "half_even": np.rint,
    "half_away": round_half_away,
    "half_up": _round_half_up,
    "half_toward_zero": _round_half_toward_zero,
    "floor": np.floor,
    "ceil": np.ceil,
    "toward_zero": np.trunc,
    "away_from_zero": _round_away_from_zero,
}
