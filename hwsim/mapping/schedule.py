"""Estimates how long cores take for their shares of a layer, tile by tile, to choose between ways of sharing it.

Cores with equal shares ask the DRAM for the same at the same time: the last of them sees a DRAM as many times slower.
Loaders run ahead of the array as far as slots allow, write-backs follow the requantizer, and all take turns at the
DRAM in the order in which they come. Inside a tile all folds are taken for equal to its first one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from hwsim.array.folds import FoldTiming
from hwsim.array.params import Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.config.memories import DramSpec, ScratchpadSpec
from hwsim.mapping.operands import OperandTiles
from hwsim.mapping.plan import ProductPlan, Share, Vectors
from hwsim.mapping.space import BITS_PER_BYTE
from hwsim.mapping.tiles import Tile
from hwsim.network.elementwise_steps import ElementwiseStep

MOST_TILES = 64  # that are looked at one by one; the others take as long as the later ones of these do


class _Dram:
    """The DRAM as the last of ``cores`` sees it that ask for the same at the same time.

    A stream goes through the channels one after the other, and opens a row with each transfer, where there are rows.
    """

    def __init__(self, spec: DramSpec, cores: int) -> None:
        self.spec, self._cores = spec, cores
        self._free_from = [0.0] * spec.channels
        self._addresses: dict[str, float] = {}

    def passes(self, stream: str, bits: float, start: float) -> float:
        """Return when bits of a stream have passed that come in cycle ``start``."""
        spec, size, address = self.spec, bits / BITS_PER_BYTE, self._addresses.get(stream, 0.0)
        self._addresses[stream] = address + size
        first, last = (int(place // spec.interleave_bytes) for place in (address, address + max(size - 1, 0)))
        used = {piece % spec.channels for piece in range(first, min(last, first + spec.channels - 1) + 1)}
        passing = max(size / len(used), spec.burst_bytes) * spec.channels / spec.bytes_per_cycle
        passing += 0 if spec.row_bytes is None else spec.row_miss_cycles
        for channel in used:
            self._free_from[channel] = max(self._free_from[channel], start) + self._cores * passing
        return max(self._free_from[channel] for channel in used)


class _Loader:
    """One operand's way to the array: what the tiles read first, in their order."""

    def __init__(self, name: str, tiles: OperandTiles, count: int) -> None:
        self._name, self._tiles, self._count = name, tiles, count
        self._free = [0.0] * (tiles.slots or 0)
        self._position, self._asks_from = 0, 0.0
        self._arrived: dict[int, float] = {}
        self.bits = 0
        self._find()

    def _find(self) -> None:
        """Move on to the next tile that reads a slice first."""
        self.bits = 0
        while self._position < self._count and not self.bits:
            self.bits = self._tiles.bits(self._position)
            self._position += not self.bits

    @property
    def start(self) -> float | None:
        """When DRAM is asked for the next slice; None if it waits for a slot, or has brought all."""
        if not self.bits or (self._tiles.slots and not self._free):
            return None
        return max(self._asks_from, self._free[0]) if self._free else self._asks_from

    def load(self, dram: _Dram) -> None:
        """Bring the next slice."""
        start = self.start
        assert start is not None  # noqa: S101  (asked for by the caller)
        if self._free:
            self._free.pop(0)
        self._asks_from = dram.passes(self._name, self.bits, start)
        self._arrived[self._position] = self._asks_from + dram.spec.latency_cycles
        self._position += 1
        self._find()

    def needs(self, number: int) -> bool:
        """Return whether a tile's slice has still to be asked for."""
        return bool(self.bits) and self._position <= number

    def arrived(self, number: int) -> float:
        """Return when what a tile is the first to read has come."""
        return self._arrived.get(number, 0.0)

    def release(self, number: int, cycle: float) -> None:
        """Free the slot of a tile's slice, if no other tile reads it."""
        if self._tiles.slots and self._tiles.releases(number):
            self._free.append(cycle)


@dataclass(frozen=True, slots=True)
class _TileTime:
    """What a tile takes, from when the array starts it.

    ``array`` is until the next may start, ``read`` until its activations and its weights have been read for the last
    time. The first block's sums are ``ready`` and the last one's ``complete``; ``requantizer`` is for all of them.
    Folds may end ``slack`` cycles before their sums have been requantized.
    """

    array: float
    read: tuple[float, float]
    requantizer: float
    ready: float
    complete: float
    slack: float


