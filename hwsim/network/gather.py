"""Which input element each operand of a matrix product is, without a list of them all.

A gather is a table (groups, out_rows, depth) of numbers of input elements, -1 where the operand is padding. Planning
asks how many different elements a part of the table names; only runs with data ask for the numbers themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.numerics.formats import IntArray

PADDING = -1


class Gather(ABC):
    """A table (groups, out_rows, depth) of input elements; different groups may name the same ones."""

    groups: int
    out_rows: int
    depth: int

    @abstractmethod
    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Return a part of the table, (rows, depth); None takes all rows or all terms."""

    @abstractmethod
    def distinct(self, group: int, rows: slice, depth: slice) -> int:
        """Return how many different elements a part of the table names, padding left out."""

    def distinct_each(self, group: int, pieces: Sequence[slice], depth: slice) -> list[int]:
        """Return how many different elements each of some ranges of rows names."""
        return [self.distinct(group, rows, depth) for rows in pieces]

    @property
    def groups_are_alike(self) -> bool:
        """Whether every group names as many elements in the same places of its table."""
        return True

    @property
    def sample_count(self) -> int:
        """Of how many samples its rows, or its groups, are: one sample's after another's."""
        return 1

    @property
    def all_rows(self) -> slice:
        """Every row."""
        return slice(0, self.out_rows)

    @property
    def all_depth(self) -> slice:
        """Every term."""
        return slice(0, self.depth)

    @property
    def elements(self) -> int:
        """Different elements that each group names, added up."""
        if self.groups_are_alike:
            return self.groups * self.distinct(0, self.all_rows, self.all_depth)
        return sum(self.distinct(group, self.all_rows, self.all_depth) for group in range(self.groups))


@dataclass(frozen=True)
class RowsGather(Gather):
    """Consecutive elements from ``first`` on, cut into rows: a matrix as it lies in memory."""

    out_rows: int
    depth: int
    first: int = 0
    groups = 1

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:  # noqa: ARG002
        """Row times depth, plus term."""
        rows, depth = rows or self.all_rows, depth or self.all_depth
        starts = self.first + np.arange(rows.start, rows.stop) * self.depth
        return np.asarray(starts[:, None] + np.arange(depth.start, depth.stop))

    def distinct(self, group: int, rows: slice, depth: slice) -> int:  # noqa: ARG002
        """All of them differ."""
        return int((rows.stop - rows.start) * (depth.stop - depth.start))


@dataclass(frozen=True)
class StridedGather(Gather):
    """Element ``offsets[group] + row * row_stride + term * depth_stride``: matrices in a tensor of any order of axes.

    Groups may share an offset; the elements of one group all differ.
    """

    offsets: tuple[int, ...]
    out_rows: int
    depth: int
    row_stride: int
    depth_stride: int

    @property
    def groups(self) -> int:  # type: ignore[override]
        """One for each offset."""
        return len(self.offsets)

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Add the strides up."""
        rows, depth = rows or self.all_rows, depth or self.all_depth
        down = self.offsets[group] + np.arange(rows.start, rows.stop) * self.row_stride
        return np.asarray(down[:, None] + np.arange(depth.start, depth.stop) * self.depth_stride)

    def distinct(self, group: int, rows: slice, depth: slice) -> int:  # noqa: ARG002
        """All of them differ."""
        return int((rows.stop - rows.start) * (depth.stop - depth.start))


@dataclass(frozen=True, eq=False)
class ExplicitGather(Gather):
    """A gather that is given as a table."""

    table: IntArray

    @property
    def groups_are_alike(self) -> bool:
        """A single group is like itself."""
        return self.groups == 1

    @property
    def groups(self) -> int:  # type: ignore[override]
        """Tables, one for each group."""
        return int(self.table.shape[0])

    @property
    def out_rows(self) -> int:  # type: ignore[override]
        """Rows of each table."""
        return int(self.table.shape[1])

    @property
    def depth(self) -> int:  # type: ignore[override]
        """Terms of each row."""
        return int(self.table.shape[2])

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Look them up."""
        return np.asarray(self.table[group, rows or self.all_rows, depth or self.all_depth])

    def distinct(self, group: int, rows: slice, depth: slice) -> int:
        """Count them."""
        found = np.unique(self.table[group, rows, depth])
        return int(np.count_nonzero(found != PADDING))


