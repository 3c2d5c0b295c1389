"""What the memories offer a product, and what a way of cutting it into tiles takes of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

BITS_PER_BYTE = 8
ALIKE = 0.05  # times closer than this are taken for equal, and the coarser tiles preferred


@dataclass(frozen=True, slots=True)
class Memory:
    """What a scratchpad offers one product: bits in all, its slots, and what the user set."""

    name: str
    bits: int
    slots: int
    capacity_bytes: int

    @property
    def slot_bits(self) -> int:
        """Size of one slot."""
        return self.bits // self.slots


@dataclass(frozen=True, slots=True)
class Space:
    """The memories that a product can use; sums in the accumulator buffer have ``sum_bits``.

    ``activations_on_chip`` and ``weights_on_chip`` say that an operand is in its scratchpad already, ``keeps_weights``
    that weights are to stay there for later layers;
    ``whole_outputs`` that the outputs wait in the output scratchpad, all of them, for the steps that follow;
    ``writes_dram`` that they leave the chip, rather than pass to the activation scratchpad over the link.
    """

    activations: Memory
    weights: Memory
    outputs: Memory
    accumulator_bits: int
    sum_bits: int
    dram_bits_per_cycle: float
    dram_latency_cycles: int
    link_bits_per_cycle: int
    activations_on_chip: bool = False
    weights_on_chip: bool = False
    keeps_weights: bool = False
    whole_outputs: bool = False
    writes_dram: bool = True


@dataclass(frozen=True, slots=True)
class Cost:
    """What a tiling takes: bits from DRAM, cycles (an estimate), and tiles."""

    traffic_bits: int
    cycles: float
    tiles: int

    def key(self, objective: str) -> tuple[float, float, int, float]:
        """Return what to compare; a difference in time that only an estimate could see does not count."""
        time = int(log(1 + self.cycles) / ALIKE)
        if objective == "time":
            return (time, self.traffic_bits, self.tiles, self.cycles)
        return (self.traffic_bits, time, self.tiles, self.cycles)
