"""Builders of functions of rows of reals in float32: softmax and layer normalization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.network.operators.layer_norm import float_work
from hwsim.network.operators.qlinear import softmax_work
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import functions
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.expressions import Expression, along, leaf
from hwsim.readers.onnx.graph import plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site


def softmax(site: Site, reals: Reals) -> None:
    """Along the last axis; before opset 13 all axes from ``axis`` on are one row."""
    _of_rows(site, reals, functions.softmax)


def log_softmax(site: Site, reals: Reals) -> None:
    """The logarithm of `softmax`."""
    _of_rows(site, reals, functions.log_softmax)


def _of_rows(site: Site, reals: Reals, function: Callable[[Float32Array], Float32Array]) -> None:
    source = rows(site, reals)
    flattens = site.graph.model.opset < 13
    axis = site.axis(site.integer("axis", 1 if flattens else -1), len(source.shape))
    if axis != len(source.shape) - 1:
        raise UnsupportedError(f"{site.label}: axis {axis} of {list(source.shape)}; allowed: the last one")
    reals.put(site.output, along(source, function, source.shape, softmax_work(source.shape)))


def layer_normalization(site: Site, reals: Reals) -> None:
    """Inputs: x, scale, shift: each row along the last axes less its mean, over its standard deviation, in float32."""
    source = rows(site, reals, site.integer("axis", -1))
    scale, shift = factors(site, source.shape)
    count = len(source.shape)
    axes = tuple(range(count + 1 - scale.ndim, count + 1))
    body = functions.LayerNormalization(axes, np.float32(site.real("epsilon", 1e-5)), (scale, shift))
    counts = float_work(int(np.prod(source.shape)), scale.size)
    reals.put(site.output, along(source, body, source.shape, counts))


def factors(site: Site, shape: Shape) -> tuple[Array, Array]:
    """Return scale and shift of a normalization, of the shape of its rows, in float32; left out they are 1 and 0.

    Raises:
        UnsupportedError: they have other shapes.
    """
    row = shape[site.axis(site.integer("axis", -1), len(shape)) :]
    given = [site.array(place) if site.has(place) else neutral(row) for place, neutral in ((1, np.ones), (2, np.zeros))]
    if any(one.shape != row for one in given):
        raise UnsupportedError(f"{site.label}: scale or shift of other shapes than {list(row)}")
    scale, shift = (np.asarray(one, np.float32) for one in given)
    return scale, shift


def rows(site: Site, reals: Reals, axis: int = -1) -> Expression:
    """Return the first input, its axes from one on last and in the file's order."""
    source = reals.expression(site.input(0), site.label)
    last = plain(source.shape)[site.axis(axis, len(source.shape)) :]
    if source.order[len(source.order) - len(last) :] == last:
        return source
    return in_order(site, reals, plain)


def in_order(site: Site, reals: Reals, order: Callable[[Shape], tuple[int, ...]]) -> Expression:
    """Return the first input with its axes in an order; what has to be moved becomes a tensor."""
    source = reals.expression(site.input(0), site.label)
    wanted = order(source.shape)
    if source.order == wanted:
        return source
    if not source.is_leaf:
        source = leaf(reals.compute(source, site.graph.internal_name(site.input(0)), None))
    return leaf(site.graph.in_order(source.leaves[0], wanted))
