"""How the operands of a product reach the array: which tiles bring what, and what stays in the scratchpads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from hwsim.mapping.tiles import Place, Region, TileGrid, length
from hwsim.network.steps import ProductStep

Residency = Literal["streamed", "stays", "on_chip"]


@dataclass(frozen=True, slots=True, eq=False)
class OperandTiles(ABC):
    """One operand of a product.

    ``streamed``: a tile at a time through ``slots`` slots of the scratchpad (2 where it is double-buffered);
    ``stays``: every tile is brought once, with the first tile that reads it; ``on_chip``: it is in the scratchpad.
    """

    step: ProductStep
    region: Region
    grid: TileGrid
    residency: Residency
    slots: int | None = None

    def bits(self, number: int) -> int:
        """Return how many bits are brought for a tile; 0 where what it reads is there."""
        place = self.grid.place(number)
        if self.residency == "on_chip":
            return 0
        if self.residency == "stays":
            return self.fresh_bits(place) if self.is_first_use(place) else 0
        if number and self.key(place) == self.key(self.grid.place(number - 1)):
            return 0
        return self.slice_bits(place)

    def releases(self, number: int) -> bool:
        """Return whether a slot is free again when the array has read this tile."""
        place = self.grid.place(number)
        if self.residency != "streamed" or not self.slice_bits(place):
            return False
        return number == self.grid.count - 1 or self.key(place) != self.key(self.grid.place(number + 1))

    def gives_back(self, number: int) -> bool:  # noqa: ARG002
        """Return whether a tile is the last to read a slice of what stays, whose space others can use from then on."""
        return False

    @property
    @abstractmethod
    def is_cut(self) -> bool:
        """Whether slices are pieces of depth, one for each tile of it."""

    @abstractmethod
    def key(self, place: Place) -> tuple[int, ...]:
        """Return what tells slices apart."""

    @abstractmethod
    def is_first_use(self, place: Place) -> bool:
        """Return whether the slice at this place has not been read before, in either loop order."""

    @abstractmethod
    def slice_bits(self, place: Place) -> int:
        """Return the size of the slice that a tile reads."""

    def fresh_bits(self, place: Place) -> int:
        """Return the size of what no slice before had: all of it where slices share nothing."""
        return self.slice_bits(place)

    @abstractmethod
    def index(self, place: Place) -> Any:
        """Return which codes a transfer brings, as an index of the flat input or of the weights."""


class ActivationTiles(OperandTiles):
    """Activations: rows of the product, with all terms of their sums unless these are streamed in pieces."""

    def depth_tile(self, depth: int) -> slice:
        """Return the terms that are brought for a tile of depth: its own, or all of them."""
        return self.grid.depth_tile(depth) if self.is_cut else self.step.gather.all_depth

    def key(self, place: Place) -> tuple[int, ...]:
        """Group, tile of rows, and piece of depth."""
        return (place.group, place.row, place.depth if self.is_cut else 0)

    def is_first_use(self, place: Place) -> bool:
        """The first tile of columns and depth reads a tile of rows first."""
        return place.col == 0 and place.depth == 0

    def slice_bits(self, place: Place) -> int:
        """Windows share elements: each is brought once."""
        return self._distinct(place.group, self.grid.row_tile(place.row), self.depth_tile(place.depth))

    def fresh_bits(self, place: Place) -> int:
        """What the rows down to this tile's end read, less what those before it read."""
        rows, first = self.grid.row_tile(place.row), self.region.out_rows.start
        depth = self.step.gather.all_depth
        before = self._distinct(place.group, slice(first, rows.start), depth) if rows.start > first else 0
        return self._distinct(place.group, slice(first, rows.stop), depth) - before

    def index(self, place: Place) -> Any:
        """Every element that the rows name; what is padding names none."""
        rows, depth = self.grid.row_tile(place.row), self.depth_tile(place.depth)
        return self.step.gather.indices(place.group, rows, depth)

    def _distinct(self, group: int, rows: slice, depth: slice) -> int:
        return self.step.gather.distinct(group, rows, depth) * self.step.activation_format.bits

    @property
    def is_cut(self) -> bool:
        """Windows share elements between their terms, so that what stays comes row by row."""
        return self.residency == "streamed" and self.grid.tiling.cuts("activations")


@dataclass(frozen=True, slots=True, eq=False)
class WeightTiles(OperandTiles):
    """Weights: pieces of depth × out_cols; ``is_kept`` says that later layers read them in the scratchpad as well."""

    is_kept: bool = False

    def gives_back(self, number: int) -> bool:
        """The last tile of rows reads every slice for the last time; the last of depth, one of all depth."""
        if self.residency == "streamed" or self.is_kept:
            return False
        place = self.grid.place(number)
        return place.row == self.grid.rows - 1 and (self.is_cut or place.depth == self.grid.depths - 1)

    def depth_tile(self, depth: int) -> slice:
        """Return the terms that are brought for a tile of depth: its own, or all of them."""
        return self.grid.depth_tile(depth) if self.is_cut else slice(0, self.step.shape.depth)

    def key(self, place: Place) -> tuple[int, ...]:
        """Group, tile of columns, and piece of depth."""
        return (place.group, place.col, place.depth if self.is_cut else 0)

    def is_first_use(self, place: Place) -> bool:
        """The first tile of rows reads all of them; the first of depth, those that come whole."""
        return place.row == 0 and (self.is_cut or place.depth == 0)

    def slice_bits(self, place: Place) -> int:
        """Every weight is another one."""
        return length(self.depth_tile(place.depth)) * length(self.grid.col_tile(place.col)) * self._width

    def index(self, place: Place) -> Any:
        """A piece of (groups, depth, out_cols)."""
        return (place.group, self.depth_tile(place.depth), self.grid.col_tile(place.col))

    @property
    def is_cut(self) -> bool:
        """As the tiling says."""
        return self.grid.tiling.cuts("weights")

    @property
    def _width(self) -> int:
        return self.step.weight_memory_bits
