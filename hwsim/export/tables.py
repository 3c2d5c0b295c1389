"""Functions of single codes by table: Gather of the steps that the output codes stand for."""

from __future__ import annotations

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.export.graph import Array
from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.operator import Operator
from hwsim.network.operators.elementwise import LutFunction
from hwsim.network.operators.functions import TableFunction
from hwsim.network.operators.qlinear import QLinearTable
from hwsim.numerics.lut import every_code

LARGEST_BITS = 16


def table(writer: OnnxWriter, operator: Operator) -> None:
    """The output code of every input code, whatever unit makes it."""
    source, output = writer.grid(operator.input), writer.grid(operator.output)
    if source.format.bits > LARGEST_BITS:
        raise UnsupportedError(f"a table of {source.format.bits}-bit codes; allowed: up to {LARGEST_BITS} bits")
    codes = every_code(source.format)
    unit = writer.unit(operator.output)
    steps = (_answers(writer, operator, codes) - int(output.zero_point)).astype(np.float32) * unit
    found = look_up(writer, writer.codes(operator.input), codes[0], steps)
    writer.put(found, operator.output, "steps")


def _answers(writer: OnnxWriter, operator: Operator, codes: Array) -> Array:
    """Return the operator's output code for each code: of tensors that are filled with them."""
    step = operator.lower(writer.network.tensors, writer.options)
    assert isinstance(step, ElementwiseStep)  # noqa: S101  (as all such operators)
    elements = step.outputs
    rows = -(-codes.size // elements)
    filled = np.resize(codes, (rows, elements))
    return step.compute(filled).reshape(-1)[: codes.size]


def look_up(writer: OnnxWriter, codes: str, least: int, values: Array) -> str:
    """Return entries of a table whose first belongs to the code ``least``."""
    name = writer.graph.new_name(f"{codes}.looked_up")
    index = writer.step("Sub", [codes, writer.number(int(least), "int32")], f"{codes}.index")
    return writer.graph.node("Gather", [writer.graph.table(values), index], name)


FORMS: dict[type[Operator], Form] = {
    LutFunction: table,
    QLinearTable: table,
    TableFunction: table,
}
