"""Which input elements a sliding window covers, in rows of a matrix (im2col by address)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.gather import PADDING
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a sliding window: sizes in elements, ``before`` elements of padding in front."""

    size: int
    window: int
    stride: int
    outputs: int
    before: int
    dilation: int = 1


def axis(size: int, window: int, stride: int, padding: str | tuple[int, int], dilation: int = 1) -> Axis:
    """Place windows along an axis; a window's elements lie ``dilation`` apart and span (window - 1) dilation + 1.

    ``same`` gives ceil(size / stride) outputs and pads max((outputs - 1) stride + span - size, 0), the smaller
    half in front (TensorFlow's rule); ``valid`` gives those that fit; ``ceil`` also the one that begins on a step of
    the stride and hangs over the far edge (SCALE-Sim's rule); a pair says how many elements of padding there are in
    front and behind, and gives those that fit with them.

    Raises:
        ConfigError: no window fits.
    """
    span = (window - 1) * dilation + 1
    if padding == "same":
        outputs = -(-size // stride)
        return Axis(size, window, stride, outputs, max((outputs - 1) * stride + span - size, 0) // 2, dilation)
    before, after = (0, 0) if isinstance(padding, str) else padding
    padded = before + size + after
    if span > padded:
        raise ConfigError(f"a window of {span} does not fit an input of {padded}")
    reach = padded - span + (stride - 1 if padding == "ceil" else 0)
    return Axis(size, window, stride, reach // stride + 1, before, dilation)


def window_elements(vertical: Axis, horizontal: Axis) -> IntArray:
    """Return pixel numbers (outputs, window) in row-major order, -1 where a window hangs over the edge."""
    rows, rows_inside = _positions(vertical)
    cols, cols_inside = _positions(horizontal)
    pixels = rows[:, None, :, None] * horizontal.size + cols[None, :, None, :]
    inside = rows_inside[:, None, :, None] & cols_inside[None, :, None, :]
    outputs, window = vertical.outputs * horizontal.outputs, vertical.window * horizontal.window
    return np.where(inside, pixels, PADDING).reshape(outputs, window)


def _positions(one: Axis) -> tuple[IntArray, np.ndarray]:
    """Return coordinates (outputs, window) along one axis, and which of them lie inside."""
    starts = np.arange(one.outputs) * one.stride - one.before
    positions = starts[:, None] + np.arange(one.window)[None, :] * one.dilation
    return positions, (positions >= 0) & (positions < one.size)


def image(name: str, shape: Shape) -> tuple[int, int, int]:
    """Unpack (height, width, channels), or the same after a batch axis of 1.

    Raises:
        ConfigError: other dimensions.
    """
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3:
        raise ConfigError(f"layer {name}: input of shape {list(shape)}; allowed: [height, width, channels]")
    height, width, channels = shape
    return height, width, channels
