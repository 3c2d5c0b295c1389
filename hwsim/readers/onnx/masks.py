"""Masks of attention scores: numbers far below any score, added or put in place, of which a softmax makes zeros.

They have no place on the grid of the scores, so that the softmax that alone reads them takes scores and mask together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.expressions import Expression, with_constant
from hwsim.readers.onnx.graph import broadcast
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

MASKED = -1e3
"""A mask's numbers are at most this: exp(-1000) is 0 in float32."""


def add_mask(site: Site, reals: Reals) -> bool:
    """Add a mask to scores; return False where a constant is none, or others than a softmax read the sum."""
    place = next((place for place in (0, 1) if site.is_constant(place)), None)
    if place is None or not _is_mask(site, reals, site.array(place)):
        return False
    _combine(site, reals, 1 - place, site.array(place), np.add, "add")
    reals.keep(site.output)
    return True


def where(site: Site, reals: Reals) -> None:
    """Inputs: a condition and two tensors, one of which may be an activation: it and a constant, element by element."""
    condition, live = np.asarray(site.array(0), np.bool_), [place for place in (1, 2) if not site.is_constant(place)]
    if len(live) != 1:
        raise UnsupportedError(f"{site.label}: two activations; allowed: one, and a constant")
    (place,) = live
    constant = np.asarray(site.array(3 - place), np.float32)
    is_mask = _is_mask(site, reals, constant)
    if not np.all(np.isfinite(constant)) and not is_mask:
        raise ConfigError(f"{site.label}: a constant that holds NaN or infinity")
    _check_shape(site, reals.expression(site.input(place), site.label), condition, constant)
    kept = condition if place == 1 else ~condition
    chosen = np.where(kept, np.float32(np.nan), constant)  # not a number: the activation stays

    def choose(real: Float32Array, other: Float32Array) -> Float32Array:
        return np.where(np.isnan(other), real, other)

    _combine(site, reals, place, chosen, choose, "compare")
    if is_mask:
        reals.keep(site.output)


def _is_mask(site: Site, reals: Reals, constant: Array) -> bool:
    """Tell whether a constant's numbers are zeros and far below, and only a softmax reads what it is combined with."""
    readers = [node for node in site.graph.model.nodes if site.output in node.inputs]
    if [node.kind for node in readers] != ["Softmax"] or reals.readers(site.output) != 1 or not constant.size:
        return False
    return bool(np.all((constant == 0) | (constant <= MASKED)) and np.any(constant <= MASKED))


def _combine(
    site: Site, reals: Reals, place: int, constant: Array, function: Callable[..., Float32Array], action: str
) -> None:
    expression = reals.expression(site.input(place), site.label)
    _check_shape(site, expression, constant)
    reals.put(site.output, with_constant(expression, constant, function, action))


def _check_shape(site: Site, expression: Expression, *constants: Array) -> None:
    """Refuse constants that do not go with an activation's shape.

    Raises:
        UnsupportedError: one of them is larger.
    """
    shape = expression.shape
    for one in constants:
        if one.ndim > len(shape) or broadcast(site.label, shape, one.shape) != shape:
            raise UnsupportedError(f"{site.label}: a constant of more elements than the activation")
