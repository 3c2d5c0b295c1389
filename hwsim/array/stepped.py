"""The stepped engine: registers of every PE, every cycle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.engine import Engine, FoldOperands, contiguous, is_all_zero, register_dtype
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.array.results import FoldResult, FoldsResult, GemmResult, Overflows, sort_events
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
        room = FIRST_EVENT_BUFFER if max_events is None else min(max_events, FIRST_EVENT_BUFFER)
        step = _step_output_stationary if params.dataflow is Dataflow.OUTPUT_STATIONARY else _step_weight_stationary
        result, found = step(params, fold, operands, room)
        wanted = found if max_events is None else min(found, max_events)
        if wanted > room:  # more events than the buffer: step again, now that their number is known
            result, found = step(params, fold, operands, wanted)
        result.overflows.events[:, 0] += fold.index * timing.interval
        return result

    def run_folds(
        self,
        params: ArrayParams,
        folds: Sequence[Fold],
        timing: FoldTiming,
        operands: Sequence[FoldOperands],
        max_events: int | None,
    ) -> FoldsResult:
        """Run folds that do not depend on each other: output-stationary ones of one depth and width in one loop."""
        shapes = {one.weights.shape for one in operands}
        if params.dataflow is not Dataflow.OUTPUT_STATIONARY or len(shapes) > 1:
            return super().run_folds(params, folds, timing, operands, max_events)
        room = FIRST_EVENT_BUFFER if max_events is None else min(max_events, FIRST_EVENT_BUFFER)
        result, found = _step_output_stationary_folds(params, operands, room)
        for place, (fold, count) in enumerate(zip(folds, found, strict=True)):
            if count > room and (max_events is None or max_events > room):  # step again, with room for all of them
                again = self.run_fold(params, fold, timing, operands[place], max_events)
                result.events[place] = again.overflows.events
            elif count:
                result.events[place][:, 0] += fold.index * timing.interval
        return result

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


def _step_output_stationary(
    params: ArrayParams, fold: Fold, operands: FoldOperands, room: int
) -> tuple[FoldResult, int]:
    """Step a fold, keeping up to ``room`` events (cycles from the fold's start); also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    used = (fold.out_rows.stop - fold.out_rows.start, fold.out_cols.stop - fold.out_cols.start)
    initial = np.zeros((params.rows, params.cols), dtype)
    initial[: used[0], : used[1]] = operands.initial
    drained = np.zeros_like(initial)
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    events = np.empty((room, 3), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    found = kernels.step_output_stationary(
        contiguous(operands.activations, dtype),
        contiguous(operands.weights, dtype),
        initial,
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        drained,
        per_pe,
        events,
        tally,
    )
    sums = drained[: used[0], : used[1]].astype(np.int64)
    overflows = Overflows(events[:found], max(found - room, 0), per_pe, per_pe[: used[0], : used[1]].copy())
    return FoldResult(sums, overflows, _counts(tally)), found


def _step_output_stationary_folds(
    params: ArrayParams, operands: Sequence[FoldOperands], room: int
) -> tuple[FoldsResult, list[int]]:
    """Step folds of one depth and width, keeping up to ``room`` events of each; also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    activations, activation_places = _pieces([one.activations for one in operands], dtype)
    weights, weight_places = _pieces([one.weights for one in operands], dtype)
    used_rows = [len(one.activations) for one in operands]
    drained: Any = np.zeros((len(operands), params.rows, params.cols), dtype)
    per_pe = np.zeros((len(operands), params.rows + 1, params.cols), np.int64)
    events = np.empty((len(operands), room, 3), np.int64)
    found = np.zeros(len(operands), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    kernels.step_output_stationary_folds(
        activations,
        weights,
        np.stack([activation_places, weight_places, used_rows], axis=1),
        _starts(params, operands),
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        drained,
        per_pe,
        events,
        found,
        tally,
    )
    sums = [one[:used, : weights.shape[2]] for one, used in zip(drained, used_rows, strict=True)]
    kept = [one[:count].copy() for one, count in zip(events, found, strict=True)]
    return FoldsResult(sums, kept, per_pe.sum(axis=0), _counts(tally)), found.tolist()


def _pieces(operands: Sequence[IntArray], dtype: Any) -> tuple[Any, IntArray]:
    """Stack what differs, with zeros below where rows are fewer; return also the place of each operand in the stack."""
    distinct = {id(one): one for one in operands}
    places = {key: place for place, key in enumerate(distinct)}
    stack = np.zeros((len(distinct), max(map(len, operands)), operands[0].shape[1]), dtype)
    for piece, one in zip(stack, distinct.values(), strict=True):
        piece[: len(one)] = one
    return stack, np.asarray([places[id(one)] for one in operands])


def _starts(params: ArrayParams, operands: Sequence[FoldOperands]) -> Any:
    """Return what the sums of the whole array start from, for each fold; for none of them if all are zero."""
    dtype = register_dtype(params)
    if all(is_all_zero(one.initial) for one in operands):
        return np.zeros((0, params.rows, params.cols), dtype)
    starts = np.zeros((len(operands), params.rows, params.cols), dtype)
    for start, one in zip(starts, operands, strict=True):
        start[: one.initial.shape[0], : one.initial.shape[1]] = one.initial
    return starts


def _step_weight_stationary(
    params: ArrayParams, fold: Fold, operands: FoldOperands, room: int
) -> tuple[FoldResult, int]:
    """Step a fold, keeping up to ``room`` events (cycles from the fold's start); also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    starts_at_zero = not fold.first_in_chain or is_all_zero(operands.initial)
    initial = operands.initial[:0] if starts_at_zero else operands.initial
    accumulators: Any
    if fold.first_in_chain:  # every one of them is stored into
        accumulators = np.empty(operands.initial.shape, dtype)
    else:
        accumulators = np.array(operands.accumulators, dtype=dtype, order="C")
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    per_output = np.zeros(accumulators.shape, np.int64)
    events = np.empty((room, 3), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    found = kernels.step_weight_stationary(
        contiguous(operands.activations, dtype),
        contiguous(operands.weights, dtype),
        contiguous(initial, dtype),
        accumulators,
        fold.first_in_chain,
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        per_pe,
        per_output,
        events,
        tally,
    )
    overflows = Overflows(events[:found], max(found - room, 0), per_pe, per_output)
    return FoldResult(accumulators, overflows, _counts(tally)), found


def _counts(tally: IntArray) -> Counts:
    """Name what the kernels tallied."""
    macs, activations, weights, sums, accumulator_writes, accumulator_adds = (int(count) for count in tally)
    counts = Counts(
        {
            ("pe", "multiply"): macs,
            ("pe", "accumulate"): macs,
            ("pe", "activation_register_write"): activations,
            ("pe", "weight_register_write"): weights,
            ("pe", "partial_sum_register_write"): sums,
        }
    )
    if accumulator_writes:
        counts["accumulator_buffer", "write"] = accumulator_writes
        counts["accumulator_buffer", "read"] = accumulator_adds
        counts["accumulator_buffer", "add"] = accumulator_adds
    return counts
