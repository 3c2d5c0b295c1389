"""Shapes, where windows lie, and what is refused."""

from __future__ import annotations

import pytest

from hwsim.errors import ConfigError
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d
from hwsim.network.operators.windows import axis, window_elements


def conv(**keys: object) -> Conv2d:
    return Conv2d("conv1", ("x",), "y", "weight", **{"filters": 4, "kernel": (3, 3)} | keys)


@pytest.mark.parametrize(
    ("operator", "shape", "text"),
    [
        (conv(), (64,), "layer conv1: input of shape [64]; allowed: [height, width, channels]"),
        (conv(), (2, 8, 1), "layer conv1: a window of 3 does not fit an input of 2"),
        (
            conv(groups=3),
            (8, 8, 2),
            "layer conv1: 2 channels and 4 filters in 3 groups; allowed: groups that divide both",
        ),
        (MaxPool2d("pool1", ("x",), "y", (2, 9)), (8, 8, 1), "layer pool1: a window of 9 does not fit an input of 8"),
        (
            MaxPool2d("pool1", ("x",), "y"),
            (8, 8),
            "layer pool1: input of shape [8, 8]; allowed: [height, width, channels]",
        ),
        (
            Dense("fc1", ("x",), "y", "weight", units=10),
            (8, 8, 1),
            "layer fc1: dense layer on an input of shape [8, 8, 1]; "
            "allowed: one dimension (put a flatten layer before it)",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(operator: Operator, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        operator.output_shape(shape)
    assert str(refused.value) == text


def test_output_shapes() -> None:
    assert conv(stride=(2, 1)).output_shape((8, 9, 1)) == (3, 7, 4)
    assert conv(stride=(2, 3), padding="same").output_shape((8, 9, 1)) == (4, 3, 4)
    assert MaxPool2d("pool1", ("x",), "y", (2, 2), (2, 2)).output_shape((5, 4, 6)) == (2, 2, 6)
    assert Flatten("flatten", ("x",), "y").output_shape((2, 3, 4)) == (24,)


@pytest.mark.parametrize(
    ("size", "window", "stride", "outputs", "before"),
    [
        (8, 3, 1, 8, 1),  # pads 2: one in front, one behind
        (8, 3, 2, 4, 0),  # pads 1: behind
        (7, 3, 2, 4, 1),  # pads 2
        (7, 4, 1, 7, 1),  # pads 3: one in front, two behind
        (5, 2, 2, 3, 0),  # pads 1: behind
        (9, 2, 4, 3, 0),  # pads 1
        (6, 1, 3, 2, 0),  # window smaller than the stride: pads nothing
    ],
)
def test_same_padding_puts_the_smaller_half_in_front(
    size: int, window: int, stride: int, outputs: int, before: int
) -> None:
    found = axis(size, window, stride, "same")
    assert (found.outputs, found.before) == (outputs, before)


def test_windows_over_the_edge_read_padding() -> None:
    """Pixels of a 2 x 3 image are 0 1 2 / 3 4 5; 2 x 2 windows, same padding: what hangs over lies behind."""
    windows = window_elements(axis(2, 2, 1, "same"), axis(3, 2, 2, "same"))
    assert windows.tolist() == [[0, 1, 3, 4], [2, -1, 5, -1], [3, 4, -1, -1], [5, -1, -1, -1]]
