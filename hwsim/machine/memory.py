"""Scratchpads: the bandwidth of their ports, and the codes that they hold in a run with data."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import CheckFailedError
from hwsim.machine.clock import Clock
from hwsim.machine.tracing import Tracer
from hwsim.network.gather import PADDING
from hwsim.numerics.formats import IntArray

BITS_PER_BYTE = 8
ABSENT = np.iinfo(np.int32).min  # no code: operands have 17 bits at most


def cycles_for(bits: int, bytes_per_cycle: int) -> int:
    """Cycles that ``bits`` take at a bandwidth, rounded up."""
    return -(-bits // (bytes_per_cycle * BITS_PER_BYTE))


class Port:
    """A port of a scratchpad: transfers pass one after the other, in the order in which they come."""

    def __init__(self, clock: Clock, bytes_per_cycle: int, *, name: str = "port", tracer: Tracer | None = None) -> None:
        self._clock, self._bytes_per_cycle, self._name, self._tracer = clock, bytes_per_cycle, name, tracer
        self._free_from = 0

    def passes(self, bits: int, start: int | None = None) -> int:
        """Return the cycle in which ``bits`` that come in cycle ``start`` (now, if None) have passed."""
        begin = max(self._free_from, self._clock.now if start is None else start)
        self._free_from = begin + cycles_for(bits, self._bytes_per_cycle)
        if self._tracer is not None:
            self._tracer.slice(self._name, "pass", begin, self._free_from, {"bytes": -(-bits // BITS_PER_BYTE)})
        return self._free_from

    def follows(self, bits: int, arriving_cycles: int) -> int:
        """Return the cycle in which ``bits`` that have been arriving for so many cycles have passed: now or later."""
        now, cycles = self._clock.now, cycles_for(bits, self._bytes_per_cycle)
        begin = max(self._free_from, now - min(arriving_cycles, cycles))
        self._free_from = max(begin + cycles, now)
        if self._tracer is not None:
            self._tracer.slice(self._name, "fill", begin, self._free_from, {"bytes": -(-bits // BITS_PER_BYTE)})
        return self._free_from

    def state(self, past_cycles: int = 0) -> int:
        """Return for how many cycles from now the port is taken, or that it has been free for up to ``past_cycles``."""
        return max(self._free_from - self._clock.now, -past_cycles)

    def skip(self, cycles: int) -> None:
        """Let cycles pass in which what the port did repeated itself."""
        self._free_from += cycles


class ScratchpadData:
    """The codes of one tensor that are in a scratchpad now. Reading one that is not there is an error.

    ``releases`` counts how often space was given back: as long as it stands, what has been read is there still.

    Args:
        tensor: the codes as DRAM holds them, of 31 bits at most.
        padding: the code that stands for index -1.
    """

    def __init__(self, tensor: IntArray, padding: int = 0) -> None:
        self._dram = tensor
        # one place behind the last element, which index -1 finds: the padding, always there
        places = tensor.size + 1
        self._padded_codes, self._padded_copies = np.full(places, ABSENT, np.int32), np.zeros(places, np.int8)
        self._padded_codes[PADDING], self._padded_copies[PADDING] = padding, 1
        self._codes = self._padded_codes[:PADDING].reshape(tensor.shape)
        self._copies = self._padded_copies[:PADDING].reshape(tensor.shape)  # an element lies in two slots at most
        self.releases = 0

    def load(self, place: Any, *, once: bool = False) -> None:
        """Take codes in from DRAM; with ``once`` only those that are not there yet."""
        place = self._elements(place)
        if once and isinstance(place, np.ndarray):
            place = place[self._copies[place] == 0]
        self._codes[place] = self._dram[place]
        self._copies[place] += 1

    def release(self, place: Any) -> None:
        """Give their space back."""
        place = self._elements(place)
        self._copies[place] -= 1
        self._codes[place] = np.where(self._copies[place] > 0, self._codes[place], ABSENT)
        self.releases += 1

    def read(self, place: Any) -> IntArray:
        """Return codes for an index of elements (-1 means padding), or for a slice.

        Raises:
            CheckFailedError: one of them is not in the scratchpad.
        """
        is_index = isinstance(place, np.ndarray)
        codes: Any = self._padded_codes.take(place) if is_index else self._codes[place].copy()
        if codes.size and codes.min() == ABSENT:
            raise CheckFailedError("the array reads operands that no transfer has brought into the scratchpad")
        return codes

    def _elements(self, place: Any) -> Any:
        """Return an index of elements without repetitions and padding; a slice has neither."""
        if not isinstance(place, np.ndarray):
            return place
        named = np.zeros(self._padded_codes.size, np.bool_)  # marking places is faster than sorting or hashing them
        named[place] = True
        named[PADDING] = False
        return np.flatnonzero(named)


class Reads:
    """What folds read from a scratchpad, kept for folds that read the same again while nothing has been released.

    Args:
        held: the scratchpad.
        most_elements: how many elements are kept at once, about.
    """

    def __init__(self, held: ScratchpadData, most_elements: int) -> None:
        self._held, self._most_elements = held, most_elements
        self._kept: dict[Hashable, _Read] = {}
        self._elements = 0

    def read(self, key: Hashable, place: Callable[[], Any]) -> IntArray:
        """Return the codes at a place, which has the key; not to be written to.

        Raises:
            CheckFailedError: one of them is not in the scratchpad.
        """
        found = self._kept.get(key)
        if found is not None and found.releases == self._held.releases:
            return found.codes
        where = place() if found is None else found.place
        codes = self._held.read(where)
        if self._elements > self._most_elements:
            self._kept, self._elements = {}, 0
        self._kept[key] = _Read(where, codes, self._held.releases)
        self._elements += codes.size
        return codes


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The codes that were read at a place when so many releases had been."""

    place: Any
    codes: IntArray
    releases: int
