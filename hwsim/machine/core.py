"""One core from the first layer to the last: what outlasts its layers."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.config.arch import ArchSpec
from hwsim.machine.clock import Clock
from hwsim.machine.dram import Dram, DramChannels, Traffic
from hwsim.machine.memory import BITS_PER_BYTE, ScratchpadData
from hwsim.machine.room import Room
from hwsim.machine.scratchpad import Scratchpad, scratchpad_port
from hwsim.machine.supply import OperandSupply
from hwsim.machine.tracing import Tracer
from hwsim.mapping.plan import ProductPlan

WEIGHTS = "weight_scratchpad"


class Core:
    """A core's clock, its way to the DRAM, and its weight scratchpad, whose space layers may share.

    Args:
        number: among several; None where it is the only one, so that nothing needs to tell it from others.
        clock: the machine's.
        channels: of the DRAM, which all cores share.
        spec: the architecture.
        tracer: the machine's.
    """

    def __init__(
        self, number: int | None, clock: Clock, channels: DramChannels, spec: ArchSpec, tracer: Tracer | None
    ) -> None:
        self._name, self.clock, self.tracer = "", clock, tracer
        if number is not None:
            self._name = f"core {number} "
            self.clock, self.tracer = clock.of_core(number), tracer and tracer.of_core(self._name)
        self._channels = channels
        self._pad = pad = spec.scratchpads.weights
        self._port = scratchpad_port(WEIGHTS, pad, self.clock, self.tracer)
        self._shared = self._room(pad.capacity_bytes * BITS_PER_BYTE) if spec.mapping.layer_overlap != "none" else None

    def dram(self, traffic: Traffic) -> Dram:
        """Return what a layer's units of this core see of the DRAM."""
        return Dram(self.clock, self._channels, traffic, self._name)

    def bring_weights(
        self, product: ProductPlan, traffic: Traffic, data: ScratchpadData | None, loaded: Callable[[], None]
    ) -> OperandSupply:
        """Begin to bring a product's weights; ``traffic`` is its layer's, ``data`` the codes of a run with data."""
        return OperandSupply(
            Scratchpad(WEIGHTS, self._pad, self.clock, traffic.counts, self._port),
            self.clock,
            self.dram(traffic),
            product.weights,
            data,
            self._shared or self._room(),
            loaded,
        )

    def _room(self, capacity_bits: int | None = None) -> Room:
        return Room(WEIGHTS, self.clock, self.tracer, capacity_bits)
