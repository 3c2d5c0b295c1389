"""Folds on their way through the engine: in threads, and yet in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from hwsim.array.dataflows import rules
from hwsim.array.engine import FoldOperands
from hwsim.array.folds import Fold
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import GemmShape, array_params
from hwsim.array.results import FoldsResult
from hwsim.array.stepped import SteppedEngine
from hwsim.machine import stepping
from hwsim.machine.stepping import MOST_FOLDS, FoldQueue, FoldWork
from hwsim.numerics.formats import IntArray

PARAMS = array_params(2, 2, "output_stationary", weight_bits=8, activation_bits=8, guard_bits=8)
TIMING = rules(PARAMS.dataflow).timing(GemmShape(2, 3, 2), PARAMS)
FOLDS = 3 * MOST_FOLDS + 5


def work(number: int, depth: int = 3) -> FoldWork:
    """A fold whose sums are depth times its number."""
    fold = Fold(number, slice(0, 2), slice(0, depth), slice(0, 2))
    zeros = np.zeros((2, 2), np.int64)
    operands = FoldOperands(np.full((2, depth), number), np.ones((depth, 2), np.int64), zeros, zeros)
    return FoldWork(0, fold, operands)


@pytest.mark.parametrize("engine", [SteppedEngine(threads=1), SteppedEngine(threads=3), FunctionalEngine()])
def test_sums_and_what_follows_them_come_in_order(engine: SteppedEngine | FunctionalEngine) -> None:
    seen: list[tuple[str, int]] = []
    queue = FoldQueue(engine, PARAMS, TIMING, 0, lambda _, sums, __: seen.append(("sums", int(sums[1, 1]))))
    for number in range(FOLDS):
        queue.add(work(number % 100))
        queue.then(lambda number=number: seen.append(("then", number)))  # type: ignore[misc]
    queue.settle()
    expected = [(("sums", 3 * (number % 100)), ("then", number)) for number in range(FOLDS)]
    assert seen == [entry for pair in expected for entry in pair]
    assert queue.counts["pe", "multiply"] == FOLDS * 2 * 3 * 2


def test_folds_of_other_shapes_start_a_new_batch() -> None:
    taken: list[int] = []
    queue = FoldQueue(SteppedEngine(2), PARAMS, TIMING, 0, lambda _, sums, __: taken.append(int(sums[0, 0])))
    for number, depth in enumerate((3, 3, 4, 4, 4, 3)):
        queue.add(work(number, depth))
    queue.settle()
    assert taken == [0, 3, 8, 12, 16, 15]


def chained_works(dataflow: str, sums: IntArray) -> Iterator[FoldWork]:
    """Yield a product's folds, two of one chain and two of the other in turns; ``sums`` are the accumulators."""
    random = np.random.default_rng(2)
    activations, weights = random.integers(-128, 128, (4, 31)), random.integers(-128, 128, (31, 4))
    for index, (start, other) in enumerate((start, other) for start in range(0, 31, 4) for other in (0, 2)):
        for depth in (slice(start, start + 2), slice(start + 2, min(start + 4, 31))):
            rows, cols = slice(0, 4), slice(0, 4)
            if dataflow == "weight_stationary":
                cols = slice(other, other + 2)
            else:
                rows = slice(other, other + 2)
            place = (rows, cols)
            operands = FoldOperands(
                activations[rows, depth], weights[depth, cols], np.zeros_like(sums[place]), sums[place]
            )
            yield FoldWork(0, Fold(index, rows, depth, cols, depth.start == 0, depth.stop == 31), operands)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("most_folds", [1, 3, 7, 64])
@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary"])
def test_chains_that_take_turns_go_on_with_their_sums(
    monkeypatch: pytest.MonkeyPatch, dataflow: str, most_folds: int, threads: int
) -> None:
    """However they are cut into batches, they give what the folds give one by one, which overflow."""
    monkeypatch.setattr(stepping, "MOST_FOLDS", most_folds)
    monkeypatch.setattr(stepping, "LONGEST_BATCH", 1)
    params = array_params(2, 2, dataflow, weight_bits=8, activation_bits=8, guard_bits=-1, overflow="saturate")
    timing = rules(params.dataflow).timing(GemmShape(4, 31, 4), params)
    sums, events = np.zeros((4, 4), np.int64), []

    def take(work: FoldWork, found: IntArray | None, its_events: IntArray) -> None:
        events.extend(its_events.tolist())
        if found is not None:
            sums[work.fold.out_rows, work.fold.out_cols] = found

    queue = FoldQueue(SteppedEngine(threads), params, timing, 1000, take)
    for one in chained_works(dataflow, sums):
        queue.add(one)
    queue.settle()
    alone, expected_events = np.zeros((4, 4), np.int64), []
    for one in chained_works(dataflow, alone):
        result = FunctionalEngine().run_fold(params, one.fold, timing, one.operands, None)
        alone[one.fold.out_rows, one.fold.out_cols] = result.sums
        expected_events += result.overflows.events.tolist()
    assert np.array_equal(sums, alone)
    assert events == expected_events != []
    assert queue.per_pe.sum() == len(events)


def test_threads_end_with_the_folds() -> None:
    before = threading.active_count()
    queue = FoldQueue(SteppedEngine(2), PARAMS, TIMING, 0, lambda *_: None)
    for number in range(FOLDS):
        queue.add(work(number))
    assert threading.active_count() > before
    queue.settle()
    assert threading.active_count() == before


def test_folds_may_follow_a_pause() -> None:
    taken: list[int] = []
    queue = FoldQueue(SteppedEngine(2), PARAMS, TIMING, 0, lambda _, sums, __: taken.append(int(sums[0, 0])))
    for number in (1, 2):
        queue.add(work(number))
        queue.settle()
    assert taken == [3, 6]


def test_what_follows_nothing_happens_at_once() -> None:
    done: list[str] = []
    queue = FoldQueue(SteppedEngine(1), PARAMS, TIMING, 0, lambda *_: None)
    queue.then(lambda: done.append("at once"))
    assert done == ["at once"]


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    class Broken(SteppedEngine):
        def run_folds(self, *_: object) -> FoldsResult:
            raise ZeroDivisionError("of a fold")

    def take(*_: FoldWork | IntArray) -> None:
        raise AssertionError("no fold comes through")

    queue = FoldQueue(Broken(1), PARAMS, TIMING, 0, take)
    queue.add(work(1))
    with pytest.raises(ZeroDivisionError, match="of a fold"):
        queue.settle()
