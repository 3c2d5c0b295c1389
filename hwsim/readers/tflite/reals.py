"""Products between tensors of reals: of 8-bit weights on the array, of weights that are reals on the vector unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.hybrid import Amounts, ProductConstants, RunTimeQuantize, RunTimeRange, RunTimeRescale
from hwsim.network.operators.matmul import SUM_BITS, MatmulOperator
from hwsim.network.operators.real import RealProduct
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.pooling import padding_amounts
from hwsim.readers.tflite.source import Source
from hwsim.readers.tflite.types import CODES, PACKED

CODE_FORMAT = IntFormat(8)


def weight_order(product: MatmulOperator) -> tuple[int, ...]:
    """Return the axes of a file's weights in the order of matrix products, output channels last."""
    if isinstance(product, RowsDense):
        return (1, 0)
    return (1, 2, 0, 3) if product.product == "depthwise_convolution" else (1, 2, 3, 0)


def build_real_product(source: Source, product: MatmulOperator) -> tuple[Sequence[Operator], Sequence[Tensor]]:
    """Return the operators of a product whose input and output are reals, and the tensors between them.

    Raises:
        UnsupportedError: weights that have a zero point, or one scale only.
        ConfigError: weights and scales that do not go together.
    """
    if source.tensor(1).data is not None and source.tensor(1).dtype in (*CODES, PACKED):
        return _hybrid(source, product)
    operands = (str(source.tensor(0).index), str(source.tensor(1).index))
    bias = () if product.bias is None else (product.bias,)
    like = replace(product, bias=None, weight="", inputs=operands[:1])
    real = RealProduct(
        product.name, operands, product.output, (*operands, *bias), like=like, order=weight_order(product)
    )
    return [real], []


def _hybrid(source: Source, product: MatmulOperator) -> tuple[Sequence[Operator], Sequence[Tensor]]:
    name, output, first = product.name, product.output, str(source.tensor(0).index)
    limits, codes, sums = (f"{output}.{part}" for part in ("range", "codes", "sums"))
    is_dense = isinstance(product, RowsDense)
    rows = int(np.prod(source.shape)) // product.depth if isinstance(product, RowsDense) else source.shape[0]
    symmetric = is_dense and not source.number("AsymmetricQuantizeInputs")
    amounts = _padding(product, source.shape)
    quantize = RunTimeQuantize(f"{name}_codes", (first, limits), codes, (first, limits), symmetric, amounts)
    inner = replace(product, inputs=(codes,), output=sums, bias=None, activation="none")
    if isinstance(inner, Conv2d):
        inner = replace(inner, padding="valid")
    rescale = RunTimeRescale(
        f"{name}_rescale", (sums, limits), output, (sums, limits),
        constants_of=_constants(source, product), symmetric=symmetric,
    )  # fmt: skip
    one = np.asarray(1.0), np.asarray(0, np.int64)
    tensors = [
        Tensor(limits, (rows, 2), is_internal=True),
        Tensor(codes, quantize.output_shape(source.shape), None, Quantization(*one, CODE_FORMAT), is_internal=True),
        Tensor(sums, _sums_shape(source), None, Quantization(*one, IntFormat(SUM_BITS)), is_internal=True),
    ]
    return [RunTimeRange(f"{name}_range", (first,), limits, (first,), rows), quantize, inner, rescale], tensors


def _sums_shape(source: Source) -> Shape:
    return source.model.tensors[int(source.output)].shape


def _padding(product: MatmulOperator, shape: Shape) -> Amounts:
    """Return how far the windows of a convolution reach over the edges, for each axis of its input."""
    if not isinstance(product, Conv2d) or product.padding == "valid":
        return ()
    windows = zip(shape[1:3], product.kernel, product.stride, product.dilation, strict=True)
    height, width = (padding_amounts(*sizes, "same") for sizes in windows)
    return ((0, 0), height, width, (0, 0))


def _constants(source: Source, product: MatmulOperator) -> ProductConstants:
    """Return what turns sums into reals.

    Raises:
        UnsupportedError, ConfigError: as `build_real_product`.
    """
    weight = source.tensor(1)
    data = source.constant(1).transpose(weight_order(product))
    channels = data.shape[-1]
    if weight.zero_points.any():
        raise UnsupportedError(f"{source.operator.label}: weights with zero points; allowed: 0")
    if weight.scales.size not in (1, channels):
        raise ConfigError(f"{source.operator.label}: {weight.scales.size} scales for {channels} channels")
    if weight.scales.size == 1 and isinstance(product, Conv2d) and channels > 1:
        raise UnsupportedError(
            f"{source.operator.label}: real input and weights with one scale; allowed: one per channel"
        )
    bias = None if product.bias is None else np.asarray(source.tensor(2).data, np.float32)
    scale = np.broadcast_to(weight.scales.astype(np.float32), (channels,))
    return ProductConstants(scale, data.reshape(-1, channels).sum(axis=0), bias, product.activation)