@dataclass(frozen=True, slots=True)
class _FoldTime:
    """What a fold takes: until the next one may follow, until its sums are out, and as in `_TileTime`."""

    each: float
    duration: float
    read: tuple[float, float]
    ready: float


def _keep_outputs(plan: ProductPlan, tile: Tile, feeds: tuple[int, int]) -> _FoldTime:
    """Return the time of a fold whose sums stay in the PEs; a piece of depth follows the one before at once."""
    timing, terms = plan.tile_timing(tile), tile.shape.depth
    if not tile.last_in_chain:
        return _FoldTime(max(terms, *feeds), terms, feeds, terms)
    finished = max(timing.fill + terms, *feeds)
    end = finished + timing.drain
    follows = max(timing.interval - tile.depth.start, *feeds)
    return _FoldTime(end if plan.params.fold_overlap == "none" else follows, end, feeds, finished)


def _stream(plan: ProductPlan, timing: FoldTiming, feeds: tuple[int, int]) -> _FoldTime:
    """Return the time of a fold past whose stationary operand the other one streams."""
    weights_stream = plan.params.dataflow is Dataflow.INPUT_STATIONARY
    stationary, streaming = feeds if weights_stream else feeds[::-1]
    loaded, streamed = max(timing.fill, stationary), max(timing.compute, streaming)
    end = loaded + streamed + timing.drain
    read = (stationary, loaded + streaming) if weights_stream else (loaded + streaming, stationary)
    follows = max(timing.interval, streamed, stationary)
    return _FoldTime(end if plan.params.fold_overlap == "none" else follows, end, read, loaded + timing.fill)


