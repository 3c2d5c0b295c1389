"""Expressions: reals as functions of tensors, composed while a file is read and computed when the network runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.file_nodes import FileNodes
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.graph import Live, Order, same_grid
from hwsim.readers.onnx.model import Array

Body = Callable[[Sequence[Float32Array]], Float32Array]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """Reals that are computed from other tensors: ``body`` works on their values in the order that they are kept in.

    ``pointwise`` is set while each element depends on the same element of one tensor alone; ``layer`` names the node
    that was applied last.
    """

    leaves: tuple[Live, ...]
    body: Body
    shape: Shape
    order: Order
    counts: Counts
    pointwise: bool
    layer: str = ""
    written: FileNodes | None = None
    """The nodes that it is made of, once the last of them is known to be done."""

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is computed yet."""
        return not self.counts

    @property
    def elements(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


def leaf(live: Live) -> Expression:
    """Return a tensor's reals."""
    return Expression((live,), lambda values: values[0], live.shape, live.order, Counts(), pointwise=True)


def has_grid(live: Live, grid: Quantization) -> bool:
    """Tell whether a tensor's codes stand for reals by a quantization."""
    return live.codes is not None and live.codes.grid is not None and same_grid(live.codes.grid, grid)


def apply(source: Expression, function: Callable[[Float32Array], Float32Array], action: str) -> Expression:
    """Apply a function of each element."""
    inner = source.body
    return replace(
        source,
        written=None,
        body=lambda values: function(inner(values)),
        counts=_more(source.counts, {action: source.elements}),
    )


def along(
    source: Expression, function: Callable[[Float32Array], Float32Array], shape: Shape, counts: Counts
) -> Expression:
    """Apply a function of the whole tensor that keeps the order of axes."""
    inner = source.body
    return replace(
        source,
        written=None,
        body=lambda values: function(inner(values)),
        shape=shape,
        counts=_more(source.counts, {}, counts),
        pointwise=False,
    )


def with_constant(
    source: Expression, constant: Array, function: Callable[[Float32Array, Float32Array], Float32Array], action: str
) -> Expression:
    """Combine with a constant of no larger shape: ``function(reals, constant)``."""
    aligned = constant.astype(np.float32).reshape((1,) * (len(source.shape) - constant.ndim) + constant.shape)
    stored = aligned.transpose(source.order)[np.newaxis]
    inner = source.body
    return replace(
        source,
        written=None,
        body=lambda values: function(inner(values), stored),
        counts=_more(source.counts, {action: source.elements}),
        pointwise=source.pointwise and constant.size == 1,
    )


def combine(
    first: Expression, second: Expression, shape: Shape, function: Callable[..., Float32Array], action: str
) -> Expression:
    """Combine two expressions: ``function(first, second)``, of a common ``shape``, in the first one's order."""
    order = first.order if len(first.shape) == len(shape) else second.order
    left, right = _aligned(first, shape, order), _aligned(second, shape, order)
    counts = _more(first.counts, {action: int(np.prod(shape))}, second.counts)
    if first.pointwise and second.pointwise and first.leaves == second.leaves and first.order == second.order:
        body = lambda values: function(left(values), right(values))  # noqa: E731
        return replace(first, body=body, counts=counts, written=None)
    count = len(first.leaves)
    return Expression(
        (*first.leaves, *second.leaves),
        lambda values: function(left(values[:count]), right(values[count:])),
        shape,
        order,
        counts,
        pointwise=False,
    )


def _aligned(one: Expression, shape: Shape, order: Order) -> Body:
    """Return the body with its axes in another order, and as many as ``shape`` has."""
    missing = len(shape) - len(one.shape)
    present = (*range(missing), *(axis + missing for axis in one.order))
    steps = (0, *(present.index(axis) + 1 for axis in order))
    inner = one.body

    def moved(values: Sequence[Float32Array]) -> Float32Array:
        found = inner(values)
        return found.reshape(len(found), *(1,) * missing, *found.shape[1:]).transpose(steps)

    return moved


def _more(before: Counts, vector: dict[str, int], others: Counts | None = None) -> Counts:
    total = Counts(before)
    total.update({("vector_unit", action): count for action, count in vector.items()})
    total.update(others or {})
    return total
