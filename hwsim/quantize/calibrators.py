"""Calibrators: from the values that a tensor takes on calibration data to the range that its codes cover.

A weight is observed in one batch, an activation batch by batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.quantization import GridRule
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.distribution import NOTHING_SEEN, Distribution, Points, check_batch
from hwsim.quantize.options import number, whole_number

Range = tuple[float, float]


class Calibrator(Protocol):
    """Sees a tensor's values batch by batch, then names its range. One instance per tensor, or per channel."""

    def observe(self, values: FloatArray) -> None:
        """Take notice of one batch of values.

        Raises:
            ConfigError: a value is NaN or infinite.
        """

    def range(self, grid: GridRule) -> Range:
        """Return (low, high), for a grid of this kind.

        Raises:
            ConfigError: no value was observed.
        """


class MinMax:
    """The least and the greatest value seen: nothing is clipped."""

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def observe(self, values: FloatArray) -> None:
        """Widen the range."""
        flat = check_batch(values)
        self._low = min(self._low, float(flat.min(initial=math.inf)))
        self._high = max(self._high, float(flat.max(initial=-math.inf)))

    def range(self, grid: GridRule) -> Range:  # noqa: ARG002 (the same for every grid)
        """Return the least and the greatest value."""
        if self._low > self._high:
            raise ConfigError(NOTHING_SEEN)
        return self._low, self._high


class MovingAverage:
    """The exponential moving average of the batches' least and greatest values.

    ``average = momentum * average + (1 - momentum) * batch``, from the first batch's own; a weight, seen in one
    batch, gets its least and greatest value.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        self._momentum = number("moving_average", "momentum", momentum, low=0, high=1)
        self._average: Range | None = None

    def observe(self, values: FloatArray) -> None:
        """Move towards the batch's range."""
        flat = check_batch(values)
        if flat.size == 0:
            return
        low, high = float(flat.min()), float(flat.max())
        if self._average is None:
            self._average = low, high
        old, new = self._momentum, 1 - self._momentum
        self._average = old * self._average[0] + new * low, old * self._average[1] + new * high

    def range(self, grid: GridRule) -> Range:  # noqa: ARG002 (the same for every grid)
        """Return the averages."""
        if self._average is None:
            raise ConfigError(NOTHING_SEEN)
        return self._average


class Percentile:
    """From the (100 - percentile)-th to the percentile-th percentile of all values; what lies outside is clipped.

    Between two values it is interpolated linearly, as NumPy does by default.
    """

    def __init__(self, percentile: float = 99.9) -> None:
        self._percentile = number("percentile", "percentile", percentile, low=50, high=100)
        self._seen = Distribution()

    def observe(self, values: FloatArray) -> None:
        """Collect."""
        self._seen.observe(values)

    def range(self, grid: GridRule) -> Range:  # noqa: ARG002 (the same for every grid)
        """Return both percentiles."""
        points = self._seen.points()
        return _percentile(points, 100 - self._percentile), _percentile(points, self._percentile)


def _percentile(points: Points, percentile: float) -> float:
    last = np.cumsum(points.counts) - 1  # index of each value's last occurrence among all, sorted
    place = last[-1] * percentile / 100
    below, above = (points.values[np.searchsorted(last, index)] for index in (math.floor(place), math.ceil(place)))
    return float(below + (above - below) * (place - math.floor(place)))


class MeanSquaredError:
    """The range on whose grid the values have the least mean squared error, rounding and clipping together.

    The least and greatest value are scaled down together, in ``steps`` equal steps; where the grid is asymmetric
    and values lie on both sides of 0, each end is then scaled by itself, twice in turn. Of equal errors the wider
    range is taken.
    """

    def __init__(self, steps: int = 100) -> None:
        self._steps = whole_number("mse", "steps", steps, low=2, high=10_000)
        self._seen = Distribution()

    def observe(self, values: FloatArray) -> None:
        """Collect."""
        self._seen.observe(values)

    def range(self, grid: GridRule) -> Range:
        """Search."""
        points = self._seen.points()
        factors = np.linspace(1, 1 / self._steps, self._steps)
        low, high = _widened(points)
        low, high = min(((low * f, high * f) for f in factors), key=lambda limits: _squared_error(points, grid, limits))
        if grid.symmetric or low == 0 or high == 0:
            return low, high
        ends = _widened(points)
        for _ in range(2):
            low = min((ends[0] * f for f in factors), key=lambda end: _squared_error(points, grid, (end, high)))
            high = min((ends[1] * f for f in factors), key=lambda end: _squared_error(points, grid, (low, end)))
        return low, high


