"""The gather of a convolution in closed form: windows of pixels, by sets of coordinates along each axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hwsim.network.gather import PADDING, Gather
from hwsim.network.operators.windows import Axis
from hwsim.numerics.formats import IntArray

Block = tuple[slice, slice]  # ranges of numbers along the vertical and the horizontal axis


@dataclass(frozen=True)
class ConvGather(Gather):
    """Windows of kernel taps over an image (height, width, channels), one output pixel a row.

    The depth index is (ky kw + kx) each + c, with ``each`` channels to a group.
    """

    vertical: Axis
    horizontal: Axis
    each: int
    groups: int

    @property
    def out_rows(self) -> int:  # type: ignore[override]
        """Output pixels."""
        return self.vertical.outputs * self.horizontal.outputs

    @property
    def depth(self) -> int:  # type: ignore[override]
        """Taps of a window times channels of a group."""
        return self.vertical.window * self.horizontal.window * self.each

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Return element numbers (pixel times channels plus channel), -1 where a window hangs over the edge."""
        rows, depth = rows or self.all_rows, depth or self.all_depth
        first, last = depth.start // self.each, (depth.stop - 1) // self.each
        pixels = self._pixels(rows, slice(first, last + 1))
        if first == last:  # of one tap, perhaps not all channels
            return self._elements(group, pixels, slice(depth.start - first * self.each, depth.stop - first * self.each))
        found = self._elements(group, pixels, slice(0, self.each))
        skipped = first * self.each
        return found[:, depth.start - skipped : depth.stop - skipped]

    def _elements(self, group: int, pixels: IntArray, each: slice) -> IntArray:
        """Return the elements of some channels of a group in pixels (rows, taps)."""
        channels = group * self.each + np.arange(each.start, each.stop)
        found = pixels[:, :, None] * (self.each * self.groups) + channels
        found[pixels == PADDING] = PADDING
        return found.reshape(len(pixels), -1)

    def _pixels(self, rows: slice, taps: slice) -> IntArray:
        """Return the pixel under each tap of each window, -1 where it hangs over the edge."""
        out_y, out_x = np.divmod(np.arange(rows.start, rows.stop)[:, None], self.horizontal.outputs)
        tap_y, tap_x = np.divmod(np.arange(taps.start, taps.stop), self.horizontal.window)
        y, x = _position(self.vertical, out_y, tap_y), _position(self.horizontal, out_x, tap_x)
        inside = (y >= 0) & (y < self.vertical.size) & (x >= 0) & (x < self.horizontal.size)
        return np.where(inside, y * self.horizontal.size + x, PADDING)

    def distinct(self, group: int, rows: slice, depth: slice) -> int:  # noqa: ARG002  (every group has as many)
        """Count pixels once for each run of channels that are read through the same taps."""
        first_tap, first_channel = divmod(depth.start, self.each)
        last_tap, last_channel = divmod(depth.stop - 1, self.each)
        edges = sorted({0, first_channel, last_channel + 1, self.each})
        total = 0
        for start, stop in pairwise(edges):
            taps = slice(first_tap + (start < first_channel), last_tap + (start <= last_channel))
            if taps.start < taps.stop:
                total += (stop - start) * _pixels(self.vertical, self.horizontal, _key(rows), _key(taps))
        return total

    def distinct_each(self, group: int, pieces: Sequence[slice], depth: slice) -> list[int]:
        """Count once for all ranges that are the same but for the lines that they lie on, none of them at an edge."""
        axis, width = self.vertical, self.horizontal.outputs
        first_inside = -(-axis.before // axis.stride)
        last_inside = (axis.size - 1 + axis.before - (axis.window - 1) * axis.dilation) // axis.stride
        found: dict[tuple[int, int], int] = {}
        counts = []
        for rows in pieces:
            line, place = divmod(rows.start, width)
            is_inside = line >= first_inside and (rows.stop - 1) // width <= last_inside
            start = first_inside * width + place if is_inside else rows.start
            key = start, start + rows.stop - rows.start
            if key not in found:
                found[key] = self.distinct(group, slice(*key), depth)
            counts.append(found[key])
        return counts


def _position(axis: Axis, output: IntArray, tap: IntArray) -> IntArray:
    return np.asarray(output * axis.stride - axis.before + tap * axis.dilation)


def _key(piece: slice) -> tuple[int, int]:
    return int(piece.start), int(piece.stop)


@lru_cache(maxsize=1 << 16)
def _pixels(vertical: Axis, horizontal: Axis, rows: tuple[int, int], taps: tuple[int, int]) -> int:
    """Count the pixels that some windows cover through some taps.

    Rows and taps are each at most three rectangles: the rest of a line, whole lines, the beginning of a line. One
    rectangle of taps over rectangles of windows is a product of coordinate sets; several are painted.
    """
    windows = list(_rectangles(*rows, horizontal.outputs))
    kernels = list(_rectangles(*taps, horizontal.window))
    covered = [
        (_coordinates(vertical, _key(out_y), _key(tap_y)), _coordinates(horizontal, _key(out_x), _key(tap_x)))
        for out_y, out_x in windows
        for tap_y, tap_x in kernels
    ]
    if len(covered) == 1:
        ((one_y, one_x),) = covered
        return len(one_y) * len(one_x)
    return _painted(covered)


def _rectangles(start: int, stop: int, width: int) -> Iterator[Block]:
    """Cut a row-major range of cells into rectangles: (lines, places in a line)."""
    while start < stop:
        line, place = divmod(start, width)
        if place or stop - start < width:
            length = min(width - place, stop - start)
            yield slice(line, line + 1), slice(place, place + length)
        else:
            length = (stop - start) // width * width
            yield slice(line, line + length // width), slice(0, width)
        start += length


@lru_cache(maxsize=1 << 16)
def _coordinates(axis: Axis, outputs: tuple[int, int], taps: tuple[int, int]) -> tuple[int, ...]:
    """Return the coordinates along an axis that some outputs' windows cover through some taps, inside the image."""
    found = {
        output * axis.stride - axis.before + tap * axis.dilation for output in range(*outputs) for tap in range(*taps)
    }
    return tuple(sorted(one for one in found if 0 <= one < axis.size))


def _painted(covered: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> int:
    """Count the union of products of coordinate sets."""
    columns: dict[int, frozenset[int]] = {}
    parts = [(ys, frozenset(xs)) for ys, xs in covered]
    for ys, xs in parts:
        for y in ys:
            columns[y] = columns[y] | xs if y in columns else xs
    return sum(len(xs) for xs in columns.values())
