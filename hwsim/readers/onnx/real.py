"""Builders of operators of reals, which hwsim quantizes: those that it has of its own, and the others in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.attention import ActivationProduct
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.elementwise import BatchNorm, LutFunction, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import functions, pooling
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.requantize import Activation
from hwsim.readers.onnx import moves, qdq, real_float32
from hwsim.readers.onnx.activation_products import stacked_product
from hwsim.readers.onnx.elementwise import bounds
from hwsim.readers.onnx.expressions import along, apply, leaf, with_constant
from hwsim.readers.onnx.graph import Live, Order, channels_last, plain
from hwsim.readers.onnx.gru import gru
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.lstm import lstm
from hwsim.readers.onnx.masks import add_mask, where
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.pools import over_images, pooled_shape
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]
REAL_TYPES = (1, 10)  # FLOAT and FLOAT16 of the attribute of Cast


def _source(site: Site, order: Callable[[Shape], Order] | None = None) -> Live:
    live = site.live(0)
    return live if order is None else site.graph.in_order(live, order(live.shape))


def _constant(site: Site, place: int) -> Array:
    return np.asarray(site.array(place), np.float64)


def conv(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Inputs: x, w, bias."""
    weights = _constant(site, 1)
    shape, source = weights.shape, site.live(0).shape
    if len(shape) not in (3, 4) or len(source) != len(shape) or min(shape) < 1:
        raise UnsupportedError(
            f"{site.label}: input {list(source)} by weights {list(shape)}; allowed: one or two spatial axes"
        )
    groups, filters = site.integer("group", 1), shape[0]
    if groups < 1 or source[1] != shape[1] * groups or filters % groups:
        raise ConfigError(f"{site.label}: {source[1]} channels by weights {list(shape)} in {groups} groups")
    window = site.window(source, shape[2:])
    moved = _source(site, channels_last)
    kind = DepthwiseConv2d if groups == source[1] and groups > 1 else Conv2d
    matrix = weights.reshape(filters, shape[1], *window.kernel).transpose(2, 3, 1, 0)
    operator = kind(
        site.node.name,
        (moved.name,),
        site.output,
        site.graph.add_reals(f"{site.node.name}.weight", matrix),
        _bias(site, 2, filters, 1.0) if site.has(2) else None,
        groups=groups,
        filters=filters,
        kernel=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
    )
    *_, height, width, _ = operator.output_shape(moved.stored_shape)
    out = (source[0], filters, *((width,) if len(shape) == 3 else (height, width)))
    site.graph.emit(operator, Live(site.output, out, channels_last(out), None))


def _bias(site: Site, place: int, channels: int, factor: float) -> str:
    values = _constant(site, place) * factor
    if values.size not in (1, channels) or values.shape[-1:] not in ((), (values.size,)):
        raise UnsupportedError(f"{site.label}: bias of shape {list(values.shape)}; allowed: [{channels}]")
    return site.graph.add_reals(f"{site.node.name}.bias", np.broadcast_to(values.reshape(-1), (channels,)))


def _dense(site: Site, weights: Array, bias: str | None) -> None:
    source = site.live(0)
    if weights.ndim != 2 or len(source.shape) < 2:
        raise UnsupportedError(f"{site.label}: {list(source.shape)} by {list(weights.shape)}; allowed: two axes")
    depth, units = weights.shape
    if source.shape[-1] != depth or min(weights.shape) < 1:
        raise ConfigError(f"{site.label}: {list(source.shape)} by {list(weights.shape)} do not go together")
    moved = site.graph.in_order(source, plain(source.shape))
    weight = site.graph.add_reals(f"{site.node.name}.weight", weights)
    operator = RowsDense(site.node.name, (moved.name,), site.output, weight, bias, units=units, depth=depth)
    out = (*source.shape[:-1], units)
    site.graph.emit(operator, Live(site.output, out, plain(out), None))