def _widened(points: Points) -> Range:
    """Return the least and the greatest value, widened to hold 0 as every grid does."""
    return min(points.low, 0.0), max(points.high, 0.0)


def _squared_error(points: Points, grid: GridRule, limits: Range) -> float:
    found = grid.over(*limits)
    errors = found.dequantize(found.quantize(points.values)) - points.values
    with np.errstate(over="ignore"):  # an infinite error is the greatest there is
        return float(points.counts @ errors**2)


class Entropy:
    """The range that loses the least information: the least Kullback-Leibler divergence of the codes' distribution.

    Meant for 8 bits: with few codes a narrow range always looks like itself, and clipping goes too far.

    The values make a histogram of ``bins`` bins, its zeros evened out. For each of ``steps`` scaled-down ranges, P is
    the histogram inside the range, what lies outside added to its outermost bins that hold anything; Q is the
    histogram inside without that, the mass of each code spread evenly over the code's bins that hold anything. The
    range of least ``sum P log(P / Q)`` is taken, of equal ones the widest. A range of fewer bins than there are
    codes, or of less than a 16th of all, is not tried.

    Source: S. Migacz, "8-bit inference with TensorRT", GTC 2017.
    """

    def __init__(self, bins: int = 2048, steps: int = 100) -> None:
        self._bins = whole_number("kl", "bins", bins, low=16, high=65536)
        self._steps = whole_number("kl", "steps", steps, low=2, high=10_000)
        self._seen = Distribution()

    def observe(self, values: FloatArray) -> None:
        """Collect."""
        self._seen.observe(values)

    def range(self, grid: GridRule) -> Range:
        """Search."""
        points = self._seen.points()
        low, high = _widened(points)
        if low == high:
            return low, high
        counts, edges = np.histogram(points.values, self._bins, (low, high), weights=points.counts)
        centres = (edges[:-1] + edges[1:]) / 2
        counts = without_zeros(centres, counts)
        candidates = list(self._candidates(low, high, grid))
        return min(candidates, key=lambda limits: kl_divergence(centres, counts, grid, limits))

    def _candidates(self, low: float, high: float, grid: GridRule) -> Iterator[Range]:
        yield low, high
        codes = grid.format.max - grid.format.min + 1
        for factor in np.linspace(1, 1 / self._steps, self._steps)[1:]:
            if factor * self._bins >= max(codes, self._bins / 16):
                yield low * factor, high * factor


def without_zeros(centres: FloatArray, counts: FloatArray) -> FloatArray:
    """Return a histogram whose bin at 0 holds as much as the greater of its neighbours at most.

    0 has a code of its own on every grid; the many zeros that a ReLU leaves would outweigh everything else.
    """
    zero, smoothed = int(np.argmin(np.abs(centres))), counts.copy()
    beside = [place for place in (zero - 1, zero + 1) if 0 <= place < len(counts)]
    smoothed[zero] = min(counts[zero], counts[beside].max())
    return smoothed


def kl_divergence(centres: FloatArray, counts: FloatArray, grid: GridRule, limits: Range) -> float:
    """Return what a histogram (centres and counts of its bins) loses on the grid of a range, in nats.

    Infinite where nothing lies inside the range.
    """
    inside = (centres >= limits[0]) & (centres <= limits[1]) & (counts > 0)
    if not np.any(inside):
        return math.inf
    held = counts[inside]
    clipped = held.copy()
    clipped[0] += counts[centres < centres[inside][0]].sum()
    clipped[-1] += counts[centres > centres[inside][-1]].sum()
    _, code = np.unique(grid.over(*limits).quantize(centres[inside]), return_inverse=True)
    spread = (np.bincount(code, weights=held) / np.bincount(code))[code]
    p, q = clipped / clipped.sum(), spread / spread.sum()
    return float(np.sum(p * np.log(p / q)))
