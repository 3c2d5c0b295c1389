"""Periods in which the machine repeats itself are skipped, and nothing but the time that this takes changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapes_alone import conv, dense, plan_steps, time_steps
from small_networks import DATAFLOW_OVERLAPS, machine

from hwsim.config.arch import ArchSpec, LayerMappingSpec
from hwsim.errors import ConfigError
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.machine.product import ProductRun
from hwsim.network.steps import MatmulStep


def random_step(random: np.random.Generator) -> tuple[MatmulStep, int]:
    """Draw a layer of up to a few hundred folds, and the number of its inputs."""
    if random.random() < 0.3:
        rows, depth, units = (int(random.integers(1, most)) for most in (30, 60, 80))
        return dense("layer", "x", depth, units, rows), rows * depth
    groups = int(random.choice([1, 1, 1, 2, 6, 24]))
    shape = (int(random.integers(3, 13)), int(random.integers(3, 13)), groups * int(random.integers(1, 9)))
    kernel = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    stride = (int(random.integers(1, 3)), int(random.integers(1, 3)))
    filters = groups * int(random.integers(1, 20))
    padding = str(random.choice(["same", "valid"]))
    step = conv("layer", "x", shape, filters, kernel=kernel, stride=stride, padding=padding, groups=groups)
    return step, int(np.prod(shape))


def random_machine(random: np.random.Generator) -> ArchSpec:
    """Draw an array with memories from far too small to generous, from slow to fast."""
    dataflow, fold_overlap = DATAFLOW_OVERLAPS[int(random.integers(len(DATAFLOW_OVERLAPS)))]
    settings: dict[str, Any] = {
        "requantizer.lanes": int(random.integers(1, 20)),
        "requantizer.pipeline_cycles": int(random.integers(0, 8)),
        "dram.bytes_per_cycle": int(random.choice([1, 2, 3, 8, 64])),
        "dram.latency_cycles": int(random.choice([0, 7, 100])),
        "accumulator_buffer.capacity_bytes": int(random.choice([300, 3000, 65536])),
        "mapping.objective": str(random.choice(["time", "dram_traffic"])),
    }
    if random.random() < 0.3:
        settings |= {"dram.channels": int(random.choice([1, 2, 3])), "dram.burst_bytes": int(random.choice([1, 16]))}
        settings |= {"dram.row_bytes": 256, "dram.row_miss_cycles": 11}
    for name in ("activations", "weights", "outputs"):
        settings[f"scratchpads.{name}.capacity_bytes"] = int(10 ** random.uniform(1.5, 4.5))
        settings[f"scratchpads.{name}.bytes_per_cycle"] = int(random.choice([1, 3, 8, 32]))
        settings[f"scratchpads.{name}.double_buffered"] = bool(random.random() < 0.7)
    rows, cols = int(random.integers(2, 9)), int(random.integers(2, 9))
    return machine(settings, rows=rows, cols=cols, dataflow=dataflow, fold_overlap=fold_overlap)


def facts(runs: list[LayerRun]) -> list[tuple[object, ...]]:
    return [
        (one.start_cycle, one.total_cycles, one.cycles, dict(one.counts), one.dram_row_hits, one.dram_row_misses)
        for one in runs
    ]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 32))
def test_skipping_changes_no_cycle_no_class_and_no_count(seed: int) -> None:
    random = np.random.default_rng(seed)
    (step, inputs), spec = random_step(random), random_machine(random)
    try:
        plan = plan_steps(spec, [step], x=inputs)
    except ConfigError:
        assume(False)
    event_by_event, skipping = (run_machine(plan, spec, fast_forward=skips) for skips in (False, True))
    assert facts(skipping) == facts(event_by_event)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 32))
def test_pieces_of_depth_are_skipped_as_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    (step, inputs), spec = random_step(random), random_machine(random)
    wish = {"layer": LayerMappingSpec(tile_depth=int(random.integers(1, step.shape.depth + 1)))}
    array = {"dataflow": "output_stationary", "fold_overlap": str(random.choice(["none", "drain", "full"]))}
    spec = replaced(spec, array=replaced(spec.array, **array), mapping=replaced(spec.mapping, layers=wish))
    try:
        plan = plan_steps(spec, [step], x=inputs)
    except ConfigError:
        assume(False)
    event_by_event, skipping = (run_machine(plan, spec, fast_forward=skips) for skips in (False, True))
    assert facts(skipping) == facts(event_by_event)
    assert sum(skipping[0].cycles.values()) == skipping[0].total_cycles


def replaced(spec: Any, **values: object) -> Any:
    return spec.model_copy(update=values)


def starts(monkeypatch: pytest.MonkeyPatch, step: MatmulStep, inputs: int) -> tuple[int, int]:
    """Time a layer on 4 x 4 PEs; return folds that were started one by one, and all cycles."""
    started = 0
    run_fold = ProductRun._run_fold

    def counted(self: ProductRun, *arguments: Any) -> Any:
        nonlocal started
        started += 1
        return run_fold(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ProductRun, "_run_fold", counted)
        (one,) = time_steps(machine(rows=4, cols=4), [step], x=inputs)
    return started, one.total_cycles


def test_the_work_does_not_grow_with_the_number_of_like_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times as many folds, 1.6 million, take a hundred times as many cycles, but few more steps."""
    (few, short), (many, long) = (
        starts(monkeypatch, dense("layer", "x", 8, 64, rows), 8 * rows) for rows in (4_000, 400_000)
    )
    assert 90 * short < long < 110 * short
    assert many < 3 * few < 5_000


def test_the_work_does_not_grow_with_the_channels_of_a_depthwise_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of all channels come long before the array needs them, and their number falls from tile to tile."""

    def depthwise(channels: int) -> tuple[int, int]:
        step = conv("layer", "x", (8, 8, channels), channels, kernel=(3, 3), padding="same", groups=channels)
        return starts(monkeypatch, step, 64 * channels)

    (few, short), (many, long) = depthwise(100), depthwise(400)
    assert 3.9 * short < long < 4.1 * short
    assert many < 3 * few < 300  # of 6,400
