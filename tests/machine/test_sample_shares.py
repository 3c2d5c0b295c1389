"""Cores share the samples of a batch: each has whole ones, with what follows their products."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_machines import facts, plan_chain, random_chain, random_machine, random_step
from shapes_alone import dense as shape_dense
from shapes_alone import plan_steps, time_steps
from small_networks import DATAFLOW_OVERLAPS, IDEAL, conv, dense, flatten, function, machine, pool, workload
from test_runs_with_data import random_settings, random_workload

from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.execute.integer import IntegerRun, run_integer
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.network.batch import RepeatedStep, batched
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.network.parts import UNDIVIDED
from hwsim.network.steps import MatmulStep
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.simulate import sample_data, together

NET = workload(
    (6, 6, 2), conv("c", "x", 4, padding="same"), function("f", "c"), pool("p", "f"), flatten("v", "p"),
    dense("fc", "v", 10),
)  # fmt: skip
DENSE = workload((12,), dense("fc", "x", 5))


def shared_by_samples(cores: int, batch: int, more: dict[str, Any] | None = None, **array: Any) -> ArchSpec:
    keys = {"cores": cores, "mapping.batch": batch, "mapping.split": "samples"}
    return machine(keys | (more or {}), **array)


def run_both(spec: ArchSpec, load: Workload, engine: str = "stepped") -> tuple[list[LayerRun], IntegerRun]:
    """Run the first batch on the machine with data, and in its shadow."""
    compiled = compile_workload(spec, load)
    assert load.inputs is not None
    codes = together(compiled.codes({"x": load.inputs[: compiled.batch]}), compiled.batch)
    runs = run_machine(compiled.layers, spec, sample_data(codes, engine))  # type: ignore[arg-type]
    names = [layer.output for layer in compiled.layers]
    steps = compiled.steps_of(compiled.batch)
    return runs, run_integer(steps, compiled.params, codes, keep=names, max_events=10_000)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(["stepped", "functional"]))
def test_cores_assemble_what_the_shadow_computes(seed: int, engine: str) -> None:
    """Outputs, overflows of each PE and single events, of random networks on small machines."""
    random = np.random.default_rng(seed)
    keys = {"cores": int(random.integers(2, 5)), "mapping.batch": int(random.integers(2, 5))}
    spec, load = machine(random_settings(seed) | keys | {"mapping.split": "samples"}), random_workload(seed)
    try:
        runs, shadow = run_both(spec, load, engine)
    except ConfigError:
        assume(False)
    for one in runs:
        assert np.array_equal(one.output, shadow.values[one.plan.output][0])
        if one.plan.products:
            assert np.array_equal(one.per_pe, shadow.overflows[one.plan.name].per_pe)
            assert np.array_equal(one.events, shadow.overflows[one.plan.name].first)


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_every_sample_has_the_codes_and_the_overflows_that_it_has_alone(dataflow: str, fold_overlap: str) -> None:
    """Five samples on three cores, with accumulators that overflow."""
    array = {"dataflow": dataflow, "fold_overlap": fold_overlap, "rows": 4, "cols": 4, "guard_bits": -4}
    runs, _ = run_both(shared_by_samples(3, 5, **array), workload_of_five())
    compiled = compile_workload(machine(**array), workload_of_five())
    codes = compiled.codes({"x": workload_of_five().inputs})
    alone = run_integer(compiled.steps, compiled.params, codes, keep=[run.plan.output for run in runs])
    for run in runs:
        assert np.array_equal(run.output, alone.values[run.plan.output].reshape(-1))
        if run.plan.products:
            assert run.per_pe is not None
            assert run.per_pe.sum() == alone.overflows[run.plan.name].events > 0


def workload_of_five() -> Workload:
    assert NET.inputs is not None
    return replace(NET, inputs=np.concatenate([NET.inputs, NET.inputs[:1] / 2]))


def test_single_events_are_those_of_each_cores_own_folds() -> None:
    """Output stationary, four samples of one row on two cores: samples 0 and 1, then 2 and 3, in rows 0 and 1.

    A sample's events are later by its row, and those of the second core's fold by the first core's of
    2 x 4 + 5 + 12 - 2 cycles: as if one array had done one core's folds after the other's.
    """
    array = {"overflow": "wrap", "guard_bits": -4, "rows": 4, "cols": 5}
    spec = shared_by_samples(2, 4, **array)
    (run,), _ = run_both(spec, DENSE)
    alone = compile_workload(machine(**array), DENSE)
    assert run.events is not None
    assert DENSE.inputs is not None
    codes = alone.codes({"x": DENSE.inputs[:4]})["x"]
    expected = []
    for number in range(4):
        core, row = divmod(number, 2)
        first = {"x": codes[number : number + 1]}
        found = run_integer(alone.steps, alone.params, first, keep=["fc"], max_events=1000).overflows["fc"].first
        assert len(found)
        expected.append(found + np.array([core * (2 * 4 + 5 + 12 - 2) + row, row, 0]))
    assert sorted(map(tuple, run.events)) == sorted(map(tuple, np.concatenate(expected)))


@pytest.mark.parametrize(
    ("dataflow", "cycles"),
    [
        # 7 samples of one row of 12 terms by 5 columns on 4 x 4: cores have 2, 2 and 3 rows
        ("output_stationary", 1 * 2 * (2 * 4 + 4 + 12 - 2)),  # 1 tile of rows, 2 of columns
        ("weight_stationary", 2 * 3 * (2 * 4 + 4 + 3 - 2) + 1),  # 2 tiles of columns, 3 of depth; 3 rows stream
        ("input_stationary", 1 * 3 * (2 * 4 + 4 + 5 - 2) + 1),  # 1 tile of rows, 3 of depth; 5 columns stream
    ],
)
def test_a_layer_takes_as_long_as_the_core_with_most_samples(dataflow: str, cycles: int) -> None:
    spec = shared_by_samples(3, 7, IDEAL, dataflow=dataflow, rows=4, cols=4)
    (layer,) = compile_workload(spec, DENSE).layers
    assert [product.region.rows for product in layer.products] == [2, 2, 3]
    assert layer.array_cycles == cycles


def test_every_core_brings_the_weights_and_its_own_samples() -> None:
    """12 inputs, 5 outputs and 60 weights of 8 bits; four samples on two cores."""
    spec = shared_by_samples(2, 4, rows=4, cols=4)
    (run,) = run_machine(compile_workload(spec, DENSE).layers, spec)
    assert run.counts["dram", "read_bits"] == 8 * (4 * 12 + 2 * 60)
    assert run.counts["dram", "write_bits"] == 8 * 4 * 5


def test_what_follows_a_product_stays_fused() -> None:
    """A pool needs outputs of several rows, of one sample alone."""
    layers = compile_workload(shared_by_samples(2, 4), NET).layers
    assert [(one.name, [step.name for step in one.after]) for one in layers] == [("c", ["f", "p"]), ("fc", [])]
    assert [one.split for one in layers] == ["samples", "samples"]
    assert [(share.start, share.stop) for share in layers[0].shares] == [(0, 4 * 144 // 2), (4 * 144 // 2, 4 * 144)]


def test_a_step_that_needs_all_of_a_sample_is_shared_by_samples() -> None:
    """A function of whole tensors has one part for each of six samples."""
    step = FunctionStep("f", ("x",), "y", (2,), np.add, ((100,),), Counts())
    (six,) = batched([step], {"x": 100}, 6)
    assert (step.parts, step.sample_count) == (UNDIVIDED, 1)
    assert isinstance(six, RepeatedStep)
    assert six.sample_count == 6


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32))
def test_skipping_changes_no_cycle_no_class_and_no_count(seed: int) -> None:
    random = np.random.default_rng(seed)
    (step, inputs), batch = random_step(random), int(random.integers(2, 4))
    spec = random_machine(random, {"cores": int(random.integers(2, 5)), "mapping.split": "samples"})
    (together_step,) = batched([step], {"x": inputs}, batch)
    assert isinstance(together_step, MatmulStep)
    try:
        plan = plan_steps(spec, [together_step], x=inputs * batch)
    except ConfigError:
        assume(False)
    event_by_event, skipping = (run_machine(plan, spec, fast_forward=skips) for skips in (False, True))
    assert facts(skipping) == facts(event_by_event)
    assert sum(skipping[0].cycles.values()) == skipping[0].total_cycles


def test_products_of_two_activations_share_the_groups_of_samples() -> None:
    spec = shared_by_samples(2, 3)
    layers = {one.name: one for one in compile_workload(spec, read_workload("digits_transformer")).layers}
    scores = next(one for name, one in layers.items() if name.endswith("scores"))
    heads = scores.products[0].step.groups // 3
    assert [product.groups for product in scores.products] == [heads, 2 * heads]


def test_without_a_batch_there_are_no_samples_to_share() -> None:
    with pytest.raises(ConfigError) as refused:
        plan_steps(machine({"cores": 2, "mapping.split": "samples"}), [shape_dense("fc", "x", 5, 40)], x=5)
    assert list(refused.value.problems) == [
        "mapping.split samples leaves every product to one of 2 cores; allowed: auto, out_cols"
    ]


def test_one_layer_can_be_left_to_one_core() -> None:
    spec = machine({"cores": 2, "mapping.layers.layer.split": "none"}, rows=4, cols=4)
    (one,) = time_steps(spec, [shape_dense("layer", "x", 64, 64, 64)], x=64 * 64)
    assert (len(one.plan.products), one.plan.split) == (1, None)


def test_activations_of_a_cores_own_samples_stay_on_the_chip() -> None:
    """The dense layer after the pool reads 4 x 4 x 10 bytes of weights on each of two cores, and nothing else."""
    for keeps, activation_bits in ((True, 0), (False, 4 * 8 * 3 * 3 * 4)):
        spec = shared_by_samples(2, 4, {"mapping.keep_on_chip": keeps})
        runs = run_machine(compile_workload(spec, NET).layers, spec)
        assert runs[1].counts["dram", "read_bits"] == 2 * 8 * 3 * 3 * 4 * 10 + activation_bits


def test_what_stays_on_the_chip_needs_room_for_a_cores_samples_alone() -> None:
    """The pool's 36 codes of each of four samples: those of two fit beside rows that stream, of four not."""
    keys = {"scratchpads.activations.capacity_bytes": 150, "scratchpads.outputs.capacity_bytes": 1024}
    two = compile_workload(shared_by_samples(2, 4, keys, rows=2, cols=4), NET).layers
    one = compile_workload(machine(keys | {"mapping.batch": 4}, rows=2, cols=4), NET).layers
    assert (one[0].output_memory, two[0].output_memory) == ("dram", "scratchpad")


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1 << 32))
def test_whole_networks_by_samples_are_skipped_as_exactly(seed: int) -> None:
    """What layers pass on, and weights that several read, stay on every core."""
    random = np.random.default_rng(seed)
    (steps, inputs), batch = random_chain(random), int(random.integers(2, 5))
    keys = {"cores": int(random.integers(2, 5)), "mapping.split": str(random.choice(["samples", "auto"]))}
    spec = random_machine(random, keys | {"mapping.layer_overlap": str(random.choice(["none", "weights"]))})
    try:
        plan = plan_chain(spec, batched(steps, {"x": inputs}, batch), inputs * batch)
    except ConfigError:
        assume(False)
    event_by_event, skipping = (run_machine(plan, spec, fast_forward=skips) for skips in (False, True))
    assert facts(skipping) == facts(event_by_event)


def test_a_core_that_reads_another_cores_samples_is_found_out() -> None:
    """Of what stays on the chip each core holds its own samples: shares that say otherwise stop the run."""
    spec = shared_by_samples(2, 4)
    compiled = compile_workload(spec, NET)
    first, second = compiled.layers
    wrong = replace(second, shares=second.shares[::-1])
    assert NET.inputs is not None
    codes = together(compiled.codes({"x": NET.inputs[:4]}), 4)
    with pytest.raises(CheckFailedError, match="operands that no transfer has brought"):
        run_machine([first, wrong], spec, sample_data(codes, "stepped"))
