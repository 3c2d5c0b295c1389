"""Nodes that compute constants from constants, such as the shapes that exporters spell out: evaluated while reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwsim.errors import ConfigError
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

MOST_ELEMENTS = 1 << 16
TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64, 3: np.int8, 2: np.uint8}


def fold(site: Site) -> bool:
    """Evaluate a node of constants; return False where it is none, or no operator for shapes.

    Raises:
        ConfigError: its inputs do not go together.
    """
    node = site.node
    if node.domain:
        return False
    if node.kind == "Shape" and site.has(0) and node.inputs[0] in site.graph.live:
        site.graph.arrays[site.output] = _shape(site)
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


def _shape(site: Site) -> Array:
    shape = site.graph.live[site.input(0)].shape
    return np.asarray(shape[site.integer("start", 0) : site.integer("end", len(shape))], np.int64)


def _gather(site: Site, inputs: Sequence[Array]) -> Array:
    if inputs[0].size * max(inputs[1].size, 1) > MOST_ELEMENTS**2 // 256:
        raise ValueError("too many elements")
    return np.take(inputs[0], np.asarray(inputs[1], np.int64), axis=site.integer("axis", 0))


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


def _divide(site: Site, inputs: Sequence[Array]) -> Array:  # noqa: ARG001
    first, second = _bounded(inputs)
    if first.dtype.kind in "iu":
        return np.trunc(first / second).astype(first.dtype)
    return np.asarray(first / second)


def _bounded(inputs: Sequence[Array]) -> Sequence[Array]:
    if np.prod(np.broadcast_shapes(*(one.shape for one in inputs)), dtype=float) > MOST_ELEMENTS:
        raise ValueError("too many elements")
    return inputs


Rule = Callable[[Site, Sequence[Array]], Array]
KEEPS_SIZE = ("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
RULES: dict[str, Rule] = {
    "Add": lambda _, inputs: np.add(*_bounded(inputs)),
    "Cast": _cast,
    "Concat": lambda site, inputs: np.concatenate(inputs, axis=site.integer("axis", 0)),
    "Div": _divide,
    "Gather": _gather,
    "Identity": lambda _, inputs: inputs[0],
    "Mul": lambda _, inputs: np.multiply(*_bounded(inputs)),
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": lambda _, inputs: np.subtract(*_bounded(inputs)),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
