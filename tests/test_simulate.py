"""A whole run: what comes out, what is refused, and that a difference between machine and shadow is an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.array.engine import Engine
from hwsim.array.functional import FunctionalEngine
from hwsim.array.results import FoldsResult
from hwsim.array.stepped import SteppedEngine
from hwsim.check import compare_engines
from hwsim.config.load import load_arch
from hwsim.errors import AccumulatorOverflowError, CheckFailedError, ConfigError
from hwsim.execute.integer import run_integer
from hwsim.network.tensor import Tensor
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.layer_result import CYCLE_PARTS
from hwsim.results.run_result import RunResult
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, simulate

DIGITS = read_workload("digits_cnn")


def run(*overrides: str, workload: Workload = DIGITS, **arguments: Any) -> RunResult:
    return hwsim.run("edge16", workload, overrides=overrides, **arguments)


def test_a_run_of_all_labelled_samples() -> None:
    result = run()
    assert [layer.layer for layer in result.layer_results] == ["conv1", "conv2", "conv3", "fc1", "logits"]
    assert (result.samples, result.engine, result.workload) == (540, "stepped", "digits_cnn")
    assert result.accuracy == pytest.approx(result.float_accuracy, abs=0.01)
    for layer in result.layer_results:
        assert sum(getattr(layer, part) for part in CYCLE_PARTS) == layer.total_cycles
        assert layer.overflow_events == 0


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_engines_are_interchangeable(dataflow: str, overflow: str) -> None:
    overrides = (f"array.dataflow={dataflow}", f"array.overflow={overflow}", "array.guard_bits=-3")
    stepped, functional = (run(*overrides, samples=3, engine=engine) for engine in ("stepped", "functional"))
    assert stepped.layer_results == functional.layer_results
    assert stepped.events_kept == functional.events_kept
    assert (stepped.accuracy, stepped.sqnr_db) == (functional.accuracy, functional.sqnr_db)
    assert stepped.events_left_out == functional.events_left_out > 0


def test_a_run_without_data_on_the_machine_differs_only_in_single_events() -> None:
    spec = load_arch("edge16", ["array.guard_bits=0"])
    chosen = choose_samples(DIGITS, samples=2)
    with_data, timing = (simulate(spec, chosen, engine="functional", with_data=data) for data in (True, False))
    assert with_data.layer_results == timing.layer_results
    assert with_data.accuracy == timing.accuracy
    assert with_data.events_kept
    assert not timing.events_kept


def test_overflow_events_add_up_over_samples() -> None:
    alone = [
        run("array.guard_bits=0", inputs=DIGITS.inputs[number : number + 1], engine="functional").layer_results
        for number in range(3)
    ]
    together = run("array.guard_bits=0", samples=3, engine="functional").layer_results
    for layers in zip(together, *alone, strict=True):
        assert layers[0].overflow_events == sum(layer.overflow_events for layer in layers[1:])
        assert len({layer.total_cycles for layer in layers}) == 1


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_error_stops_at_the_same_place_with_and_without_the_clock(dataflow: str) -> None:
    """The first event of a run under wrap is where error stops, in the array, on the machine and in both engines."""
    array = (f"array.dataflow={dataflow}", "array.guard_bits=-2")
    first = run(*array, "array.overflow=wrap", samples=1).events_kept[0]
    where = f"row {first.row}" if first.row < 16 else "the accumulator under the array"
    expected = (
        f"layer {first.layer}: accumulator of 14 bits overflows in cycle {first.cycle}, {where}, column {first.col}"
    )
    for engine in ("stepped", "functional"):
        with pytest.raises(AccumulatorOverflowError) as stopped:
            run(*array, "array.overflow=error", samples=1, engine=engine)
        assert str(stopped.value) == expected
        assert stopped.value.exit_code == 6
    with pytest.raises(AccumulatorOverflowError) as stopped:
        compare_engines(load_arch("edge16", [*array, "array.overflow=error"]), choose_samples(DIGITS, samples=1))
    assert str(stopped.value) == expected


def test_error_without_an_overflow_is_no_error() -> None:
    assert run("array.overflow=error", samples=2).samples == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"samples": 0}, "0 samples; allowed: 1 to 540"),
        ({"samples": 541}, "541 samples; allowed: 1 to 540"),
        ({"labels": np.zeros(3, int)}, "labels without inputs; allowed: both, or the workload's own"),
        (
            {"inputs": np.zeros((2, 8, 8, 1)), "labels": np.zeros(3, int)},
            "labels of shape [3]; allowed: [2], one for each input",
        ),
        (
            {"inputs": np.zeros((2, 64))},
            "inputs of shape [2, 64]; allowed: [samples, 8, 8, 1], one sample or more",
        ),
        ({"inputs": np.full((1, 8, 8, 1), np.inf)}, "inputs hold NaN or infinity; allowed: finite numbers"),
    ],
)
def test_samples_that_cannot_be_run(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_samples(DIGITS, **arguments)
    assert str(refused.value) == text


def test_labels_need_one_row_of_class_scores_for_each_sample() -> None:
    """Several images that are one sample have several rows of scores: no label can mean one of them."""
    tensors = {**DIGITS.network.tensors, "logits": Tensor("logits", (2, 5))}
    rows = replace(DIGITS, network=replace(DIGITS.network, tensors=tensors))
    with pytest.raises(ConfigError) as refused:
        choose_samples(rows)
    assert str(refused.value) == "labels for outputs of shape [2, 5]; allowed: one row of class scores a sample"


def test_a_workload_without_samples_of_its_own_needs_some() -> None:
    bare = replace(DIGITS, inputs=None, labels=None)
    with pytest.raises(ConfigError) as refused:
        choose_samples(bare)
    assert str(refused.value) == "workload digits_cnn has no inputs of its own; allowed: give some (--inputs)"
    result = run(workload=bare, inputs=np.zeros((2, 8, 8, 1)))
    assert (result.samples, result.accuracy) == (2, None)


def test_a_workload_without_calibration_data_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        run(workload=replace(DIGITS, calibration=None), samples=1)
    assert str(refused.value) == (
        "workload digits_cnn has no calibration data; allowed: data.calibration in its YAML, or --calibration"
    )


def test_integer_tensors_are_codes_by_name_with_the_sample_first() -> None:
    spec = load_arch("edge16", ["array.activation_bits=5"])
    tensors = integer_tensors(spec, choose_samples(DIGITS, samples=4))
    assert {name: codes.shape for name, codes in tensors.items()} == {
        "input": (4, 8, 8, 1),
        "relu1": (4, 8, 8, 8),
        "pool1": (4, 4, 4, 8),
        "relu2": (4, 4, 4, 16),
        "pool2": (4, 2, 2, 16),
        "relu3": (4, 2, 2, 16),
        "flatten": (4, 64),
        "relu4": (4, 32),
        "logits": (4, 10),
    }
    assert all(codes.dtype == np.int64 and codes.min() >= -16 and codes.max() <= 15 for codes in tensors.values())
    assert np.array_equal(tensors["flatten"], tensors["relu3"].reshape(4, 64))


def wrong_fold(engine: type[Engine], monkeypatch: pytest.MonkeyPatch, index: int, part: str) -> None:
    """Make an engine wrong in one fold of every product: a sum, or a count of overflows."""
    right = engine.run_folds

    def run_folds(self: Engine, params: Any, folds: Any, *arguments: Any) -> FoldsResult:
        result = right(self, params, folds, *arguments)
        if all(fold.index != index for fold in folds):
            return result
        if part == "sums":
            wrong = [sums + 4096 * (fold.index == index) for fold, sums in zip(folds, result.sums, strict=True)]
            return replace(result, sums=wrong)
        return replace(result, per_pe=result.per_pe + 1)

    monkeypatch.setattr(engine, "run_folds", run_folds)


def test_a_wrong_sum_on_the_machine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_fold(SteppedEngine, monkeypatch, 1, "sums")
    with pytest.raises(CheckFailedError, match=r"^layer conv1: element \d+ is -?\d+ on the machine, -?\d+ without its"):
        run(samples=1)


def test_a_functional_run_computes_whole_products_and_no_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(samples=2, engine="stepped")
    wrong_fold(FunctionalEngine, monkeypatch, 1, "sums")
    found = run(samples=2, engine="functional")
    assert found.layer_results == expected.layer_results
    assert (found.accuracy, found.sqnr_db) == (expected.accuracy, expected.sqnr_db)


def test_a_wrong_overflow_count_on_the_machine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_fold(SteppedEngine, monkeypatch, 0, "overflows")
    with pytest.raises(CheckFailedError) as failed:
        run(samples=1)
    assert str(failed.value) == "layer conv1: overflow counts differ on the machine and without its clock"
    assert failed.value.exit_code == 4


def test_every_sample_is_computed_once_off_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    right, counts = run_integer, []

    def counted(steps: Any, params: Any, inputs: Any, **options: Any) -> Any:
        counts.append(len(next(iter(inputs.values()))))
        return right(steps, params, inputs, **options)

    monkeypatch.setattr("hwsim.simulate.run_integer", counted)
    for engine in ("stepped", "functional"):
        run(samples=7, engine=engine)
        run(samples=1, engine=engine)
    assert counts == [1, 6, 1] * 2


@pytest.mark.parametrize("samples", [1, 2, 9])
def test_the_sample_on_the_machine_counts_like_the_others(samples: int) -> None:
    spec = load_arch("edge16", ["array.guard_bits=-1", "requantizer.bias=preload"])
    chosen = choose_samples(DIGITS, samples=samples)
    on_machine, without = (simulate(spec, chosen, engine="functional", with_data=flag) for flag in (True, False))
    assert on_machine.layer_results == without.layer_results
    assert on_machine.totals["overflow_events"] > 0
    assert (on_machine.accuracy, on_machine.sqnr_db) == (without.accuracy, without.sqnr_db)


def test_the_kind_of_dram_is_a_label_that_is_kept_and_changes_nothing() -> None:
    labelled = [run(f"dram.type={kind}", samples=1) for kind in ("lpddr4", "my own kind")]
    assert [result.architecture["dram"]["type"] for result in labelled] == ["lpddr4", "my own kind"]
    assert labelled[0].totals == labelled[1].totals
