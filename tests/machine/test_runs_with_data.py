"""The machine with data against the machine for timing alone, and against the array without its clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_networks import (
    DATAFLOW_OVERLAPS,
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

from hwsim.array.gemm import make_engine
from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.errors import AccumulatorOverflowError, ConfigError
from hwsim.network.operator import Operator
from hwsim.readers.workload import Workload

SEEDS = st.integers(0, 1 << 32)
MANY = settings(max_examples=40, deadline=None)
SCRATCHPADS = ("activations", "weights", "outputs")


def random_workload(seed: int) -> Workload:
    """Draw one or two convolutions, perhaps with pooling or a function between, then a dense layer."""
    random = np.random.default_rng(seed)
    groups = int(random.integers(1, 4))
    shape = (int(random.integers(4, 8)), int(random.integers(4, 8)), groups * int(random.integers(1, 3)))
    return workload(shape, *_operators(random, groups), seed=seed)


def _operators(random: np.random.Generator, groups: int) -> Iterator[Operator]:
    padding = str(random.choice(["same", "valid"]))
    kernel = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    yield conv("a", "x", groups * int(random.integers(1, 5)), kernel, groups=groups, padding=padding)
    last = "a"
    for name, make, likely in (("p", pool, 0.5), ("s", function, 0.3)):
        if random.random() < likely:
            yield make(name, last)
            last = name
    if random.random() < 0.5:
        yield conv("b", last, int(random.integers(1, 9)), (1, 2), stride=(1, 2), padding="same")
        last = "b"
    yield flatten("flat", last)
    yield dense("fc", "flat", int(random.integers(1, 9)), bias=bool(random.random() < 0.5))


def random_settings(seed: int) -> dict[str, Any]:
    """Draw a machine: small scratchpads are likely, so that operands are streamed, and few guard bits."""
    random = np.random.default_rng(seed)
    dataflow, fold_overlap = DATAFLOW_OVERLAPS[int(random.integers(len(DATAFLOW_OVERLAPS)))]
    settings: dict[str, Any] = {
        "array.rows": int(random.integers(1, 7)),
        "array.cols": int(random.integers(1, 7)),
        "array.dataflow": dataflow,
        "array.fold_overlap": fold_overlap,
        "array.guard_bits": int(random.integers(-2, 6)),
        "array.overflow": str(random.choice(["wrap", "saturate"])),
        "array.zero_point": str(random.choice(["folded", "operand"])),
        "requantizer.bias": str(random.choice(["requantizer", "preload"])),
        "requantizer.lanes": int(random.integers(1, 9)),
        "requantizer.pipeline_cycles": int(random.integers(0, 6)),
        "dram.bytes_per_cycle": int(random.integers(1, 20)),
        "dram.latency_cycles": int(random.integers(0, 60)),
        "quantization.weights.symmetric": bool(random.random() < 0.6),
    }
    for name in SCRATCHPADS:
        capacity = int(random.integers(60, 400)) if random.random() < 0.8 else 65536
        settings[f"scratchpads.{name}.capacity_bytes"] = capacity
        settings[f"scratchpads.{name}.bytes_per_cycle"] = int(random.integers(1, 20))
        settings[f"scratchpads.{name}.double_buffered"] = bool(random.random() < 0.6)
    settings["mapping.layer_overlap"] = str(random.choice(["none", "weights"]))
    settings |= {f"scratchpads.{name}.ports": int(random.choice([1, 2])) for name in SCRATCHPADS}
    return settings


def fitting(seed: int) -> tuple[ArchSpec, Workload]:
    """Return a machine and a workload that fits it; others are refused before they start."""
    spec, load = machine(random_settings(seed)), random_workload(seed)
    try:
        compile_workload(spec, load)
    except ConfigError:
        assume(False)
    return spec, load


@MANY
@given(SEEDS)
def test_data_take_the_cycles_of_the_timing_run(seed: int) -> None:
    spec, load = fitting(seed)
    for with_data, timing in zip(run_data(spec, load), run_timing(spec, load), strict=True):
        assert with_data.total_cycles == timing.total_cycles
        assert with_data.cycles == timing.cycles
        assert with_data.counts == timing.counts


@MANY
@given(SEEDS, st.sampled_from(["stepped", "functional"]))
def test_what_the_machine_assembles_is_what_the_array_computes(seed: int, engine: str) -> None:
    """No fold reads an operand that is absent, whatever is streamed; values and overflows are the shadow's."""
    spec, load = fitting(seed)
    shadow = run_shadow(spec, load)
    for one in run_data(spec, load, engine):
        assert np.array_equal(one.output, shadow.values[one.plan.output][0])
        if one.per_pe is not None:
            assert np.array_equal(one.per_pe, shadow.overflows[one.plan.name].per_pe)


