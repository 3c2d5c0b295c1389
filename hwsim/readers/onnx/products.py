"""Convolutions and matrix products of codes by constant weights, of either kind of quantized file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.float_sums import FloatKernel
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.onnxruntime.sum_order import convolution_order, dense_order
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.activation_products import stacked_product
from hwsim.readers.onnx.graph import Graph, Live, channels_last, plain
from hwsim.readers.onnx.lazy import Product
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site, image_size

BIAS_WORD = IntFormat(32)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weight codes as the file has them, and what they stand for; ``channel_axis`` is the axis of output channels."""

    codes: Array
    grid: Quantization
    channel_axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """A bias: integers on the S_w S_x grid, or reals that are brought there."""

    integers: Array | None = None
    reals: Array | None = None


def convolution(site: Site, source: Live, weights: Weights, bias: Bias | None) -> Product:
    """Return a convolution of (batch, channels, [height,] width) by (filters, channels / group, [height,] width).

    Raises:
        ConfigError: sizes that do not go together.
        UnsupportedError: as `Site.window`.
    """
    shape = weights.codes.shape
    if len(shape) not in (3, 4) or len(source.shape) != len(shape) or min(shape) < 1:
        raise UnsupportedError(
            f"{site.label}: input {list(source.shape)} by weights {list(shape)}; allowed: one or two spatial axes"
        )
    groups, filters, channels = site.integer("group", 1), shape[0], source.shape[1]
    if groups < 1 or channels != shape[1] * groups or filters % groups:
        raise ConfigError(f"{site.label}: {channels} channels by weights {list(shape)} in {groups} groups")
    if site.integers("kernel_shape", shape[2:]) != shape[2:]:
        raise ConfigError(f"{site.label}: kernel_shape of other sizes than the weights {list(shape)}")
    window = site.window(source.shape, shape[2:])
    moved = site.graph.in_order(source, channels_last(source.shape))
    matrix = weights.codes.reshape(filters, shape[1], *window.kernel).transpose(2, 3, 1, 0)
    kind = DepthwiseConv2d if groups == channels and groups > 1 else Conv2d
    weight, bias_name, scale = _constants(site, moved, weights, matrix, bias)
    operator = kind(
        site.node.name,
        (moved.name,),
        "",
        weight,
        bias_name,
        groups=groups,
        filters=filters,
        kernel=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
    )
    height, width, _ = operator.output_shape(moved.stored_shape)
    columns = image_size(source.shape)[1]
    order = convolution_order(window, columns, height * width, shape[1], filters // groups)
    terms = np.arange(window.size * shape[1]).reshape(window.size, shape[1]).T.reshape(-1)
    spatial = (width,) if len(shape) == 3 else (height, width)
    out = (1, filters, *spatial)
    return Product(operator, out, channels_last(out), scale, FloatKernel(terms, order))


def dense(site: Site, source: Live, weights: Weights, bias: Bias | None, *, is_transposed: bool = False) -> Product:
    """Return the product of (..., depth) by (depth, columns), each row by itself.

    ``is_transposed``: the file has the weights as (columns, depth).

    Raises:
        ConfigError: sizes that do not go together.
        UnsupportedError: weights of other than two axes.
    """
    shape = weights.codes.shape
    if len(shape) != 2 or len(source.shape) < 2:
        raise UnsupportedError(f"{site.label}: {list(source.shape)} by {list(shape)}; allowed: weights of two axes")
    if source.shape[-1] != shape[0] or min(shape) < 1:
        raise ConfigError(f"{site.label}: {list(source.shape)} by {list(shape)} do not go together")
    moved = site.graph.in_order(source, plain(source.shape))
    weight, bias_name, scale = _constants(site, moved, weights, weights.codes, bias)
    operator = RowsDense(site.node.name, (moved.name,), "", weight, bias_name, units=shape[1], depth=shape[0])
    out = (*source.shape[:-1], shape[1])
    order = dense_order(int(np.prod(source.shape[:-1])), *shape, is_transposed=is_transposed)
    return Product(operator, out, plain(out), scale, FloatKernel(np.arange(shape[0]), order))


def stacked(site: Site, left: Live, right: Live) -> Product:
    """Return the product of two activations of codes: `stacked_product`.

    Raises:
        ConfigError, UnsupportedError: as that, and as `product_scale`.
    """
    operator, output = stacked_product(site, left, right)
    if right.codes is None or right.codes.grid is None:
        raise ConfigError(f"{site.label}: input without a scale")
    (*_, rows, depth), columns = left.shape, right.shape[-1]
    is_one = all(size == 1 for size in right.shape[:-2])  # then the stack on the left is one tall matrix
    order = dense_order(left.elements // depth if is_one else rows, depth, columns)
    kernel = FloatKernel(np.arange(depth), replace(order, joins_groups=is_one))
    return Product(operator, output.shape, output.order, product_scale(site, left, right.codes.grid), kernel)


def _constants(
    site: Site, source: Live, weights: Weights, matrix: Array, bias: Bias | None
) -> tuple[str, str | None, Float32Array]:
    """Enter weights and bias; return their names and the scale of sums, per output channel or one."""
    grid, channels = weights.grid, matrix.shape[-1]
    if grid.axis is not None:
        if grid.axis != weights.channel_axis or grid.scale.size != channels:
            raise UnsupportedError(f"{site.label}: weights with scales along axis {grid.axis}")
        grid = Quantization(grid.scale, grid.zero_point, grid.format, -1)
    elif isinstance(bias, Bias) or len(matrix.shape) == 4:
        grid = Quantization(
            np.broadcast_to(grid.scale, (channels,)), np.broadcast_to(grid.zero_point, (channels,)), grid.format, -1
        )
    weight = site.graph.add_constant(f"{site.node.name}.weight", np.asarray(matrix, np.int64), grid)
    scale = product_scale(site, source, grid)
    if bias is None:
        return weight, None, scale
    return weight, _bias(site.graph, site, bias, channels, scale), scale


def product_scale(site: Site, source: Live, weights: Quantization) -> Float32Array:
    """Return ``S_x S_w`` in float32: the scale of sums, per output channel or one.

    Raises:
        ConfigError: activations without a scale, or a product that float32 cannot hold.
    """
    if source.codes is None or source.codes.grid is None:
        raise ConfigError(f"{site.label}: input without a scale")
    with np.errstate(over="ignore", under="ignore"):
        scale = np.asarray(np.float32(source.codes.grid.scale) * weights.scale.astype(np.float32))
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise ConfigError(f"{site.label}: scales whose product is beyond float32")
    return scale


def _bias(graph: Graph, site: Site, bias: Bias, channels: int, scale: Float32Array) -> str:
    grid = Quantization(
        np.broadcast_to(scale, (channels,)).astype(np.float64), np.zeros(channels, np.int64), BIAS_WORD, 0
    )
    if bias.integers is not None:
        values: IntArray = np.asarray(bias.integers, np.int64).reshape(-1)
    else:
        reals = np.asarray(bias.reals, np.float64).reshape(-1)
        if not np.all(np.isfinite(reals)):
            raise ConfigError(f"{site.label}: bias holds NaN or infinity")
        values = grid.quantize(np.broadcast_to(reals, (channels,)))
    if values.size == 1:
        values = np.broadcast_to(values, (channels,))
    if values.shape != (channels,):
        raise ConfigError(f"{site.label}: bias of {values.size} values; allowed: {channels}")
    return graph.add_constant(f"{site.node.name}.bias", values, grid)
