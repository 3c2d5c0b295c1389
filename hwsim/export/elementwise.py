"""Arithmetic of elements: sums, products, rectifiers, softmax, changes of grid."""

from __future__ import annotations

import numpy as np

from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import (
    Add,
    Dequantize,
    LeakyRelu,
    Mul,
    Quantize,
    QuantizedRectify,
    Requantize,
)
from hwsim.network.operators.elementwise import Rectify
from hwsim.network.operators.functions import Softmax
from hwsim.network.operators.qlinear import ClampCodes
from hwsim.network.operators.quantized import QuantizedOperator


def add(writer: OnnxWriter, operator: Add) -> None:
    """Add or Sub."""
    _pair(writer, operator, "Sub" if operator.subtract else "Add")


def multiply(writer: OnnxWriter, operator: Mul) -> None:
    """Mul."""
    _pair(writer, operator, "Mul")


def _pair(writer: OnnxWriter, operator: Add | Mul, kind: str) -> None:
    """Operands in the output's layout, or else in hwsim's with as many axes as the output has."""
    layout = writer.layout(operator.output)
    changing = [writer.layout(name) for name in operator.inputs]
    direct = all(len(one.shape) == len(layout.shape) and one.order == layout.order for one in changing)
    order = layout.order if direct else tuple(range(len(layout.shape)))
    operands = [
        (writer.reals(name) if direct else _aligned(writer, name, len(order)))
        if name in operator.inputs
        else writer.operand(name, order)
        for name in operator.operands
    ]
    found = writer.step(kind, operands, f"{operator.output}.exact")
    found = writer.activated(found, operator.output, operator.activation)
    (writer.put if direct else writer.put_stored)(found, operator.output)


def _aligned(writer: OnnxWriter, name: str, axes: int) -> str:
    """Return a tensor's reals in hwsim's order with so many axes beside that of the samples."""
    shape, source = writer.layout(name).shape, writer.stored(name)
    return source if len(shape) == axes else writer.graph.reshape(source, [1] * (axes - len(shape)) + list(shape))


def rectify(writer: OnnxWriter, operator: Rectify | QuantizedRectify) -> None:
    """Relu or Clip."""
    found = writer.activated(writer.reals(operator.input), operator.output, operator.activation)
    _like_input(writer, operator, found)


def leaky_rectify(writer: OnnxWriter, operator: LeakyRelu) -> None:
    """LeakyRelu."""
    attributes = {"alpha": float(np.float32(operator.slope))}
    found = writer.step("LeakyRelu", [writer.reals(operator.input)], f"{operator.output}.exact", attributes)
    _like_input(writer, operator, found)


def softmax(writer: OnnxWriter, operator: Softmax) -> None:
    """Softmax along hwsim's last axis."""
    source, layout = writer.reals(operator.input), writer.layout(operator.input)
    if operator.beta != 1:
        source = writer.step("Mul", [source, writer.number(operator.beta, "float32")], f"{operator.output}.scaled")
    last = len(layout.shape) - 1
    if layout.axis_in_file(last) == last + 1:
        _like_input(writer, operator, _softmax(writer, source, operator.output))
        return
    rows = writer.graph.transpose(source, layout.back)
    writer.put_stored(_softmax(writer, rows, operator.output), operator.output)


def _softmax(writer: OnnxWriter, source: str, output: str) -> str:
    """Float64 in between: what a kernel makes of exponentials in float32 may lie on the other side of a tie."""
    wide = writer.graph.cast(source, "DOUBLE")
    return writer.graph.cast(writer.step("Softmax", [wide], f"{output}.exact", {"axis": -1}), "FLOAT")


def change_grid(writer: OnnxWriter, operator: QuantizedOperator) -> None:
    """Nothing between the quantizations."""
    _like_input(writer, operator, writer.reals(operator.input))


def clamp(writer: OnnxWriter, operator: ClampCodes) -> None:
    """Clip at the reals that the bounds stand for."""
    grid = writer.grid(operator.output)
    bounds = [
        writer.number(np.float32(grid.scale) * np.float32(bound - int(grid.zero_point)), "float32")
        for bound in (operator.low, operator.high)
    ]
    found = writer.step("Clip", [writer.reals(operator.input), *bounds], f"{operator.output}.clamped")
    _like_input(writer, operator, found)


def _like_input(writer: OnnxWriter, operator: Operator, found: str) -> None:
    """Put a result that lies as the input does."""
    source, output = writer.layout(operator.input), writer.layout(operator.output)
    if source == output:
        writer.put(found, operator.output)
    else:
        writer.put_stored(writer.graph.transpose(found, source.back), operator.output)


FORMS: dict[type[Operator], Form] = {
    Add: add,
    ClampCodes: clamp,
    Dequantize: change_grid,
    LeakyRelu: leaky_rectify,
    Mul: multiply,
    Quantize: change_grid,
    QuantizedRectify: rectify,
    Rectify: rectify,
    Requantize: change_grid,
    Softmax: softmax,
}
