"""Folds: the pieces of a matrix product that fit the array at once, and the time that each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fold:
    """One pass of the array over a piece of the product.

    ``index`` counts folds in the order in which the array runs them. The slices say which output rows, terms of
    the sum and output columns the fold covers. A chain is the sequence of folds that add up the same outputs:
    ``first_in_chain`` starts their sums, ``last_in_chain`` completes them.
    """

    index: int
    out_rows: slice
    depth: slice
    out_cols: slice
    first_in_chain: bool = True
    last_in_chain: bool = True

    @property
    def outputs(self) -> int:
        """Number of outputs that the fold covers."""
        return int((self.out_rows.stop - self.out_rows.start) * (self.out_cols.stop - self.out_cols.start))

    @property
    def transposed(self) -> Fold:
        """The same fold of the transposed product."""
        return Fold(self.index, self.out_cols, self.depth, self.out_rows, self.first_in_chain, self.last_in_chain)


@dataclass(frozen=True, slots=True)
class FoldTiming:
    """Cycles of the folds of one product; partial folds take the time of full ones.

    A fold takes ``fill + compute + drain`` cycles, in this order; the next starts ``interval`` cycles after it;
    the product ends ``tail`` cycles after its last fold (the last add under a weight-stationary array).
    ``drained_after_macs`` is how many cycles of the total come after the last MAC.
    """

    fill: int
    compute: int
    drain: int
    interval: int
    tail: int
    drained_after_macs: int

    @property
    def duration(self) -> int:
        """Cycles of one fold by itself."""
        return self.fill + self.compute + self.drain

    def total_cycles(self, folds: int) -> int:
        """Cycles of ``folds`` folds, first operand to last sum."""
        return (folds - 1) * self.interval + self.duration + self.tail

    def mac_cycles(self, folds: int) -> int:
        """Cycles from the first operand to the last MAC."""
        return self.total_cycles(folds) - self.drained_after_macs


def tiles(size: int, step: int) -> Iterator[slice]:
    """Cut ``size`` into slices of ``step``, the last one possibly shorter."""
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def tile_count(size: int, step: int) -> int:
    """Number of slices that ``tiles`` yields."""
    return -(-size // step)


def used_in_tiles(size: int, step: int) -> list[int]:
    """Lengths of the slices that ``tiles`` yields."""
    return [piece.stop - piece.start for piece in tiles(size, step)]
