"""The units round one array: what its processes share."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.machine.clock import Clock, Process
from hwsim.machine.core import Core
from hwsim.machine.dram import Dram, Traffic
from hwsim.machine.memory import Port
from hwsim.machine.timeline import Timeline
from hwsim.machine.tracing import Tracer


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Memories and units of one core.

    Each scratchpad has a port on the side of the array, and the requantizer and the vector unit work through that of
    the output scratchpad; that of the weights goes with their supply. ``link`` is the way from the output scratchpad to
    the activation scratchpad, through their other ports: as wide as the narrower of both.
    """

    clock: Clock
    timeline: Timeline
    dram: Dram
    spec: ArchSpec
    counts: Counts
    activation_port: Port
    output_port: Port
    link: Port
    tracer: Tracer | None = None

    @classmethod
    def of(cls, core: Core, timeline: Timeline, traffic: Traffic, spec: ArchSpec) -> Units:
        """Build a layer's units of one core; it shares timeline and DRAM with the others."""
        clock, tracer = core.clock, core.tracer
        pads = spec.scratchpads

        def port(name: str, bytes_per_cycle: int) -> Port:
            return Port(clock, bytes_per_cycle, name=name, tracer=tracer)

        return cls(
            clock,
            timeline,
            core.dram(traffic),
            spec,
            traffic.counts,
            activation_port=port("activation scratchpad port", pads.activations.bytes_per_cycle),
            output_port=port("output scratchpad port", pads.outputs.bytes_per_cycle),
            link=port("outputs to activations", min(pads.activations.bytes_per_cycle, pads.outputs.bytes_per_cycle)),
            tracer=tracer,
        )

    @property
    def output_slots(self) -> int:
        """Into how many parts the output scratchpad is divided."""
        return 2 if self.spec.scratchpads.outputs.double_buffered else 1

    def write_to_dram(self, bits: int) -> Process:
        """Write outputs back to DRAM."""
        self.counts["output_scratchpad", "read_bits"] += bits
        yield from self.dram.write("write-back", bits)

    def write_to_scratchpad(self, bits: int) -> Process:
        """Move outputs to the activation scratchpad, where later layers read them."""
        self.counts["output_scratchpad", "read_bits"] += bits
        self.counts["activation_scratchpad", "write_bits"] += bits
        yield from self.clock.pause(("write-back", "link", bits), self.link.passes(bits) - self.clock.now)