@MANY
@given(SEEDS)
def test_parts_sum_to_the_total_and_every_bit_is_moved(seed: int) -> None:
    spec, load = fitting(seed)
    for one in run_timing(spec, load):
        assert sum(one.cycles.values()) == one.total_cycles
        assert min(one.cycles.values()) >= 0
        stays = one.plan.output_memory == "scratchpad"
        assert one.counts["dram", "write_bits"] == (0 if stays else one.plan.output_bits)
        if not one.plan.products:
            assert one.counts["dram", "read_bits"] == one.plan.dram_input_bits
            continue
        (product,) = one.plan.products
        brought = 0 if one.plan.on_chip else product.step.gather.elements
        operands = 8 * (brought + product.step.weights.size)
        assert one.counts["dram", "read_bits"] >= operands
        if product.activations.slots is None and product.weights.slots is None:
            assert one.counts["dram", "read_bits"] == operands
        assert one.total_cycles >= product.array_cycles


@MANY
@given(SEEDS)
def test_what_the_engine_counts_is_what_the_closed_forms_say(seed: int) -> None:
    """The registers' tallies of all folds, against the counts that energy is computed from."""
    spec, load = fitting(seed)
    for one in run_data(spec, load, "stepped"):
        for (component, action), count in (one.array_counts or {}).items():
            found = one.counts[component, action]
            if component == "accumulator_buffer" and action == "read":
                found -= one.plan.step.outputs if one.plan.step else 0  # the requantizer's
            assert found == count, (component, action)


@pytest.mark.parametrize("seed", range(50))
def test_double_buffering_is_never_slower_where_both_fit(seed: int) -> None:
    """With a port for each side: else what is brought ahead keeps the array from its operands."""
    keys, ports = ([f"scratchpads.{name}.{key}" for name in SCRATCHPADS] for key in ("double_buffered", "ports"))
    load = random_workload(seed)
    alone = random_settings(seed) | {"mapping.layer_overlap": "none"} | dict.fromkeys(ports, 2)
    double, single = (machine(alone | dict.fromkeys(keys, twice)) for twice in (True, False))
    try:
        cycles = [sum(one.total_cycles for one in run_timing(spec, load)) for spec in (double, single)]
    except ConfigError:
        return  # half a scratchpad is too small
    assert cycles[0] <= cycles[1]


GROUPED = workload((5, 4, 6), conv("conv", "x", 6, (2, 2), groups=3))


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_event_cycles_count_from_the_first_group(dataflow: str, fold_overlap: str, engine: str) -> None:
    """Each group's events come after the full array time of the groups before it; stalls are left out."""
    spec = machine(rows=3, cols=2, dataflow=dataflow, fold_overlap=fold_overlap, guard_bits=-2)
    (one,) = run_data(spec, GROUPED, engine)
    compiled = compile_workload(spec, GROUPED)
    product = compiled.layers[0].products[0]
    assert product is not None
    assert GROUPED.inputs is not None
    codes = compiled.codes({compiled.input: GROUPED.inputs[:1]})[compiled.input]
    expected = []
    for group in range(3):
        operands = product.step.activation_operands(codes, group)[0]
        alone = make_engine("functional").gemm(product.params, operands, product.step.weight_operands(group))
        shift = np.array([group * product.array_cycles // 3, 0, 0])
        expected.append(alone.overflow.events + shift)
    assert len(np.concatenate(expected)) > 20
    assert np.array_equal(one.events, np.concatenate(expected))


def test_the_first_events_by_cycle_are_kept_up_to_the_limit() -> None:
    spec = machine(rows=3, cols=2, guard_bits=-2, fold_overlap="full")
    (everything,), (some,) = (run_data(spec, GROUPED, max_events=limit) for limit in (10_000, 7))
    assert everything.events is not None
    assert np.array_equal(some.events, everything.events[:7])
    assert np.array_equal(some.per_pe, everything.per_pe)


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_error_names_the_same_cycle_with_and_without_the_clock(dataflow: str, fold_overlap: str) -> None:
    """Only the last group overflows: its cycles come after those of the groups before it."""
    load = workload((5, 4, 6), conv("conv", "x", 6, (2, 2), groups=3))
    np.asarray(load.network.tensors["conv.w"].data)[..., :4] = 0.0
    array = {"rows": 3, "cols": 2, "dataflow": dataflow, "fold_overlap": fold_overlap, "guard_bits": -2}
    (wrapped,) = run_data(machine(**array, overflow="wrap"), load)
    assert wrapped.events is not None
    cycle, row, col = wrapped.events[0].tolist()
    assert cycle >= wrapped.plan.products[0].array_cycles * 2 // 3
    where = f"row {row}" if row < 3 else "the accumulator under the array"
    expected = f"layer conv: accumulator of 14 bits overflows in cycle {cycle}, {where}, column {col}"
    for run in (run_data, run_shadow):
        with pytest.raises(AccumulatorOverflowError) as stopped:
            run(machine(**array, overflow="error"), load)
        assert str(stopped.value) == expected
