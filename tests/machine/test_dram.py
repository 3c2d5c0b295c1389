"""DRAM by hand: channels, bursts and row buffers. One burst is 32 bytes and takes 4 cycles at 8 bytes per cycle."""

from __future__ import annotations

from typing import Any

import pytest
import simpy
from small_networks import conv, machine, run_data, run_timing, workload

from hwsim.config.load import load_arch
from hwsim.config.memories import DramSpec
from hwsim.errors import ConfigError
from hwsim.machine.clock import Clock, Process
from hwsim.machine.dram import Dram, DramChannels, Traffic

ROWS: dict[str, Any] = {"burst_bytes": 32, "row_bytes": 256, "banks": 4, "row_miss_cycles": 20}


def ends(channels: DramChannels, *transfers: tuple[str, int]) -> list[int]:
    """Return when each of the transfers (stream, bytes), all asked for in cycle 0, has passed."""
    return [channels.transfer(stream, 8 * size, 0) for stream, size in transfers]


def test_plain_dram_is_bandwidth_alone() -> None:
    plain = DramChannels(DramSpec(bytes_per_cycle=8))
    assert plain.is_plain
    assert ends(plain, ("a", 8), ("b", 9), ("a", 1)) == [1, 3, 4]
    assert (plain.hits, plain.misses) == (0, 0)


def test_whole_bursts_are_moved() -> None:
    """Bytes 0 to 32 are two bursts; the next transfer begins in byte 33, in the second one's again."""
    assert ends(DramChannels(DramSpec(burst_bytes=32)), ("a", 33), ("a", 31)) == [8, 12]


def test_the_first_row_costs_its_opening_and_the_next_is_hidden() -> None:
    """512 bytes are 16 bursts and two rows; the second is opened while the first one's 32 cycles pass."""
    channels = DramChannels(DramSpec(**ROWS))
    assert ends(channels, ("a", 512)) == [20 + 16 * 4]
    assert (channels.hits, channels.misses) == (14, 2)


def test_what_the_row_before_does_not_hide_is_waited_for() -> None:
    """The second transfer, of 320 bytes, begins 64 bytes before the end of an open row: 8 cycles hide 8 of 20."""
    channels = DramChannels(DramSpec(**ROWS))
    first, second = ends(channels, ("a", 192), ("a", 320))
    assert first == 20 + 6 * 4
    assert second - first == 10 * 4 + (20 - 8)
    assert (channels.hits, channels.misses) == (6 + 10 - 2, 2)


def test_a_single_bank_hides_nothing() -> None:
    """Four rows, each opened after the one before."""
    assert ends(DramChannels(DramSpec(**ROWS | {"banks": 1})), ("a", 1024)) == [4 * 20 + 32 * 4]


def test_a_long_transfer_opens_every_row_once() -> None:
    """10 rows in 4 banks; 32 cycles of a row hide 20, but not 40."""
    fast, slow = (DramChannels(DramSpec(**ROWS | {"row_miss_cycles": cycles})) for cycles in (20, 40))
    assert ends(fast, ("a", 2560)) == [20 + 80 * 4]
    assert ends(slow, ("a", 2560)) == [40 + 80 * 4 + 9 * (40 - 32)]
    assert (slow.hits, slow.misses) == (70, 10)


def test_streams_take_each_others_rows_away() -> None:
    """Both begin in bank 0: each transfer of one burst closes the other stream's row."""
    channels = DramChannels(DramSpec(**ROWS))
    assert ends(channels, ("a", 32), ("b", 32), ("a", 32), ("a", 32)) == [24, 48, 72, 76]
    assert (channels.hits, channels.misses) == (1, 3)


def test_channels_work_at_the_same_time() -> None:
    """1024 bytes in pieces of 256 on two channels of 4 bytes per cycle each."""
    channels = DramChannels(DramSpec(channels=2))
    assert ends(channels, ("a", 1024)) == [1024 // 8]
    assert [channel.free_from for channel in channels.channels] == [128, 128]


def test_a_piece_has_one_channel() -> None:
    """256 bytes occupy the first channel alone, at its half of the bandwidth; the next ones the second meanwhile."""
    assert ends(DramChannels(DramSpec(channels=2)), ("a", 256), ("a", 256), ("a", 100)) == [64, 64, 89]


def test_interleaved_pieces_lie_next_to_each_other_in_a_row() -> None:
    """Pieces of 128 bytes: each channel gets four of them, which fill two rows of 256."""
    channels = DramChannels(DramSpec(channels=2, interleave_bytes=128, **ROWS))
    assert ends(channels, ("a", 1024)) == [20 + 16 * 8]
    assert [(channel.hits, channel.misses) for channel in channels.channels] == [(14, 2), (14, 2)]


def test_units_wait_for_the_channels_and_the_latency() -> None:
    clock, traffic = Clock(simpy.Environment()), Traffic("layer")
    dram = Dram(clock, DramChannels(DramSpec(latency_cycles=50, **ROWS)), traffic)
    found = []

    def read() -> Process:
        yield from dram.read("a", 8 * 64)
        found.append(clock.now)
        yield from dram.arrive("a")
        found.append(clock.now)

    clock.env.run(clock.env.process(read()))
    assert found == [28, 78]
    assert (traffic.row_hits, traffic.row_misses) == (1, 1)
    assert traffic.counts["dram", "read_bits"] == 8 * 64


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_rows_only_add_stalls_and_are_counted_by_layer(dataflow: str) -> None:
    load = workload((12, 12, 8), conv("a", "x", 32), conv("b", "a", 16))
    plain = run_timing(machine(dataflow=dataflow), load)
    settings = {"dram.burst_bytes": 32, "dram.row_bytes": 2048}
    with_rows = run_timing(machine(settings, dataflow=dataflow), load)
    for one, other in zip(plain, with_rows, strict=True):
        assert other.total_cycles >= one.total_cycles
        assert {key: one.cycles[key] for key in ("fill", "compute", "drain")} == {
            key: other.cycles[key] for key in ("fill", "compute", "drain")
        }
        assert (one.dram_row_hits, one.dram_row_misses) == (0, 0)
        assert one.counts == other.counts
        moved = (other.counts["dram", "read_bits"] + other.counts["dram", "write_bits"]) // 8
        assert other.dram_row_hits + other.dram_row_misses >= moved // 32
        assert other.dram_row_misses > 0
    assert sum(one.total_cycles for one in with_rows) > sum(one.total_cycles for one in plain)


def test_a_run_with_data_takes_as_long() -> None:
    load = workload((6, 6, 4), conv("a", "x", 8))
    spec = machine({"dram.channels": 2, "dram.burst_bytes": 32, "dram.row_bytes": 1024})
    (timed,), (stepped,) = run_timing(spec, load), run_data(spec, load)
    assert (timed.total_cycles, timed.dram_row_hits) == (stepped.total_cycles, stepped.dram_row_hits)


def test_sizes_that_bursts_would_cross_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        load_arch("edge16", ["dram.burst_bytes=48", "dram.row_bytes=2048"])
    assert sorted(refused.value.problems) == [
        "--set dram.burst_bytes=48: dram.interleave_bytes: 256 is no multiple of burst_bytes 48",
        "--set dram.row_bytes=2048: dram.row_bytes: 2048 is no multiple of burst_bytes 48",
    ]
