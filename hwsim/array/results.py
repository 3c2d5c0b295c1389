"""What the array returns: sums, overflow events, cycles, counts."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hwsim.array.folds import FoldTiming
from hwsim.array.input_stationary import swap_operands
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Overflows:
    """Adds whose exact result left the accumulator.

    ``events`` (n, 3) holds cycle, row, column, ordered by them; row = rows is the accumulator under the array;
    ``left_out`` events came after the last one kept. ``per_pe`` (rows + 1, cols) and ``per_output``
    (out_rows, out_cols) count all of them.
    """

    events: IntArray
    left_out: int
    per_pe: IntArray
    per_output: IntArray

    @property
    def count(self) -> int:
        """Number of all events."""
        return int(self.per_pe.sum())


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """One fold: ``sums`` (rows of the fold, columns of the fold) as its registers or accumulators hold them."""

    sums: IntArray
    overflows: Overflows
    counts: Counts

    @property
    def transposed(self) -> FoldResult:
        """The result of the transposed fold."""
        overflows = replace(self.overflows, per_output=self.overflows.per_output.T)
        return FoldResult(self.sums.T, overflows, swap_operands(self.counts))


@dataclass(frozen=True, slots=True, eq=False)
class FoldsResult:
    """Folds that ran together: kept ``events`` of each, ``per_pe`` and ``counts`` of all.

    ``sums`` are those of each fold, None where another fold has gone on with them.
    """

    sums: list[IntArray | None]
    events: list[IntArray]
    per_pe: IntArray
    counts: Counts

    @classmethod
    def together(cls, results: Sequence[FoldResult], with_sums: Container[int]) -> FoldsResult:
        """Put the results of single folds together, with the sums of those at some places."""
        counts = Counts()
        for one in results:
            counts.update(one.counts)
        return cls(
            [one.sums if place in with_sums else None for place, one in enumerate(results)],
            [one.overflows.events for one in results],
            np.sum([one.overflows.per_pe for one in results], axis=0),
            counts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class GemmResult:
    """A whole matrix product on the array.

    ``output`` (out_rows, out_cols) holds the accumulators' values. ``total_cycles`` runs from the first operand
    to the last drained sum, ``mac_cycles`` to the last MAC. ``counts`` are the array's actions.
    """

    output: IntArray
    overflow: Overflows
    counts: Counts
    folds: int
    timing: FoldTiming

    @property
    def total_cycles(self) -> int:
        """Cycles with the drain."""
        return self.timing.total_cycles(self.folds)

    @property
    def mac_cycles(self) -> int:
        """Cycles to the last MAC."""
        return self.timing.mac_cycles(self.folds)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.counts["pe", "multiply"]

    @property
    def overflow_events(self) -> int:
        """Number of adds that left the accumulator's range, kept in ``overflows`` or not."""
        return self.overflow.count

    @property
    def overflows(self) -> pd.DataFrame:
        """Frame of the kept events: cycle, row, col, in this order of sorting."""
        import pandas as pd

        return pd.DataFrame(self.overflow.events, columns=["cycle", "row", "col"])


def sort_events(events: IntArray) -> IntArray:
    """Order events by cycle, row, column."""
    return events[np.lexsort((events[:, 2], events[:, 1], events[:, 0]))]
