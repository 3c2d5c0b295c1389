"""What a calibrator remembers of a tensor's values: all of them while they are few, then a fine histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.rounding import FloatArray

LARGEST_EXACT_COUNT = 16_384
BINS = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Values in ascending order, and how often each stands for one that was seen."""

    values: FloatArray
    counts: FloatArray

    @property
    def low(self) -> float:
        """The least value."""
        return float(self.values[0])

    @property
    def high(self) -> float:
        """The greatest value."""
        return float(self.values[-1])


class Distribution:
    """Collects values batch by batch.

    Up to ``LARGEST_EXACT_COUNT`` values are kept as they are. More are counted in bins of equal width, a power of
    two that doubles (neighbouring bins merge) whenever a value lies outside; each bin stands for the mean of its
    values, so that no value is moved by more than 4 / BINS of the greatest magnitude. Least and greatest value stay
    exact.
    """

    def __init__(self) -> None:
        self._kept: list[FloatArray] = []
        self._count = 0
        self._exponent: int | None = None
        self._counts = np.zeros(BINS)
        self._sums = np.zeros(BINS)
        self._low, self._high = math.inf, -math.inf

    def observe(self, values: FloatArray) -> None:
        """Take notice of one batch of values.

        Raises:
            ConfigError: a value is NaN or infinite.
        """
        flat = check_batch(values)
        if flat.size == 0:
            return
        self._low, self._high = min(self._low, float(flat.min())), max(self._high, float(flat.max()))
        self._count += flat.size
        self._kept.append(flat)
        if self._count > LARGEST_EXACT_COUNT:
            for batch in self._kept:
                self._add(batch)
            self._kept.clear()

    def points(self) -> Points:
        """Return what was seen.

        Raises:
            ConfigError: nothing was.
        """
        if self._count == 0:
            raise ConfigError(NOTHING_SEEN)
        if self._exponent is None:
            values, counts = np.unique(np.concatenate(self._kept), return_counts=True)
            return Points(values, counts.astype(np.float64))
        filled = self._counts > 0
        means = self._sums[filled] / self._counts[filled]
        means[0], means[-1] = self._low, self._high
        return Points(means, self._counts[filled])

    def _add(self, batch: FloatArray) -> None:
        largest = float(np.abs(batch).max())
        needed = math.frexp(largest)[1] - int(math.log2(BINS // 2)) if largest else -1074
        if self._exponent is None:
            self._exponent = needed
        while self._exponent < needed and np.any(self._counts):
            self._merge()
            self._exponent += 1
        self._exponent = max(self._exponent, needed)
        bins = np.floor(np.ldexp(batch, -self._exponent)).astype(np.int64) + BINS // 2
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, weights=batch, minlength=BINS)

    def _merge(self) -> None:
        """Let pairs of bins become one; what was round the middle stays there."""
        quarter = BINS // 4
        for held in (self._counts, self._sums):
            pairs = held.reshape(-1, 2).sum(axis=1)
            held[:] = 0
            held[quarter : quarter + BINS // 2] = pairs


NOTHING_SEEN = "no calibration data; allowed: one value or more"


def check_batch(values: FloatArray) -> FloatArray:
    """Return a batch as one row of float64.

    Raises:
        ConfigError: a value is NaN or infinite.
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    if not np.all(np.isfinite(flat)):
        raise ConfigError("calibration data hold NaN or infinity; allowed: finite numbers")
    return flat
