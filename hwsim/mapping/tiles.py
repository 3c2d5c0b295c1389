"""Tiles of a matrix product and the folds in them, by number: nothing is listed, however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hwsim.array.folds import Fold, tile_count
from hwsim.array.params import ArrayShape, Dataflow, GemmShape

LoopOrder = Literal["rows_outer", "cols_outer"]
CutOperands = Literal["activations", "weights", "both"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes of the tiles of one product, and which of them change slowly.

    A tile is a piece of out_rows × depth × out_cols whose operands are in the scratchpads together. Depth tiles are
    innermost, so that sums never leave the chip. Of the operands in ``cut_operands`` a depth tile's terms are brought
    for it alone; the other operand's come whole, with the first of the depth tiles.
    """

    loop_order: LoopOrder
    tile_out_rows: int
    tile_out_cols: int
    tile_depth: int
    cut_operands: CutOperands = "weights"

    def cuts(self, operand: Literal["activations", "weights"]) -> bool:
        """Return whether an operand is brought in pieces of ``tile_depth``."""
        return self.cut_operands in (operand, "both")


@dataclass(frozen=True, slots=True)
class Region:
    """The part of a product that one array computes: all of it, or a core's share of rows, columns or groups."""

    out_rows: slice
    out_cols: slice
    groups: slice

    @classmethod
    def whole(cls, shape: GemmShape, groups: int) -> Region:
        """The whole product."""
        return cls(slice(0, shape.out_rows), slice(0, shape.out_cols), slice(0, groups))

    @property
    def outputs(self) -> int:
        """Number of outputs, of all groups."""
        return length(self.groups) * self.rows * self.cols

    def is_as_large_as(self, other: Region) -> bool:
        """Whether both have as many rows, columns and groups."""
        return (self.rows, self.cols, length(self.groups)) == (other.rows, other.cols, length(other.groups))

    @property
    def rows(self) -> int:
        """Number of output rows."""
        return length(self.out_rows)

    @property
    def cols(self) -> int:
        """Number of output columns."""
        return length(self.out_cols)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile; the sums of a chain of depth tiles start in the first and are complete in the last."""

    group: int
    out_rows: slice
    depth: slice
    out_cols: slice
    first_in_chain: bool
    last_in_chain: bool

    @property
    def shape(self) -> GemmShape:
        """Its sizes."""
        return GemmShape(length(self.out_rows), length(self.depth), length(self.out_cols))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile is in the loops: numbers of its group and of its tiles of rows, columns and depth."""

    group: int
    row: int
    col: int
    depth: int


class TileGrid:
    """All tiles of a product, in order: groups, then rows and columns in loop order, then depth."""

    def __init__(self, shape: GemmShape, region: Region, tiling: Tiling) -> None:
        self._shape, self._region, self.tiling = shape, region, tiling
        self.groups = length(region.groups)
        self.rows = tile_count(region.rows, tiling.tile_out_rows)
        self.cols = tile_count(region.cols, tiling.tile_out_cols)
        self.depths = tile_count(shape.depth, tiling.tile_depth)
        self.count = self.groups * self.rows * self.cols * self.depths

    def place(self, number: int) -> Place:
        """Return a tile's place."""
        rest, depth = divmod(number, self.depths)
        if self.tiling.loop_order == "rows_outer":
            rest, col = divmod(rest, self.cols)
            group, row = divmod(rest, self.rows)
        else:
            rest, row = divmod(rest, self.rows)
            group, col = divmod(rest, self.cols)
        return Place(self._region.groups.start + group, row, col, depth)

    def tile(self, number: int) -> Tile:
        """Return a tile."""
        place = self.place(number)
        return Tile(
            place.group,
            self.row_tile(place.row),
            self.depth_tile(place.depth),
            self.col_tile(place.col),
            place.depth == 0,
            place.depth == self.depths - 1,
        )

    def row_tile(self, row: int) -> slice:
        """Return the output rows of a tile of rows."""
        return _piece(row, self.tiling.tile_out_rows, self._region.out_rows)

    def col_tile(self, col: int) -> slice:
        """Return the output columns of a tile of columns."""
        return _piece(col, self.tiling.tile_out_cols, self._region.out_cols)

    def depth_tile(self, depth: int) -> slice:
        """Return the terms of a tile of depth."""
        return _piece(depth, self.tiling.tile_depth, slice(0, self._shape.depth))


