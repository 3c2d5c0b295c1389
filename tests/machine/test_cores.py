"""Several cores share a layer and the DRAM: what they compute, and what they gain and wait for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapes_alone import conv as shape_conv
from shapes_alone import dense as shape_dense
from shapes_alone import plan_steps, time_steps
from small_networks import (
    DATAFLOW_OVERLAPS,
    IDEAL,
    conv,
    dense,
    flatten,
    function,
    machine,
    pool,
    run_data,
    run_shadow,
    run_timing,
    workload,
)
from test_runs_with_data import random_settings, random_workload

from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.machine.timeline import Span
from hwsim.machine.tracing import Level, Slice
from hwsim.readers.workload import Workload

SPLITS = ["auto", "out_rows", "out_cols"]


def cores_fitting(seed: int) -> tuple[ArchSpec, Workload]:
    """Return two to four cores with small memories, and a workload that fits them."""
    random = np.random.default_rng(seed)
    cores = {"cores": int(random.integers(2, 5)), "mapping.split": str(random.choice(SPLITS))}
    spec, load = machine(random_settings(seed) | cores), random_workload(seed)
    try:
        compile_workload(spec, load)
    except ConfigError:
        assume(False)
    return spec, load


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(["stepped", "functional"]))
def test_cores_assemble_what_one_array_computes(seed: int, engine: str) -> None:
    """Outputs, overflows of each PE and the cycles of single events are those of the product on one array."""
    spec, load = cores_fitting(seed)
    shadow = run_shadow(spec, load)
    for one in run_data(spec, load, engine):
        assert np.array_equal(one.output, shadow.values[one.plan.output][0])
        if one.plan.products:
            assert np.array_equal(one.per_pe, shadow.overflows[one.plan.name].per_pe)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_events_come_in_the_cycles_of_the_whole_product(seed: int) -> None:
    spec, load = cores_fitting(seed)
    single = spec.model_copy(update={"cores": 1})
    try:
        alone = {one.plan.name: one for one in run_data(single, load)}
    except ConfigError:
        assume(False)
    for one in run_data(spec, load):
        if one.events is not None:
            assert np.array_equal(one.events, alone[one.plan.name].events)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_cores_take_the_same_cycles_with_and_without_data(seed: int) -> None:
    spec, load = cores_fitting(seed)
    for with_data, timing in zip(run_data(spec, load), run_timing(spec, load), strict=True):
        assert (with_data.total_cycles, with_data.cycles) == (timing.total_cycles, timing.cycles)
        assert with_data.counts == timing.counts
        assert sum(timing.cycles.values()) == timing.total_cycles


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_the_engine_counts_on_all_cores_is_what_the_closed_forms_say(seed: int) -> None:
    spec, load = cores_fitting(seed)
    for one in run_data(spec, load, "stepped"):
        for (component, action), count in (one.array_counts or {}).items():
            found = one.counts[component, action]
            if component == "accumulator_buffer" and action == "read":
                found -= one.plan.step.outputs if one.plan.step else 0  # the requantizer's
            assert found == count, (component, action)


def busy(one: LayerRun) -> int:
    return sum(one.cycles[kind] for kind in ("fill", "compute", "drain"))


@pytest.mark.parametrize(
    ("dataflow", "fold_overlap", "split", "cycles"),
    [
        ("output_stationary", "none", "out_rows", 3 * 3 * (2 * 4 + 3 + 5 - 2)),
        ("output_stationary", "none", "out_cols", 6 * 2 * (2 * 4 + 3 + 5 - 2)),
        ("output_stationary", "drain", "out_rows", 3 * 3 * (4 + 3 + 5 - 2) + 4),
        ("output_stationary", "full", "out_rows", (3 * 3 - 1) * 5 + 2 * 4 + 3 + 5 - 2),
        ("weight_stationary", "none", "out_rows", 3 * 2 * (2 * 4 + 3 + 12 - 2) + 1),
        ("weight_stationary", "none", "out_cols", 2 * 2 * (2 * 4 + 3 + 24 - 2) + 1),
        ("weight_stationary", "full", "out_cols", (2 * 2 - 1) * 24 + 2 * 4 + 3 + 24 - 2 + 1),
        ("input_stationary", "none", "out_rows", 4 * 2 * (2 * 4 + 3 + 9 - 2) + 1),
        ("input_stationary", "none", "out_cols", 8 * 2 * (2 * 4 + 3 + 5 - 2) + 1),
    ],
)
def test_two_cores_take_the_time_of_the_larger_share(dataflow: str, fold_overlap: str, split: str, cycles: int) -> None:
    """24 rows of 5 terms by 9 columns on 4 x 3 PEs: 6 x 3 tiles of outputs, or 2 tiles of depth by 3 or 8.

    Shares are whole folds (3 of 6 tiles of rows, 2 of 3 of columns), or an even part of what streams (12 of 24 rows,
    5 of 9 columns). Endless bandwidth: the formulas of one array, for one core's share. The DRAM takes a cycle for
    each transfer: activations and weights of the first core, then those of the second, whose share is not smaller, and
    its outputs in the end.
    """
    spec = machine(
        IDEAL | {"cores": 2, "mapping.split": split}, rows=4, cols=3, dataflow=dataflow, fold_overlap=fold_overlap
    )
    (one,) = time_steps(spec, [shape_dense("layer", "x", 5, 9, 24)], x=24 * 5)
    assert one.plan.array_cycles == cycles
    assert busy(one) == 2 + cycles
    assert one.total_cycles == 4 + cycles + 1


@pytest.mark.parametrize("cores", [2, 4, 8])
@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_no_number_of_cores_beats_the_dram(dataflow: str, fold_overlap: str, cores: int) -> None:
    spec = machine(
        {"cores": cores, "dram.bytes_per_cycle": 1, "dram.latency_cycles": 0, "mapping.split": "out_rows"},
        rows=4,
        cols=4,
        dataflow=dataflow,
        fold_overlap=fold_overlap,
    )
    (one,) = time_steps(spec, [shape_dense("layer", "x", 40, 40, 64)], x=64 * 40)
    moved = one.counts["dram", "read_bits"] + one.counts["dram", "write_bits"]
    assert moved >= 8 * (64 * 40 + 40 * 40 + 64 * 40)
    assert one.total_cycles >= moved / 8


def test_two_cores_load_as_long_as_one_that_loads_what_both_do() -> None:
    """Each core's share is one fold of 16 rows and 16 columns of 64 terms; 8 bytes a cycle, 100 cycles of latency.

    Both cores bring 1,024 bytes of activations and of weights: the last come after 4 x 128 + 100 cycles, and the last
    fold of 2 x 16 + 16 + 64 - 2 cycles ends as late. One core that brings as much, 32 rows and 32 columns, has all of
    it in the same cycle.
    """
    arrivals: dict[int, int] = {}
    for cores, columns in ((2, 16), (1, 32)):
        spec = machine({"cores": cores, "mapping.split": "out_rows", "mapping.objective": "dram_traffic"})
        plan = plan_steps(spec, [shape_dense("layer", "x", 64, columns, 32)], x=32 * 64)
        assert len(plan[0].products) == cores
        stalls: list[Span] = []
        (one,) = run_machine(plan, spec, observe=lambda _, span, found=stalls: found.append(span))
        assert one.counts["dram", "read_bits"] == 8 * 4 * 1024
        arrivals[cores] = max(span.end for span in stalls if span.kind == "load_stall")
    assert arrivals == {1: 4 * 128 + 100, 2: 4 * 128 + 100}


NETWORK = workload(
    (8, 8, 4),
    conv("conv", "x", 8, padding="same"),
    function("curve", "conv"),
    pool("pool", "curve"),
    flatten("flat", "pool"),
    dense("fc", "flat", 40),
)


def test_a_pool_is_fused_where_cores_share_columns_and_a_layer_of_its_own_where_they_share_rows() -> None:
    """The table needs single sums, and stays with them; a window of the pool has outputs of two cores' rows."""

    def layers(split: str) -> list[tuple[str, list[str], int]]:
        spec = machine({"cores": 2, "mapping.split": split}, rows=4, cols=4)
        plan = compile_workload(spec, NETWORK).layers
        return [(one.name, [step.name for step in one.after], len(one.shares)) for one in plan]

    assert layers("out_cols") == [("conv", ["curve", "pool"], 2), ("fc", [], 2)]
    assert layers("out_rows") == [("conv", ["curve"], 2), ("pool", ["pool"], 2), ("fc", [], 1)]


