"""DRAM and scratchpads: bandwidth, latency, space, and the codes that they hold in a run with data."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from hwsim.config.arch import DramSpec, ScratchpadSpec
from hwsim.errors import CheckFailedError
from hwsim.network.gather import PADDING
from hwsim.numerics.formats import IntArray

BITS_PER_BYTE = 8
Process = Generator[simpy.Event, Any, None]


def cycles_for(bits: int, bytes_per_cycle: int) -> int:
    """Cycles that ``bits`` take at a bandwidth, rounded up."""
    return -(-bits // (bytes_per_cycle * BITS_PER_BYTE))


class Dram:
    """One channel that serves requests in the order in which they come.

    A request occupies the channel for its bytes / bandwidth. A read's data arrive ``latency_cycles`` later, and the
    latencies of successive reads overlap; writes are posted: they are done when the channel has taken them.
    """

    def __init__(self, env: simpy.Environment, spec: DramSpec) -> None:
        self._env, self._spec = env, spec
        self._channel = simpy.Resource(env, capacity=1)

    @property
    def latency_cycles(self) -> int:
        """Cycles from the end of a read's turn on the channel to its data's arrival."""
        return self._spec.latency_cycles

    def occupy(self, bits: int) -> Process:
        """Return when the channel has transferred the data."""
        with self._channel.request() as turn:
            yield turn
            yield self._env.timeout(cycles_for(bits, self._spec.bytes_per_cycle))


class Port:
    """A scratchpad's port on the side of the array; the port on the side of DRAM is another one."""

    def __init__(self, env: simpy.Environment, spec: ScratchpadSpec) -> None:
        self._env, self._spec = env, spec
        self._port = simpy.Resource(env, capacity=1)

    def pass_through(self, bits: int) -> Process:
        """Return when ``bits`` have passed, in or out."""
        with self._port.request() as turn:
            yield turn
            yield self._env.timeout(cycles_for(bits, self._spec.bytes_per_cycle))


class ScratchpadData:
    """The codes of one tensor that are in a scratchpad now. Reading one that is not there is an error.

    Args:
        tensor: the codes as DRAM holds them.
        padding: the code that stands for index -1.
    """

    def __init__(self, tensor: IntArray, padding: int = 0) -> None:
        self._dram, self._padding = tensor, padding
        self._codes = np.zeros_like(tensor)
        self._copies = np.zeros(tensor.shape, np.int32)

    def load(self, place: Any) -> None:
        """Take codes in from DRAM."""
        self._codes[place] = self._dram[place]
        self._copies[place] += 1

    def release(self, place: Any) -> None:
        """Give their space back."""
        self._copies[place] -= 1
        self._codes[place] *= self._copies[place] > 0

    def read(self, place: Any) -> IntArray:
        """Return codes for an index of elements (-1 means padding), or for a slice.

        Raises:
            CheckFailedError: one of them is not in the scratchpad.
        """
        padded = isinstance(place, np.ndarray)
        present = self._copies[place] > 0
        if padded:
            present |= place == PADDING
        if not np.all(present):
            raise CheckFailedError("the array reads operands that no transfer has brought into the scratchpad")
        codes = self._codes[place]
        return np.where(place == PADDING, self._padding, codes) if padded else codes.copy()
