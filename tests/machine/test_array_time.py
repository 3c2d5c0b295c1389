"""With everything round the array infinitely fast, a layer takes the array's own time."""

from __future__ import annotations

import pytest
from small_networks import DATAFLOW_OVERLAPS, IDEAL, conv, dense, flatten, machine, run_timing, workload

from hwsim.machine.machine import LayerRun

LAYERS = workload(
    (6, 6, 4),
    conv("plain", "x", 9, padding="same"),
    conv("grouped", "plain", 6, groups=3, stride=(2, 1)),
    conv("depthwise", "grouped", 6, (2, 2), groups=6),
    flatten("flat", "depthwise"),
    dense("wide", "flat", 40),
    dense("narrow", "wide", 1),
)


def array_time(one: LayerRun) -> int:
    return sum(one.cycles[kind] for kind in ("fill", "compute", "drain"))


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (2, 7), (7, 2), (16, 16), (3, 3)])
def test_the_array_never_waits_when_everything_is_at_hand(
    dataflow: str, fold_overlap: str, rows: int, cols: int
) -> None:
    spec = machine(IDEAL, rows=rows, cols=cols, dataflow=dataflow, fold_overlap=fold_overlap)
    for one in run_timing(spec, LAYERS):
        assert array_time(one) == one.plan.products[0].array_cycles


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_only_the_first_load_and_the_last_write_lie_outside(dataflow: str, fold_overlap: str) -> None:
    """One cycle on the DRAM channel for the first weights, in the first layer another for activations; then they stay.

    One cycle for the last outputs on their way to the activation scratchpad, or to DRAM in the end.
    """
    spec = machine(IDEAL, rows=4, cols=4, dataflow=dataflow, fold_overlap=fold_overlap)
    for one in run_timing(spec, LAYERS):
        loads = 2 if one.plan.name == "plain" else 1
        assert one.total_cycles == one.plan.products[0].array_cycles + loads + 1
        assert (one.cycles["load_stall"], one.cycles["write_stall"]) == (loads, 1)


@pytest.mark.parametrize(
    ("dataflow", "fold_overlap", "cycles"),
    [
        ("output_stationary", "none", 6 * (2 * 4 + 3 + 5 - 2)),
        ("output_stationary", "drain", 6 * (4 + 3 + 5 - 2) + 4),
        ("output_stationary", "full", 5 * 5 + 2 * 4 + 3 + 5 - 2),
        ("weight_stationary", "none", 6 * (2 * 4 + 3 + 8 - 2) + 1),
        ("weight_stationary", "full", 5 * 8 + 2 * 4 + 3 + 8 - 2 + 1),
        ("input_stationary", "none", 6 * (2 * 4 + 3 + 9 - 2) + 1),
        ("input_stationary", "full", 5 * 9 + 2 * 4 + 3 + 9 - 2 + 1),
    ],
)
def test_the_formulas_of_each_dataflow(dataflow: str, fold_overlap: str, cycles: int) -> None:
    """8 windows of 5 taps, 9 filters, on 4 x 3 PEs: 2 x 3 output tiles; 2 depth tiles x 3 tiles of columns or rows."""
    load = workload((8, 5, 1), conv("conv", "x", 9, (1, 5)))
    spec = machine(IDEAL, rows=4, cols=3, dataflow=dataflow, fold_overlap=fold_overlap)
    (one,) = run_timing(spec, load)
    assert one.plan.products[0].array_cycles == array_time(one) == cycles
