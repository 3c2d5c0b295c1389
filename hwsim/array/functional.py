"""The functional engine: the stepped engine's sums, events and counts without moving registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.engine import NO_LIMIT, Engine, FoldOperands, contiguous, is_all_zero, register_dtype
from hwsim.array.folds import Fold, FoldTiming, tile_count
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.array.results import FoldResult, GemmResult, Overflows, sort_events
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53
ONE_THREAD_MACS = 1 << 18  # OpenBLAS multiplies up to so many on one thread (its interface/gemm.c)
SMALL_MACS = 1 << 24  # some milliseconds of one thread


class FunctionalEngine(Engine):
    """Checks every add in the dataflow's order, or proves from the operands' ranges that none can overflow."""

    name = "functional"

    def _run_fold(
        self,
        params: ArrayParams,
        fold: Fold,
        timing: FoldTiming,
        operands: FoldOperands,
        max_events: int | None,
    ) -> FoldResult:
        limit = NO_LIMIT if max_events is None else max_events
        initial = operands.initial if fold.first_in_chain else np.zeros_like(operands.initial)
        shape = GemmShape(initial.shape[0], operands.activations.shape[1], initial.shape[1])
        local = FoldOperands(operands.activations, operands.weights, initial, initial)
        result = self._gemm(params, shape, local, limit)
        if not fold.first_in_chain:
            return _add_under_array(params, fold, timing, operands.accumulators, result, limit)
        result.overflow.events[:, 0] += fold.index * timing.interval
        return FoldResult(result.output, result.overflow, result.counts)

    def _gemm(self, params: ArrayParams, shape: GemmShape, operands: FoldOperands, max_events: int) -> GemmResult:
        dataflow = rules(params.dataflow)
        timing, folds = dataflow.timing(shape, params), dataflow.fold_count(shape, params)
        safe = columns_that_cannot_overflow(params, operands)
        output = np.zeros((shape.out_rows, shape.out_cols), np.int64)
        output[:, safe] = exact_product(operands.activations, operands.weights[:, safe]) + operands.initial[:, safe]
        checked = _check_columns(params, shape, operands, np.flatnonzero(~safe), max_events)
        output[:, checked.columns] = checked.output
        per_output = np.zeros(output.shape, np.int64)
        per_output[:, checked.columns] = checked.per_output
        per_pe = checked.per_pe if checked.per_pe is not None else fold_per_output(params, per_output)
        overflows = Overflows(checked.events, int(per_pe.sum()) - len(checked.events), per_pe, per_output)
        return GemmResult(output, overflows, dataflow.counts(shape, params), folds, timing)


def columns_that_cannot_overflow(params: ArrayParams, operands: FoldOperands) -> np.ndarray:
    """Tell for each output column whether no partial sum, in any order, can leave the accumulator.

    With x in [x_min, x_max], the sum of any subset of a column's terms lies between sum(min(0, w x_min, w x_max))
    and sum(max(0, w x_min, w x_max)); starting values widen both.
    """
    x_min, x_max = int(operands.activations.min()), int(operands.activations.max())
    positive = np.maximum(operands.weights, 0).sum(axis=0, dtype=np.int64)
    negative = np.minimum(operands.weights, 0).sum(axis=0, dtype=np.int64)
    greatest = positive * max(x_max, 0) + negative * min(x_min, 0)
    least = positive * min(x_min, 0) + negative * max(x_max, 0)
    if not is_all_zero(operands.initial):
        greatest = greatest + np.maximum(operands.initial.max(axis=0), 0)
        least = least + np.minimum(operands.initial.min(axis=0), 0)
    return np.asarray((greatest <= params.accumulator.max) & (least >= params.accumulator.min))


def exact_product(activations: IntArray, weights: IntArray) -> IntArray:
    """Multiply integer matrices exactly, by the floating-point library where its mantissa provably suffices.

    No partial sum can exceed depth * max|a| * max|w|: below 2**24 float32 is exact, below 2**53 float64;
    otherwise integers are multiplied.
    """
    if activations.size == 0 or weights.size == 0:
        return np.zeros((activations.shape[0], weights.shape[1]), np.int64)
    bound = activations.shape[1] * _largest(activations) * _largest(weights)
    if bound >= EXACT_FLOAT64:
        return activations.astype(np.int64, copy=False) @ weights.astype(np.int64, copy=False)
    dtype = np.float32 if bound < EXACT_FLOAT32 else np.float64
    return _float_product(activations.astype(dtype), weights.astype(dtype)).astype(np.int64)


def _float_product(activations: Any, weights: Any) -> Any:
    """Multiply; a product as small as a fold's in pieces for which OpenBLAS starts no threads.

    They would take longer to meet than the piece takes one of them, and far longer where other processes run.
    """
    rows, depth, cols = activations.shape[0], activations.shape[1], weights.shape[1]
    if not ONE_THREAD_MACS < rows * depth * cols <= SMALL_MACS:
        return activations @ weights
    piece = max(ONE_THREAD_MACS // (rows * cols), 1)
    total = activations[:, :piece] @ weights[:piece]
    for start in range(piece, depth, piece):
        total += activations[:, start : start + piece] @ weights[start : start + piece]
    return total


def _largest(values: IntArray) -> int:
    return max(abs(int(values.min())), abs(int(values.max())))


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The columns that were summed add by add; ``per_pe`` is None where it follows from ``per_output``."""

    columns: IntArray
    output: IntArray
    per_output: IntArray
    per_pe: IntArray | None
    events: IntArray