@pytest.mark.parametrize("split", ["out_rows", "out_cols"])
def test_shares_of_what_follows_a_product_add_up(split: str) -> None:
    """Sizes that no number of cores divides: every bit that is moved on one core is moved on three, none twice."""

    def counts(cores: int) -> dict[tuple[str, str], int]:
        settings = {"cores": cores, "mapping.split": split, "mapping.keep_on_chip": False}
        layers = run_timing(machine(settings, rows=4, cols=4), NETWORK)
        names = ("requantizer", "vector_unit", "activation_lut")
        found = {key: sum(one.counts[key] for one in layers) for one in layers for key in one.counts}
        return {key: count for key, count in found.items() if key[0] in names or key == ("pe", "multiply")}

    assert counts(3) == counts(1)


def test_activations_pass_between_layers_through_dram() -> None:
    """One core keeps them on the chip; of several that share columns, none sees what another one has."""
    for cores, read_bits in ((1, 0), (2, 8 * 4 * 4 * 8)):
        spec = machine({"cores": cores, "mapping.split": "out_cols"})
        layers = {one.plan.name: one for one in run_timing(spec, NETWORK)}
        weights = 8 * 128 * 40
        assert layers["fc"].counts["dram", "read_bits"] >= weights + read_bits
        assert (layers["fc"].counts["dram", "read_bits"] == weights) == (cores == 1)


