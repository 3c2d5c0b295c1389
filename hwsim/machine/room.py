"""The space of a scratchpad in bits: what lies there, and, where its capacity is watched, what may still come."""

from __future__ import annotations

import simpy

from hwsim.machine.clock import Clock, Process
from hwsim.machine.memory import BITS_PER_BYTE
from hwsim.machine.tracing import Tracer


class Room:
    """The account of one scratchpad.

    Where several layers' slices share it, a slice takes its bits before DRAM is asked for it, waits while there are
    not that many, and gives them back when the array has read it for the last time: no more than the capacity is ever
    taken. Where on the chip a slice lies does not matter, as its words need not be next to each other.

    Args:
        name: of the scratchpad, in counts: ``weight_scratchpad``.
        clock: the machine's.
        tracer: is told how much lies there.
        capacity_bits: of the scratchpad; None where one layer alone uses it, whose plan sees to it that all fits.
    """

    def __init__(self, name: str, clock: Clock, tracer: Tracer | None = None, capacity_bits: int | None = None) -> None:
        self._name, self._clock, self._tracer = name, clock, tracer
        self._free = None if capacity_bits is None else simpy.Container(clock.env, capacity_bits, init=capacity_bits)
        self._held_bits = 0
        self.arrive(0)

    @property
    def is_shared(self) -> bool:
        """Whether the capacity is watched."""
        return self._free is not None

    @property
    def free_bits(self) -> int:
        """What is not taken; 0 where the capacity is not watched."""
        return 0 if self._free is None else int(self._free.level)

    @property
    def wanted_bits(self) -> int | None:
        """The size of the slice that waits for room; None if none does."""
        waiting = [] if self._free is None else self._free.get_queue
        return int(waiting[0].amount) if waiting else None

    def take(self, bits: int) -> Process:
        """Return when there is room for a slice, which is its own from then on."""
        if self._free is None:
            return
        taken = self._free.get(bits)
        if not taken.triggered:
            yield from self._clock.until((self._name, "room", bits), taken)

    def arrive(self, bits: int) -> None:
        """Note that a slice has come from DRAM."""
        self._held_bits += bits
        if self._tracer is not None:
            name = f"{self._name.replace('_', ' ')} bytes"
            self._tracer.level(name, self._clock.now, -(-self._held_bits // BITS_PER_BYTE))

    def leave(self, bits: int) -> None:
        """Give a slice's room back."""
        self.arrive(-bits)
        if self._free is not None:
            self._free.put(bits)

    def skip(self, bits: int) -> None:
        """Let as many bits be given back, or taken, in cycles in which what happened repeated itself."""
        if self._free is not None and bits:
            _ = self._free.put(bits) if bits > 0 else self._free.get(-bits)
