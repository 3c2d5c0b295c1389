"""Which input elements a product's operands are: tables by hand, and counts in closed form against whole tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.network.gather import PADDING, ExplicitGather, Gather, RowsGather, as_gather
from hwsim.network.operators.conv2d import Conv2d


def conv(shape: tuple[int, int, int], filters: int = 8, **keys: Any) -> Gather:
    return Conv2d("c", ("x",), "y", "w", filters=filters, **keys).gather(shape)


def table(gather: Gather) -> list[list[list[int]]]:
    return [gather.indices(group).tolist() for group in range(gather.groups)]


def test_depth_runs_over_rows_then_columns_then_channels_of_the_window() -> None:
    """k = (ky kw + kx) C_in + c: the channels of a pixel lie together."""
    assert table(conv((2, 2, 3), kernel=(2, 2))) == [[list(range(12))]]


def test_each_group_reads_its_own_channels() -> None:
    assert table(conv((1, 2, 4), kernel=(1, 2), groups=2)) == [[[0, 1, 4, 5]], [[2, 3, 6, 7]]]


def test_taps_over_the_edge_are_padding() -> None:
    """Pixels of a 2 x 3 image are 0 1 2 / 3 4 5; 2 x 2 windows, same padding: what hangs over lies behind."""
    found = table(conv((2, 3, 1), kernel=(2, 2), stride=(1, 2), padding="same"))
    assert found == [[[0, 1, 3, 4], [2, -1, 5, -1], [3, 4, -1, -1], [5, -1, -1, -1]]]


def test_dilated_taps_lie_apart() -> None:
    assert table(conv((3, 3, 1), kernel=(2, 2), dilation=(2, 2))) == [[[0, 2, 6, 8]]]


def test_rows_are_consecutive_elements() -> None:
    gather = RowsGather(2, 3, first=5)
    assert table(gather) == [[[5, 6, 7], [8, 9, 10]]]
    assert gather.indices(0, slice(1, 2), slice(0, 2)).tolist() == [[8, 9]]
    assert (gather.distinct(0, slice(0, 2), slice(1, 3)), gather.elements) == (4, 6)


def test_a_table_can_be_given() -> None:
    gather = as_gather(np.array([[[0, 1], [1, PADDING]]]))
    assert (gather.groups, gather.out_rows, gather.depth) == (1, 2, 2)
    assert gather.indices(0, slice(1, 2)).tolist() == [[1, PADDING]]
    assert (gather.distinct(0, slice(0, 2), slice(0, 2)), gather.elements) == (2, 2)
    assert as_gather(gather) is gather


@st.composite
def parts(draw: st.DrawFn, size: int) -> slice:
    start = draw(st.integers(0, size - 1))
    return slice(start, draw(st.integers(start + 1, size)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_counts_in_closed_form_are_those_of_the_table(data: st.DataObject) -> None:
    """Any rectangle of the table, of any convolution: the numbers in it, counted one by one."""
    small = st.integers(1, 3)
    groups, each = data.draw(st.integers(1, 2)), data.draw(small)
    kernel, dilation = data.draw(st.tuples(small, small)), data.draw(st.tuples(small, small))
    height, width = (
        data.draw(st.integers((window - 1) * apart + 1, 9)) for window, apart in zip(kernel, dilation, strict=True)
    )
    stride, padding = data.draw(st.tuples(small, small)), data.draw(st.sampled_from(["same", "valid"]))
    gather = conv(
        (height, width, groups * each), kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    explicit = ExplicitGather(np.stack([gather.indices(group) for group in range(groups)]))
    group = data.draw(st.integers(0, groups - 1))
    rows, depth = data.draw(parts(gather.out_rows)), data.draw(parts(gather.depth))
    assert np.array_equal(gather.indices(group, rows, depth), explicit.indices(group, rows, depth))
    assert gather.distinct(group, rows, depth) == explicit.distinct(group, rows, depth)
    assert gather.elements == explicit.elements
    step = data.draw(st.integers(1, gather.out_rows))
    pieces = [slice(start, min(start + step, gather.out_rows)) for start in range(0, gather.out_rows, step)]
    assert gather.distinct_each(group, pieces, depth) == explicit.distinct_each(group, pieces, depth)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_of_a_large_network_is_counted_without_its_table(stride: int) -> None:
    """3 x 3 windows cover a whole image; rows beyond the first 100 of 224 columns need only what is new."""
    gather = conv((224, 224, 64), kernel=(3, 3), stride=(stride, stride), padding="same")
    assert gather.elements == 224 * 224 * 64
    one_line = gather.distinct(0, slice(0, 224 // stride), gather.all_depth)
    assert one_line == (2 if stride == 1 else 3) * 224 * 64  # with stride 2 all the padding lies behind
