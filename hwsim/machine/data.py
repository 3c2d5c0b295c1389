"""The data side of a matrix product on the machine: real slices in, stepped folds, requantized blocks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.array.engine import Engine, FoldOperands
from hwsim.array.folds import Fold
from hwsim.array.params import ArrayParams, ArrayShape, Dataflow
from hwsim.array.results import sort_events
from hwsim.counts import Counts
from hwsim.execute.integer import overflow_error, preload
from hwsim.machine.memory import Reads, ScratchpadData
from hwsim.machine.stepping import FoldQueue, FoldWork
from hwsim.mapping.plan import ProductPlan
from hwsim.network.float_sums import OutputBlock
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray

MOST_KEPT_ELEMENTS = 1 << 22  # operands that are kept, with their places, for folds that read the same again


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A product with its operands in their scratchpads, with what lies there already and what is still to come.

    ``step`` is the product for the sample that is run.
    """

    step: MatmulStep
    activations: ScratchpadData
    weights: ScratchpadData


class ProductData:
    """Holds what is in the scratchpads and the accumulators of one core, and what it has written of the output.

    Args:
        plan: the product, or the core's share of it.
        engine: steps the folds.
        held: its operands.
        max_events: how many overflow events to keep, the first by cycle.
    """

    def __init__(self, plan: ProductPlan, engine: Engine, held: Held, max_events: int) -> None:
        step, params = held.step, plan.params
        assert isinstance(params, ArrayParams)  # noqa: S101  (floats run without data)
        shape = (step.groups, step.shape.out_rows, step.shape.out_cols)
        self.activations, self.weights = held.activations, held.weights
        self._plan, self._max_events = plan, max_events
        self._step, self._params = step, params
        self._starts = [preload(step, params, group)[0] for group in range(step.groups)]
        self._accumulators = np.zeros(shape, np.int64)
        self._row_sums = np.zeros(shape[:2], np.int64)
        self._events = np.zeros((0, 3), np.int64)
        self._drained, self._drained_row_sums = np.zeros(shape, np.int64), np.zeros(shape[:2], np.int64)
        self._requantized = np.zeros(shape, np.bool_)
        self._queue = FoldQueue(engine, params, plan.timing, max_events, self._take)
        self._activation_reads = Reads(self.activations, MOST_KEPT_ELEMENTS)
        self._weight_reads = Reads(self.weights, MOST_KEPT_ELEMENTS)
        self._pieces: list[tuple[IntArray, IntArray]] = []
        kept = step.shape.depth if step.float_sums is not None else 0
        self._operands = np.zeros((*shape[:2], kept), np.int64)

    def step_fold(self, group: int, fold: Fold, depth: slice) -> None:
        """Read the fold's operands from the scratchpads and step the array; the accumulators take its sums.

        ``depth`` are the terms that lie there, of which the fold takes some.
        Terms of an output-stationary fold that come piece by piece wait for the last of them: every PE's adds and
        their cycles, stalls left out, are those of the whole fold.
        """
        activations, weights = self._activations(group, fold, depth), self._weights(group, fold, depth)
        if self._params.dataflow is Dataflow.OUTPUT_STATIONARY and not (fold.first_in_chain and fold.last_in_chain):
            self._pieces.append((activations, weights))
            if not fold.last_in_chain:
                return
            fold = replace(fold, depth=slice(0, fold.depth.stop), first_in_chain=True)
            activations = np.concatenate([piece for piece, _ in self._pieces], axis=1)
            weights = np.concatenate([piece for _, piece in self._pieces])
            self._pieces = []
        place = (group, fold.out_rows, fold.out_cols)
        operands = FoldOperands(activations, weights, self._starts[group][place[1:]], self._accumulators[place])
        self._queue.add(FoldWork(group, fold, operands))

    def _take(self, work: FoldWork, sums: IntArray | None, events: IntArray) -> None:
        """Put a fold's sums into the accumulators, and what the row-sum unit heard of it into that unit's."""
        group, fold = work.group, work.fold
        if sums is not None:
            self._accumulators[group, fold.out_rows, fold.out_cols] = sums
        if fold.out_cols.start == self._plan.region.out_cols.start:  # the first columns
            self._hear(group, fold, work.operands.activations)
        self._keep(events, group, fold)

    def _hear(self, group: int, fold: Fold, activations: IntArray) -> None:
        """Keep of a row's operands what its outputs depend on besides the accumulators."""
        if self._step.adds_row_sums:
            self._row_sums[group, fold.out_rows] += activations.sum(axis=1)
        if self._step.float_sums is not None:
            self._operands[group, fold.out_rows, fold.depth] = activations

    def _activations(self, group: int, fold: Fold, depth: slice) -> IntArray:
        """Return (rows, terms); those that stay in the PEs are few, and read for all folds of a chain at once."""
        is_stationary = self._params.dataflow is Dataflow.INPUT_STATIONARY
        rows, terms = fold.out_rows, depth if is_stationary else fold.depth
        key = (group, rows.start, rows.stop, terms.start, terms.stop)
        codes = self._activation_reads.read(key, lambda: self._step.gather.indices(group, rows, terms))
        return self._step.offset_activations(codes[:, _within(fold.depth, terms)] if is_stationary else codes)

    def _weights(self, group: int, fold: Fold, depth: slice) -> IntArray:
        """Return (terms, columns), read like the activations."""
        is_stationary = self._params.dataflow is Dataflow.WEIGHT_STATIONARY
        terms, cols = depth if is_stationary else fold.depth, fold.out_cols
        key = (group, terms.start, terms.stop, cols.start, cols.stop)
        codes = self._weight_reads.read(key, lambda: (group, terms, cols))
        return self._step.offset_weights(codes[_within(fold.depth, terms)] if is_stationary else codes, group, cols)

    def requantize(self, group: int, fold: Fold) -> None:
        """Take the finished sums of a chain, as they are now, to be turned into output codes."""
        self._queue.then(lambda: self._drain(group, fold))

    def _drain(self, group: int, fold: Fold) -> None:
        place = (group, fold.out_rows, fold.out_cols)
        self._drained[place] = self._accumulators[place]
        self._drained_row_sums[place[:2]] = self._row_sums[place[:2]]
        self._requantized[place] = True

    @property
    def per_pe(self) -> IntArray:
        """Overflow events by row and column, (rows + 1, cols)."""
        return self._queue.per_pe

    @property
    def counts(self) -> Counts:
        """What the engine counted."""
        return self._queue.counts

    @property
    def output(self) -> IntArray:
        """The codes of all sums that have been requantized, (groups, out_rows, out_cols); 0 where none have.

        All are transformed at once, which is faster than block after block and the same integer by integer.
        """
        self._queue.settle()
        region = self._plan.region
        parts = [self._outputs(group) for group in range(region.groups.start, region.groups.stop)]
        found = np.zeros(self._drained.shape, parts[0].dtype)
        found[region.groups, region.out_rows, region.out_cols] = parts
        return found

    def _outputs(self, group: int) -> IntArray:
        """Return what the core's rows and columns of a group become."""
        region = self._plan.region
        place = (group, region.out_rows, region.out_cols)
        block = OutputBlock(group, region.out_rows, region.out_cols)
        operands = self._operands[place[:2]]
        codes = self._step.requantize(self._drained[place], self._drained_row_sums[place[:2]], block, operands)
        return np.where(self._requantized[place], codes, 0)

    def arranged(self, written: IntArray) -> IntArray:
        """Return codes (groups, out_rows, out_cols) flat, as they lie in memory."""
        return np.asarray(self._step.arranged([group[np.newaxis] for group in written])[0])

    @property
    def events(self) -> IntArray:
        """The kept events (cycle, row, col), counted from the first cycle of the first group."""
        self._queue.settle()
        return sort_events(self._events)[: self._max_events]

    def _keep(self, events: IntArray, group: int, fold: Fold) -> None:
        """Keep events by the cycles of the untiled product, whose stream a tile may cut."""
        if len(events) == 0:
            return
        streamed = {Dataflow.WEIGHT_STATIONARY: fold.out_rows.start, Dataflow.INPUT_STATIONARY: fold.out_cols.start}
        moved = events.copy()
        moved[:, 0] += group * self._plan.group_cycles + streamed.get(self._params.dataflow, 0)
        together = np.concatenate([self._events, moved])
        self._events = sort_events(together)[: self._max_events]


