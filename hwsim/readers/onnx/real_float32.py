"""More builders of operators of reals: means, normalized rows, tensors joined and padded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.layer_norm import LayerNorm
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.expressions import Expression, along, leaf
from hwsim.readers.onnx.graph import Live, Order, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.rows import factors, rows
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]


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
    """Tensors side by side, each brought to the output's codes; constants may be among them."""
    constants = {place: site.array(place) for place in range(len(site.node.inputs)) if site.is_constant(place)}
    lives = [site.live(place) for place in range(len(site.node.inputs)) if place not in constants]
    if not lives:
        raise UnsupportedError(f"{site.label}: {sum(one.size for one in constants.values())} constants")
    order = lives[0].order
    shapes = [*(one.shape for one in lives), *(one.shape for one in constants.values())]
    axis = site.axis(site.integer("axis", 0), len(order))
    others = {tuple(size for place, size in enumerate(one) if place != axis) for one in shapes}
    if len(others) != 1 or any(len(one) != len(order) for one in shapes):
        raise ConfigError(f"{site.label}: shapes {[list(one) for one in shapes]} do not go together")
    moved = [site.graph.in_order(one, order) for one in lives]
    shape = (*shapes[0][:axis], sum(one[axis] for one in shapes), *shapes[0][axis + 1 :])
    body = _Joined(order.index(axis) + 1, {place: _stored(site, one, order) for place, one in constants.items()})
    counts = Counts({("vector_unit", "multiply"): int(np.prod(shape))})
    reals.put(site.output, Expression(tuple(moved), body, shape, order, counts, pointwise=False))


def _stored(site: Site, constant: Array, order: Order) -> Float32Array:
    if not np.all(np.isfinite(constant)):
        raise ConfigError(f"{site.label}: a constant that holds NaN or infinity")
    return np.asarray(constant, np.float32).transpose(order)


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """Tensors (samples, *shape) side by side along an axis, with constants at some of the places."""

    axis: int
    constants: Mapping[int, Float32Array]

    def __call__(self, values: Sequence[Float32Array]) -> Float32Array:
        """Put them side by side."""
        parts = list(values)
        for place, constant in sorted(self.constants.items()):
            parts.insert(place, np.broadcast_to(constant, (len(values[0]), *constant.shape)))
        return np.concatenate(parts, axis=self.axis)


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


def layer_normalization(site: Site, reals: Reals) -> None:
    """Inputs: x, scale, shift: each row along the last axes less its mean, over its standard deviation."""
    source = rows(site, reals, site.integer("axis", -1))
    live = source.leaves[0] if source.is_leaf else reals.compute(source, site.graph.internal_name(site.input(0)), None)
    scale, shift = factors(site, live.shape)
    gamma, beta = (
        site.graph.add_reals(f"{site.node.name}.{part}", values.astype(np.float64))
        for part, values in (("gamma", scale), ("beta", shift))
    )
    epsilon = site.real("epsilon", 1e-5)
    operator = LayerNorm(site.node.name, (live.name,), site.output, gamma, beta, epsilon)
    site.graph.emit(operator, replace(live, name=site.output))


BUILDERS: dict[str, Builder] = {
    "Concat": concat,
    "LayerNormalization": layer_normalization,
    "Pad": pad,
    "ReduceMean": reduce_mean,
}
