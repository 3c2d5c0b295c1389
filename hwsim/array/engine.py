"""The interface of the two engines, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.array.results import FoldResult, FoldsResult, GemmResult, Overflows
from hwsim.errors import AccumulatorOverflowError, ConfigError
from hwsim.numerics.formats import IntArray

NO_LIMIT = np.iinfo(np.int64).max
INT32_ACCUMULATOR_BITS = 31
INT32_PRODUCT_BITS = 30


@dataclass(frozen=True, slots=True, eq=False)
class FoldOperands:
    """What one fold works on.

    Args:
        activations: (rows of the fold, terms of the fold); weights: (terms, columns of the fold).
        initial: (rows, columns), what the sums of the chain's first fold start from, inside the accumulator.
        accumulators: (rows, columns), the sums of the chain's folds so far; ignored in the first fold.
    """

    activations: IntArray
    weights: IntArray
    initial: IntArray
    accumulators: IntArray

    @property
    def transposed(self) -> FoldOperands:
        """The operands of the transposed fold."""
        return FoldOperands(self.weights.T, self.activations.T, self.initial.T, self.accumulators.T)


def transposed_operands(operands: Sequence[FoldOperands]) -> list[FoldOperands]:
    """Return the operands of the transposed folds; one array that several of them share is shared again."""
    turned: dict[int, IntArray] = {}

    def turn(values: IntArray) -> IntArray:
        return turned.setdefault(id(values), values.T)

    return [FoldOperands(turn(one.weights), one.activations.T, one.initial.T, one.accumulators.T) for one in operands]


class Engine(ABC):
    """Computes matrix products as the array would: same sums, same overflow events, same counts in all engines."""

    name: str
    threads = 0
    """Threads for folds that run while their caller goes on; 0: it waits for each."""

    def run_folds(
        self,
        params: ArrayParams,
        folds: Sequence[Fold],
        timing: FoldTiming,
        operands: Sequence[FoldOperands],
        max_events: int | None,
        chains: Sequence[int] | None = None,
    ) -> FoldsResult:
        """Run folds in order; ``max_events`` are kept of each.

        ``chains`` numbers the chains that they belong to, from 0 as they come: the first fold of a chain here goes on
        with its ``accumulators``, unless it starts the chain, the others with the sums of the one before. Without,
        each fold is a chain's only one here.
        """
        sums: dict[int, tuple[int, IntArray]] = {}
        results = []
        for place, (fold, its) in enumerate(zip(folds, operands, strict=True)):
            chain = place if chains is None else chains[place]
            going_on = replace(its, accumulators=sums[chain][1]) if chain in sums else its
            results.append(self.run_fold(params, fold, timing, going_on, max_events))
            sums[chain] = place, results[-1].sums
        return FoldsResult.together(results, {place for place, _ in sums.values()})

    def run_fold(
        self,
        params: ArrayParams,
        fold: Fold,
        timing: FoldTiming,
        operands: FoldOperands,
        max_events: int | None,
    ) -> FoldResult:
        """Run one fold; event cycles count from the first cycle of the product's first fold."""
        if params.dataflow is Dataflow.INPUT_STATIONARY:
            result = self._run_fold(params.transposed, fold.transposed, timing, operands.transposed, max_events)
            return result.transposed
        return self._run_fold(params, fold, timing, operands, max_events)

    def gemm(
        self,
        params: ArrayParams,
        activations: IntArray,
        weights: IntArray,
        initial: IntArray | None = None,
        max_events: int | None = None,
    ) -> GemmResult:
        """Multiply (out_rows, depth) activations by (depth, out_cols) weights.

        Args:
            params: the array.
            activations, weights: integer codes inside their formats.
            initial: (out_rows, out_cols), what the sums start from; inside the accumulator's range.
            max_events: how many single events to keep, the first by cycle; None keeps all. Counts are exact.

        Raises:
            ConfigError: shapes do not agree, an operand or starting value lies outside its format, or
                ``max_events`` is negative.
            AccumulatorOverflowError: an add overflowed under ``overflow: error``.
        """
        check_operands(params, activations, weights)
        shape = GemmShape(activations.shape[0], activations.shape[1], weights.shape[1])
        start = all_zero(shape.out_rows, shape.out_cols) if initial is None else initial
        check_initial(params, shape, start)
        if max_events is not None and max_events < 0:
            raise ConfigError(f"max_events {max_events}; allowed: 0 or more, or None for all")
        limit = NO_LIMIT if max_events is None else max_events
        if params.overflow == "error":
            limit = max(limit, 1)
        if params.dataflow is Dataflow.INPUT_STATIONARY:
            flipped = self._gemm(
                params.transposed,
                shape.transposed,
                FoldOperands(weights.T, activations.T, start.T, start.T),
                limit,
            )
            result = _transposed(flipped)
        else:
            result = self._gemm(params, shape, FoldOperands(activations, weights, start, start), limit)
        stop_on_overflow(params, result.overflow)
        return result

    @abstractmethod
    def _run_fold(
        self,
        params: ArrayParams,
        fold: Fold,
        timing: FoldTiming,
        operands: FoldOperands,
        max_events: int | None,
    ) -> FoldResult:
        """Run one output- or weight-stationary fold."""

    @abstractmethod
    def _gemm(self, params: ArrayParams, shape: GemmShape, operands: FoldOperands, max_events: int) -> GemmResult:
        """Run a whole output- or weight-stationary product."""