def matmul(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Inputs: a, b, of which b may be another activation."""
    if site.is_constant(1):
        _dense(site, _constant(site, 1), None)
        return
    operator, output = stacked_product(site, site.live(0), site.live(1))
    site.graph.emit(operator, output)


def _scaled(kind: Literal["Mul", "Div"]) -> Builder:
    """Build a product or quotient, which is part of a product of two activations where it is by a positive number."""

    def build(site: Site, reals: Reals) -> None:
        places = [place for place in ((0, 1) if kind == "Mul" else (1,)) if site.is_constant(place)]
        if len(places) != 1 or not _takes_scale(site, reals, 1 - places[0], _constant(site, places[0]), kind):
            qdq.BUILDERS[kind](site, reals)

    return build


def _takes_scale(site: Site, reals: Reals, place: int, value: Array, kind: str) -> bool:
    """Make a number the scale of the product of two activations before it, where it can be."""
    name = site.input(place)
    product = _producer(site, reals, name)
    live = site.graph.live.get(name)
    if not isinstance(product, ActivationProduct) or live is None:
        return False
    if value.size != 1 or value.ndim > len(live.shape) or not value.item() > 0:
        return False
    scale = product.scale * value.item() if kind == "Mul" else product.scale / value.item()
    _replace(site, product, replace(product, output=site.output, scale=scale), live)
    return True


def gemm(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Inputs: a, b, c: alpha a b + beta c."""
    if site.integer("transA", 0):
        raise UnsupportedError(f"{site.label}: transA")
    weights = _constant(site, 1) * site.real("alpha", 1.0)
    if site.integer("transB", 0):
        weights = weights.T
    bias = _bias(site, 2, weights.shape[-1], site.real("beta", 1.0)) if site.has(2) and weights.ndim == 2 else None
    _dense(site, weights, bias)


def add(site: Site, reals: Reals) -> None:
    """A constant for each channel of a product that nothing else reads is its bias."""
    for place in (0, 1):
        if site.is_constant(1 - place) and not site.is_constant(place) and _absorbed(site, reals, place):
            return
    if not add_mask(site, reals):
        qdq.BUILDERS["Add"](site, reals)


def _producer(site: Site, reals: Reals, name: str) -> MatmulOperator | None:
    """Return the product that writes a tensor, if only this node reads it."""
    if reals.readers(name) != 1:
        return None
    for operator in site.graph.operators:
        if operator.output == name and isinstance(operator, MatmulOperator):
            return operator
    return None


def _absorbed(site: Site, reals: Reals, place: int) -> bool:
    """Add a constant to a product as its bias, where it is one."""
    name = site.input(place)
    product = _producer(site, reals, name)
    values = _constant(site, 1 - place)
    live = site.graph.live.get(name)
    if product is None or not product.has_weights or product.bias is not None or live is None:
        return False
    channel_axis = live.order[-1]
    aligned = (1,) * (len(live.shape) - values.ndim) + values.shape
    channels = live.shape[channel_axis]
    if len(aligned) != len(live.shape) or aligned != tuple(
        channels if axis == channel_axis else 1 for axis in range(len(live.shape))
    ):
        return False
    bias = site.graph.add_reals(f"{product.name}.bias", values.reshape(-1))
    _replace(site, product, replace(product, output=site.output, bias=bias), live)
    return True


def _replace(site: Site, old: Operator, new: Operator, live: Live) -> None:
    """Put an operator in place of another; its output takes the other's place."""
    graph = site.graph
    graph.operators[graph.operators.index(old)] = new
    del graph.live[live.name], graph.tensors[live.name]
    graph.enter(replace(live, name=site.output))


def batch_normalization(site: Site, reals: Reals) -> None:
    """Inputs: x, gamma, beta, mean, variance; part of a product before it, else a scale and a shift."""
    gamma, beta, mean, variance = (_constant(site, place) for place in range(1, 5))
    live = site.live(0)
    if len(live.shape) < 2 or any(one.shape != (live.shape[1],) for one in (gamma, beta, mean, variance)):
        raise ConfigError(f"{site.label}: statistics of other shapes than [{live.shape[1:2]}]")
    if np.any(variance < 0):
        raise ConfigError(f"{site.label}: negative variance; allowed: 0 or more")
    epsilon = site.real("epsilon", 1e-5)
    product = _producer(site, reals, live.name)
    if product is not None and product.has_weights and live.order[-1] == 1:
        statistics = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        named = {part: site.graph.add_reals(f"{site.node.name}.{part}", one) for part, one in statistics.items()}
        ends = (live.name,), site.output
        operator = BatchNorm(
            site.node.name, *ends, named["gamma"], named["beta"], named["mean"], named["variance"], epsilon
        )
        site.graph.emit(operator, replace(live, name=site.output))
        return
    factor = gamma / np.sqrt(variance + epsilon)
    column = (-1, *(1 for _ in live.shape[2:]))
    scaled = with_constant(leaf(live), factor.reshape(column), np.multiply, "multiply")
    shifted = with_constant(scaled, (beta - mean * factor).reshape(column), np.add, "add")
    reals.put(site.output, shifted)


def _rectify(activation: Activation) -> Builder:
    def build(site: Site, reals: Reals) -> None:  # noqa: ARG001
        live = site.live(0)
        operator = Rectify(site.node.name, (live.name,), site.output, activation)
        site.graph.emit(operator, replace(live, name=site.output))

    return build


def clip(site: Site, reals: Reals) -> None:
    """[0, 6] is ReLU6."""
    low, high = bounds(site)
    if (low, high) == (0.0, 6.0):
        _rectify("relu6")(site, reals)
        return
    reals.put(site.output, apply(leaf(site.live(0)), functions.Clip(np.float32(low), np.float32(high)), "compare"))


def cast(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Between reals of 16 and of 32 bits, which are one here."""
    if site.integer("to", 0) not in REAL_TYPES:
        raise UnsupportedError(f"{site.label}: to type {site.integer('to', 0)}; allowed: 1 (FLOAT), 10 (FLOAT16)")
    moves.rename(site, site.live(0))


def _lut(function: str) -> Builder:
    def build(site: Site, reals: Reals) -> None:  # noqa: ARG001
        live = site.live(0)
        operator = LutFunction(site.node.name, (live.name,), site.output, function)
        site.graph.emit(operator, replace(live, name=site.output))

    return build


def max_pool(site: Site, reals: Reals) -> None:
    """The greatest of each window, over one or two spatial axes."""
    source = leaf(_source(site, channels_last))
    window = site.pool_window(source.shape)
    shape = pooled_shape(source.shape, window)
    counts = Counts({("vector_unit", "compare"): int(np.prod(shape)) * max(window.size - 1, 1)})
    reals.put(site.output, along(source, over_images(_Maximum(window), source.shape), shape, counts))


class _Maximum:
    """`pooling.max_pool` of reals."""

    def __init__(self, window: pooling.PoolWindow) -> None:
        self._window = window

    def __call__(self, values: Float32Array) -> Float32Array:
        return pooling.max_pool(values, self._window, -np.inf)


BUILDERS: dict[str, Builder] = {
    **real_float32.BUILDERS,
    "Add": add,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Conv": conv,
    "Div": _scaled("Div"),
    "Gemm": gemm,
    "GRU": gru,
    "LSTM": lstm,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mul": _scaled("Mul"),
    "Relu": _rectify("relu"),
    "Sigmoid": _lut("sigmoid"),
    "Tanh": _lut("tanh"),
    "Where": where,
}
