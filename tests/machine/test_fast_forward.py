"""Periods in which the machine repeats itself are skipped, and nothing but the time that this takes changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from random_machines import facts, random_machine, random_step
from shapes_alone import conv, dense, plan_steps, time_steps
from small_networks import machine

from hwsim.config.mapping import LayerMappingSpec
from hwsim.errors import ConfigError
from hwsim.machine.machine import run_machine
from hwsim.machine.product import ProductRun
from hwsim.network.steps import MatmulStep


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
@example(9755033)  # three cores whose write-back waits for a single port while periods are skipped
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
    assume(plan[0].products[0].grid.count <= 250)
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
