"""A scratchpad at work: whole words through its ports, counted, and what competes for a single port."""

from __future__ import annotations

from hwsim.config.memories import ScratchpadSpec
from hwsim.counts import Counts
from hwsim.machine.clock import Clock, Process
from hwsim.machine.memory import BITS_PER_BYTE, Port, cycles_for
from hwsim.machine.tracing import Tracer
from hwsim.mapping.plan import Vectors


def scratchpad_port(name: str, spec: ScratchpadSpec, clock: Clock, tracer: Tracer | None) -> Port:
    """Return the port of a scratchpad on the side of the array."""
    return Port(clock, spec.bytes_per_cycle, name=f"{name.replace('_', ' ')} port", tracer=tracer)


class Scratchpad:
    """One scratchpad of a core.

    Array, requantizer and vector unit are on one side of it, DRAM and the other scratchpads on the other. Each side has
    a port of its own; where there is a single one, both take turns in the order in which they come, unless they touch
    different banks: the halves of a double-buffered scratchpad, if there are enough banks for that. What comes in from
    the other side is written as it arrives, so that it takes time only where it has to wait.

    Args:
        name: in counts: ``activation_scratchpad``.
        spec: its ports, banks and words.
        clock: the machine's.
        counts: takes its actions.
        port: that of the array's side, or the only one.
    """

    def __init__(self, name: str, spec: ScratchpadSpec, clock: Clock, counts: Counts, port: Port) -> None:
        self.name, self.spec = name, spec
        self._clock, self._counts, self._port = clock, counts, port

    def read(self, vectors: Vectors, start: int | None = None) -> int:
        """Return the cycle in which the array's side has read what it asks for in cycle ``start``, or now."""
        return self._port.passes(self._count("read_bits", vectors), start)

    def write(self, vectors: Vectors) -> int:
        """Return the cycle in which the array's side has written."""
        return self._port.passes(self._count("write_bits", vectors))

    def read_and_write(self, read_bits: int, written_bits: int) -> int:
        """Return the cycle in which the array's side has done both."""
        read = self._count("read_bits", Vectors(1, read_bits))
        return self._port.passes(read + self._count("write_bits", Vectors(1, written_bits)))

    def fill(self, bits: int, arriving_cycles: int, *, in_half: bool) -> Process:
        """Return when what has just arrived on the other side, in so many cycles, is written.

        ``in_half`` says that the array's side is in the other half.
        """
        words = self._count("write_bits", Vectors(1, bits))
        if self._competes(in_half=in_half):
            written = self._port.follows(words, arriving_cycles)
            yield from self._clock.pause((self.name, "fill", bits), written - self._clock.now)

    def takes(self, bits: int) -> int:
        """Return the cycle in which the port, if it is the only one, has passed what another scratchpad sends."""
        words = self._count("write_bits", Vectors(1, bits))
        return self._port.passes(words) if self._competes(in_half=False) else self._clock.now

    def gives(self, bits: int) -> tuple[int, int]:
        """Return the cycles in which the other side may begin to read and has read: now, with a port of its own."""
        words = self._count("read_bits", Vectors(1, bits))
        if not self._competes(in_half=True):
            return self._clock.now, self._clock.now
        done = self._port.passes(words)
        return done - cycles_for(words, self.spec.bytes_per_cycle), done

    def whole_words(self, vectors: Vectors) -> int:
        """Return the bits of the words that vectors lie in, each from the beginning of a word on."""
        if self.spec.word_bytes is None:
            return vectors.count * vectors.bits
        word_bits = self.spec.word_bytes * BITS_PER_BYTE
        return vectors.count * -(-vectors.bits // word_bits) * word_bits

    def state(self) -> int:
        """Return for how many cycles from now the port is taken; if both sides share it, since when it is free.

        What arrives is written from when it came, as far back as the filling of the whole scratchpad takes.
        """
        capacity_bits = self.spec.capacity_bytes * BITS_PER_BYTE
        return self._port.state(cycles_for(capacity_bits, self.spec.bytes_per_cycle) if self.spec.ports == 1 else 0)

    def skip(self, cycles: int) -> None:
        """Let cycles pass in which what happened repeated itself."""
        self._port.skip(cycles)

    def _competes(self, *, in_half: bool) -> bool:
        return self.spec.ports == 1 and not (in_half and self.spec.halves_are_apart)

    def _count(self, action: str, vectors: Vectors) -> int:
        bits = self.whole_words(vectors)
        self._counts[self.name, action] += bits
        return bits