class Estimate:
    """Estimates for one machine.

    Args:
        spec: the machine.
        writes_dram: whether outputs leave the chip.
    """

    def __init__(self, spec: ArchSpec, *, writes_dram: bool) -> None:
        self._spec, self._writes_dram = spec, writes_dram
        self._rate = spec.dram.bytes_per_cycle * BITS_PER_BYTE

    def product_cycles(self, plan: ProductPlan, cores: int, after: Sequence[ElementwiseStep]) -> float:
        """Return the time of a product, of whose shares ``plan`` is the largest, with the steps after it."""
        run = _Run(self, plan, _Dram(self._spec.dram, cores), writes=not after)
        count, looked_at = plan.grid.count, min(plan.grid.count, MOST_TILES)
        times: dict[Hashable, _TileTime] = {}
        ends = []
        for number in range(looked_at):
            tile = plan.grid.tile(number)
            kind = (tile.shape, tile.depth.start, tile.last_in_chain)
            if kind not in times:
                times[kind] = self.tile_time(plan, tile)
            ends.append(run.tile(number, times[kind]))
        later = ends[looked_at // 2 :]
        rest = (count - looked_at) * (later[-1] - later[0]) / max(len(later) - 1, 1)
        return run.end + rest + self._steps(after, plan.outputs / plan.step.outputs, cores)

    def other_cycles(self, steps: Sequence[ElementwiseStep], shares: Sequence[Share], read_bits: int) -> float:
        """Return the time of a layer without a product, which reads so many bits from DRAM."""
        cores, share = len(shares), max(one.of(one.whole) / one.whole for one in shares)
        brought = 0.0
        if read_bits:
            dram = self._spec.dram
            brought = dram.latency_cycles + cores * share * read_bits / (dram.bytes_per_cycle * BITS_PER_BYTE)
        return brought + self._steps(steps, share, cores)

    def _steps(self, steps: Sequence[ElementwiseStep], share: float, cores: int) -> float:
        """Return the time of a core's share of steps on the vector unit, whose last output is written."""
        spec, found, bits = self._spec, 0.0, 0.0
        for step in steps:
            computed = step.operations / spec.vector_unit.lanes + step.lookups / spec.activation_lut.lanes
            bits = step.outputs * BITS_PER_BYTE * share
            found += max(computed * share, 2 * bits / (spec.scratchpads.outputs.bytes_per_cycle * BITS_PER_BYTE))
        return found + (cores * bits / self._rate if self._writes_dram else self._moves(bits))

    def _moves(self, bits: float) -> float:
        """Return the time on the way from the output scratchpad to the activation scratchpad."""
        pads = self._spec.scratchpads
        return bits / (min(pads.activations.bytes_per_cycle, pads.outputs.bytes_per_cycle) * BITS_PER_BYTE)

    def tile_time(self, plan: ProductPlan, tile: Tile) -> _TileTime:
        """Return what a tile takes, all operands at hand."""
        folds, timing, pads = plan.folds(tile), plan.tile_timing(tile), self._spec.scratchpads
        fold = folds.fold(0)
        feeds = (
            _port_cycles(pads.activations, plan.activation_vectors(fold)),
            _port_cycles(pads.weights, plan.weight_vectors(fold)),
        )
        keeps_sums = plan.params.dataflow is Dataflow.OUTPUT_STATIONARY
        one = _keep_outputs(plan, tile, feeds) if keeps_sums else _stream(plan, timing, feeds)
        lanes = -(-fold.outputs // self._spec.requantizer.lanes)
        block = max(lanes, _port_cycles(pads.outputs, plan.output_vectors(fold)))
        before = (folds.count - 1) * one.each
        return _TileTime(
            array=before + one.each,
            read=(before + one.read[0], before + one.read[1]),
            requantizer=folds.blocks * block,
            ready=one.ready,
            complete=before + one.duration + timing.tail,
            slack=timing.duration // max(timing.interval, 1) * block,
        )

    @property
    def pipeline_cycles(self) -> int:
        """Of the requantizer."""
        return self._spec.requantizer.pipeline_cycles

    @property
    def output_slots(self) -> int:
        """Parts of the output scratchpad."""
        return 2 if self._spec.scratchpads.outputs.double_buffered else 1

    def write(self, dram: _Dram, bits: int, start: float) -> float:
        """Return when outputs are where they belong."""
        return dram.passes("outputs", bits, start) if self._writes_dram else start + self._moves(bits)


class _Run:
    """One core's tiles, one after the other; ``end`` is when all is written."""

    def __init__(self, estimate: Estimate, plan: ProductPlan, dram: _Dram, *, writes: bool) -> None:
        self._estimate, self._plan, self._dram, self._writes = estimate, plan, dram, writes
        count = min(plan.grid.count, MOST_TILES)
        self._loaders = [
            _Loader("activations", plan.activations, count),
            _Loader("weights", plan.weights, count),
        ]
        self._array_free = self._requantizer_free = self.end = 0.0
        self._slots = [0.0] * estimate.output_slots

    def tile(self, number: int, time: _TileTime) -> float:
        """Run a tile; return when the array is done with it."""
        start = max(self._array_free, self._load(number))
        self._array_free = start + time.array
        complete = start + time.complete
        if self._plan.ends_group(number):
            self._array_free = max(self._array_free, complete)
        for loader, read in zip(self._loaders, time.read, strict=True):
            loader.release(number, start + read)
        if time.requantizer:
            first = max(self._requantizer_free, start + time.ready)
            first = max(first, self._slots.pop(0)) if self._writes else first
            self._requantizer_free = max(first + time.requantizer, complete)
            self._array_free = max(self._array_free, self._requantizer_free - time.slack)
            self.end = self._requantizer_free + self._estimate.pipeline_cycles
            self._write(number)
        return self._array_free

    def _load(self, number: int) -> float:
        """Bring slices in the order of asking until a tile has its own; return when these are there."""
        while any(loader.needs(number) for loader in self._loaders):
            if not self._load_next(float("inf")):
                raise RuntimeError(f"tile {number} waits for a slot that no tile before it frees")
        return max(loader.arrived(number) for loader in self._loaders)

    def _load_next(self, before: float) -> bool:
        """Bring the slice that is asked for first, if that is before a cycle."""
        waiting = [(loader.start, place) for place, loader in enumerate(self._loaders) if loader.start is not None]
        if not waiting or min(waiting)[0] >= before:
            return False
        self._loaders[min(waiting)[1]].load(self._dram)
        return True

    def _write(self, number: int) -> None:
        if not self._writes:
            return
        while self._load_next(self.end):
            pass
        bits = self._plan.output_bits(self._plan.grid.tile(number))
        self.end = self._estimate.write(self._dram, bits, self.end)
        self._slots.append(self.end)


def _port_cycles(pad: ScratchpadSpec, vectors: Vectors) -> int:
    """Return how long vectors take through a scratchpad's port, in whole words."""
    bits = vectors.count * vectors.bits
    if pad.word_bytes is not None:
        word_bits = pad.word_bytes * BITS_PER_BYTE
        bits = vectors.count * -(-vectors.bits // word_bits) * word_bits
    return -(-bits // (pad.bytes_per_cycle * BITS_PER_BYTE))
