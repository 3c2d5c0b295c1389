"""Matrix products of two activations: stacks of matrices, wherever their tensors keep them."""

from __future__ import annotations

from math import prod

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.gather import StridedGather
from hwsim.network.operators.attention import StridedMatmul
from hwsim.network.tensor import Shape
from hwsim.readers.onnx.graph import Live, broadcast
from hwsim.readers.onnx.site import Site

MAX_PRODUCTS = 1 << 16


def stacked_product(site: Site, left: Live, right: Live) -> tuple[StridedMatmul, Live]:
    """Return the product of (..., rows, depth) by (..., depth, columns), and its output without codes.

    Axes before the last two are repeated as NumPy does. Both operands are read where they lie, in whatever order of
    axes; the output is kept as (rows, ..., columns).

    Raises:
        ConfigError: sizes that do not go together.
        UnsupportedError: an operand of one axis, or too many products.
    """
    sizes = f"{list(left.shape)} by {list(right.shape)}"
    if len(left.shape) < 2 or len(right.shape) < 2:
        raise UnsupportedError(f"{site.label}: {sizes}; allowed: activations of two axes or more")
    if left.shape[-1] != right.shape[-2]:
        raise ConfigError(f"{site.label}: {sizes} do not go together")
    stack = broadcast(site.label, left.shape[:-2], right.shape[:-2])
    if prod(stack) > MAX_PRODUCTS:
        raise UnsupportedError(f"{site.label}: {prod(stack)} products; allowed: {MAX_PRODUCTS}")
    shape = (*stack, left.shape[-2], right.shape[-1])
    order = (len(stack), *range(len(stack)), len(stack) + 1)
    output = Live(site.output, shape, order, None)
    operator = StridedMatmul(
        site.node.name,
        (left.name, right.name),
        site.output,
        right.name,
        groups=prod(stack),
        left=_matrices(left, stack),
        right=_matrices(right, stack),
        shape=output.stored_shape,
    )
    return operator, output


def _matrices(live: Live, stack: Shape) -> StridedGather:
    """Return where each matrix of a stack lies; axes that are missing or of size 1 are repeated."""
    strides = _strides(live)
    missing = len(stack) - len(live.shape) + 2
    steps = [0] * missing + [
        stride if size > 1 else 0 for stride, size in zip(strides[:-2], live.shape[:-2], strict=True)
    ]
    offsets = tuple(int(np.dot(place, steps)) for place in np.ndindex(*stack)) if stack else (0,)
    return StridedGather(offsets, live.shape[-2], live.shape[-1], strides[-2], strides[-1])


def _strides(live: Live) -> list[int]:
    """Return how many elements further the next one along each axis of the file is."""
    stored = live.stored_shape
    return [prod(stored[live.order.index(axis) + 1 :]) for axis in range(len(live.shape))]
