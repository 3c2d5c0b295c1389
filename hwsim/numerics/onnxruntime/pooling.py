"""Windows over (samples, images, height, width, channels), and the sums that ONNX Runtime's kernels take in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.onnxruntime.float32 import Float32Array, Numbers

SumOrder = Literal["row_major", "rows_first", "lanes"]
LANES = 4
LOOP_OPSET = 19
MOST_COLUMNS = 2045  # of an input row with its padding that the vector kernel's buffer holds
LARGEST_VECTOR_KERNEL = 32
LARGEST_VECTOR_STRIDE = 2


@dataclass(frozen=True, slots=True)
class PoolWindow:
    """A pooling window: kernel, stride, padding ((above, below), (left, right)) and dilation, (vertical, horizontal).

    ``counts_padding`` divides averages by the whole window's size everywhere.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    counts_padding: bool = False

    @property
    def size(self) -> int:
        """Elements of a window."""
        return self.kernel[0] * self.kernel[1]

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (out_height, out_width).

        Raises:
            ConfigError: no window fits.
        """
        sizes = []
        for axis, size in enumerate((height, width)):
            span = (self.kernel[axis] - 1) * self.dilation[axis] + 1
            padded = size + sum(self.padding[axis])
            if span > padded:
                raise ConfigError(f"a window of {span} does not fit an input of {padded}")
            sizes.append((padded - span) // self.stride[axis] + 1)
        return sizes[0], sizes[1]

    def taps(self, values: Numbers, fill: float) -> Iterator[Numbers]:
        """Yield, for each place in the window, row by row, what all windows see there; ``fill`` in the padding."""
        out = self.out_size(*values.shape[2:4])
        padded = np.pad(values, [(0, 0), (0, 0), *self.padding, (0, 0)], constant_values=fill)
        for place in itertools.product(range(self.kernel[0]), range(self.kernel[1])):
            starts = [offset * dilation for offset, dilation in zip(place, self.dilation, strict=True)]
            rows, cols = (
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(starts, out, self.stride, strict=True)
            )
            yield padded[:, :, rows, cols]

    def counts(self, height: int, width: int) -> Float32Array:
        """Return how many elements each window's average is over, (1, 1, out_height, out_width, 1)."""
        if self.counts_padding:
            return np.full((1, 1, *self.out_size(height, width), 1), self.size, np.float32)
        inside = np.ones((1, 1, height, width, 1), np.float32)
        return np.asarray(sum(self.taps(inside, 0.0)))

    def float_sum_order(self, height: int, width: int) -> SumOrder:
        """Return the order in which the float32 kernel adds.

        Source: ``MlasPool`` in ONNX Runtime's ``pooling.cpp``.
        """
        unpadded = self.padding == ((0, 0), (0, 0))
        if self.kernel == (height, width) and self.stride == (1, 1) and unpadded:
            return "lanes"
        fits = width + sum(self.padding[1]) <= MOST_COLUMNS
        if self.stride[1] <= LARGEST_VECTOR_STRIDE and max(self.kernel) <= LARGEST_VECTOR_KERNEL and fits:
            return "rows_first"
        return "row_major"


def window_sums(values: Float32Array, window: PoolWindow, order: SumOrder) -> Float32Array:
    """Return the float32 sum of each window, added in an order.

    ``row_major``: row by row. ``rows_first``: each column downwards, then the columns. ``lanes``, for a window over
    the whole input: every fourth element, then (0 + 2) + (1 + 3), then what is left over.
    """
    if order == "lanes":
        return _lane_sums(values)
    taps = list(window.taps(values, 0.0))
    if order == "row_major":
        return _chain(taps)
    width = window.kernel[1]
    return _chain([_chain(taps[column::width]) for column in range(width)])


def _lane_sums(values: Float32Array) -> Float32Array:
    pixels = list(np.moveaxis(values.reshape(*values.shape[:2], -1, values.shape[-1]), 2, 0))
    whole = len(pixels) // LANES * LANES
    lanes = [_chain(pixels[lane:whole:LANES]) for lane in range(LANES if whole else 0)]
    total = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]) if lanes else np.zeros_like(pixels[0])
    return _chain([total, *pixels[whole:]])[:, :, np.newaxis, np.newaxis]


def _chain(terms: list[Float32Array]) -> Float32Array:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def average_pool(values: Float32Array, window: PoolWindow, opset: int) -> Float32Array:
    """Return the mean of each window: AveragePool in float32, whose kernel is a plain loop from opset 19 on."""
    height, width = values.shape[2:4]
    order = "row_major" if opset >= LOOP_OPSET else window.float_sum_order(height, width)
    return window_sums(values, window, order) / window.counts(height, width)


def global_average_pool(values: Float32Array) -> Float32Array:
    """Return the mean of each channel: GlobalAveragePool in float32."""
    height, width = values.shape[2:4]
    return _lane_sums(values) / np.float32(height * width)


def max_pool(values: Numbers, window: PoolWindow, lowest: float) -> Numbers:
    """Return the greatest of each window; padding never is."""
    taps = window.taps(values, lowest)
    greatest = next(taps)
    for tap in taps:
        greatest = np.maximum(greatest, tap)
    return greatest
