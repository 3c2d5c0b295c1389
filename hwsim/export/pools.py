"""Pools and means."""

from __future__ import annotations

import math

from hwsim.export.averages import window_attributes
from hwsim.export.graph import Attributes
from hwsim.export.images import channels_first, pads, put_channels_first
from hwsim.export.writer import Form, NumberForm, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import Mean, Pool2d
from hwsim.network.operators.elementwise import MaxPool2d
from hwsim.network.operators.qlinear import MaxPoolCodes
from hwsim.network.operators.windows import image


def max_pool(writer: OnnxWriter, operator: MaxPool2d) -> None:
    """MaxPool."""
    height, width, _ = size = image(operator.name, writer.network.tensors[operator.input].shape)
    attributes: Attributes = {
        "kernel_shape": list(operator.pool),
        "strides": list(operator.stride),
        "pads": pads(operator.axes(height, width)),
    }
    _greatest(writer, operator, size, attributes)


def _greatest(
    writer: OnnxWriter, operator: MaxPool2d | MaxPoolCodes, size: tuple[int, int, int], window: Attributes
) -> None:
    form = writer.moving_form(operator.input, operator.output)
    source = channels_first(writer, operator.input, size, form)
    found = writer.step("MaxPool", [source], f"{operator.output}.greatest", window)
    put_channels_first(writer, found, operator.output, form)


def pool(writer: OnnxWriter, operator: Pool2d) -> None:
    """AveragePool or MaxPool, and an activation."""
    height, width, _ = size = image(operator.name, writer.network.tensors[operator.input].shape[-3:])
    kind = "AveragePool" if operator.average else "MaxPool"
    form: NumberForm = "reals"
    if not operator.average and operator.activation in ("none", "relu"):  # 0 is 0 in any unit
        form = writer.moving_form(operator.input, operator.output)
    source = channels_first(writer, operator.input, size, form)
    attributes = window_attributes(operator.onnx_window(height, width))
    found = writer.step(kind, [source], f"{operator.output}.pooled", attributes)
    put_channels_first(writer, writer.activated(found, operator.output, operator.activation), operator.output, form)


def max_pool_codes(writer: OnnxWriter, operator: MaxPoolCodes) -> None:
    """MaxPool: the greatest code stands for the greatest real."""
    size = image(operator.name, writer.network.tensors[operator.input].shape)
    _greatest(writer, operator, size, window_attributes(operator.window))


def mean(writer: OnnxWriter, operator: Mean) -> None:
    """GlobalAveragePool of what is averaged over, in one row: its sums have a known order."""
    shape = writer.layout(operator.input).shape
    averaged = [writer.without_samples(axis, operator.input) for axis in operator.axes]
    kept = [axis for axis in range(len(shape)) if axis not in averaged]
    sizes = [math.prod(shape[axis] for axis in axes) for axes in (kept, averaged)]
    source = writer.graph.transpose(writer.stored(operator.input), [*kept, *averaged])
    rows = writer.graph.reshape(source, [*sizes, 1])
    writer.put_stored(writer.step("GlobalAveragePool", [rows], f"{operator.output}.mean"), operator.output)


FORMS: dict[type[Operator], Form] = {
    MaxPool2d: max_pool,
    MaxPoolCodes: max_pool_codes,
    Mean: mean,
    Pool2d: pool,
}
