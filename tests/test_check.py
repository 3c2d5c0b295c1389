"""The comparison of the two engines: it agrees where they do, and fails where one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwsim.array.functional import FunctionalEngine
from hwsim.array.results import FoldResult
from hwsim.check import compare_engines
from hwsim.config.load import load_arch
from hwsim.counts import Counts
from hwsim.errors import CheckFailedError
from hwsim.readers.native import read_workload
from hwsim.samples import choose_samples

CHOSEN = choose_samples(read_workload("digits_cnn"), samples=1)


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize(
    ("dataflow", "fold_overlap"),
    [
        ("output_stationary", "none"),
        ("output_stationary", "drain"),
        ("output_stationary", "full"),
        ("weight_stationary", "none"),
        ("weight_stationary", "full"),
        ("input_stationary", "full"),
    ],
)
def test_engines_agree_where_sums_overflow(dataflow: str, fold_overlap: str, overflow: str) -> None:
    array = {"dataflow": dataflow, "fold_overlap": fold_overlap, "overflow": overflow, "guard_bits": -1, "rows": 8}
    spec = load_arch("edge16", [f"array.{key}={value}" for key, value in array.items()])
    found = compare_engines(spec, CHOSEN)
    assert found.layers == 5
    assert found.outputs == 4 * 4 * 8 + 2 * 2 * 16 + 2 * 2 * 16 + 32 + 10
    assert found.overflow_events > 1000


def test_engines_agree_where_nothing_overflows() -> None:
    assert compare_engines(load_arch("edge16"), CHOSEN).overflow_events == 0


def _a_sum_too_large(result: FoldResult) -> FoldResult:
    sums = result.sums.copy()
    sums[2] += 4096
    return replace(result, sums=sums)


def _an_event_a_cycle_late(result: FoldResult) -> FoldResult:
    events = result.overflows.events.copy()
    events[:1, 0] += 1
    return replace(result, overflows=replace(result.overflows, events=events))


def _an_event_at_the_next_pe(result: FoldResult) -> FoldResult:
    per_pe = result.overflows.per_pe.copy()
    per_pe[0, 1] += 1
    return replace(result, overflows=replace(result.overflows, per_pe=per_pe))


def _an_event_lost(result: FoldResult) -> FoldResult:
    return replace(result, overflows=replace(result.overflows, events=result.overflows.events[:-1]))


def _a_multiply_too_many(result: FoldResult) -> FoldResult:
    return replace(result, counts=result.counts + Counts({("pe", "multiply"): 1}))


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (_a_sum_too_large, r"layer conv2: output element \[\d+\] is -?\d+ stepped, -?\d+ functional"),
        (_an_event_a_cycle_late, r"layer conv2: overflow event \[\d+, 0\] is \d+ stepped, \d+ functional"),
        (_an_event_at_the_next_pe, r"layer conv2: overflow count of PE \[0, 1\] is \d+ stepped, \d+ functional"),
        (_an_event_lost, r"layer conv2: \d+ overflow events stepped, \d+ functional"),
        (_a_multiply_too_many, r"layer conv2: count of pe multiply is 18432 stepped, 18433 functional"),
    ],
)
def test_a_mistake_in_one_fold_is_found(
    mistake: Callable[[FoldResult], FoldResult], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The functional engine goes wrong in the one fold of conv2, 16 outputs of depth 72."""
    right = FunctionalEngine.run_fold

    def run_fold(self: FunctionalEngine, params: Any, fold: Any, timing: Any, operands: Any, limit: Any) -> FoldResult:
        result = right(self, params, fold, timing, operands, limit)
        is_conv2 = operands.activations.shape == (16, 72) and fold.index == 0
        return mistake(result) if is_conv2 else result

    monkeypatch.setattr(FunctionalEngine, "run_fold", run_fold)
    spec = load_arch("edge16", ["array.guard_bits=0", "array.overflow=wrap"])
    with pytest.raises(CheckFailedError, match=f"^{text}$") as failed:
        compare_engines(spec, CHOSEN)
    assert failed.value.exit_code == 4
