"""Into which parts the work of steps falls that cores can share without exchanging anything."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.counts import Counts
from hwsim.network.batch import batched
from hwsim.network.elementwise_steps import ClampStep, FunctionStep, MaxStep
from hwsim.network.parts import ELEMENTS, UNDIVIDED, Parts, common_parts


def test_a_pool_works_on_channels_and_a_clamp_on_elements() -> None:
    """Windows of 2 pixels of 3 channels."""
    windows = np.arange(12).reshape(2, 2, 3).transpose(0, 2, 1).reshape(6, 2)
    assert MaxStep("pool", ("x",), "y", (2, 3), windows).parts == Parts("channels", 3)
    assert ClampStep("relu", ("x",), "y", (4, 3), 0, 6).parts == ELEMENTS


def test_a_function_that_says_nothing_is_not_divided() -> None:
    step = FunctionStep("f", ("x",), "y", (2,), np.add, ((100,),), Counts())
    assert step.parts == UNDIVIDED


def test_a_batch_is_divided_as_a_sample_is() -> None:
    pool = MaxStep("pool", ("x",), "y", (1, 3), np.arange(6).reshape(2, 3).T)
    softmax = FunctionStep("softmax", ("y",), "z", (1, 3), np.add, ((1, 3),), Counts(), own_parts=Parts("rows", 3))
    assert [step.parts for step in batched([pool, softmax], {"x": 6}, 4)] == [Parts("channels", 3), Parts("rows", 3)]


@pytest.mark.parametrize(
    ("parts", "count", "in_rows", "in_columns"),
    [
        (ELEMENTS, 60, True, True),
        (Parts("rows", 10), 6, True, False),
        (Parts("rows", 20), 3, False, False),
        (Parts("channels", 10), 10, False, True),
        (Parts("channels", 5), 5, False, False),
        (UNDIVIDED, 1, False, False),
    ],
)
def test_parts_of_six_rows_of_ten_columns(parts: Parts, count: int, *, in_rows: bool, in_columns: bool) -> None:
    """A softmax over two rows needs both; channels of 5 lie in two columns each."""
    assert parts.count(60) == count
    assert (parts.lie_in_rows(10), parts.lie_in_columns(10)) == (in_rows, in_columns)


def test_steps_in_a_row_share_parts_only_if_they_have_the_same() -> None:
    pool, softmax = Parts("channels", 10), Parts("rows", 10)
    assert common_parts([ELEMENTS, pool, pool]) == pool
    assert common_parts([ELEMENTS, ELEMENTS]) == ELEMENTS
    assert common_parts([pool, softmax]) == UNDIVIDED
