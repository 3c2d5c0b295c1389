"""Many samples of one matrix product on the functional engine: sums and overflow counts, no single events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.array.engine import FoldOperands, check_operands, is_all_zero
from hwsim.array.functional import (
    CheckedSum,
    columns_that_cannot_overflow,
    exact_product,
    fold_per_output,
)
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.numerics.formats import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """``output`` (samples, out_rows, out_cols) holds accumulators; ``per_pe`` (rows + 1, cols) sums all samples."""

    output: IntArray
    per_pe: IntArray


def run_batch(params: ArrayParams, activations: IntArray, weights: IntArray, initial: IntArray) -> BatchResult:
    """Multiply (samples, out_rows, depth) activations by (depth, out_cols) weights, each sample on its own.

    Each sample starts from ``initial`` (out_rows, out_cols) and overflows as it would alone; under ``overflow:
    error`` sums wrap, and stopping is the caller's.

    Raises:
        ConfigError: operands that the array cannot hold.
    """
    samples, out_rows, depth = activations.shape
    stacked = activations.reshape(samples * out_rows, depth)
    check_operands(params, stacked, weights)
    starts = np.broadcast_to(initial, (samples, *initial.shape)).reshape(samples * out_rows, -1)
    shape = GemmShape(out_rows, depth, weights.shape[1])
    operands = FoldOperands(stacked, weights, starts, starts)
    if params.dataflow is Dataflow.INPUT_STATIONARY:
        sums, per_pe = _side_by_side(params.transposed, shape.transposed, operands.transposed, out_rows)
        sums = sums.T
    elif params.dataflow is Dataflow.OUTPUT_STATIONARY:
        sums, per_pe = _output_stationary(params, shape, operands, samples)
    else:
        sums, per_pe = _side_by_side(params, shape, operands, shape.out_cols)
    return BatchResult(sums.reshape(samples, out_rows, -1), per_pe)


def _sum(
    params: ArrayParams, shape: GemmShape, operands: FoldOperands, period: int
) -> tuple[IntArray, IntArray, IntArray | None]:
    """Return sums, overflows per output and (weight stationary) per PE; columns repeat every ``period``."""
    safe = columns_that_cannot_overflow(params, operands)
    columns = np.flatnonzero(~safe)
    per_output = np.zeros(operands.initial.shape, np.int64)
    if columns.size == 0:
        sums = exact_product(operands.activations, operands.weights)
        return sums if is_all_zero(operands.initial) else sums + operands.initial, per_output, None
    sums = np.zeros(operands.initial.shape, np.int64)
    sums[:, safe] = exact_product(operands.activations, operands.weights[:, safe]) + operands.initial[:, safe]
    nothing = np.zeros((0, 3), np.int64)
    run = CheckedSum(params, shape, operands, columns, columns % period)
    checked = run(np.zeros(0, np.int64), nothing, -1)
    sums[:, columns] = checked.output
    per_output[:, columns] = checked.per_output
    return sums, per_output, checked.per_pe


def _output_stationary(
    params: ArrayParams, shape: GemmShape, operands: FoldOperands, samples: int
) -> tuple[IntArray, IntArray]:
    sums, per_output, _ = _sum(params, shape, operands, shape.out_cols)
    return sums, fold_per_output(params, per_output.reshape(samples, shape.out_rows, -1).sum(axis=0))


def _side_by_side(
    params: ArrayParams, shape: GemmShape, operands: FoldOperands, period: int
) -> tuple[IntArray, IntArray]:
    """Sum weight stationary; the samples of an input-stationary product lie side by side in columns."""
    sums, _, per_pe = _sum(params, shape, operands, period)
    return sums, np.zeros((params.rows + 1, params.cols), np.int64) if per_pe is None else per_pe