def _check_columns(
    params: ArrayParams,
    shape: GemmShape,
    operands: FoldOperands,
    columns: IntArray,
    max_events: int,
) -> Checked:
    """Sum the given columns add by add; a second pass collects events once their number is known."""
    none = np.zeros((0, 3), np.int64)
    if columns.size == 0:
        empty = np.zeros((shape.out_rows, 0), np.int64)
        return Checked(columns, empty, empty, None, none)
    run = CheckedSum(params, shape, operands, columns, columns)
    histogram = np.zeros(run.cycles if max_events else 0, np.int64)
    first = run(histogram, none, -1)
    if not max_events or not histogram.any():
        return first
    kept_by_cycle = np.cumsum(histogram)
    cutoff = min(int(np.searchsorted(kept_by_cycle, max_events)), len(histogram) - 1)
    events = np.zeros((int(kept_by_cycle[cutoff]), 3), np.int64)
    second = run(np.zeros(0, np.int64), events, cutoff)
    return Checked(columns, second.output, second.per_output, second.per_pe, sort_events(events)[:max_events])


class CheckedSum:
    """One kernel call on operands that are cast once.

    ``columns`` are the output columns to sum; ``places`` are the numbers by which their events are placed in the
    array (the columns themselves, unless several samples lie side by side).
    """

    def __init__(
        self, params: ArrayParams, shape: GemmShape, operands: FoldOperands, columns: IntArray, places: IntArray
    ) -> None:
        self._params, self._places = params, places
        dataflow = rules(params.dataflow)
        timing = dataflow.timing(shape, params)
        self.cycles = timing.total_cycles(dataflow.fold_count(shape, params))
        self._dtype = register_dtype(params)
        self._activations = contiguous(operands.activations, self._dtype)
        self._weights = contiguous(operands.weights[:, columns], self._dtype)
        self._initial = contiguous(operands.initial[:, columns], self._dtype)
        self._columns = columns
        self._is_output_stationary = params.dataflow is Dataflow.OUTPUT_STATIONARY
        self._interval = timing.interval
        self._tiles = (
            tile_count(shape.out_cols, params.cols)
            if self._is_output_stationary
            else tile_count(shape.depth, params.rows)
        )

    def __call__(self, histogram: IntArray, events: IntArray, cutoff: int) -> Checked:
        """Sum; enter events into the histogram by cycle, and into ``events`` up to the cutoff cycle."""
        from hwsim.array.kernels import functional as kernels

        params, dtype = self._params, self._dtype
        low, high = dtype(params.accumulator.min), dtype(params.accumulator.max)
        placing = (params.rows, params.cols, self._interval, self._tiles, cutoff)
        output = np.zeros(self._initial.shape, dtype)
        per_output = np.zeros(self._initial.shape, np.int64)
        common = (self._activations, self._weights, self._places, self._initial, low, high)
        saturate = params.overflow == "saturate"
        per_pe = None
        if self._is_output_stationary:
            kernels.sum_output_stationary(*common, saturate, placing, output, per_output, histogram, events)
        else:
            per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
            kernels.sum_weight_stationary(*common, saturate, placing, output, per_output, per_pe, histogram, events)
        return Checked(self._columns, output.astype(np.int64), per_output, per_pe, events)


def fold_per_output(params: ArrayParams, per_output: IntArray) -> IntArray:
    """Count per PE what is known per output: in an output-stationary array each output has its PE."""
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    rows, cols = np.nonzero(per_output)
    np.add.at(per_pe, (rows % params.rows, cols % params.cols), per_output[rows, cols])
    return per_pe


def _add_under_array(
    params: ArrayParams,
    fold: Fold,
    timing: FoldTiming,
    accumulators: IntArray,
    chain: GemmResult,
    max_events: int,
) -> FoldResult:
    """Add the sums of a later depth tile to the accumulators under the array."""
    exact = accumulators + chain.output
    outside = (exact < params.accumulator.min) | (exact > params.accumulator.max)
    streams, cols = np.nonzero(outside)
    added = np.stack([2 * params.rows + streams + cols, np.full_like(cols, params.rows), cols], axis=1).astype(np.int64)
    events = sort_events(np.concatenate([chain.overflow.events, added]))[:max_events]
    events[:, 0] += fold.index * timing.interval
    per_pe = chain.overflow.per_pe.copy()
    np.add.at(per_pe[params.rows], cols, 1)
    per_output = chain.overflow.per_output + outside
    counts = Counts(chain.counts)
    counts["accumulator_buffer", "read"] = counts["accumulator_buffer", "add"] = exact.size
    overflows = Overflows(events, int(per_pe.sum()) - len(events), per_pe, per_output)
    return FoldResult(params.accumulator.fit(exact, params.overflow), overflows, counts)