def _within(part: slice, whole: slice) -> slice:
    """Return a part of a range counted from the beginning of the range."""
    return slice(part.start - whole.start, part.stop - whole.start)


class LayerData:
    """A product's data on all cores that share it, put together as if one array had computed it.

    Args:
        parts: each core's.
        max_events: how many overflow events to keep, the first by cycle.
    """

    def __init__(self, parts: Sequence[ProductData], max_events: int) -> None:
        self.parts, self._max_events = parts, max_events

    @property
    def output(self) -> IntArray:
        """The codes that the cores have written, flat."""
        written = np.sum([part.output for part in self.parts], axis=0)  # no two cores write the same element
        return self.parts[0].arranged(written)

    @property
    def per_pe(self) -> IntArray:
        """Overflow events by row and column, of all arrays."""
        return np.asarray(np.sum([part.per_pe for part in self.parts], axis=0))

    @property
    def events(self) -> IntArray:
        """The first kept events, by the cycles of the whole product on one array."""
        return sort_events(np.concatenate([part.events for part in self.parts]))[: self._max_events]

    @property
    def counts(self) -> Counts:
        """What the engine counted on all arrays."""
        return Counts(sum((part.counts for part in self.parts), Counts()))

    def stop_on_overflow(self, layer: str, params: ArrayShape) -> None:
        """Raise under ``overflow: error`` when anything overflowed.

        Raises:
            AccumulatorOverflowError: naming layer, cycle, row and column of the first event.
        """
        assert isinstance(params, ArrayParams)  # noqa: S101  (floats run without data)
        if params.overflow == "error" and self.per_pe.any():
            cycle, row, col = self.events[0].tolist()
            raise overflow_error(layer, params, (cycle, row, col))
