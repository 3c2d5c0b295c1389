"""Folds on their way through the engine: in threads, and yet in order."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.array.dataflows import rules
from hwsim.array.engine import FoldOperands
from hwsim.array.folds import Fold
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import GemmShape, array_params
from hwsim.array.results import FoldsResult
from hwsim.array.stepped import SteppedEngine
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