class TileFolds:
    """The folds of one tile, by number, in the dataflow's order.

    Args:
        shape: of the product.
        params: the array.
        tile: a piece of the product.
        first_line: how many pieces along the outer axis of folds come before the tile's.
    """

    def __init__(self, shape: GemmShape, params: ArrayShape, tile: Tile, first_line: int) -> None:
        self._tile, self._first_line = tile, first_line
        self._axes = fold_axes(params)
        outer, inner = self._axes
        self._steps = outer.step, inner.step
        self._outer, self._inner = outer.piece(tile), inner.piece(tile)
        self.outers = tile_count(length(self._outer), outer.step)
        self.inners = tile_count(length(self._inner), inner.step)
        self.count = self.outers * self.inners
        self.is_chained = inner.name == "depth"
        self.has_partial_outer = length(self._outer) % outer.step != 0
        self.has_partial_inner = length(self._inner) % inner.step != 0
        self._inners_of_product = tile_count(getattr(shape, inner.name), inner.step)

    @cached_property
    def blocks(self) -> int:
        """How many folds complete sums."""
        if not self._tile.last_in_chain:
            return 0
        return self.outers if self.is_chained else self.count

    def fold(self, number: int) -> Fold:
        """Return a fold; its index counts the folds of the untiled product."""
        outer, inner = divmod(number, self.inners)
        pieces = {
            axis.name: _piece(place, axis.step, whole)
            for axis, place, whole in zip(self._axes, (outer, inner), (self._outer, self._inner), strict=True)
        }
        tile = self._tile
        return Fold(
            (self._first_line + outer) * self._inners_of_product + self._inner.start // self._steps[1] + inner,
            pieces.get("out_rows", tile.out_rows),
            pieces.get("depth", tile.depth),
            pieces.get("out_cols", tile.out_cols),
            tile.first_in_chain and (not self.is_chained or inner == 0),
            tile.last_in_chain and (not self.is_chained or inner == self.inners - 1),
        )

    def alike(self, first: int, second: int) -> int:
        """Return for how many folds the ones from ``second`` on are like those from ``first`` on, in size and role.

        The tile's last fold is like no other.
        """
        if first // self.inners == second // self.inners or (second - first) % self.inners:
            return self._alike_in_a_line(first, second)
        whole = self.outers - self.has_partial_outer
        return max(min(self.count - 1, whole * self.inners) - second, 0)

    def _alike_in_a_line(self, first: int, second: int) -> int:
        whole = (self.outers - self.has_partial_outer) * self.inners
        if not (self.is_chained or self.has_partial_inner):
            stop = whole if second < whole else self.count if first >= whole else 0
            return max(min(self.count - 1, stop) - second, 0)
        line = second // self.inners
        if first // self.inners != line or (self.is_chained and first % self.inners == 0):
            return 0
        return max(line * self.inners + self.inners - 1 - second, 0)


@dataclass(frozen=True, slots=True)
class FoldAxis:
    """One axis of a tile that is cut into folds of ``step``."""

    name: Literal["out_rows", "depth", "out_cols"]
    step: int

    def piece(self, tile: Tile) -> slice:
        """Return the tile's extent along the axis."""
        found: slice = getattr(tile, self.name)
        return found


def fold_axes(params: ArrayShape) -> tuple[FoldAxis, FoldAxis]:
    """Return the two axes that a dataflow cuts into folds, the outer one first; the third one streams whole."""
    if params.dataflow is Dataflow.OUTPUT_STATIONARY:
        return FoldAxis("out_rows", params.rows), FoldAxis("out_cols", params.cols)
    if params.dataflow is Dataflow.WEIGHT_STATIONARY:
        return FoldAxis("out_cols", params.cols), FoldAxis("depth", params.rows)
    return FoldAxis("out_rows", params.cols), FoldAxis("depth", params.rows)


def length(piece: slice) -> int:
    """Return the number of places in a slice."""
    return int(piece.stop - piece.start)


def _piece(number: int, step: int, whole: slice) -> slice:
    start = whole.start + number * step
    return slice(start, min(start + step, whole.stop))
