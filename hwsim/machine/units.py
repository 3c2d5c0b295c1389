"""The units round one array: what its processes share."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.config.arch import ArchSpec
from hwsim.config.memories import ScratchpadSpec
from hwsim.counts import Counts
from hwsim.machine.clock import Clock, Process
from hwsim.machine.core import Core
from hwsim.machine.dram import Dram, Traffic
from hwsim.machine.memory import Port
from hwsim.machine.scratchpad import Scratchpad, scratchpad_port
from hwsim.machine.timeline import Timeline
from hwsim.machine.tracing import Tracer
from hwsim.mapping.plan import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Memories and units of one core.

    The requantizer and the vector unit work on the array's side of the output scratchpad; the weights' scratchpad goes
    with their supply. ``link`` is the way from the output scratchpad to the activation scratchpad, on their other
    sides: as wide as the narrower of both.
    """

    clock: Clock
    timeline: Timeline
    dram: Dram
    spec: ArchSpec
    counts: Counts
    activations: Scratchpad
    outputs: Scratchpad
    link: Port
    tracer: Tracer | None = None

    @classmethod
    def of(cls, core: Core, timeline: Timeline, traffic: Traffic, spec: ArchSpec) -> Units:
        """Build a layer's units of one core; it shares timeline and DRAM with the others."""
        clock, tracer = core.clock, core.tracer
        pads = spec.scratchpads

        def scratchpad(name: str, spec: ScratchpadSpec) -> Scratchpad:
            return Scratchpad(name, spec, clock, traffic.counts, scratchpad_port(name, spec, clock, tracer))

        width = min(pads.activations.bytes_per_cycle, pads.outputs.bytes_per_cycle)
        return cls(
            clock,
            timeline,
            core.dram(traffic),
            spec,
            traffic.counts,
            activations=scratchpad("activation_scratchpad", pads.activations),
            outputs=scratchpad("output_scratchpad", pads.outputs),
            link=Port(clock, width, name="outputs to activations", tracer=tracer),
            tracer=tracer,
        )

    @property
    def output_slots(self) -> int:
        """Into how many parts the output scratchpad is divided."""
        return 2 if self.spec.scratchpads.outputs.double_buffered else 1

    def write_to_dram(self, bits: int) -> Process:
        """Write outputs back to DRAM."""
        begin, done = self.outputs.gives(bits)
        # a wait of its own, as periods may be skipped meanwhile: then it ends as many cycles later
        passed = self.clock.env.process(self._wait("port", bits, done)) if done > self.clock.now else None
        yield from self._wait("turn", bits, begin)
        yield from self.dram.write("write-back", bits)
        if passed is not None and passed.is_alive:
            yield from self.clock.until(("write-back", "passed", bits), passed)

    def write_to_scratchpad(self, bits: int) -> Process:
        """Move outputs to the activation scratchpad, where later layers read them."""
        whole = Vectors(1, bits)
        words = max(self.outputs.whole_words(whole), self.activations.whole_words(whole))
        done = max(self.outputs.gives(bits)[1], self.activations.takes(bits), self.link.passes(words))
        yield from self.clock.pause(("write-back", "link", bits), done - self.clock.now)

    def _wait(self, what: str, bits: int, cycle: int) -> Process:
        if cycle > self.clock.now:
            yield from self.clock.pause(("write-back", what, bits), cycle - self.clock.now)
