"""Operands of output-stationary folds that arrive in pieces of depth: time, values and events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import IDEAL, conv, dense, machine, run_data, run_timing, workload

from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.machine.machine import run_machine
from hwsim.readers.read import read_workload

OVERLAPS = ["none", "drain", "full"]
CONV = workload((6, 6, 4), conv("conv", "x", 9, padding="same"))  # 36 windows of 36 terms


def cut(depth: int | None, settings: dict[str, Any], **array: Any) -> ArchSpec:
    wish = {} if depth is None else {"mapping.layers.conv.tile_depth": depth}
    return machine(settings | wish, **array)


@pytest.mark.parametrize("fold_overlap", OVERLAPS)
@pytest.mark.parametrize("depth", [2, 5, 12, 35])
def test_a_border_between_pieces_costs_no_cycle_while_operands_are_at_hand(fold_overlap: str, depth: int) -> None:
    """A transfer takes one cycle, so that the next piece is there when the array has taken the last one's terms."""
    array = {"rows": 4, "cols": 3, "fold_overlap": fold_overlap}
    whole, pieces = (run_timing(cut(each, IDEAL, **array), CONV)[0] for each in (None, depth))
    assert pieces.plan.products[0].grid.depths == -(-36 // depth)
    assert (pieces.total_cycles, pieces.cycles) == (whole.total_cycles, whole.cycles)


def test_the_array_waits_for_the_next_piece() -> None:
    """One output row, 6 terms, 2 columns on 2 x 2 PEs; half of the weights' scratchpad holds 2 of 6 terms.

    cycles   what happens
     0 -  6  DRAM channel: 6 bytes of activations, which arrive in cycle 16
     6 - 10  DRAM channel: 4 bytes of weights for terms 0 and 1, which arrive in cycle 20
    10 - 14  DRAM channel: terms 2 and 3, which arrive in cycle 24
     0 - 20  the array waits                                                    load stall 20
    20 - 22  fill, rows + cols - 2                                              fill 2
    21 - 25  DRAM channel, as the port has read the first slot: terms 4 and 5, which arrive in cycle 35
    22 - 24  the last PE adds terms 0 and 1, which entered in cycles 20 and 21  compute 2
    24 - 26  terms 2 and 3 enter two cycles late                                load stall 2
    26 - 28  the last PE adds them                                              compute 2
    28 - 37  terms 4 and 5 enter in cycles 35 and 36, rather than 26 and 27     load stall 9
    37 - 39  the last PE adds them                                              compute 2
    39 - 41  the sums shift out                                                 drain 2
    41 - 45  they pass the requantizer's pipeline                               requantize 4
    45 - 47  DRAM channel: 2 bytes of outputs                                   write stall 2
    """
    slow = {
        "dram.bytes_per_cycle": 1,
        "dram.latency_cycles": 10,
        "requantizer.lanes": 1,
        "requantizer.pipeline_cycles": 4,
        "scratchpads.weights.capacity_bytes": 8,
    }
    (one,) = run_timing(machine(slow, rows=2, cols=2), workload((6,), dense("fc", "x", 2)))
    assert one.total_cycles == 47
    assert one.cycles == {
        "compute": 6, "fill": 2, "drain": 2, "load_stall": 31, "write_stall": 2, "requantize": 4, "vector": 0,
    }  # fmt: skip


@pytest.mark.parametrize("fold_overlap", OVERLAPS)
@pytest.mark.parametrize("capacity_bytes", [40, 90])
@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_values_and_events_are_those_of_whole_folds(fold_overlap: str, capacity_bytes: int, engine: str) -> None:
    """Every register is stepped over the whole depth; nothing is read that has not arrived."""
    array = {"rows": 4, "cols": 3, "fold_overlap": fold_overlap, "guard_bits": -2}
    small = {f"scratchpads.{name}.capacity_bytes": capacity_bytes for name in ("activations", "weights")}
    (whole,), (pieces,) = (run_data(machine(each, **array), CONV, engine) for each in ({}, small))
    assert pieces.plan.products[0].grid.depths > 1
    assert whole.events is not None
    assert len(whole.events) > 100
    assert np.array_equal(pieces.output, whole.output)
    assert np.array_equal(pieces.per_pe, whole.per_pe)
    assert np.array_equal(pieces.events, whole.events)
    assert pieces.array_counts == whole.array_counts
    assert run_timing(machine(small, **array), CONV)[0].cycles == pieces.cycles


@pytest.mark.parametrize("name", ["resnet50", "bert_base", "gpt2", "mobilenet_v2"])
def test_every_layer_of_the_shipped_networks_fits_a_small_machine(name: str) -> None:
    """16 x 16 PEs, scratchpads of 64 KiB; of the layers whose folds come in pieces, one of each shape is timed."""
    spec = machine()
    layers = compile_workload(spec, read_workload(name)).layers
    pieces = {}
    for layer in layers:
        if any(one.grid.depths > 1 for one in layer.products):
            pieces[layer.products[0].step.shape] = layer
    assert len(pieces) == {"resnet50": 2, "bert_base": 1, "gpt2": 1, "mobilenet_v2": 0}[name]
    for one in run_machine(list(pieces.values()), spec):
        assert one.total_cycles >= one.plan.array_cycles
        assert sum(one.cycles.values()) == one.total_cycles
