"""Which tiles are alike: of the same sizes, with the same transfers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.mapping.plan import ProductPlan
from hwsim.mapping.tiles import Place, length

COMPARED_FIRST, COMPARED_AT_ONCE = 1 << 6, 1 << 14


class TileClasses:
    """Numbers for kinds of tiles of one product; the first and the last of each loop are kinds of their own."""

    def __init__(self, plan: ProductPlan) -> None:
        self._plan, self._grid = plan, plan.grid

    def alike(self, first: int, second: int) -> int:
        """Return for how many tiles the ones from ``second`` on are like those from ``first`` on."""
        found, count, at_once = 0, self._grid.count - second, COMPARED_FIRST
        while found < count:
            some = np.arange(min(at_once, count - found)) + found
            different = np.flatnonzero(self._kinds(first + some) != self._kinds(second + some))
            if different.size:
                return found + int(different[0])
            found += some.size
            at_once = COMPARED_AT_ONCE
        return found

    def _kinds(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        grid = self._grid
        rest, depth = np.divmod(numbers, grid.depths)
        if grid.tiling.loop_order == "rows_outer":
            rest, col = np.divmod(rest, grid.cols)
            group, row = np.divmod(rest, grid.rows)
        else:
            rest, row = np.divmod(rest, grid.rows)
            group, col = np.divmod(rest, grid.cols)
        kind = self._group_kinds[group]
        for axis, place in ((self._row_kinds, row), (self._col_kinds, col), (self._depth_kinds, depth)):
            kind = kind * (axis.max() + 1) + axis[place]
        return np.asarray(kind)

    @cached_property
    def _group_kinds(self) -> NDArray[np.int64]:
        count = self._grid.groups
        alike = self._plan.step.gather.groups_are_alike
        return _numbered((number == count - 1 if alike else number) for number in range(count))

    @cached_property
    def _row_kinds(self) -> NDArray[np.int64]:
        """By length and the activations that are brought, which in groups that are not alike the group tells."""
        count = self._grid.rows
        return _numbered(
            (*_edge(row, count), length(self._grid.row_tile(row)), *brought)
            for row, brought in enumerate(self._brought)
        )

    @cached_property
    def _brought(self) -> list[list[int]]:
        """For each tile of rows the bits of its activations, piece by piece where they are cut in depth."""
        tiles, grid = self._plan.activations, self._grid
        if tiles.residency == "on_chip":
            return [[] for _ in range(grid.rows)]
        bits = tiles.fresh_bits if tiles.residency == "stays" else tiles.slice_bits
        depths = range(grid.depths if tiles.is_cut else 1)
        return [[bits(Place(0, row, 0, depth)) for depth in depths] for row in range(grid.rows)]

    @cached_property
    def _col_kinds(self) -> NDArray[np.int64]:
        count = self._grid.cols
        return _numbered((*_edge(col, count), length(self._grid.col_tile(col))) for col in range(count))

    @cached_property
    def _depth_kinds(self) -> NDArray[np.int64]:
        """By length and the activations of each tile of rows that are brought for the piece alone."""
        count = self._grid.depths
        pieces = zip(*self._brought, strict=True) if self._plan.activations.is_cut else [()] * count
        return _numbered(
            (*_edge(depth, count), length(self._grid.depth_tile(depth)), *brought)
            for depth, brought in enumerate(pieces)
        )


def _edge(place: int, count: int) -> tuple[bool, bool]:
    return place == 0, place == count - 1


def _numbered(kinds: Iterable[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(kind, len(numbers)) for kind in kinds], np.int64)
