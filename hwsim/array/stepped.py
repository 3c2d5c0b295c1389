"""The stepped engine: registers of every PE, every cycle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.engine import Engine, FoldOperands, contiguous, register_dtype, transposed_operands
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.input_stationary import swap_operands
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.array.results import FoldResult, FoldsResult, GemmResult, Overflows, sort_events
from hwsim.array.stepped_folds import (
    ChainsResult,
    step_output_stationary,
    step_output_stationary_folds,
    step_weight_stationary_folds,
)
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

FIRST_EVENT_BUFFER = 1 << 14  # beyond the 10,000 events that a run keeps: then no fold is stepped twice


class SteppedEngine(Engine):
    """Steps each fold's registers in a compiled loop; independent chains of folds run in threads.

    Args:
        threads: how many folds to step at once; all processors if None.
    """

    name = "stepped"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or os.cpu_count() or 1

    def _run_fold(
        self,
        params: ArrayParams,
        fold: Fold,
        timing: FoldTiming,
        operands: FoldOperands,
        max_events: int | None,
    ) -> FoldResult:
        if params.dataflow is not Dataflow.OUTPUT_STATIONARY:
            ran = _step_chains(params, [fold], timing, [operands], [0], max_events)
            events, per_output = ran.events[0], ran.per_output[0]
            left_out = ran.found[0] - len(events)
            return FoldResult(ran.sums[0], Overflows(events, left_out, ran.per_pe, per_output), ran.counts)
        room = _first_room(max_events)
        result, found = step_output_stationary(params, fold, operands, room)
        if _is_short(room, found, max_events):  # step again, now that their number is known
            result, found = step_output_stationary(params, fold, operands, _wanted(found, max_events))
        result.overflows.events[:, 0] += fold.index * timing.interval
        return result

    def run_folds(
        self,
        params: ArrayParams,
        folds: Sequence[Fold],
        timing: FoldTiming,
        operands: Sequence[FoldOperands],
        max_events: int | None,
        chains: Sequence[int] | None = None,
    ) -> FoldsResult:
        """Run folds in one loop: any but output-stationary ones of different depths and widths."""
        numbers = range(len(folds)) if chains is None else chains
        if params.dataflow is not Dataflow.OUTPUT_STATIONARY:
            return self._run_chains(params, folds, timing, operands, max_events, numbers)
        if len({one.weights.shape for one in operands}) > 1:
            return super().run_folds(params, folds, timing, operands, max_events, chains)
        room = _first_room(max_events)
        result, found = step_output_stationary_folds(params, operands, room)
        for place, (fold, count) in enumerate(zip(folds, found, strict=True)):
            if _is_short(room, count, max_events):
                again = self.run_fold(params, fold, timing, operands[place], max_events)
                result.events[place] = again.overflows.events
            elif count:
                result.events[place][:, 0] += fold.index * timing.interval
        return result

    def _run_chains(
        self,
        params: ArrayParams,
        folds: Sequence[Fold],
        timing: FoldTiming,
        operands: Sequence[FoldOperands],
        max_events: int | None,
        chains: Sequence[int],
    ) -> FoldsResult:
        """Run weight-stationary folds, or input-stationary ones as weight-stationary ones of the transposed product."""
        is_transposed = params.dataflow is Dataflow.INPUT_STATIONARY
        if is_transposed:
            params, folds = params.transposed, [fold.transposed for fold in folds]
            operands = transposed_operands(operands)
        ran = _step_chains(params, folds, timing, operands, chains, max_events)
        last = {chain: place for place, chain in enumerate(chains)}
        sums: list[IntArray | None] = [None] * len(folds)
        for chain, place in last.items():
            sums[place] = ran.sums[chain].T if is_transposed else ran.sums[chain]
        counts = swap_operands(ran.counts) if is_transposed else ran.counts
        return FoldsResult(sums, ran.events, ran.per_pe, counts)

    def _gemm(self, params: ArrayParams, shape: GemmShape, operands: FoldOperands, max_events: int) -> GemmResult:
        dataflow = rules(params.dataflow)
        timing = dataflow.timing(shape, params)
        chains = _chains(dataflow.folds(shape, params))
        output = np.zeros((shape.out_rows, shape.out_cols), np.int64)
        per_output = np.zeros_like(output)
        total = _Total(params, max_events)
        words = replace(operands, activations=contiguous(operands.activations, register_dtype(params)))
        finished = self._finish(_ChainRunner(self, params, timing, words, max_events), chains)
        for chain, result in zip(chains, finished, strict=True):
            place = (chain[0].out_rows, chain[0].out_cols)
            output[place] = result.sums
            if result.overflows.count:
                per_output[place] = result.overflows.per_output
            total.add(result)
        return GemmResult(output, total.overflows(per_output), total.counts, sum(map(len, chains)), timing)

    def _finish(self, run: _ChainRunner, chains: list[list[Fold]]) -> Iterator[FoldResult]:
        """Yield each chain's result in order."""
        if len(chains) == 1 or self.threads == 1:
            yield from map(run, chains)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(run, chains)


