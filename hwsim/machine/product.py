"""A matrix product on the machine: loads, folds, requantization and write-back, each a SimPy process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from hwsim.array.params import Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.machine.data import ProductData
from hwsim.machine.memory import Dram, Port, Process, ScratchpadData
from hwsim.machine.timeline import Span
from hwsim.mapping.plan import GroupFold, OperandPlan, ProductPlan, Transfer


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Finished sums on their way to the requantizer; ``complete`` happens when the last of them has arrived."""

    one: GroupFold
    elements: int
    complete: simpy.Event


class Operand:
    """One operand's way from DRAM to the array: a loader that runs ahead of the folds, as far as slots allow."""

    def __init__(
        self, env: simpy.Environment, dram: Dram, plan: OperandPlan, port: Port, data: ScratchpadData | None
    ) -> None:
        self._env, self._dram, self._plan, self._port, self._data = env, dram, plan, port, data
        self._slots = simpy.Container(env, plan.slots, init=plan.slots) if plan.slots else None
        self._arrived = {transfer: env.event() for transfer in plan.transfers}
        self._by_first: dict[int, list[Transfer]] = defaultdict(list)
        self._by_last: dict[int, list[Transfer]] = defaultdict(list)
        for transfer in plan.transfers:
            self._by_first[transfer.first_fold].append(transfer)
            self._by_last[transfer.last_fold].append(transfer)
        env.process(self._load())

    def ready(self, fold: int) -> simpy.Event:
        """Happens when everything that a fold is the first to read has arrived."""
        return self._env.all_of([self._arrived[transfer] for transfer in self._by_first[fold]])

    def feed(self, fold: int) -> simpy.Event:
        """Happens when the array has read the fold's operands; slots that no later fold reads are free then."""
        return self._env.process(self._feed(fold))

    def _feed(self, fold: int) -> Process:
        yield from self._port.pass_through(self._plan.read_bits[fold])
        if self._slots is None:
            return
        for transfer in self._by_last[fold]:
            if self._data is not None:
                self._data.release(transfer.place)
            yield self._slots.put(1)

    def _load(self) -> Process:
        for transfer in self._plan.transfers:
            if self._slots is not None:
                yield self._slots.get(1)
            yield from self._dram.occupy(transfer.bits)
            self._env.process(self._arrive(transfer))

    def _arrive(self, transfer: Transfer) -> Process:
        yield self._env.timeout(self._dram.latency_cycles)
        if self._data is not None:
            self._data.load(transfer.place)
        self._arrived[transfer].succeed()


