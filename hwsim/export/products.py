"""Convolutions and dense layers: reals of the activations by reals of the weights, and the bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.export.graph import Attributes
from hwsim.export.images import channels_first, pads, put_channels_first
from hwsim.export.whole_products import WholeProduct
from hwsim.export.writer import Form, NumberForm, OnnxWriter
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import Dense, RowsDense
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.windows import image
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization

BIAS_FORMAT = IntFormat(32)


def conv(writer: OnnxWriter, operator: Conv2d) -> None:
    """Conv of images with channels first."""
    source, output = operator.input, operator.output
    shape = writer.network.tensors[source].shape
    if len(shape) == 4 and shape[0] > 1:
        raise UnsupportedError(f"a convolution of {shape[0]} images at once; allowed: one a sample")
    height, width, _ = size = image(operator.name, shape)
    attributes: Attributes = {
        "group": operator.groups,
        "kernel_shape": list(operator.kernel),
        "strides": list(operator.stride),
        "dilations": list(operator.dilation),
        "pads": pads(operator.axes(height, width)),
    }
    whole, order = WholeProduct(writer, operator, (-1, 1, 1)), (3, 2, 0, 1)
    if whole.sums_integers:
        steps = whole.weights(order, 0)
        found = whole.result(
            channels_first(writer, source, size, "steps"),
            lambda given, bias: writer.step("Conv", [given, steps, *bias], f"{output}.sums", attributes),
        )
        put_channels_first(writer, found, output, "fractions")
        return
    inputs = [channels_first(writer, source, size), writer.weight(operator.weight, order, 0), *_bias(writer, operator)]
    found = writer.step("Conv", inputs, f"{output}.sums", attributes)
    put_channels_first(writer, writer.activated(found, output, operator.activation), output)


def dense(writer: OnnxWriter, operator: Dense) -> None:
    """Gemm of one row; MatMul and Add of several rows, which are a sample's."""
    output, depth = operator.output, writer.network.tensors[operator.weight].shape[0]
    rows = int(np.prod(writer.layout(operator.input).shape)) // depth
    wanted = (depth,) if rows == 1 else (rows, depth)
    whole = WholeProduct(writer, operator, (-1,))
    form: NumberForm = "fractions" if whole.sums_integers else "reals"
    if whole.sums_integers:
        weight = whole.weights((0, 1), 1)
        source = _rows(writer, operator.input, wanted, "steps")
        found = whole.result(source, lambda given, bias: _multiplied(writer, operator, (given, weight), bias, rows))
    else:
        operands = _rows(writer, operator.input, wanted, "reals"), writer.weight(operator.weight, (0, 1), 1)
        found = _multiplied(writer, operator, operands, _bias(writer, operator), rows)
        found = writer.activated(found, output, operator.activation)
    if writer.layout(output).in_file == (*wanted[:-1], operator.units):
        writer.put(found, output, form)
    else:
        writer.put_stored(found, output, form)


def _rows(writer: OnnxWriter, tensor: str, wanted: tuple[int, ...], form: NumberForm) -> str:
    source = writer.stored(tensor, form)
    return source if writer.layout(tensor).shape == wanted else writer.graph.reshape(source, wanted)


def _multiplied(writer: OnnxWriter, operator: Dense, operands: tuple[str, str], bias: Sequence[str], rows: int) -> str:
    output = operator.output
    if rows == 1:
        return writer.step("Gemm", [*operands, *bias], f"{output}.sums")
    found = writer.step("MatMul", operands, f"{output}.products")
    return writer.step("Add", [found, *bias], f"{output}.sums") if bias else found


def _bias(writer: OnnxWriter, operator: MatmulOperator) -> list[str]:
    """The bias on the grid of the sums; as reals where its codes need more than 32 bits."""
    if operator.bias is None:
        return []
    tensor = writer.network.tensors[operator.bias]
    if tensor.quantization is not None:
        return [writer.weight(operator.bias, (0,), 0)]
    codes = np.asarray(tensor.data, np.int64)
    weights = quantization_of(writer.network.tensors[operator.weight])
    scale = weights.scale * float(writer.grid(operator.input).scale)
    name = f"{operator.bias}.of.{operator.output}"
    if not BIAS_FORMAT.holds(codes):
        return [writer.graph.constant(name, (codes * scale).astype(np.float32))]
    axis = 0 if scale.ndim else None
    grid = Quantization(scale, np.zeros(scale.shape, np.int64), BIAS_FORMAT, axis)
    return [writer.constant_reals(name, codes, grid, 0)]


FORMS: dict[type[Operator], Form] = {
    Conv2d: conv,
    Dense: dense,
    DepthwiseConv2d: conv,
    RowsDense: dense,
}