@dataclass(frozen=True, eq=False)
class _Samples(Gather):
    """A gather for several samples: ``one`` is each one's, whose inputs lie ``elements_each`` apart."""

    one: Gather
    samples: int
    elements_each: int

    @property
    def groups(self) -> int:  # type: ignore[override]
        """Those of one sample."""
        return self.one.groups

    @property
    def out_rows(self) -> int:  # type: ignore[override]
        """Those of one sample."""
        return self.one.out_rows

    @property
    def depth(self) -> int:  # type: ignore[override]
        """Terms of each row."""
        return self.one.depth

    @property
    def groups_are_alike(self) -> bool:
        """As for one sample."""
        return self.one.groups_are_alike

    @property
    def sample_count(self) -> int:
        """All of them."""
        return self.samples


@dataclass(frozen=True, eq=False)
class SampleRows(_Samples):
    """The rows of ``one`` sample (or image) for each of ``samples``, whose inputs lie ``elements_each`` apart."""

    @property
    def out_rows(self) -> int:  # type: ignore[override]
        """Those of all samples."""
        return self.samples * self.one.out_rows

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Look each sample's part up and move it to where its input lies."""
        parts = [
            _moved(self.one.indices(group, part, depth), sample * self.elements_each)
            for sample, part in self._parts(rows or self.all_rows)
        ]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def distinct(self, group: int, rows: slice, depth: slice) -> int:
        """Samples share nothing: add theirs up; those that the rows hold whole are alike."""
        each = self.one.out_rows
        first, last = -(-rows.start // each), rows.stop // each  # the samples that are whole
        if first > last:
            return self.one.distinct(group, slice(rows.start - last * each, rows.stop - last * each), depth)
        edges = (slice(rows.start - (first - 1) * each, each), slice(0, rows.stop - last * each))
        cut = sum(self.one.distinct(group, edge, depth) for edge in edges if edge.start < edge.stop)
        return cut + (last - first) * self.one.distinct(group, self.one.all_rows, depth) if last > first else cut

    def distinct_each(self, group: int, pieces: Sequence[slice], depth: slice) -> list[int]:
        """Rows in the same places of their samples name as many."""
        each = self.one.out_rows
        places = [(rows.start % each, rows.start % each + rows.stop - rows.start) for rows in pieces]
        found = {place: self.distinct(group, slice(*place), depth) for place in dict.fromkeys(places)}
        return [found[place] for place in places]

    def _parts(self, rows: slice) -> Iterator[tuple[int, slice]]:
        """Yield the samples that rows belong to, and each one's own rows among them."""
        each = self.one.out_rows
        for sample in range(rows.start // each, -(-rows.stop // each)):
            yield sample, slice(max(rows.start - sample * each, 0), min(rows.stop - sample * each, each))


@dataclass(frozen=True, eq=False)
class SampleGroups(_Samples):
    """The groups of ``one`` sample for each of ``samples``, whose inputs lie ``elements_each`` apart."""

    @property
    def groups(self) -> int:  # type: ignore[override]
        """Those of all samples."""
        return self.samples * self.one.groups

    def indices(self, group: int, rows: slice | None = None, depth: slice | None = None) -> IntArray:
        """Look the sample's group up and move it to where its input lies."""
        sample, own = divmod(group, self.one.groups)
        return _moved(self.one.indices(own, rows, depth), sample * self.elements_each)

    def distinct(self, group: int, rows: slice, depth: slice) -> int:
        """As many as in the sample's group."""
        return self.one.distinct(group % self.one.groups, rows, depth)


def _moved(numbers: IntArray, by: int) -> IntArray:
    return np.where(numbers == PADDING, PADDING, numbers + by) if by else numbers


def as_gather(table: IntArray | Gather) -> Gather:
    """Return a gather for a table (groups, out_rows, depth), or the gather as it is."""
    return table if isinstance(table, Gather) else ExplicitGather(table)
