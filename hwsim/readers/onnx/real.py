"""Builders of operators of reals, which hwsim quantizes: those that it has of its own, and the others in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.elementwise import BatchNorm, LutFunction, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import functions, pooling
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.requantize import Activation
from hwsim.readers.onnx import qdq
from hwsim.readers.onnx.graph import Live, Order, channels_last, plain
from hwsim.readers.onnx.lazy import Expression, Reals, along, apply, leaf, with_constant
from hwsim.readers.onnx.lstm import lstm
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]


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
    height, width, _ = operator.output_shape(moved.stored_shape)
    out = (1, filters, *((width,) if len(shape) == 3 else (height, width)))
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
    """Inputs: a, b; b is constant."""
    _dense(site, _constant(site, 1), None)


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
    qdq.BUILDERS["Add"](site, reals)


def _producer(site: Site, reals: Reals, name: str) -> MatmulOperator | None:
    """Return the product that writes a tensor, if nothing is fused into it and only this node reads it."""
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
    if product is None or product.bias is not None or live is None:
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
    if _producer(site, reals, live.name) is not None and live.order[-1] == 1:
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
    low, high = qdq.bounds(site)
    if (low, high) == (0.0, 6.0):
        _rectify("relu6")(site, reals)
        return
    reals.put(site.output, apply(leaf(site.live(0)), functions.Clip(np.float32(low), np.float32(high)), "compare"))


def _lut(function: str) -> Builder:
    def build(site: Site, reals: Reals) -> None:  # noqa: ARG001
        live = site.live(0)
        operator = LutFunction(site.node.name, (live.name,), site.output, function)
        site.graph.emit(operator, replace(live, name=site.output))

    return build


def max_pool(site: Site, reals: Reals) -> None:
    """The greatest of each window."""
    source = leaf(_source(site, channels_last))
    if site.integer("ceil_mode", 0) or len(source.shape) != 4:
        raise UnsupportedError(f"{site.label}: ceil_mode, or other than four axes")
    window = site.window(source.shape, site.integers("kernel_shape", ()))
    shape = (1, source.shape[1], *window.out_size(source.shape[2], source.shape[3]))
    counts = Counts({("vector_unit", "compare"): int(np.prod(shape)) * max(window.size - 1, 1)})
    body = _Maximum(window)
    reals.put(site.output, along(source, body, shape, counts))


class _Maximum:
    """`pooling.max_pool` of reals."""

    def __init__(self, window: pooling.PoolWindow) -> None:
        self._window = window

    def __call__(self, values: Float32Array) -> Float32Array:
        return pooling.max_pool(values, self._window, -np.inf)


def reduce_mean(site: Site, reals: Reals) -> None:
    """Axes as input or attribute; all of them where they are left out."""
    live = site.live(0)
    given = (
        site.array(1).reshape(-1) if site.has(1) else np.asarray(site.integers("axes", tuple(range(len(live.shape)))))
    )
    axes = tuple(sorted({site.axis(int(axis), len(live.shape)) for axis in given}))
    keeps = bool(site.integer("keepdims", 1))
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(live.shape))
    stored = tuple(live.order.index(axis) + 1 for axis in axes)
    counts = Counts({("vector_unit", "add"): live.elements, ("vector_unit", "multiply"): int(np.prod(shape))})
    mean = along(leaf(live), lambda values: values.mean(axis=stored, keepdims=True, dtype=np.float32), shape, counts)
    if keeps:
        reals.put(site.output, mean)
        return
    kept = tuple(size for axis, size in enumerate(live.shape) if axis not in axes)
    reals.put(site.output, _without(mean, live, kept or (1,)))


def _without(mean: Expression, live: Live, shape: Shape) -> Expression:
    """Drop the axes of size 1, in the file's order of the others."""
    back = (0, *(live.order.index(axis) + 1 for axis in range(len(live.order))))
    inner = mean.body
    return replace(
        mean,
        body=lambda values: inner(values).transpose(back).reshape(len(values[0]), *shape),
        shape=shape,
        order=plain(shape),
    )


