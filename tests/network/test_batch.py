"""Steps of several samples at once: which elements their products read, and what the others do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.counts import Counts
from hwsim.network.batch import RepeatedStep, batched
from hwsim.network.elementwise_steps import ConstantStep, FunctionStep, MoveStep
from hwsim.network.gather import PADDING, ExplicitGather, Gather, RowsGather, SampleGroups, SampleRows, StridedGather
from hwsim.network.operators.conv2d import Conv2d

WINDOWS = np.array([[[PADDING, 0], [0, 1], [1, PADDING]]])  # a kernel of 2 over 2 elements, padded on both sides


def test_each_samples_rows_read_its_own_input_and_padding_stays_padding() -> None:
    gather = SampleRows(ExplicitGather(WINDOWS), samples=3, elements_each=2)
    assert (gather.groups, gather.out_rows, gather.depth) == (1, 9, 2)
    assert gather.indices(0).tolist() == [
        [-1, 0], [0, 1], [1, -1],
        [-1, 2], [2, 3], [3, -1],
        [-1, 4], [4, 5], [5, -1],
    ]  # fmt: skip
    assert gather.indices(0, slice(2, 7), slice(0, 1)).tolist() == [[1], [-1], [2], [3], [-1]]


@pytest.mark.parametrize("start", range(9))
@pytest.mark.parametrize("stop", range(1, 10))
def test_elements_of_any_rows_are_counted_as_they_are_listed(start: int, stop: int) -> None:
    gather = SampleRows(ExplicitGather(WINDOWS), samples=3, elements_each=2)
    if start >= stop:
        return
    listed = gather.indices(0, slice(start, stop), slice(0, 2))
    assert gather.distinct(0, slice(start, stop), slice(0, 2)) == len(set(listed.ravel().tolist()) - {PADDING})


GATHERS: dict[str, Gather] = {  # over 24 elements
    "convolution": Conv2d("c", ("x",), "y", "w", filters=4, kernel=(3, 2), padding="same").gather((4, 3, 2)),
    "groups": Conv2d("c", ("x",), "y", "w", filters=4, kernel=(2, 2), groups=2).gather((4, 3, 2)),
    "rows": RowsGather(3, 4, first=2),
    "table": ExplicitGather(np.array([[[0, 5, PADDING]], [[23, 23, 1]]])),
}


@pytest.mark.parametrize("name", GATHERS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_rows_of_samples_name_what_a_table_of_all_would(name: str, data: st.DataObject) -> None:
    one, samples = GATHERS[name], data.draw(st.integers(1, 5))
    gather = SampleRows(one, samples, elements_each=24)
    for group in range(one.groups):
        alone = one.indices(group)
        table = np.concatenate([np.where(alone < 0, PADDING, alone + 24 * number) for number in range(samples)])
        start = data.draw(st.integers(0, gather.out_rows - 1))
        pieces = [slice(start, data.draw(st.integers(start + 1, gather.out_rows))), gather.all_rows]
        named = [np.unique(table[rows][table[rows] != PADDING]).size for rows in pieces]
        assert [gather.distinct(group, rows, gather.all_depth) for rows in pieces] == named
        assert gather.distinct_each(group, pieces, gather.all_depth) == named
        assert np.array_equal(gather.indices(group, pieces[0]), table[pieces[0]])


def test_samples_with_weights_of_their_own_are_groups() -> None:
    heads = StridedGather(offsets=(0, 2), out_rows=2, depth=2, row_stride=4, depth_stride=1)
    gather = SampleGroups(heads, samples=2, elements_each=8)
    assert gather.groups == 4
    assert [gather.indices(group).tolist() for group in range(4)] == [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [12, 13]],
        [[10, 11], [14, 15]],
    ]


def softmax_like(values: np.ndarray) -> np.ndarray:
    return values - values.max(axis=1, keepdims=True)


def test_a_function_of_a_whole_sample_does_not_see_the_others() -> None:
    one = FunctionStep("f", ("x",), "y", (3,), softmax_like, ((3,),), Counts({("vector_unit", "add"): 5}))
    (step,) = batched([one], {"x": 3}, 2)
    assert isinstance(step, RepeatedStep)
    assert step.compute(np.array([[1, 2, 3, 9, 8, 7]])).tolist() == [[-2, -1, 0, 0, -1, -2]]
    assert (step.outputs, step.operations, step.counts) == (6, 10, {("vector_unit", "add"): 10})


def test_a_part_is_read_of_every_sample() -> None:
    one = FunctionStep("f", ("x",), "y", (2,), lambda x: x[:, :2], ((8,),), Counts(), portions=(4,))
    (step,) = batched([one], {"x": 8}, 3)
    assert step.read_bits(0, 3 * 8 * 8) == 3 * 2 * 8


def test_a_step_without_inputs_gives_every_sample_the_same() -> None:
    (step,) = batched([ConstantStep("c", (), "y", (2,), np.array([4, 5]))], {}, 2)
    assert isinstance(step, RepeatedStep)
    assert step.compute().tolist() == [[4, 5, 4, 5]]


def test_a_move_stays_one_and_one_sample_is_left_alone() -> None:
    steps = [MoveStep("m", ("x",), "y", (4,))]
    (step,) = batched(steps, {"x": 4}, 2)
    assert isinstance(step, MoveStep)
    assert step.output_shape == (2, 4)
    assert batched(steps, {"x": 4}, 1) == tuple(steps)


def test_rows_of_a_matrix_follow_one_another_through_all_samples() -> None:
    gather = SampleRows(RowsGather(2, 3), samples=2, elements_each=6)
    assert gather.indices(0).tolist() == np.arange(12).reshape(4, 3).tolist()
    assert gather.elements == 12
