"""The slower the DRAM the longer a layer takes: never less than what is computed or moved, and little more."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from shapes_alone import conv, dense, plan_steps
from small_networks import DATAFLOW_OVERLAPS, machine

from hwsim.config.arch import ArchSpec
from hwsim.machine.machine import LayerRun, run_machine

BANDWIDTHS = (256, 32, 8, 4, 2, 1)
LAYERS = {
    "conv": (conv("layer", "x", (112, 112, 64), 64, kernel=(3, 3), padding="same"), 112 * 112 * 64),
    "rows": (dense("layer", "x", 256, 512, rows=16384), 16384 * 256),
}


def memory_system(dataflow: str, fold_overlap: str, bytes_per_cycle: int, **settings: Any) -> ArchSpec:
    """A 16 x 16 array with wide ports and lanes, and 64 KiB for each operand and the outputs, double-buffered."""
    wide = {f"scratchpads.{name}.bytes_per_cycle": 64 for name in ("activations", "weights", "outputs")}
    keys = wide | {"requantizer.lanes": 64, "dram.bytes_per_cycle": bytes_per_cycle} | settings
    return machine(keys, dataflow=dataflow, fold_overlap=fold_overlap)


def run(layer: str, dataflow: str, fold_overlap: str, bytes_per_cycle: int, planned_for: int) -> LayerRun:
    """Plan a layer for one bandwidth and run it with another."""
    step, inputs = LAYERS[layer]
    plan = plan_steps(memory_system(dataflow, fold_overlap, planned_for), [step], x=inputs)
    (one,) = run_machine(plan, memory_system(dataflow, fold_overlap, bytes_per_cycle))
    return one


def bounds(one: LayerRun, bytes_per_cycle: int) -> tuple[int, float]:
    """Cycles of the array's own phases, which tiles do not hide, and of the DRAM's channel."""
    moved = one.counts["dram", "read_bits"] + one.counts["dram", "write_bits"]
    return one.plan.products[0].array_cycles, moved / 8 / bytes_per_cycle


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_cycles_rise_as_bandwidth_is_cut_and_stay_above_both_bounds(
    layer: str, dataflow: str, fold_overlap: str
) -> None:
    """The same tiles at every bandwidth: a search could choose others."""
    runs = [(width, run(layer, dataflow, fold_overlap, width, planned_for=16)) for width in BANDWIDTHS]
    assert all(one.total_cycles <= slower.total_cycles for (_, one), (_, slower) in pairwise(runs))
    for width, one in runs:
        assert one.total_cycles >= max(bounds(one, width))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("bytes_per_cycle", [16, 1])
@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_a_long_layer_takes_little_more_than_the_greater_bound(
    layer: str, dataflow: str, fold_overlap: str, bytes_per_cycle: int
) -> None:
    """The array's bound is that of the tiles as they are run: their folds one after the other."""
    one = run(layer, dataflow, fold_overlap, bytes_per_cycle, planned_for=bytes_per_cycle)
    (product,) = one.plan.products
    tiles = [product.grid.tile(number) for number in range(product.grid.count)]
    array = sum(product.folds(tile).count * product.tile_timing(tile).interval for tile in tiles)
    assert one.total_cycles <= 1.05 * max(array, bounds(one, bytes_per_cycle)[1])