class ProductRun:
    """The processes of one product.

    Args:
        env: the clock.
        dram: shared by loads and write-back.
        spec: the machine.
        plan: the product.
        data: the codes of a run with data, None in a timing run.
        note: takes the spans of what the units do.
        write_blocks: whether a block is written to DRAM as soon as it is requantized, or stays in the output
            scratchpad for the steps that follow.
    """

    def __init__(
        self,
        env: simpy.Environment,
        dram: Dram,
        spec: ArchSpec,
        plan: ProductPlan,
        data: ProductData | None,
        note: Callable[[Span], None],
        *,
        write_blocks: bool,
    ) -> None:
        self._env, self._dram, self._spec, self._plan = env, dram, spec, plan
        self._data, self._note, self._write_blocks = data, note, write_blocks
        pads = spec.scratchpads
        self._activations = Operand(
            env, dram, plan.activations, Port(env, pads.activations), data.activations if data else None
        )
        self._weights = Operand(env, dram, plan.weights, Port(env, pads.weights), data.weights if data else None)
        banks = -(-plan.timing.duration // plan.timing.interval) + 1  # folds in the array at once, one requantized
        self._banks = simpy.Container(env, banks, init=banks)
        self._stream = simpy.Resource(env, capacity=1)
        self._blocks = simpy.Store(env)
        self._output_port = Port(env, pads.outputs)
        slots = 2 if pads.outputs.double_buffered else 1
        self._output_slots = simpy.Container(env, slots, init=slots)
        is_output_stationary = plan.params.dataflow is Dataflow.OUTPUT_STATIONARY
        self._fold = self._output_stationary_fold if is_output_stationary else self._streaming_fold

    def run(self) -> Process:
        """Run all folds; return when the last block has been requantized, and written where blocks are."""
        finished = self._env.process(self._requantize_all())
        yield from self._run_folds()
        yield finished

    def _run_folds(self) -> Process:
        plan = self._plan
        for number, one in enumerate(plan.folds):
            begun = self._env.now
            yield self._activations.ready(number) & self._weights.ready(number)
            self._span("load_stall", begun)
            if one.fold.first_in_chain:
                begun = self._env.now
                yield self._banks.get(1)
                self._span("write_stall", begun)
            if self._data is not None:
                self._data.step_fold(one)
            free = self._env.event()
            running = self._env.process(self._fold(number, one, free))
            if one.ends_group or plan.params.fold_overlap == "none":
                yield running
            else:
                yield self._env.timeout(plan.timing.interval) & free
            if one.ends_group and plan.timing.tail:
                begun = self._env.now
                yield self._env.timeout(plan.timing.tail)
                self._span("drain", begun)

    def _output_stationary_fold(self, number: int, one: GroupFold, free: simpy.Event) -> Process:
        """Operands enter during fill and compute; the finished sums leave during the drain.

        ``free`` happens when the scratchpads have delivered all operands: another fold's may follow them.
        """
        timing = self._plan.timing
        feeds = self._activations.feed(number) & self._weights.feed(number)
        self._env.process(self._pass_on(feeds, free))
        yield from self._phase("fill", timing.fill)
        yield from self._phase("compute", timing.compute)
        yield from self._starve(feeds)
        complete = self._env.event()
        self._blocks.put(Block(one, one.fold.outputs, complete))
        yield from self._phase("drain", timing.drain)
        complete.succeed()

    def _streaming_fold(self, number: int, one: GroupFold, free: simpy.Event) -> Process:
        """The stationary operand enters during the fill, the other one streams; sums leave from 2 rows on.

        ``free`` happens when the stream begins: the second set of registers can take another stationary operand.
        """
        timing = self._plan.timing
        is_weight_stationary = self._plan.params.dataflow is Dataflow.WEIGHT_STATIONARY
        stationary, streaming = self._activations, self._weights
        if is_weight_stationary:
            stationary, streaming = streaming, stationary
        loading = stationary.feed(number)
        yield from self._phase("fill", timing.fill)
        yield from self._starve(loading)
        complete = self._env.event()
        with self._stream.request() as turn:  # one stream after the other
            yield turn
            free.succeed()
            if one.fold.last_in_chain:
                self._env.process(self._announce(Block(one, one.fold.outputs, complete), timing.fill))
            feeding = streaming.feed(number)
            yield from self._phase("compute", timing.compute)
            yield from self._starve(feeding)
        yield from self._phase("drain", timing.drain)
        self._env.process(self._complete(complete, timing.tail))

    def _pass_on(self, source: simpy.Event, target: simpy.Event) -> Process:
        yield source
        target.succeed()

    def _announce(self, block: Block, delay: int) -> Process:
        yield self._env.timeout(delay)
        yield self._blocks.put(block)

    def _complete(self, event: simpy.Event, delay: int) -> Process:
        yield self._env.timeout(delay)
        event.succeed()

    def _phase(self, kind: str, cycles: int) -> Process:
        begun = self._env.now
        yield self._env.timeout(cycles)
        self._span(kind, begun)

    def _starve(self, feeds: simpy.Event) -> Process:
        """Wait for operands that the scratchpad's port has not delivered in time."""
        begun = self._env.now
        yield feeds
        self._span("load_stall", begun)

    def _requantize_all(self) -> Process:
        chains = sum(one.fold.last_in_chain for one in self._plan.folds)
        leaving = []
        for _ in range(chains):
            block = yield self._blocks.get()
            bits = block.elements * self._plan.step.output_format.bits
            if self._write_blocks:
                yield self._output_slots.get(1)
            begun = self._env.now
            lanes = self._env.timeout(-(-block.elements // self._spec.requantizer.lanes))
            stored = self._env.process(self._output_port.pass_through(bits))
            yield lanes & stored & block.complete
            self._span("requantize", begun)
            if self._data is not None:
                self._data.requantize(block.one)
            yield self._banks.put(1)
            leaving.append(self._env.process(self._leave(bits)))
        yield self._env.all_of(leaving)

    def _leave(self, bits: int) -> Process:
        """Pass the pipeline, then go to DRAM or stay in the output scratchpad."""
        yield from self._phase("requantize", self._spec.requantizer.pipeline_cycles)
        if not self._write_blocks:
            return
        begun = self._env.now
        yield from self._dram.occupy(bits)
        self._span("write_stall", begun)
        yield self._output_slots.put(1)

    def _span(self, kind: str, begun: float) -> None:
        self._note(Span(kind, int(begun), int(self._env.now)))
