"""The array written a second time, slowly, in plain Python integers: one add after the other, each with its place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from hwsim.array.params import ArrayParams


@dataclass
class PlainArray:
    """Sums, and the overflow events as (cycle, row, column)."""

    params: ArrayParams
    out: dict[tuple[int, int], int] = field(default_factory=dict)
    events: list[tuple[int, int, int]] = field(default_factory=list)
    per_output: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, register: int, other: int, event: tuple[int, int, int], output: tuple[int, int]) -> int:
        """Add exactly, note an overflow, and return what the register holds then."""
        exact = register + other
        low, high = self.params.accumulator.min, self.params.accumulator.max
        if low <= exact <= high:
            return exact
        self.events.append(event)
        self.per_output[output] += 1
        if self.params.overflow == "saturate":
            return low if exact < low else high
        return (exact - low) % (high - low + 1) + low

    def output_stationary(self, x: list[list[int]], w: list[list[int]], initial: list[list[int]]) -> None:
        rows, cols, depth = self.params.rows, self.params.cols, len(w)
        interval = {
            "none": 2 * rows + cols + depth - 2,
            "drain": rows + cols + depth - 2,
            "full": max(depth, rows),
        }[self.params.fold_overlap]
        start = 0
        for top, left in product(range(0, len(x), rows), range(0, len(w[0]), cols)):
            for r, c in product(range(rows), range(cols)):
                i, j = top + r, left + c
                if i >= len(x) or j >= len(w[0]):
                    continue
                register = initial[i][j]
                for k in range(depth):
                    register = self.add(register, x[i][k] * w[k][j], (start + k + r + c, r, c), (i, j))
                self.out[i, j] = register
            start += interval

    def weight_stationary(self, x: list[list[int]], w: list[list[int]], initial: list[list[int]]) -> None:
        """Columns are output columns; output rows stream."""
        stream = range(len(x))
        for left, first_term, start in self._held(len(w[0]), len(w), len(x)):
            for m, c in product(stream, range(min(self.params.cols, len(w[0]) - left))):
                terms = [x[m][k] * w[k][left + c] for k in self._tile(first_term, len(w))]
                self._down_a_column(terms, m, c, start, first_term == 0, (m, left + c), initial)

    def input_stationary(self, x: list[list[int]], w: list[list[int]], initial: list[list[int]]) -> None:
        """Columns are output rows; output columns stream."""
        stream = range(len(w[0]))
        for left, first_term, start in self._held(len(x), len(w), len(w[0])):
            for m, c in product(stream, range(min(self.params.cols, len(x) - left))):
                terms = [x[left + c][k] * w[k][m] for k in self._tile(first_term, len(w))]
                self._down_a_column(terms, m, c, start, first_term == 0, (left + c, m), initial)

    def _tile(self, first_term: int, depth: int) -> range:
        return range(first_term, min(first_term + self.params.rows, depth))

    def _held(self, columns: int, depth: int, stream: int) -> list[tuple[int, int, int]]:
        """Return each fold's first column, first term and first cycle."""
        rows, cols = self.params.rows, self.params.cols
        interval = 2 * rows + cols + stream - 2 if self.params.fold_overlap == "none" else max(stream, rows)
        pairs = product(range(0, columns, cols), range(0, depth, rows))
        return [(left, term, fold * interval) for fold, (left, term) in enumerate(pairs)]

    def _down_a_column(
        self,
        terms: list[int],
        m: int,
        c: int,
        start: int,
        first: bool,
        output: tuple[int, int],
        initial: list[list[int]],
    ) -> None:
        rows = self.params.rows
        chain = initial[output[0]][output[1]] if first else 0
        for r, term in enumerate(terms):
            chain = self.add(chain, term, (start + rows + m + r + c, r, c), output)
        if not first:
            chain = self.add(self.out[output], chain, (start + rows + m + rows + c, rows, c), output)
        self.out[output] = chain


def run_plainly(params: ArrayParams, x: np.ndarray, w: np.ndarray, initial: np.ndarray) -> PlainArray:
    """Run a product on the plain array; events come sorted."""
    array = PlainArray(params)
    getattr(array, params.dataflow)(x.tolist(), w.tolist(), initial.tolist())
    array.events.sort()
    return array