def test_depthwise_convolutions_share_groups() -> None:
    """64 groups of 49 rows by one column: by rows 4 folds for 8 cores, by groups 8 for each."""

    def cycles(split: str) -> int:
        spec = machine(IDEAL | {"cores": 8, "mapping.split": split})
        (one,) = time_steps(
            spec, [shape_conv("layer", "x", (7, 7, 64), 64, kernel=(3, 3), groups=64, padding="same")], x=7 * 7 * 64
        )
        return one.plan.array_cycles

    fold = 2 * 16 + 16 + 9 - 2
    assert cycles("groups") == 64 // 8 * 4 * fold
    assert cycles("out_rows") == 64 * fold
    assert cycles("auto") == cycles("groups")


def test_fewer_folds_than_cores_leave_cores_idle() -> None:
    """Three tiles of 4 rows for eight cores."""
    spec = machine({"cores": 8, "mapping.split": "out_rows"}, rows=4, cols=4)
    (one,) = time_steps(spec, [shape_dense("layer", "x", 5, 9, 12)], x=12 * 5)
    assert [product.region.rows for product in one.plan.products] == [4, 4, 4]


def test_a_trace_has_a_track_for_every_unit_of_every_core() -> None:
    found: list[Slice | Level] = []
    spec = machine({"cores": 2, "mapping.split": "out_cols"}, rows=4, cols=4)
    run_machine(compile_workload(spec, NETWORK).layers, spec, trace=found.append)
    tracks = {one.track for one in found if isinstance(one, Slice)}
    units = {"array", "requantizer", "activation LUT", "vector unit", "weight scratchpad port"}
    assert {f"core {core} {unit}" for core in (0, 1) for unit in units} <= tracks
    assert {"layers", "cycles by class", "DRAM"} <= tracks
    assert not tracks & units
    levels = {one.name for one in found if isinstance(one, Level)}
    assert {"core 0 weight scratchpad bytes", "core 1 weight scratchpad bytes"} <= levels


def refused(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        plan_steps(machine(settings), [shape_dense("fc", "x", 5, 40)], x=5)
    return list(error.value.problems)


def test_a_split_that_no_layer_allows_is_refused() -> None:
    assert refused({"cores": 2, "mapping.split": "groups"}) == [
        "mapping.split groups leaves every product to one of 2 cores; allowed: auto, out_cols"
    ]
    assert refused({"cores": 2, "mapping.split": "out_rows"}) == [
        "mapping.split out_rows leaves every product to one of 2 cores; allowed: auto, out_cols"
    ]


def test_a_layers_split_that_leaves_all_to_one_core_is_refused() -> None:
    assert refused({"cores": 2, "mapping.layers.fc.split": "out_rows"}) == [
        "layer fc: split out_rows leaves all to one core; allowed: auto, none, out_cols"
    ]
    (layer,) = plan_steps(machine({"mapping.layers.fc.split": "out_rows"}), [shape_dense("fc", "x", 5, 40)], x=5)
    assert len(layer.products) == 1  # one core takes any split


def test_numbers_of_cores_and_names_of_splits_are_checked() -> None:
    with pytest.raises(ConfigError, match="cores: 0 is out of range; allowed: 1 to 64"):
        machine({"cores": 0})
    with pytest.raises(
        ConfigError, match=r"mapping\.split: unknown value 'rows'; allowed: auto, samples, out_rows, out_cols, groups"
    ):
        machine({"mapping.split": "rows"})
