"""DRAM: channels, bursts, banks and their row buffers, transfer by transfer.

A transfer moves consecutive bytes. Each stream of transfers (the activations, the weights, what is written back) has a
region of the address space of its own, which begins in bank 0 of channel 0, and goes through it from one end to the
other: operands lie in DRAM in the order in which they are brought.

An address is cut, from its low end, into: byte within ``interleave_bytes``, channel; what is left, channel by channel,
into byte within a row of ``row_bytes``, bank, row. So a long transfer is spread over all channels, and on each of them
it fills one bank's row after the other's.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from hwsim.config.memories import DramSpec
from hwsim.counts import Counts
from hwsim.machine.clock import Clock, Process
from hwsim.machine.tracing import Detail, Tracer

BITS_PER_BYTE = 8
REGION_BYTES = 1 << 40


class Channel:
    """One channel: when it is free, and which row each of its banks holds open.

    Times are counted in parts of a cycle, ``bytes_per_cycle`` of them to one: then the time of every burst is a whole
    number of them.
    """

    def __init__(self, spec: DramSpec, name: str = "DRAM", tracer: Tracer | None = None) -> None:
        self._spec, self._name, self._tracer = spec, name, tracer
        self.free_from = 0
        self.hits = self.misses = 0
        self._open_rows: dict[int, int] = {}

    def transfer(self, stream: str, start: int, stop: int, now: int, layer: str = "") -> int:
        """Return the cycle in which a stream's bytes [start, stop) of this channel have passed, after their turn came.

        Time is bursts x ``burst_bytes`` over the channel's share of the bandwidth, and ``row_miss_cycles`` for each
        row that has to be opened, as far as they are not hidden: while one bank's row passes, the next bank opens its
        own.
        """
        spec = self._spec
        bursts = -(-stop // spec.burst_bytes) - start // spec.burst_bytes
        parts = bursts * spec.burst_bytes * spec.channels + self._open(start, stop, bursts)
        begin = max(self.free_from, now)
        self.free_from = begin - (-parts // spec.bytes_per_cycle)
        if self._tracer is not None and begin < self.free_from:
            details: dict[str, Detail] = {"bytes": stop - start, "layer": layer}
            self._tracer.slice(self._name, stream.replace("_", " "), begin, self.free_from, details)
            self._tracer.level(f"{self._name} bytes per cycle", begin, (stop - start) / (self.free_from - begin))
            self._tracer.level(f"{self._name} bytes per cycle", self.free_from, 0)
        return self.free_from

    def _open(self, start: int, stop: int, bursts: int) -> int:
        """Open the rows of a transfer, count hits and misses, and return the parts of cycles that it costs."""
        row_bytes, banks = self._spec.row_bytes, self._spec.banks
        if row_bytes is None:
            return 0
        first, last = start // row_bytes, (stop - 1) // row_bytes
        open_already = [row for row in range(first, min(last, first + banks - 1) + 1) if self._is_open(row)]
        misses = last - first + 1 - len(open_already)
        self.misses += misses
        self.hits += bursts - misses
        for row in range(max(first, last - banks + 1), last + 1):
            self._open_rows[row % banks] = row
        cost = 0 if first in open_already else self._hidden_by(0)
        if last > first and first + 1 not in open_already:
            cost += self._hidden_by((first + 1) * row_bytes - start)
        later = max(last - first - 1, 0) - sum(row > first + 1 for row in open_already)
        return cost + later * self._hidden_by(row_bytes)

    def _is_open(self, row: int) -> bool:
        return self._open_rows.get(row % self._spec.banks) == row

    def _hidden_by(self, bytes_before: int) -> int:
        """Return what is left of the time to open a row while these bytes of another bank's row pass."""
        spec = self._spec
        whole = spec.row_miss_cycles * spec.bytes_per_cycle
        return max(whole - bytes_before * spec.channels, 0) if spec.banks > 1 else whole


