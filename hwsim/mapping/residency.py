"""Which tensors stay in a scratchpad from the layer that makes or brings them to the last one that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tensor that could stay: bits, and the layers from ``first`` to ``last`` during which it takes space.

    ``saves`` is how often its bits would not pass the DRAM, where a read of a part counts as that part; ``serves`` are
    layers that need no space to stream through if it stays.
    """

    name: str
    bits: int
    first: int
    last: int
    saves: float
    serves: tuple[int, ...]

    @property
    def layers(self) -> range:
        """The layers during which it takes space."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays, and how many bits of the scratchpad it takes during each layer."""

    names: frozenset[str]
    used_bits: tuple[int, ...]


def choose_kept(candidates: Iterable[Candidate], capacity_bits: int, stream_bits: Sequence[int]) -> Kept:
    """Keep tensors while there is room, those first that save most for the layers during which they take space.

    Args:
        candidates: in the order of the network.
        capacity_bits: of the scratchpad.
        stream_bits: for each layer what must stay free for an operand that is streamed.
    """
    used, streams = [0] * len(stream_bits), list(stream_bits)
    names = set()
    for one in sorted(candidates, key=lambda one: (-one.saves / len(one.layers), one.first)):
        room = all(
            used[layer] + one.bits + (0 if layer in one.serves else streams[layer]) <= capacity_bits
            for layer in one.layers
        )
        if not room:
            continue
        names.add(one.name)
        for layer in one.layers:
            used[layer] += one.bits
        for layer in one.serves:
            streams[layer] = 0
    return Kept(frozenset(names), tuple(used))
