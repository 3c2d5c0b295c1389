"""Steps off the array: on the vector unit and the activation LUT, from and to the scratchpads."""

from __future__ import annotations

import simpy

from hwsim.machine.clock import Process
from hwsim.machine.units import Units
from hwsim.mapping.plan import LayerPlan, Share, Vectors
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.steps import ProductStep


class VectorRun:
    """The processes of the steps of one layer that follow its product, or of a layer without one.

    A layer without a product passes the output scratchpad in pieces: while one is worked on, the next one's inputs
    are brought from DRAM and the last one's outputs written, as far as slots allow. What is in the activation
    scratchpad is read from there.

    Args:
        units: where the steps run.
        plan: the layer.
        share: the core's, of all that the steps read, do and write.
    """

    def __init__(self, units: Units, plan: LayerPlan, share: Share) -> None:
        self._units, self._plan, self._share = units, plan, share
        self._clock, self._timeline = units.clock, units.timeline

    def run_after_product(self, product: ProductStep) -> Process:
        """Run the steps on the product's outputs, which wait in the output scratchpad, and write the last one's."""
        held_bits = self._share.of(self._plan.bits[product.output])
        for step in self._plan.after:
            yield from self._step(step, 0, output_bits=held_bits, activation_bits=0)
            held_bits = self._share.of(self._plan.bits[step.output])
        yield from self._write(held_bits)

    def run(self) -> Process:
        """Run the layer's steps piece by piece."""
        env, pieces = self._clock.env, self._plan.pieces
        count = self._units.output_slots if pieces > 1 else 1
        slots = simpy.Container(env, count, init=count)
        loaded = simpy.Container(env)
        env.process(self._load(slots, loaded))
        for piece in range(pieces):
            waiting = self._timeline.begin("load_stall")
            yield from self._clock.until("piece", loaded.get(1))
            self._timeline.end(waiting)
            yield from self._work(piece)
            env.process(self._leave(piece, slots))
        yield from self._clock.until("written", slots.get(count))

    def _load(self, slots: simpy.Container, loaded: simpy.Container) -> Process:
        reads = [bits for name, bits in self._plan.reads.items() if name not in self._plan.on_chip]
        for piece in range(self._plan.pieces):
            yield slots.get(1)
            for whole in reads:
                yield from self._units.dram.read("vector input", self._part(whole, piece))
            brought = sum(self._part(whole, piece) for whole in reads)
            self._clock.env.process(self._arrive(loaded, brought, waits=bool(reads)))

    def _arrive(self, loaded: simpy.Container, bits: int, *, waits: bool) -> Process:
        if waits:
            dram = self._units.dram
            yield from dram.arrive("vector input")
            yield from self._units.outputs.fill(bits, dram.least_cycles(bits), in_half=True)
        loaded.put(1)

    def _work(self, piece: int) -> Process:
        plan = self._plan
        outside, inside = self._part(plan.dram_input_bits, piece), self._part(plan.on_chip_input_bits, piece)
        for step in plan.after:
            yield from self._step(step, piece, output_bits=outside, activation_bits=inside)
            outside, inside = self._part(plan.bits[step.output], piece), 0

    def _leave(self, piece: int, slots: simpy.Container) -> Process:
        yield from self._write(self._part(self._plan.output_bits, piece))
        slots.put(1)

    def _write(self, bits: int) -> Process:
        units = self._units
        stalling = self._timeline.begin("write_stall")
        to_dram = self._plan.output_memory == "dram"
        yield from units.write_to_dram(bits) if to_dram else units.write_to_scratchpad(bits)
        self._timeline.end(stalling)

    def _step(self, step: ElementwiseStep, piece: int, *, output_bits: int, activation_bits: int) -> Process:
        """Run a step on what it reads from the output and the activation scratchpad, through their ports.

        Its look-ups follow what it does on the vector unit.
        """
        units, written = self._units, self._part(self._plan.bits[step.output], piece)
        operations, lookups = self._part(step.operations, piece), self._part(step.lookups, piece)
        begin = self._clock.now
        computed = begin - (-operations // units.spec.vector_unit.lanes)
        done = max(
            computed - (-lookups // units.spec.activation_lut.lanes),
            units.outputs.read_and_write(output_bits, written),
            units.activations.read(Vectors(1, activation_bits)),
        )
        self._timeline.add("vector", begin, done)
        if units.tracer is not None:
            if operations or not lookups:
                end = computed if lookups else done
                units.tracer.slice("vector unit", step.name, begin, end, {"operations": operations})
            if lookups:
                units.tracer.slice("activation LUT", step.name, computed, done, {"operations": lookups})
        yield from self._clock.pause(("vector unit", step.name, piece), done - begin)

    def _part(self, amount: int, piece: int) -> int:
        """Return a piece's part of the core's share of an amount; the parts add up to it."""
        return Share(piece, piece + 1, self._plan.pieces).of(self._share.of(amount))
