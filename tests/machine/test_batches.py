"""Several samples in one run of the machine: cycles, traffic and overflows worked out by hand, values as of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import DATAFLOW_OVERLAPS, IDEAL, conv, dense, flatten, function, machine, pool, workload

from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.execute.integer import run_integer
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.readers.workload import Workload
from hwsim.simulate import sample_data, together

DENSE = workload((12,), dense("fc", "x", 5))
NET = workload(
    (6, 6, 2), conv("c", "x", 4, padding="same"), function("f", "c"), pool("p", "f"), flatten("v", "p"),
    dense("fc", "v", 10),
)  # fmt: skip
BATCH = 4


def batch_of(samples: int, settings: dict[str, Any] | None = None, **array: Any) -> ArchSpec:
    return machine({"mapping.batch": samples} | (settings or {}), **array)


def run_batch(spec: ArchSpec, load: Workload) -> tuple[Compiled, list[LayerRun], dict[str, np.ndarray]]:
    """Run the first batch with data; return the codes of its samples too."""
    compiled = compile_workload(spec, load)
    assert load.inputs is not None
    codes = compiled.codes({compiled.input: load.inputs[: compiled.batch]})
    return compiled, run_machine(compiled.layers, spec, sample_data(together(codes, compiled.batch), "stepped")), codes


@pytest.mark.parametrize(
    ("dataflow", "batch_cycles"),
    [
        # 7 x 12 x 5 on 4 x 4, by the formulas of hwsim/array
        ("output_stationary", 2 * 2 * (2 * 4 + 4 + 12 - 2)),  # 2 tiles of rows, 2 of columns
        ("weight_stationary", 2 * 3 * (2 * 4 + 4 + 7 - 2) + 1),  # 2 tiles of columns, 3 of depth; 7 rows stream
        ("input_stationary", 2 * 3 * (2 * 4 + 4 + 5 - 2) + 1),  # 2 tiles of rows, 3 of depth; 5 columns stream
    ],
)
def test_rows_of_all_samples_are_one_product(dataflow: str, batch_cycles: int) -> None:
    spec = batch_of(7, IDEAL, dataflow=dataflow, rows=4, cols=4)
    (run,) = run_machine(compile_workload(spec, DENSE).layers, spec)
    assert run.plan.array_cycles == batch_cycles


@pytest.mark.parametrize("samples", [1, 2, 4, 16])
def test_weights_come_from_dram_once_a_batch(samples: int) -> None:
    """12 inputs, 5 outputs and 60 weights of 8 bits."""
    (run,) = run_machine(compile_workload(batch_of(samples, rows=4, cols=4), DENSE).layers, batch_of(samples))
    assert run.counts["dram", "read_bits"] == 8 * (samples * 12 + 60)
    assert run.counts["dram", "write_bits"] == 8 * samples * 5


def test_activations_of_all_samples_need_room() -> None:
    """The image of 72 codes and the convolution's 144 stay on the chip for one sample, and leave it for four."""
    small = {"scratchpads.activations.capacity_bytes": 256, "scratchpads.outputs.capacity_bytes": 1024}
    one, four = (compile_workload(batch_of(samples, small), NET).layers for samples in (1, BATCH))
    assert four[0].bits[four[0].output] == BATCH * one[0].bits[one[0].output]
    assert (one[0].output_memory, four[0].output_memory) == ("scratchpad", "dram")


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_every_sample_has_the_codes_that_it_has_alone(dataflow: str, fold_overlap: str) -> None:
    spec = batch_of(BATCH, dataflow=dataflow, fold_overlap=fold_overlap, rows=4, cols=4)
    compiled, runs, codes = run_batch(spec, NET)
    names = [run.plan.output for run in runs]
    alone = run_integer(compiled.steps, compiled.params, codes, keep=names).values
    for run in runs:
        assert np.array_equal(run.output, alone[run.plan.output].reshape(-1))


@pytest.mark.parametrize("overlap", ["none", "weights"])
def test_a_batch_takes_the_same_cycles_with_and_without_data(overlap: str) -> None:
    spec = batch_of(BATCH, {"mapping.layer_overlap": overlap}, rows=4, cols=4)
    compiled, runs, _ = run_batch(spec, NET)
    timed = run_machine(compiled.layers, spec)
    assert [one.total_cycles for one in timed] == [one.total_cycles for one in runs]
    assert [one.counts for one in timed] == [one.counts for one in runs]


@pytest.mark.parametrize(
    ("dataflow", "overflow"),
    [("output_stationary", "wrap"), ("weight_stationary", "saturate"), ("input_stationary", "wrap")],
)
def test_each_output_overflows_as_it_does_alone(dataflow: str, overflow: str) -> None:
    """Samples overflow as often together as one by one; the machine's registers say the same as the shadow."""
    spec = batch_of(BATCH, dataflow=dataflow, overflow=overflow, guard_bits=-4, rows=4, cols=4)
    compiled, runs, codes = run_batch(spec, NET)
    alone = run_integer(compiled.steps, compiled.params, codes, keep=["fc"]).overflows
    whole = together(codes, BATCH)
    shadows = run_integer(compiled.steps_of(BATCH), compiled.params, whole, keep=["fc"], max_events=10_000).overflows
    for run in runs:
        if run.plan.step is None:
            continue
        shadow = shadows[run.plan.name]
        assert alone[run.plan.name].events == shadow.events > 0
        assert np.array_equal(shadow.per_pe, run.per_pe)
        assert np.array_equal(shadow.first, run.events)


def test_samples_of_one_row_overflow_in_rows_of_their_own() -> None:
    """Output stationary: the single row of sample b lies in row b of the array, and its events are later by b."""
    settings = {"overflow": "wrap", "guard_bits": -4, "rows": 4, "cols": 5}
    _, (run,), codes = run_batch(batch_of(BATCH, **settings), DENSE)
    alone = compile_workload(machine(**settings), DENSE)
    assert run.events is not None
    for number in range(BATCH):
        one = {name: values[number : number + 1] for name, values in codes.items()}
        found = run_integer(alone.steps, alone.params, one, keep=["fc"], max_events=1000).overflows["fc"].first
        assert len(found)
        assert np.array_equal(run.events[run.events[:, 1] == number], found + np.array([number, number, 0]))
