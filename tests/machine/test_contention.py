"""Stalls come from contention for memories, buffers and the requantizer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from small_networks import DATAFLOW_OVERLAPS, IDEAL, conv, dense, flatten, machine, run_timing, workload

from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.machine.machine import LayerRun, run_machine

CONV = workload((8, 8, 4), conv("conv", "x", 12, padding="same"))
NETWORK = workload(
    (8, 8, 2), conv("conv", "x", 8), conv("next", "conv", 8, groups=2), flatten("flat", "next"), dense("fc", "flat", 20)
)


def total(spec: ArchSpec) -> int:
    return sum(one.total_cycles for one in run_timing(spec, NETWORK))


def dram_bits(one: LayerRun) -> int:
    return one.counts["dram", "read_bits"] + one.counts["dram", "write_bits"]


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_load_stalls_grow_as_dram_becomes_slower(dataflow: str, fold_overlap: str) -> None:
    """With the same tiles: a search could choose others."""
    array = {"rows": 4, "cols": 4, "dataflow": dataflow, "fold_overlap": fold_overlap}
    layers, stalls = compile_workload(machine(**array), NETWORK).layers, []
    for bytes_per_cycle in (256, 64, 16, 4, 2, 1):
        spec = machine({"dram.bytes_per_cycle": bytes_per_cycle}, **array)
        stalls.append(sum(one.cycles["load_stall"] for one in run_machine(layers, spec)))
    assert all(one <= slower for one, slower in pairwise(stalls))
    assert stalls[-1] > stalls[0]


@pytest.mark.parametrize("bytes_per_cycle", [1, 4, 64])
@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_no_layer_beats_its_array_or_its_dram(dataflow: str, fold_overlap: str, bytes_per_cycle: int) -> None:
    settings = {"dram.bytes_per_cycle": bytes_per_cycle, "dram.latency_cycles": 5}
    spec = machine(settings, rows=4, cols=4, dataflow=dataflow, fold_overlap=fold_overlap)
    for one in run_timing(spec, NETWORK):
        assert one.total_cycles >= one.plan.products[0].array_cycles
        assert one.total_cycles >= dram_bits(one) / 8 / bytes_per_cycle


def test_latency_alone_delays_a_resident_layer_once() -> None:
    """Reads overlap their latencies, so that all transfers come one latency later."""
    fast, slow = (
        run_timing(machine(IDEAL | {"dram.latency_cycles": latency}, rows=4, cols=4), CONV)[0] for latency in (0, 70)
    )
    assert slow.total_cycles - fast.total_cycles == 70
    assert slow.cycles["load_stall"] - fast.cycles["load_stall"] == 70


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_double_buffering_hides_loads(dataflow: str) -> None:
    """Weights streamed through 300 bytes: with two halves the next slice loads while this one is used."""

    def cycles(*, double_buffered: bool) -> int:
        settings: dict[str, Any] = {
            "scratchpads.weights.capacity_bytes": 300,
            "scratchpads.weights.double_buffered": double_buffered,
        }
        (one,) = run_timing(machine(settings, rows=4, cols=4, dataflow=dataflow), CONV)
        assert one.plan.products[0].weights.slots is not None
        return one.total_cycles

    assert cycles(double_buffered=True) < cycles(double_buffered=False)


def test_one_requantizer_lane_holds_the_array_up() -> None:
    """16 sums of 4 x 4 PEs take one lane 16 cycles; a fold of 2 terms takes 12, so that both buffers fill up."""
    load = workload((16, 2, 1), conv("conv", "x", 8, (1, 2)))
    many, one_lane = (
        run_timing(machine(IDEAL | {"requantizer.lanes": lanes}, rows=4, cols=4), load)[0] for lanes in (16, 1)
    )
    assert many.cycles["write_stall"] == 1  # the last block's own way to DRAM
    assert one_lane.cycles["write_stall"] > 1
    assert one_lane.total_cycles >= 8 * 16  # eight blocks through one lane
    assert many.cycles["requantize"] == 0
    assert one_lane.cycles["requantize"] > 0


def test_the_pipeline_of_the_requantizer_is_passed_once() -> None:
    short, long = (
        run_timing(machine(IDEAL | {"requantizer.pipeline_cycles": depth}, rows=4, cols=4), CONV)[0] for depth in (0, 9)
    )
    assert long.total_cycles - short.total_cycles == 9
    assert long.cycles["requantize"] == 9


@pytest.mark.parametrize("double_buffered", [True, False])
def test_slow_writes_hold_the_array_up(double_buffered: bool) -> None:
    """Blocks of 16 bytes take 16 cycles each to DRAM, folds of 2 terms 12: the output scratchpad fills up."""
    load = workload((16, 2, 1), conv("conv", "x", 8, (1, 2)))
    settings = {"dram.bytes_per_cycle": 1, "scratchpads.outputs.double_buffered": double_buffered}
    (one,) = run_timing(machine(IDEAL | settings, rows=4, cols=4), load)
    assert one.total_cycles >= 32 + 16 + 128  # all bytes in and out of the one channel
    assert one.cycles["write_stall"] > 16


def test_a_double_buffered_output_scratchpad_overlaps_requantization_and_writing() -> None:
    load = workload((16, 2, 1), conv("conv", "x", 8, (1, 2)))
    settings = IDEAL | {"requantizer.lanes": 2, "dram.bytes_per_cycle": 2}
    single, double = (
        run_timing(machine(settings | {"scratchpads.outputs.double_buffered": twice}, rows=4, cols=4), load)[0]
        for twice in (False, True)
    )
    assert double.total_cycles < single.total_cycles


def test_layers_follow_each_other_without_a_gap() -> None:
    runs = run_timing(machine(rows=4, cols=4), NETWORK)
    assert runs[0].start_cycle == 0
    assert all(later.start_cycle == one.start_cycle + one.total_cycles for one, later in pairwise(runs))
    assert total(machine(rows=4, cols=4)) == runs[-1].start_cycle + runs[-1].total_cycles
