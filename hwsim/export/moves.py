"""Operators that only move elements."""

from __future__ import annotations

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.export.layout import IMAGE_AXES
from hwsim.export.lstm import last_state
from hwsim.export.writer import Form, NumberForm, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.elementwise import Flatten
from hwsim.network.operators.moves import Concatenation, Index, Pack, Pad, Reshape, Slice, Take, Transpose
from hwsim.network.operators.real_function import MovedElements


def flatten(writer: OnnxWriter, operator: Flatten) -> None:
    """Flatten of channels last."""
    form = writer.moving_form(operator.input, operator.output)
    row = writer.step("Flatten", [writer.stored(operator.input, form)], f"{operator.output}.row")
    writer.put(row, operator.output, form)


def reshape(writer: OnnxWriter, operator: Reshape) -> None:
    """Flatten to one row, Reshape otherwise; nothing where both ends lie alike."""
    source, output = writer.layout(operator.input), writer.layout(operator.output)
    form = writer.moving_form(operator.input, operator.output)
    if source == output:
        writer.put(writer.take(operator.input, form), operator.output, form)
    elif len(output.shape) == 1 and len(source.shape) == IMAGE_AXES:
        found = writer.step("Flatten", [writer.stored(operator.input, form)], f"{operator.output}.row")
        writer.put(found, operator.output, form)
    else:
        writer.put_stored(writer.stored(operator.input, form), operator.output, form)


def transpose(writer: OnnxWriter, operator: Transpose) -> None:
    """Transpose; the axis of samples stays where it is."""
    first = int(len(operator.order) != len(writer.layout(operator.input).shape))
    order = [axis - first for axis in operator.order if axis >= first]
    form = writer.moving_form(operator.input, operator.output)
    writer.put_stored(writer.graph.transpose(writer.stored(operator.input, form), order), operator.output, form)


def pad(writer: OnnxWriter, operator: Pad) -> None:
    """Pad with zeros."""
    layout = writer.layout(operator.input)
    amounts = operator.amounts[len(operator.amounts) - len(layout.shape) :]
    ends = [[0, *(amounts[axis][end] for axis in layout.order)] for end in (0, 1)]
    widths = writer.graph.constant(f"{operator.output}.amounts", np.asarray(ends, np.int64).reshape(-1))
    form = writer.moving_form(operator.input, operator.output)
    found = writer.step("Pad", [writer.take(operator.input, form), widths], f"{operator.output}.padded")
    if writer.layout(operator.output).order == layout.order:
        writer.put(found, operator.output, form)
    else:
        writer.put_stored(writer.graph.transpose(found, layout.back), operator.output, form)


def index(writer: OnnxWriter, operator: Index) -> None:
    """A state of an LSTM is in two parts already; else as `cut`."""
    if not last_state(writer, operator):
        cut(writer, operator)


def cut(writer: OnnxWriter, operator: Slice) -> None:
    """Slice; of one entry whose axis goes, a reshape after it."""
    axis = writer.without_samples(operator.axis, operator.input)
    form = writer.moving_form(operator.input, operator.output)
    if axis < 0:  # the whole of the samples' axis
        writer.put_stored(writer.stored(operator.input, form), operator.output, form)
        return
    names = [
        writer.graph.constant(f"index.{value}", np.asarray([value], np.int64))
        for value in (operator.begin, operator.begin + operator.size, axis + 1)
    ]
    found = writer.step("Slice", [writer.stored(operator.input, form), *names], f"{operator.output}.part")
    writer.put_stored(found, operator.output, form)


def take(writer: OnnxWriter, operator: Take) -> None:
    """Gather; the samples' axis is not part of it."""
    axis = writer.without_samples(operator.axis, operator.input)
    if axis < 0:
        raise UnsupportedError(f"layer {operator.name}: entries of the samples' axis have no form in an exported file")
    places = writer.graph.constant(f"{operator.output}.places", np.asarray(operator.indices, np.int64))
    found = writer.step(
        "Gather", [writer.stored(operator.input), places], f"{operator.output}.taken", {"axis": axis + 1}
    )
    writer.put_stored(found, operator.output)


def join(writer: OnnxWriter, operator: Concatenation) -> None:
    """Concat."""
    axis = writer.without_samples(operator.axis, operator.output)
    sizes = len(writer.layout(operator.output).shape)
    form = _joining_form(writer, operator)
    parts = [_part(writer, operator, name, sizes, form) for name in operator.operands]
    found = writer.step("Concat", parts, f"{operator.output}.joined", {"axis": axis + 1})
    writer.put_stored(found, operator.output, form)


def _joining_form(writer: OnnxWriter, operator: Concatenation | Pack) -> NumberForm:
    """Constants are written as reals, and what is joined with them."""
    if len(operator.inputs) < len(operator.operands):
        return "reals"
    return writer.moving_form(*operator.operands, operator.output)


def _part(writer: OnnxWriter, operator: Concatenation | Pack, name: str, axes: int, form: NumberForm) -> str:
    if name in operator.inputs:
        return writer.stored(name, form)
    return writer.operand(name, range(axes))


def pack(writer: OnnxWriter, operator: Pack) -> None:
    """Concat of tensors with an axis of 1 at the new place."""
    axis = writer.without_samples(operator.axis, operator.output)
    shape = list(writer.layout(operator.output).shape)
    single = [*shape[:axis], 1, *shape[axis + 1 :]]
    form, axes = _joining_form(writer, operator), len(shape) - 1
    parts = [writer.graph.reshape(_part(writer, operator, name, axes, form), single) for name in operator.operands]
    found = writer.step("Concat", parts, f"{operator.output}.joined", {"axis": axis + 1})
    writer.put_stored(found, operator.output, form)


def moved(writer: OnnxWriter, operator: MovedElements) -> None:
    """As the move that it is."""
    assert operator.move is not None  # noqa: S101  (a default only because the fields before have one)
    FORMS[type(operator.move)](writer, operator.move)


FORMS: dict[type[Operator], Form] = {
    Concatenation: join,
    Flatten: flatten,
    Index: index,
    MovedElements: moved,
    Pack: pack,
    Pad: pad,
    Reshape: reshape,
    Slice: cut,
    Take: take,
    Transpose: transpose,
}
