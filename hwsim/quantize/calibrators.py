"""Calibrators: from the values that a tensor takes on calibration data to the range that its codes cover."""

from __future__ import annotations

import math
from typing import Protocol

from hwsim.numerics.rounding import FloatArray


class Calibrator(Protocol):
    """Sees a tensor's values batch by batch, then names its range. One instance per tensor."""

    def observe(self, values: FloatArray) -> None:
        """Take notice of one batch of values."""

    def range(self) -> tuple[float, float]:
        """Return (low, high)."""


class MinMax:
    """The least and the greatest value seen: nothing is clipped."""

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def observe(self, values: FloatArray) -> None:
        """Widen the range."""
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))

    def range(self) -> tuple[float, float]:
        """Return the least and the greatest value."""
        return self._low, self._high
