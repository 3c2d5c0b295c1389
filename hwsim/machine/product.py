"""A matrix product on the machine: loads, folds, requantization and write-back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import simpy

from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import Dataflow
from hwsim.machine.clock import Process
from hwsim.machine.data import ProductData
from hwsim.machine.room import Room
from hwsim.machine.supply import OperandSupply
from hwsim.machine.tracing import Tracer
from hwsim.machine.units import Units
from hwsim.mapping.plan import ProductPlan
from hwsim.mapping.tiles import Tile, TileFolds, length
from hwsim.mapping.tiling import banks

WriteBack = Callable[[int], Process]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Finished sums on their way to the requantizer.

    They leave the array from cycle ``ready`` on, the last of them in cycle ``complete``. ``begins`` and ``ends`` mark
    the first and the last block of a tile's outputs, whose size is ``output_bits``.
    """

    group: int
    fold: Fold
    ready: int
    complete: int
    begins: bool
    ends: bool
    output_bits: int

    @property
    def kind(self) -> Hashable:
        """What tells blocks apart that come at different times."""
        return (self.fold.outputs, self.begins, self.ends, self.output_bits)

    def state(self, now: int) -> Hashable:
        """Return all that matters for what follows."""
        return (self.kind, max(self.ready - now, 0), max(self.complete - now, 0))


Phase = tuple[str, int, int]
"""A class of cycles, and its first cycle and the one after its last."""


@dataclass(frozen=True, slots=True)
class Passage:
    """When a fold's operands and sums pass the array, in cycles.

    ``activations_read`` and ``weights_read``: the scratchpads have delivered them; ``follows``: another fold's may
    come, or more terms of the same; ``ready`` and ``complete``: the first and the last sums are out; ``end``: the array
    is empty, or waits for more terms. ``phases`` are what the array does in between.
    """

    activations_read: int
    weights_read: int
    follows: int
    ready: int
    complete: int
    end: int
    phases: tuple[Phase, ...]