def _chains(folds: Iterable[Fold]) -> list[list[Fold]]:
    """Group the folds that add up the same outputs; groups are independent of each other."""
    chains: list[list[Fold]] = []
    for fold in folds:
        if fold.first_in_chain:
            chains.append([])
        chains[-1].append(fold)
    return chains


def _first_room(max_events: int | None) -> int:
    """Return for how many events of a fold there is room at first."""
    return FIRST_EVENT_BUFFER if max_events is None else min(max_events, FIRST_EVENT_BUFFER)


def _wanted(found: int, max_events: int | None) -> int:
    return found if max_events is None else min(found, max_events)


def _is_short(room: int, found: int, max_events: int | None) -> bool:
    """Tell whether there was room for fewer events than are wanted of those that were found."""
    return _wanted(found, max_events) > room


def _step_chains(
    params: ArrayParams,
    folds: Sequence[Fold],
    timing: FoldTiming,
    operands: Sequence[FoldOperands],
    chains: Sequence[int],
    max_events: int | None,
) -> ChainsResult:
    """Step weight-stationary folds, and again if they had more events than there was room for at first."""
    room = _first_room(max_events)
    ran = step_weight_stationary_folds(params, folds, operands, chains, room)
    most = max(ran.found)
    if _is_short(room, most, max_events):
        ran = step_weight_stationary_folds(params, folds, operands, chains, _wanted(most, max_events))
    for fold, events in zip(folds, ran.events, strict=True):
        events[:, 0] += fold.index * timing.interval
    return ran


class _Total:
    """Adds up the overflows and counts of folds, holding at most about twice as many events as are wanted."""

    def __init__(self, params: ArrayParams, max_events: int) -> None:
        self.counts = Counts()
        self._per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
        self._events = [np.zeros((0, 3), np.int64)]
        self._held = 0
        self._max_events = max_events

    def add(self, result: FoldResult) -> None:
        """Add one result's counts and events."""
        self.counts.update(result.counts)
        self._per_pe += result.overflows.per_pe
        self._events.append(result.overflows.events)
        self._held += len(result.overflows.events)
        if self._held > 2 * self._max_events:
            self._events = [self._first_events()]
            self._held = len(self._events[0])

    def overflows(self, per_output: IntArray) -> Overflows:
        """Return the sum, with the first events by cycle."""
        events = self._first_events()
        return Overflows(events, int(self._per_pe.sum()) - len(events), self._per_pe, per_output)

    def _first_events(self) -> IntArray:
        return sort_events(np.concatenate(self._events))[: self._max_events]


class _ChainRunner:
    """Runs the folds of one chain in order, handing the accumulators from fold to fold."""

    def __init__(
        self,
        engine: SteppedEngine,
        params: ArrayParams,
        timing: FoldTiming,
        operands: FoldOperands,
        max_events: int,
    ) -> None:
        self._engine, self._params, self._timing = engine, params, timing
        self._operands, self._max_events = operands, max_events

    def __call__(self, chain: list[Fold]) -> FoldResult:
        """Return the chain's sums, with the overflows and counts of all its folds."""
        start = self._operands.initial[chain[0].out_rows, chain[0].out_cols]
        sums, per_output = start, np.zeros(start.shape, np.int64)
        total = _Total(self._params, self._max_events)
        for fold in chain:
            piece = FoldOperands(
                self._operands.activations[fold.out_rows, fold.depth],
                self._operands.weights[fold.depth, fold.out_cols],
                start,
                sums,
            )
            result = self._engine.run_fold(self._params, fold, self._timing, piece, self._max_events)
            sums = result.sums
            if result.overflows.count:
                per_output += result.overflows.per_output
            total.add(result)
        return FoldResult(sums, total.overflows(per_output), total.counts)
