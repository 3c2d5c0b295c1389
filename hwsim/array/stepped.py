"""The stepped engine: registers of every PE, every cycle."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.engine import Engine, FoldOperands, contiguous, register_dtype
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.array.results import FoldResult, GemmResult, Overflows, sort_events
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

FIRST_EVENT_BUFFER = 4096


class SteppedEngine(Engine):
    """Steps each fold's registers in a compiled loop; independent chains of folds run in threads.

    Args:
        threads: how many folds to step at once; all processors if None.
    """

    name = "stepped"

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

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

    def _gemm(self, params: ArrayParams, shape: GemmShape, operands: FoldOperands, max_events: int) -> GemmResult:
        dataflow = rules(params.dataflow)
        timing = dataflow.timing(shape, params)
        chains = _chains(list(dataflow.folds(shape, params)))
        run = _ChainRunner(self, params, timing, operands, max_events)
        if len(chains) == 1 or self._threads == 1:
            finished = [run(chain) for chain in chains]
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                finished = list(pool.map(run, chains))
        return _assemble(params, shape, timing, chains, [fold for chain in finished for fold in chain], max_events)


def _chains(folds: list[Fold]) -> list[list[Fold]]:
    """Group the folds that add up the same outputs; groups are independent of each other."""
    chains: list[list[Fold]] = []
    for fold in folds:
        if fold.first_in_chain:
            chains.append([])
        chains[-1].append(fold)
    return chains


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

    def __call__(self, chain: list[Fold]) -> list[FoldResult]:
        results: list[FoldResult] = []
        for fold in chain:
            place = (fold.out_rows, fold.out_cols)
            start = self._operands.initial[place]
            piece = FoldOperands(
                self._operands.activations[fold.out_rows, fold.depth],
                self._operands.weights[fold.depth, fold.out_cols],
                start,
                results[-1].sums if results else start,
            )
            results.append(self._engine.run_fold(self._params, fold, self._timing, piece, self._max_events))
        return results


def _assemble(
    params: ArrayParams,
    shape: GemmShape,
    timing: FoldTiming,
    chains: list[list[Fold]],
    results: list[FoldResult],
    max_events: int,
) -> GemmResult:
    """Put the folds' sums, events and counts together."""
    output = np.zeros((shape.out_rows, shape.out_cols), np.int64)
    per_output = np.zeros_like(output)
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    counts = Counts()
    folds = [fold for chain in chains for fold in chain]
    for fold, result in zip(folds, results, strict=True):
        output[fold.out_rows, fold.out_cols] = result.sums
        per_output[fold.out_rows, fold.out_cols] += result.overflows.per_output
        per_pe += result.overflows.per_pe
        counts.update(result.counts)
    events = sort_events(np.concatenate([result.overflows.events for result in results]))[:max_events]
    overflows = Overflows(events, int(per_pe.sum()) - len(events), per_pe, per_output)
    return GemmResult(output, overflows, counts, len(folds), timing)


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
    events = np.zeros((room, 3), np.int64)
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


def _step_weight_stationary(
    params: ArrayParams, fold: Fold, operands: FoldOperands, room: int
) -> tuple[FoldResult, int]:
    """Step a fold, keeping up to ``room`` events (cycles from the fold's start); also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    initial = operands.initial if fold.first_in_chain else np.zeros_like(operands.initial)
    accumulators = np.array(operands.accumulators, dtype=dtype, order="C")
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    per_output = np.zeros(accumulators.shape, np.int64)
    events = np.zeros((room, 3), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    found = kernels.step_weight_stationary(
        contiguous(operands.activations.T, dtype),
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
    return FoldResult(accumulators.astype(np.int64), overflows, _counts(tally)), found


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
