"""Products of two activations, head by head, and normalized rows."""

from __future__ import annotations

import numpy as np

from hwsim.export.whole_products import WholeProduct
from hwsim.export.writer import Form, NumberForm, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.attention import ActivationMatmul
from hwsim.network.operators.layer_norm import LayerNorm

HEADS_FIRST, HEADS_LAST = (1, 0, 2), (1, 2, 0)


def matmul(writer: OnnxWriter, operator: ActivationMatmul) -> None:
    """MatMul of stacks of matrices, one for each head, and Mul by the scale."""
    output, last = operator.output, HEADS_LAST if operator.transposed else HEADS_FIRST
    whole, (left, right) = WholeProduct(writer, operator, ()), operator.inputs
    form: NumberForm = "steps" if whole.sums_integers else "reals"
    operands = (
        _heads(writer, left, operator.groups, HEADS_FIRST, form),
        _heads(writer, right, operator.groups, last, form),
    )
    if whole.sums_integers:
        found = whole.result(
            operands[0], lambda given, _: writer.step("MatMul", [given, operands[1]], f"{output}.products")
        )
        writer.put_stored(writer.graph.transpose(found, HEADS_FIRST), output, "fractions")
        return
    found = writer.step("MatMul", operands, f"{output}.products")
    if operator.scale != 1.0:
        found = writer.step("Mul", [found, writer.number(operator.scale, "float32")], f"{output}.scaled")
    rows = writer.graph.transpose(found, HEADS_FIRST)
    writer.put_stored(writer.activated(rows, output, operator.activation), output)


def _heads(writer: OnnxWriter, tensor: str, heads: int, order: tuple[int, ...], form: NumberForm) -> str:
    """Return the numbers of (rows, heads x columns) with the heads first."""
    rows, width = writer.layout(tensor).shape
    parts = writer.graph.reshape(writer.stored(tensor, form), (rows, heads, width // heads))
    return writer.graph.transpose(parts, order)


def layer_norm(writer: OnnxWriter, operator: LayerNorm) -> None:
    """LayerNormalization of the last axes in float64: the order of its sums then changes no code."""
    tensors, output = writer.network.tensors, operator.output
    factors = [
        writer.graph.constant(f"{output}.{part}", np.asarray(tensors[name].data, np.float32).astype(np.float64))
        for part, name in (("gamma", operator.gamma), ("beta", operator.beta))
    ]
    attributes = {"axis": -len(tensors[operator.gamma].shape), "epsilon": operator.epsilon}
    inputs = [writer.graph.cast(writer.stored(operator.input), "DOUBLE"), *factors]
    found = writer.step("LayerNormalization", inputs, f"{output}.exact", attributes)
    writer.put_stored(writer.graph.cast(found, "FLOAT"), output)


FORMS: dict[type[Operator], Form] = {
    ActivationMatmul: matmul,
    LayerNorm: layer_norm,
}
