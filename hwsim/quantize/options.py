"""Options of calibrators and repairs: values from a specification, checked by the part that takes them."""

from __future__ import annotations

import math
from typing import Any

from hwsim.errors import ConfigError


def number(part: str, option: str, value: Any, *, low: float, high: float) -> float:
    """Return an option that is a number from ``low`` to ``high``.

    Raises:
        ConfigError: it is none, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{part}: {option} must be a number, got {value!r}")
    if not low <= value <= high:
        raise ConfigError(f"{part}: {option} {value:g}; allowed: {low:g} to {high:g}")
    return float(value)


def whole_number(part: str, option: str, value: Any, *, low: int, high: int) -> int:
    """Return an option that is a whole number from ``low`` to ``high``.

    Raises:
        ConfigError: it is none, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{part}: {option} must be a whole number, got {value!r}")
    return int(number(part, option, value, low=low, high=high))
