"""Nodes that compute constants from constants, such as the shapes that exporters spell out: evaluated while reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.float32 import quantize
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

MOST_ELEMENTS = 1 << 20
TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64, 3: np.int8, 2: np.uint8}
Rule = Callable[[Site, Sequence[Array]], Array]


def fold(site: Site, reals: Reals) -> bool:
    """Evaluate a node of constants; return False where it is none, or no operator that is known here.

    Raises:
        ConfigError: its inputs do not go together.
    """
    node = site.node
    if node.domain:
        return False
    shape = _shape_of(site, reals) if node.kind in OF_SHAPES and node.inputs else None
    if shape is not None:
        site.graph.arrays[site.output] = OF_SHAPES[node.kind](site, shape)
        return True
    rule = RULES.get(node.kind)
    if rule is None or not node.inputs or not all(name in site.graph.arrays for name in node.inputs if name):
        return False
    inputs = [site.graph.arrays[name] for name in node.inputs if name]
    if node.kind not in KEEPS_SIZE and sum(one.size for one in inputs) > MOST_ELEMENTS:
        return False
    try:
        with np.errstate(all="ignore"):
            site.graph.arrays[site.output] = np.asarray(rule(site, inputs))
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(f"{site.label}: {str(error).splitlines()[0] if str(error) else 'no such constant'}") from None
    return True


def _shape_of(site: Site, reals: Reals) -> Shape | None:
    """Return the shape of the first input, be it a constant, codes or reals; None where it is not there."""
    name = site.input(0)
    found = site.graph.arrays.get(name)
    known = found if found is not None else site.graph.live.get(name) or reals.peek(name)
    return None if known is None else tuple(known.shape)


def _shape(site: Site, shape: Shape) -> Array:
    return np.asarray(shape[site.integer("start", 0) : site.integer("end", len(shape))], np.int64)


def _gather(site: Site, inputs: Sequence[Array]) -> Array:
    axis = site.axis(site.integer("axis", 0), inputs[0].ndim)
    _check_size([inputs[0].size // max(inputs[0].shape[axis], 1), inputs[1].size])
    return np.take(inputs[0], np.asarray(inputs[1], np.int64), axis=axis)


def _unsqueeze(site: Site, inputs: Sequence[Array]) -> Array:
    axes = [int(axis) for axis in inputs[1].reshape(-1)] if len(inputs) > 1 else site.integers("axes", ())
    return np.expand_dims(inputs[0], tuple(axes))


def _squeeze(site: Site, inputs: Sequence[Array]) -> Array:
    axes = [int(axis) for axis in inputs[1].reshape(-1)] if len(inputs) > 1 else list(site.integers("axes", ()))
    return np.squeeze(inputs[0], tuple(axes) if axes else None)


def _cast(site: Site, inputs: Sequence[Array]) -> Array:
    kind = TYPES.get(site.integer("to", 0))
    if kind is None:
        raise ValueError(f"a cast to type {site.integer('to', 0)}")
    return inputs[0].astype(kind)


def _slice(site: Site, inputs: Sequence[Array]) -> Array:
    data, *rest = inputs
    if len(rest) < 2:
        rest = [np.asarray(site.integers(name, ())) for name in ("starts", "ends")]
    axes = rest[2] if len(rest) > 2 else np.arange(len(rest[0]))
    steps = rest[3] if len(rest) > 3 else np.ones(len(rest[0]), np.int64)
    cuts = [slice(None)] * data.ndim
    for axis, begin, end, step in zip(axes, rest[0], rest[1], steps, strict=True):
        cuts[int(axis)] = slice(int(begin), int(end), int(step))
    return data[tuple(cuts)]


def _transpose(site: Site, inputs: Sequence[Array]) -> Array:
    return inputs[0].transpose(site.integers("perm", tuple(range(inputs[0].ndim))[::-1]))


def _reshape(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    sizes = [int(size) for size in inputs[1].reshape(-1)]
    return inputs[0].reshape([inputs[0].shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])


def _filled(site: Site, inputs: Sequence[Array]) -> Array:
    value = np.asarray(site.node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return np.full(_sizes(inputs[0]), value)


def _sizes(wanted: Array) -> Shape:
    sizes = tuple(int(size) for size in wanted.reshape(-1))
    _check_size(sizes)
    return sizes


def _check_size(sizes: Sequence[int]) -> None:
    """Raise a ValueError if the product of sizes, which are of unlimited width here, is more than is computed."""
    if prod(sizes) > MOST_ELEMENTS:
        raise ValueError("too many elements")


def _expand(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(size) for size in inputs[1].reshape(-1)))
    return np.broadcast_to(inputs[0], _sizes(np.asarray(shape, np.int64)))


def _tile(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    counts = [int(count) for count in inputs[1]]
    _check_size([inputs[0].size, *counts])
    return np.tile(inputs[0], counts)


def _range(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    start, limit, step = (one.reshape(-1)[0] for one in inputs)
    if abs(float(limit) - float(start)) > MOST_ELEMENTS * abs(float(step)):
        raise ValueError("too many elements")
    return np.arange(start, limit, step, dtype=inputs[0].dtype)


def _triangle(site: Site, inputs: Sequence[Array]) -> Array:
    cut = np.triu if site.integer("upper", 1) else np.tril
    return cut(inputs[0], int(inputs[1].reshape(-1)[0]) if len(inputs) > 1 else 0)


def _pairs(function: Callable[..., Array]) -> Rule:
    """Return the rule of a function of two tensors, or of more, one after the other."""
    return lambda _, inputs: reduce(function, _bounded(inputs))


def _single(function: Callable[[Array], Array]) -> Rule:
    return lambda _, inputs: function(inputs[0])


def _divide(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    first, second = _dividable(inputs)
    if first.dtype.kind in "iu":  # towards zero
        return np.asarray((first - np.fmod(first, second)) // second)
    return np.asarray(first / second)


def _modulo(site: Site, inputs: Sequence[Array]) -> Array:
    remainder = np.fmod if site.integer("fmod", 0) else np.mod
    return np.asarray(remainder(*_dividable(inputs)))


def _dividable(inputs: Sequence[Array]) -> Sequence[Array]:
    first, second = _bounded(inputs)
    if second.dtype.kind in "iu" and not np.all(second):
        raise ValueError("an integer divided by zero")
    return first, second


def _bounded(inputs: Sequence[Array]) -> Sequence[Array]:
    """Return inputs that are combined element by element.

    Raises:
        ValueError: they do not go together, or make more elements than are computed.
    """
    _check_size(np.broadcast_shapes(*(one.shape for one in inputs)))
    return inputs


def _matmul_integer(site: Site, inputs: Sequence[Array]) -> Array:
    zeros = [site.array(place) if site.has(place) else np.zeros((), np.int32) for place in (2, 3)]
    first, second = (one.astype(np.int32) - zero.astype(np.int32) for one, zero in zip(inputs[:2], zeros, strict=True))
    columns = second.shape[-1:] if second.ndim > 1 else ()
    _check_size([*np.broadcast_shapes(first.shape[:-2], second.shape[:-2]), *first.shape[-2:-1], *columns])
    return np.asarray(first @ second)


def _clip(site: Site, inputs: Sequence[Array]) -> Array:
    found = inputs[0]
    for place, bound in ((1, np.maximum), (2, np.minimum)):
        found = bound(*_bounded([found, site.array(place)])) if site.has(place) else found
    return found


def _quantize(site: Site, inputs: Sequence[Array]) -> Array:
    """QuantizeLinear by one scale."""
    grid = site.grid(1, 2)
    if grid.axis is not None or not site.has(2):
        raise ValueError("a constant that is quantized by several scales, or without a zero point")
    return np.asarray(quantize(inputs[0].astype(np.float32), grid)).astype(inputs[2].dtype)


OF_SHAPES: dict[str, Callable[[Site, Shape], Array]] = {
    "Shape": _shape,
    "Size": lambda _, shape: np.asarray(prod(shape), np.int64),
}
KEEPS_SIZE = ("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
RULES: dict[str, Rule] = {
    "Abs": _single(np.abs),
    "Add": _pairs(np.add),
    "And": _pairs(np.logical_and),
    "Cast": _cast,
    "Ceil": _single(np.ceil),
    "Clip": _clip,
    "Concat": lambda site, inputs: np.concatenate(inputs, axis=site.integer("axis", 0)),
    "ConstantOfShape": _filled,
    "Div": _divide,
    "Equal": _pairs(np.equal),
    "Expand": _expand,
    "Floor": _single(np.floor),
    "Gather": _gather,
    "Greater": _pairs(np.greater),
    "GreaterOrEqual": _pairs(np.greater_equal),
    "Identity": _single(lambda values: values),
    "Less": _pairs(np.less),
    "LessOrEqual": _pairs(np.less_equal),
    "MatMulInteger": _matmul_integer,
    "Max": _pairs(np.maximum),
    "Min": _pairs(np.minimum),
    "Mod": _modulo,
    "Mul": _pairs(np.multiply),
    "Neg": _single(np.negative),
    "Not": _single(np.logical_not),
    "Or": _pairs(np.logical_or),
    "Pow": lambda _, inputs: np.power(*_bounded(inputs)).astype(inputs[0].dtype),
    "QuantizeLinear": _quantize,
    "Range": _range,
    "Reciprocal": _single(np.reciprocal),
    "Reshape": _reshape,
    "Round": _single(np.rint),
    "Slice": _slice,
    "Sqrt": _single(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _pairs(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, inputs: np.where(*_bounded(inputs)),
}
