"""The specification of the memories: scratchpads, accumulator buffer, DRAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from hwsim.config.base import Conflict, Name, Spec


class ScratchpadSpec(Spec):
    """One on-chip memory between DRAM and the array."""

    capacity_bytes: int = Field(default=65536, ge=1, le=2**40, description="Size, in bytes")
    bytes_per_cycle: int = Field(default=16, ge=1, le=65536, description="Bandwidth, in bytes per cycle")
    double_buffered: bool = Field(
        default=True,
        description="Whether one half is filled while the other is used; each half has half the size",
    )
    ports: Literal[1, 2] = Field(
        default=2,
        description="2: the array's side has a port of its own, and so has the side that fills and drains; 1: both "
        "take turns, except where they touch different banks",
    )
    banks: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Independent parts of equal size, each of which moves a word per cycle and port; with twice as "
        "many as bytes_per_cycle needs, the halves of a double-buffered scratchpad lie in different banks",
    )
    word_bytes: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="What one access of a bank moves, in bytes: whole words take time and energy; null: accesses of "
        "any number of bits",
    )

    @property
    def words_per_cycle(self) -> int:
        """Accesses, of different banks, that bytes_per_cycle takes."""
        return 1 if self.word_bytes is None else self.bytes_per_cycle // self.word_bytes

    @property
    def halves_are_apart(self) -> bool:
        """Whether each half of a double-buffered scratchpad has banks enough of its own."""
        return self.double_buffered and self.banks >= 2 * self.words_per_cycle

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what banks and words do not divide, and bandwidth that they do not have."""
        if self.capacity_bytes % self.banks:
            text = f"{self.banks} banks do not divide capacity_bytes {self.capacity_bytes} evenly"
            yield Conflict(("banks",), text, others=(("capacity_bytes",),))
        if self.word_bytes is None:
            return
        bank_bytes = self.capacity_bytes // self.banks
        if bank_bytes % self.word_bytes:
            text = f"a bank of {bank_bytes} bytes does not hold a whole number of words of {self.word_bytes} bytes"
            yield Conflict(("word_bytes",), text, others=(("capacity_bytes",), ("banks",)))
        if self.bytes_per_cycle % self.word_bytes:
            text = f"{self.bytes_per_cycle} is no multiple of word_bytes {self.word_bytes}"
            yield Conflict(("bytes_per_cycle",), text, others=(("word_bytes",),))
        elif self.banks < self.words_per_cycle:
            text = (
                f"{self.bytes_per_cycle} bytes per cycle are {self.words_per_cycle} words from as many banks; there "
                f"are {self.banks}"
            )
            yield Conflict(("bytes_per_cycle",), text, others=(("word_bytes",), ("banks",)))


class ScratchpadsSpec(Spec):
    """The three on-chip memories."""

    activations: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's inputs")
    weights: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's weights")
    outputs: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's outputs")


class AccumulatorBufferSpec(Spec):
    """The memory under a weight- or input-stationary array, which holds sums between depth tiles."""

    capacity_bytes: int = Field(
        default=65536,
        ge=1,
        le=2**40,
        description="Size, in bytes; it limits how many results stream past the stationary operand in one tile",
    )


class DramSpec(Spec):
    """The off-chip memory; by default its time is bandwidth and latency alone."""

    type: Name = Field(
        default="lpddr4",
        description="Kind of DRAM: a free label, kept with results; it changes neither time, which the keys below say, "
        "nor energy, which is the energy table's for every kind",
    )
    bytes_per_cycle: int = Field(
        default=8,
        ge=1,
        le=65536,
        description="Bandwidth of all channels together, in bytes per cycle of the accelerator's clock",
    )
    latency_cycles: int = Field(
        default=100, ge=0, le=1_000_000, description="From a request to its first byte, in cycles"
    )
    channels: int = Field(default=1, ge=1, le=64, description="Channels that work at the same time")
    interleave_bytes: int = Field(
        default=256, ge=1, le=2**30, description="Consecutive bytes on one channel, before the next one's turn"
    )
    burst_bytes: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Smallest amount that is moved, at a multiple of itself, in bytes; 32 for LPDDR4",
    )
    banks: int = Field(default=8, ge=1, le=256, description="Banks of a channel, each with a row buffer")
    row_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**20,
        description="Size of a bank's row, in bytes; 2048 for LPDDR4; null: rows cost no time and are not counted",
    )
    row_miss_cycles: int = Field(
        default=18,
        ge=0,
        le=100_000,
        description="To close a row and open another, in cycles (tRP + tRCD; 36 ns for LPDDR4)",
    )
    capacity_bytes: int = Field(
        default=2**32, ge=1, le=2**50, description="Size, in bytes: all weights and what does not stay on the chip"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield sizes that a burst would cross the edge of."""
        sizes = (("interleave_bytes", self.interleave_bytes), ("row_bytes", self.row_bytes))
        for name, size in sizes:
            if size is not None and size % self.burst_bytes:
                text = f"{size} is no multiple of burst_bytes {self.burst_bytes}"
                yield Conflict((name,), text, others=(("burst_bytes",),))