class ProductRun:
    """The processes of one product on one array.

    ``tile_number`` and ``fold_number`` say which fold the array starts next.

    Args:
        units: the memories and the requantizer of the array's core.
        plan: the product.
        data: the codes of a run with data, None in a timing run.
        write_back: takes a tile's outputs of so many bits from the output scratchpad to where they belong; None
            where they stay there for the steps that follow.
        start_weights: returns the supply of the product's weights, which may have begun before.
    """

    def __init__(
        self,
        units: Units,
        plan: ProductPlan,
        data: ProductData | None,
        write_back: WriteBack | None,
        start_weights: Callable[[], OperandSupply],
    ) -> None:
        self._units, self.plan, self._data, self._write_back = units, plan, data, write_back
        self._clock, self._timeline = units.clock, units.timeline
        self.activations = OperandSupply(
            units.activations,
            self._clock,
            units.dram,
            plan.activations,
            data.activations if data else None,
            Room("activation_scratchpad", self._clock, units.tracer),
        )
        self.weights = start_weights()
        timing = plan.tile_timing(plan.grid.tile(0))
        held = banks(timing.duration, timing.interval)
        self._banks = simpy.Container(self._clock.env, held, init=held)
        self._blocks: deque[Block | None] = deque()
        self._sent = simpy.Container(self._clock.env)
        self._current: Block | None = None
        self._output_slots = simpy.Container(self._clock.env, units.output_slots, init=units.output_slots)
        self._stream_free_from = 0
        self._is_output_stationary = plan.params.dataflow is Dataflow.OUTPUT_STATIONARY
        self._stationary, self._streaming = self.weights, self.activations
        if plan.params.dataflow is Dataflow.INPUT_STATIONARY:
            self._stationary, self._streaming = self.activations, self.weights
        self.at_fold: Callable[[], None] = lambda: None
        """Called when the array could start a fold; it may move on ``tile_number`` or ``fold_number``."""
        self.tile_number = self.fold_number = 0

    def run(self) -> Process:
        """Run all folds; return when the last block has been requantized, and written where blocks are."""
        finished = self._clock.env.process(self._requantize_all())
        while self.tile_number < self.plan.grid.count:
            yield from self._run_tile()
        self._send(None)
        yield from self._clock.until("array done", finished)

    @property
    def is_over(self) -> bool:
        """Whether the array has no fold left to start."""
        return self.tile_number == self.plan.grid.count

    def state(self) -> tuple[Hashable, ...]:
        """Return what the units hold and for how long they are taken."""
        now = self._clock.now
        return (
            self.activations.state(),
            self.weights.state(),
            self._banks.level,
            self._output_slots.level,
            tuple(block.state(now) if block else None for block in self._blocks),
            self._current and self._current.state(now),
            self._units.outputs.state(),
            self._units.link.state(),
            max(self._stream_free_from - now, 0),
        )

    def skip(self, cycles: int, ahead: tuple[int, int]) -> None:
        """Let cycles pass in which what happened repeated itself; ``ahead`` are slices more that lie ready then."""
        self._stream_free_from += cycles
        for port in (self._units.outputs, self._units.link):
            port.skip(cycles)
        for supply, slices in zip((self.activations, self.weights), ahead, strict=True):
            supply.skip(cycles, slices)
        self._blocks = deque(block and _later(block, cycles) for block in self._blocks)
        self._current = self._current and _later(self._current, cycles)

    def _run_tile(self) -> Process:
        self.at_fold()
        number = self.tile_number
        tile = self.plan.grid.tile(number)
        timing, folds = self.plan.tile_timing(tile), self.plan.folds(tile)
        waiting = self._timeline.begin("load_stall")
        yield from self.activations.wait(number)
        yield from self.weights.wait(number)
        self._timeline.end(waiting)
        while self.fold_number < folds.count:
            yield from self._run_fold(tile, folds, timing)
            self.fold_number += 1
            if self.fold_number < folds.count:
                self.at_fold()
        self.tile_number, self.fold_number = self.tile_number + 1, 0  # not number: tiles may have been skipped

    def _run_fold(self, tile: Tile, folds: TileFolds, timing: FoldTiming) -> Process:
        fold = folds.fold(self.fold_number)
        if fold.first_in_chain:
            waiting = self._timeline.begin("write_stall")
            yield from self._clock.until("bank", self._banks.get(1))
            self._timeline.end(waiting)
        if self._data is not None:
            self._data.step_fold(tile.group, fold, tile.depth)
        passage = self._pass(fold, timing)
        ends_group = False
        if self.fold_number == folds.count - 1:
            self.activations.release(self.tile_number, passage.activations_read)
            self.weights.release(self.tile_number, passage.weights_read)
            ends_group = self.plan.ends_group(self.tile_number)
        if fold.last_in_chain:
            self._send(self._block(tile, folds, fold, passage))
        next_cycle = passage.end if ends_group else passage.follows
        if ends_group:
            self._timeline.add("drain", next_cycle, next_cycle + timing.tail)
            next_cycle += timing.tail
        yield from self._clock.pause("array", next_cycle - self._clock.now)

    def _send(self, block: Block | None) -> None:
        """Pass a block on to the requantizer; None says that there will be no more."""
        self._blocks.append(block)
        self._sent.put(1)

    def _block(self, tile: Tile, folds: TileFolds, fold: Fold, passage: Passage) -> Block:
        first = folds.inners - 1 if folds.is_chained else 0
        return Block(
            tile.group,
            fold,
            passage.ready,
            passage.complete,
            self.fold_number == first,
            self.fold_number == folds.count - 1,
            self.plan.output_bits(tile),
        )

    def _pass(self, fold: Fold, timing: FoldTiming) -> Passage:
        passage = self._keep_outputs(fold, timing) if self._is_output_stationary else self._stream(fold, timing)
        for action in self.plan.step.weight_decoding:
            self._units.counts["weight_decoder", action] += length(fold.depth) * length(fold.out_cols)
        for phase in passage.phases:
            self._timeline.add(*phase)
        if self._units.tracer is not None:
            self._trace(self._units.tracer, fold, passage)
        return passage

    def _trace(self, tracer: Tracer, fold: Fold, passage: Passage) -> None:
        """Tell of a fold and its phases; folds that overlap lie on tracks next to each other."""
        now = passage.phases[0][1]
        track = tracer.lane("array", now, passage.end)
        details = {"tile": self.tile_number, "fold": self.fold_number}
        tracer.slice(
            track,
            f"tile {self.tile_number}, fold {self.fold_number}",
            now,
            passage.end,
            details
            | {
                "out_rows": length(fold.out_rows),
                "depth": length(fold.depth),
                "out_cols": length(fold.out_cols),
            },
        )
        for kind, start, end in passage.phases:
            tracer.slice(track, kind.replace("_", " "), start, end, details)

    def _keep_outputs(self, fold: Fold, timing: FoldTiming) -> Passage:
        """Operands enter during fill and compute; the finished sums leave during the drain.

        Where tiles bring the terms piece by piece, the first of a piece follows the last of the one before; the PE that
        they reach last waits as long as they do.
        """
        now, terms = self._clock.now, length(fold.depth)
        activations = self.activations.feed(self.plan.activation_vectors(fold))
        weights = self.weights.feed(self.plan.weight_vectors(fold))
        computing, computed = now + timing.fill, now + timing.fill + terms
        before = ("fill", now, computing)
        if not fold.first_in_chain:
            before = ("load_stall", max(now, self._stream_free_from), computing)
        self._stream_free_from = computed
        begun = (before, ("compute", computing, computed))
        if not fold.last_in_chain:
            return Passage(activations, weights, now + terms, computed, computed, computed, begun)
        finished = max(computed, activations, weights)
        end = finished + timing.drain
        phases = (*begun, ("load_stall", computed, finished), ("drain", finished, end))
        follows = max(now + timing.interval - fold.depth.start, activations, weights)
        return Passage(activations, weights, self._unless_overlapped(follows, end), finished, end, end, phases)

    def _unless_overlapped(self, follows: int, end: int) -> int:
        """Return when another fold may come: where folds do not overlap, at the end of this one."""
        return end if self.plan.params.fold_overlap == "none" else follows

    def _stream(self, fold: Fold, timing: FoldTiming) -> Passage:
        """The stationary operand enters during the fill, the other one streams; sums leave from 2 rows on.

        One stream follows the other; when it begins, the second set of registers can take another stationary operand.
        """
        now, plan = self._clock.now, self.plan
        operands = plan.weight_vectors(fold), plan.activation_vectors(fold)
        kept, passing = operands if self._stationary is self.weights else operands[::-1]
        filled = now + timing.fill
        stationary = self._stationary.feed(kept)
        loaded = max(filled, stationary)
        begin = max(loaded, self._stream_free_from)
        streaming = self._streaming.feed(passing, begin)
        streamed = begin + timing.compute
        self._stream_free_from = max(streamed, streaming)
        end = self._stream_free_from + timing.drain
        phases = (
            ("fill", now, filled),
            ("load_stall", filled, loaded),
            ("compute", begin, streamed),
            ("load_stall", streamed, self._stream_free_from),
            ("drain", self._stream_free_from, end),
        )
        weights, activations = (stationary, streaming) if self._stationary is self.weights else (streaming, stationary)
        follows = self._unless_overlapped(max(now + timing.interval, begin), end)
        return Passage(activations, weights, follows, begin + timing.fill, end + timing.tail, end, phases)

    def _requantize_all(self) -> Process:
        clock, spec = self._clock, self._units.spec.requantizer
        while True:
            yield from clock.until(("requantizer", "block"), self._sent.get(1))
            self._current = self._blocks.popleft()
            if self._current is None:
                break
            yield from clock.pause(("requantizer", "ready"), max(self._current.ready - clock.now, 0))
            if self._write_back is not None and self._current.begins:
                yield from clock.until(("requantizer", "slot"), self._output_slots.get(1))
            yield from self._requantize(self._current)
        yield from clock.pause(("requantizer", "last"), spec.pipeline_cycles)
        yield from clock.until("written", self._output_slots.get(self._output_slots.capacity))

    def _requantize(self, block: Block) -> Process:
        clock, spec = self._clock, self._units.spec.requantizer
        through_lanes = clock.now - (-block.fold.outputs // spec.lanes)
        done = max(through_lanes, self._units.outputs.write(self.plan.output_vectors(block.fold)), block.complete)
        self._timeline.add("requantize", clock.now, done + spec.pipeline_cycles)
        if self._units.tracer is not None:
            outputs = {"outputs": block.fold.outputs}
            self._units.tracer.slice("requantizer", "requantize", clock.now, done, outputs)
        yield from clock.pause(("requantizer", "lanes"), done - clock.now)
        if self._data is not None:
            self._data.requantize(block.group, block.fold)
        self._banks.put(1)
        self._current = None
        if block.ends and self._write_back is not None:
            clock.env.process(self._leave(block.output_bits, self._write_back))

    def _leave(self, bits: int, write_back: WriteBack) -> Process:
        """Pass the pipeline, then leave the output scratchpad."""
        yield from self._clock.pause(("write-back", "pipeline", bits), self._units.spec.requantizer.pipeline_cycles)
        stalling = self._timeline.begin("write_stall")
        yield from write_back(bits)
        self._timeline.end(stalling)
        self._output_slots.put(1)


def _later(block: Block, cycles: int) -> Block:
    return replace(block, ready=block.ready + cycles, complete=block.complete + cycles)