def concat(site: Site, reals: Reals) -> None:
    """Tensors side by side, each brought to the output's codes."""
    lives = [site.live(place) for place in range(len(site.node.inputs))]
    order = lives[0].order
    axis = site.axis(site.integer("axis", 0), len(order))
    moved = [site.graph.in_order(one, order) if len(one.shape) == len(order) else one for one in lives]
    others = {tuple(size for place, size in enumerate(one.shape) if place != axis) for one in moved}
    if len(others) != 1 or any(len(one.shape) != len(order) for one in moved):
        raise ConfigError(f"{site.label}: shapes {[list(one.shape) for one in lives]} do not go together")
    shape = (*lives[0].shape[:axis], sum(one.shape[axis] for one in lives), *lives[0].shape[axis + 1 :])
    place = order.index(axis) + 1
    counts = Counts({("vector_unit", "multiply"): int(np.prod(shape))})
    joined = Expression(
        tuple(moved), lambda values: np.concatenate(list(values), axis=place), shape, order, counts, pointwise=False
    )
    reals.put(site.output, joined)


def pad(site: Site, reals: Reals) -> None:
    """A constant round a tensor."""
    live = site.live(0)
    if site.node.attributes.get("mode", "constant") != "constant" or site.has(3):
        raise UnsupportedError(f"{site.label}: a mode other than constant, or axes")
    amounts = [int(one) for one in (site.array(1).reshape(-1) if site.has(1) else site.integers("pads", ()))[:17]]
    count = len(live.shape)
    if len(amounts) != 2 * count or not all(0 <= one <= 1 << 20 for one in amounts):
        raise ConfigError(f"{site.label}: padding {amounts} of {count} axes")
    value = float(site.array(2).reshape(-1)[0]) if site.has(2) else site.real("value", 0.0)
    if not np.isfinite(value):
        raise ConfigError(f"{site.label}: padding with {value}")
    pairs = [(amounts[axis], amounts[axis + count]) for axis in range(count)]
    shape = tuple(size + sum(pair) for size, pair in zip(live.shape, pairs, strict=True))
    site.graph.check_size(site.node.name, shape)
    stored = [(0, 0), *(pairs[axis] for axis in live.order)]
    counts = Counts({("vector_unit", "multiply"): live.elements, ("vector_unit", "move"): int(np.prod(shape))})
    reals.put(
        site.output, along(leaf(live), lambda values: np.pad(values, stored, constant_values=value), shape, counts)
    )


def pointwise(function: Callable[[Float32Array], Float32Array]) -> Builder:
    """Build a function of each element, which is a look-up in codes."""

    def build(site: Site, reals: Reals) -> None:
        reals.put(site.output, apply(leaf(site.live(0)), function, "multiply"))

    return build


def gelu(site: Site, reals: Reals) -> None:
    """``x Phi(x)``, exact or by tanh."""
    kind = site.node.attributes.get("approximate", "none")
    if kind not in ("none", "tanh"):
        raise ConfigError(f"{site.label}: approximate {str(kind)[:40]}; allowed: none, tanh")
    pointwise(functions.gelu if kind == "none" else functions.gelu_by_tanh)(site, reals)


def layer_normalization(site: Site, reals: Reals) -> None:
    """Inputs: x, scale, shift: each row along the last axes less its mean, over its standard deviation, in float32."""
    source = _source(site, plain)
    axis = site.axis(site.integer("axis", -1), len(source.shape))
    shape = source.shape[axis:]
    factors = [np.asarray(site.array(place), np.float32) for place in (1, 2) if site.has(place)]
    if not factors or any(one.shape != shape for one in factors):
        raise UnsupportedError(f"{site.label}: scale or shift of other shapes than {list(shape)}")
    axes = tuple(range(axis + 1, len(source.shape) + 1))
    epsilon = np.float32(site.real("epsilon", 1e-5))
    elements, rows = source.elements, source.elements // int(np.prod(shape))
    counts = Counts(
        {
            ("vector_unit", "add"): 4 * elements,
            ("vector_unit", "multiply"): 3 * elements,
            ("activation_lut", "lookup"): rows,
        }
    )
    body = functions.LayerNormalization(axes, epsilon, tuple(factors))
    reals.put(site.output, along(leaf(source), body, source.shape, counts))


BUILDERS: dict[str, Builder] = {
    "Add": add,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Erf": pointwise(functions.erf),
    "Gelu": gelu,
    "Gemm": gemm,
    "LSTM": lstm,
    "LayerNormalization": layer_normalization,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": _rectify("relu"),
    "Sigmoid": _lut("sigmoid"),
    "Tanh": _lut("tanh"),
}