def _transposed(result: GemmResult) -> GemmResult:
    whole = FoldResult(result.output, result.overflow, result.counts).transposed
    return GemmResult(whole.sums, whole.overflows, whole.counts, result.folds, result.timing)


def check_operands(params: ArrayParams, activations: IntArray, weights: IntArray) -> None:
    """Refuse operands that the array cannot hold.

    Raises:
        ConfigError: not two-dimensional, empty, depths that differ, or codes outside their format.
    """
    for name, operand, word in (
        ("activations", activations, params.activations),
        ("weights", weights, params.weights),
    ):
        if operand.ndim != 2 or operand.size == 0:
            raise ConfigError(f"{name} of shape {operand.shape}; allowed: two dimensions, none of them empty")
        if not word.holds(operand):
            raise ConfigError(
                f"{name} from {operand.min()} to {operand.max()}; allowed: {word.min} to {word.max} "
                f"({'signed' if word.signed else 'unsigned'}, {word.bits} bits)"
            )
    if activations.shape[1] != weights.shape[0]:
        raise ConfigError(
            f"activations {activations.shape} and weights {weights.shape} do not agree in depth: "
            f"{activations.shape[1]} and {weights.shape[0]}"
        )


def check_initial(params: ArrayParams, shape: GemmShape, initial: IntArray) -> None:
    """Refuse starting values of another shape than the output's, or outside the accumulator.

    Raises:
        ConfigError: see above.
    """
    if initial.shape != (shape.out_rows, shape.out_cols):
        raise ConfigError(f"initial of shape {initial.shape}; allowed: {(shape.out_rows, shape.out_cols)}")
    word = params.accumulator
    if not word.holds(initial):
        raise ConfigError(
            f"initial from {initial.min()} to {initial.max()}; allowed: {word.min} to {word.max} "
            f"(accumulator of {word.bits} bits)"
        )


def stop_on_overflow(params: ArrayParams, overflows: Overflows) -> None:
    """Raise under ``overflow: error`` when anything overflowed, naming the first event."""
    if params.overflow != "error" or overflows.count == 0:
        return
    cycle, row, col = overflows.events[0]
    where = "the accumulator under column" if row == params.rows else f"row {row}, column"
    raise AccumulatorOverflowError(
        f"accumulator of {params.accumulator.bits} bits overflows in cycle {cycle}, {where} {col} "
        f"(overflow events in all: {overflows.count})"
    )


def register_dtype(params: ArrayParams) -> type[np.int32] | type[np.int64]:
    """Choose the narrowest of the two kernel variants whose words hold every exact sum.

    |sum| <= 2**(accumulator bits - 1) + 2**(product bits), or twice the accumulator under the array.
    """
    product_bits = params.activations.bits + params.weights.bits
    fits = params.accumulator.bits <= INT32_ACCUMULATOR_BITS and product_bits <= INT32_PRODUCT_BITS
    return np.int32 if fits else np.int64


def contiguous(values: IntArray, dtype: Any) -> Any:
    """Return ``values`` as a C-contiguous array of ``dtype``, so that each kernel has two signatures at most."""
    return np.ascontiguousarray(values, dtype=dtype)


def all_zero(rows: int, cols: int) -> IntArray:
    """Return zeros that take no memory and are known as such by ``is_all_zero`` without a look at each."""
    return np.broadcast_to(np.int64(0), (rows, cols))


def is_all_zero(values: IntArray) -> bool:
    """Tell whether all values are 0; the zeros of ``all_zero``, and any part of them, cost nothing to tell."""
    if values.size and values.strides == (0, 0):
        return not values[0, 0]
    return not values.any()
