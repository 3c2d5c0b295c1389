"""Averages of windows whose float32 sums are added in a given order.

ONNX Runtime's AveragePool adds row by row from operator set 19 on, which exported files have; before, its kernel added
in another order, and what was read from such a file follows that.
"""

from __future__ import annotations

import numpy as np

from hwsim.export.graph import Attributes
from hwsim.export.writer import OnnxWriter
from hwsim.network.operators.file_nodes import FileWindows
from hwsim.numerics.onnxruntime.pooling import PoolWindow

FIRST_SPATIAL_AXIS = 2


def window_attributes(window: PoolWindow) -> Attributes:
    """Return what a pool's node says of its windows."""
    (above, below), (left, right) = window.padding
    return {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        "dilations": list(window.dilation),
        "pads": [above, left, below, right],
    }


def average(writer: OnnxWriter, source: str, base: str, windows: FileWindows, opset: int) -> str:
    """Return the averages of images with channels first, added as an operator set's AveragePool does."""
    order, window = windows.order(opset), windows.window
    if order == "lanes":
        return writer.step("GlobalAveragePool", [source], base)
    if order == "row_major":
        attributes = {**window_attributes(window), "count_include_pad": int(window.counts_padding)}
        return writer.step("AveragePool", [source], base, attributes)
    sums = _padded(writer, source, base, window)
    for axis, outputs in enumerate(window.out_size(windows.height, windows.width)):
        sums = _sums_along(writer, sums, base, window, axis, outputs)
    counts = window.counts(windows.height, windows.width)[0, 0, :, :, 0]
    divisor = writer.graph.table(counts[:1, :1] if np.ptp(counts) == 0 else counts)
    return writer.step("Div", [sums, divisor], base)


def _padded(writer: OnnxWriter, source: str, base: str, window: PoolWindow) -> str:
    """Surround images with zeros, which change no sum."""
    (above, below), (left, right) = window.padding
    amounts = [0, 0, above, left, 0, 0, below, right]
    if not any(amounts):
        return source
    name = "pads." + ".".join(map(str, amounts))
    return writer.step("Pad", [source, writer.graph.constant(name, np.asarray(amounts, np.int64))], f"{base}.padded")


def _sums_along(writer: OnnxWriter, source: str, base: str, window: PoolWindow, axis: int, outputs: int) -> str:
    """Add what lies in the windows along one axis, in the order of that axis."""
    stride, dilation, total = window.stride[axis], window.dilation[axis], ""
    for place in range(window.kernel[axis]):
        begin = place * dilation
        bounds = (begin, begin + (outputs - 1) * stride + 1, axis + FIRST_SPATIAL_AXIS, stride)
        names = [writer.graph.constant(f"index.{value}", np.asarray([value], np.int64)) for value in bounds]
        tap = writer.step("Slice", [source, *names], f"{base}.tap")
        total = writer.step("Add", [total, tap], f"{base}.total") if total else tap
    return total