class DramChannels:
    """All channels of a DRAM, and how far each stream has come. They outlast the layers."""

    def __init__(self, spec: DramSpec, tracer: Tracer | None = None) -> None:
        self.spec = spec
        names = ["DRAM"] if spec.channels == 1 else [f"DRAM channel {number}" for number in range(spec.channels)]
        self.channels = [Channel(spec, name, tracer) for name in names]
        self.requests = 0
        self.is_plain = spec.channels == spec.burst_bytes == 1 and spec.row_bytes is None
        self._addresses: dict[str, int] = {}

    @property
    def hits(self) -> int:
        """Bursts that found their row open."""
        return sum(channel.hits for channel in self.channels)

    @property
    def misses(self) -> int:
        """Rows that had to be opened."""
        return sum(channel.misses for channel in self.channels)

    def transfer(self, stream: str, bits: int, now: int, layer: str = "") -> int:
        """Return the cycle in which the next bits of a stream have passed; a transfer begins with a whole byte."""
        self.requests += 1
        address = self._addresses.setdefault(stream, len(self._addresses) * REGION_BYTES)
        stop = address - (-bits // BITS_PER_BYTE)
        self._addresses[stream] = stop
        ends = [now]
        for number, channel in enumerate(self.channels):
            own = self._local(address, number), self._local(stop, number)
            if own[0] < own[1]:
                ends.append(channel.transfer(stream, *own, now, layer))
        return max(ends)

    def _local(self, address: int, channel: int) -> int:
        """Return how many bytes below an address are a channel's."""
        piece = self.spec.interleave_bytes
        rounds, rest = divmod(address, piece * len(self.channels))
        return rounds * piece + min(max(rest - channel * piece, 0), piece)


@dataclass(slots=True, eq=False)
class Traffic:
    """What is moved for one layer, perhaps before it starts: counts, bursts that found their row open, rows opened."""

    layer: str
    counts: Counts = field(default_factory=Counts)
    row_hits: int = 0
    row_misses: int = 0


class Dram:
    """What a layer's units of one core see of the DRAM: requests of all cores are served in the order of their coming.

    A request occupies channels until its data have passed. A read's data arrive ``latency_cycles`` later, and the
    latencies of successive reads overlap; writes are posted: they are done when the channels have taken them.

    Args:
        clock: the core's.
        channels: shared by all cores.
        traffic: takes what is moved, of all cores.
        core: begins the names of the core's streams, where there are several cores.
    """

    def __init__(self, clock: Clock, channels: DramChannels, traffic: Traffic, core: str = "") -> None:
        self._clock, self._channels, self._traffic, self._core = clock, channels, traffic, core

    @property
    def requests(self) -> int:
        """How many requests of all cores have been served, in all layers."""
        return self._channels.requests

    def least_cycles(self, bits: int) -> int:
        """Return how long all channels together take for a transfer, if nothing is in its way."""
        return -(-bits // (self._channels.spec.bytes_per_cycle * BITS_PER_BYTE))

    def read(self, unit: str, bits: int) -> Process:
        """Return when the channels have transferred the data; ``latency_cycles`` later they are there."""
        self._traffic.counts["dram", "read_bits"] += bits
        yield from self._occupy(unit, bits)

    def arrive(self, unit: str) -> Process:
        """Return when data that the channels have just transferred are there."""
        yield from self._clock.transfer((unit, "latency"), self._channels.spec.latency_cycles)

    def write(self, unit: str, bits: int) -> Process:
        """Return when the channels have taken the data."""
        self._traffic.counts["dram", "write_bits"] += bits
        yield from self._occupy(unit, bits)

    def state(self) -> Hashable:
        """Return for how many cycles from now the channels are taken.

        Where the time of a transfer depends on its address, no state comes again after a request.
        """
        busy = tuple(max(channel.free_from - self._clock.now, 0) for channel in self._channels.channels)
        return busy if self._channels.is_plain else (busy, self.requests)

    def skip(self, cycles: int) -> None:
        """Let cycles pass in which what the channels did repeated itself."""
        for channel in self._channels.channels:
            channel.free_from += cycles

    def _occupy(self, unit: str, bits: int) -> Process:
        channels, traffic = self._channels, self._traffic
        hits, misses = channels.hits, channels.misses
        end = channels.transfer(f"{self._core}{unit}", bits, self._clock.now, traffic.layer)
        traffic.row_hits += channels.hits - hits
        traffic.row_misses += channels.misses - misses
        yield from self._clock.transfer((unit, "channel", bits), end - self._clock.now)
