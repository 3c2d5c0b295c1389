"""A matrix product whose rows are cut into shares, each with folds of its own, as one array runs one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.array.batch import BatchResult, run_batch
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import ArrayParams
from hwsim.array.results import sort_events
from hwsim.numerics.formats import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SharedProduct:
    """One group's product.

    Args:
        params: the array.
        shares: rows, one share after another; most products have one share of all.
        weights: (depth, out_cols).
        initial: (out_rows, out_cols), what the sums start from.
    """

    params: ArrayParams
    shares: Sequence[slice]
    weights: IntArray
    initial: IntArray

    def run(self, operands: IntArray) -> BatchResult:
        """Multiply activations (samples, out_rows, depth), each sample on its own.

        Raises:
            ConfigError: operands that the array cannot hold.
        """
        parts = [run_batch(self.params, operands[:, rows], self.weights, self.initial[rows]) for rows in self.shares]
        if len(parts) == 1:
            return parts[0]
        output = np.concatenate([part.output for part in parts], axis=1)
        return BatchResult(output, np.sum([part.per_pe for part in parts], axis=0))

    def events(self, sample: IntArray, group: int, most: int) -> IntArray:
        """Return the first events (cycle, row, col) of one sample's (out_rows, depth) activations.

        They count from the first cycle of the first group: the folds of a share follow those of the share before.
        """
        found, folds, group_cycles = [], 0, 0
        for rows in self.shares:
            one = FunctionalEngine().gemm(self.params, sample[rows], self.weights, self.initial[rows], max_events=most)
            events = one.overflow.events.copy()
            events[:, 0] += folds * one.timing.interval
            found.append(events)
            folds += one.folds
            group_cycles = one.timing.total_cycles(folds)
        first = sort_events(np.concatenate(found))[:most]
        first[:, 0] += group * group_cycles
        return first
