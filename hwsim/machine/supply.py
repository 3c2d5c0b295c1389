"""One operand's way from DRAM to the array: a loader that runs ahead of the tiles, as far as slots allow."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import simpy

from hwsim.machine.clock import Clock, Process
from hwsim.machine.dram import Dram
from hwsim.machine.memory import ScratchpadData
from hwsim.machine.room import Room
from hwsim.machine.scratchpad import Scratchpad
from hwsim.mapping.operands import OperandTiles
from hwsim.mapping.plan import Vectors


class OperandSupply:
    """Brings the slices that tiles wait for, and passes them to the array.

    ``position`` is the tile that the loader looks at next. A tile waits for one transfer, if it is the first to read
    a slice; which slice it is follows from their order.

    Args:
        scratchpad: through which the operand passes.
        clock: the machine's.
        dram: shared by all loads and write-backs.
        tiles: which slices there are.
        data: the codes of a run with data.
        room: the scratchpad's space.
        loaded: is called when DRAM has been asked for the last slice and its channels have passed it.
    """

    def __init__(
        self,
        scratchpad: Scratchpad,
        clock: Clock,
        dram: Dram,
        tiles: OperandTiles,
        data: ScratchpadData | None,
        room: Room,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        self._scratchpad, self._name = scratchpad, scratchpad.name
        self._clock, self._dram, self._tiles, self._data = clock, dram, tiles, data
        self.room, self._loaded = room, loaded
        self._arrived = simpy.Container(clock.env)
        self._slots = simpy.Container(clock.env, tiles.slots, init=tiles.slots) if tiles.slots else None
        self.position = 0
        clock.env.process(self._load())

    def wait(self, number: int) -> Process:
        """Return when what a tile is the first to read has arrived."""
        if self._tiles.bits(number):
            yield from self._clock.until((self._name, "tile"), self._arrived.get(1))

    def feed(self, vectors: Vectors, start: int | None = None) -> int:
        """Return the cycle in which the port has passed a fold's operands to the array."""
        return self._scratchpad.read(vectors, start)

    def release(self, number: int, cycle: int) -> None:
        """Free the space of a tile's slice in the cycle in which the array has read the last of it.

        What stays is given back only where later layers could use its space.
        """
        if self._tiles.releases(number) or (self.room.is_shared and self._tiles.gives_back(number)):
            self._clock.env.process(self._release(number, cycle))

    @property
    def ahead(self) -> int:
        """How many slices lie ready for tiles to come, where the loader does not care: it waits for no slot."""
        return 0 if self._slots else int(self._arrived.level)

    def state(self) -> tuple[Hashable, ...]:
        """Return what lies ready and how many slots are free, if there are slots, and how long the port is taken."""
        slots = (self._arrived.level, self._slots.level) if self._slots else None
        return (slots, self._scratchpad.state())

    def skip(self, cycles: int, ahead: int) -> None:
        """Let cycles pass in which what happened repeated itself; ``ahead`` slices more lie ready after them."""
        self._scratchpad.skip(cycles)
        if ahead > 0:
            self._arrived.put(ahead)
        elif ahead < 0:
            self._arrived.get(-ahead)

    def _release(self, number: int, cycle: int) -> Process:
        yield from self._clock.pause((self._name, "release"), cycle - self._clock.now)
        if self._data is not None:
            self._data.release(self._tiles.index(self._tiles.grid.place(number)))
        self.room.leave(self._tiles.slice_bits(self._tiles.grid.place(number)))
        if self._slots is not None:
            yield self._slots.put(1)

    def _load(self) -> Process:
        if self._tiles.residency != "on_chip":
            yield from self._load_slices()
        self._loaded()

    def _load_slices(self) -> Process:
        while self.position < self._tiles.grid.count:
            number = self.position
            self.position += 1
            bits = self._tiles.bits(number)
            if not bits:
                continue
            if self._slots is not None:
                yield from self._clock.until((self._name, "slot", bits), self._slots.get(1))
            yield from self.room.take(bits)
            yield from self._dram.read(self._name, bits)
            self._clock.env.process(self._arrive(number))

    def _arrive(self, number: int) -> Process:
        yield from self._dram.arrive(self._name)
        bits = self._tiles.bits(number)
        in_half = self._tiles.slots == 2 and not self.room.is_shared  # what layers share lies anywhere
        yield from self._scratchpad.fill(bits, self._dram.least_cycles(bits), in_half=in_half)
        self.room.arrive(bits)
        if self._data is not None:
            place = self._tiles.index(self._tiles.grid.place(number))
            self._data.load(place, once=self._tiles.residency == "stays")
        yield self._arrived.put(1)
