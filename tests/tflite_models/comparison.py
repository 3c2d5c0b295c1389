"""Asks an oracle about many random models at once and compares whole tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.oracles.ask import Case, ask


@dataclass
class Question:
    """A case, the tensor to look at, what hwsim says it holds (first axis: the sample), and a name for messages."""

    case: Case
    tensor: int
    expected: np.ndarray
    name: str


def assert_equal(oracle: str, questions: Sequence[Question]) -> int:
    """Compare every element; return how many. Each case is run once."""
    cases = {id(question.case): question.case for question in questions}
    answers = dict(zip(cases, ask(oracle, list(cases.values())), strict=True))
    compared = 0
    for question in questions:
        answer = answers[id(question.case)]
        assert not answer.failure, f"{oracle}, {question.name}: {answer.failure}"
        actual = answer.tensors[question.tensor].astype(np.float64)
        expected = question.expected.reshape(actual.shape).astype(np.float64)
        wrong = np.flatnonzero(actual != expected)
        assert wrong.size == 0, (
            f"{oracle}, {question.name}: {wrong.size} of {actual.size} differ, first at {wrong[0]}: "
            f"oracle {actual.ravel()[wrong[0]]}, hwsim {expected.ravel()[wrong[0]]}"
        )
        compared += actual.size
    return compared
