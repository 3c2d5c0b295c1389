"""Matrix products of floating-point numbers, rounded as the array's multipliers and adders round.

A MAC multiplies two operands and rounds the product to the accumulator's format, then adds it to the sum and rounds
again: two roundings, not one fused. Where the product of two operands always fits the accumulator's significand
(FP16, BF16 and FP8 with FP32 accumulators), the first rounding changes nothing and both are the same. All rounding is
to nearest, ties to even, with subnormals.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.array.folds import tiles
from hwsim.array.params import ArrayShape, Dataflow
from hwsim.numerics.formats import IntArray
from hwsim.numerics.number_formats import FloatFormat

Floats = np.ndarray[Any, Any]
"""Numbers in a format's ``dtype``."""


@dataclass(frozen=True, slots=True)
class FloatArray(ArrayShape):
    """A systolic array of floating-point MACs: operands in one format, sums in another."""

    operand: FloatFormat
    accumulator: FloatFormat


@dataclass(frozen=True, slots=True, eq=False)
class FloatProduct:
    """``sums`` (samples, out_rows, out_cols) in the accumulator's format; what overflowed.

    ``per_pe`` (rows + 1, cols) counts, over all samples, products and adds whose result is infinite or NaN while what
    went in was finite; row = rows is the accumulator under the array.
    """

    sums: Floats
    per_pe: IntArray


def float_product(array: FloatArray, activations: Floats, weights: Floats) -> FloatProduct:
    """Multiply (samples, out_rows, depth) activations by (depth, out_cols) weights in the array's order.

    Output stationary: every output adds its terms in order of depth. Weight and input stationary: the terms of a
    depth tile (as many as the array has rows) are added on their way down a column, and the tiles' sums one after
    the other in the accumulator under it.
    """
    per_pe = np.zeros((array.rows + 1, array.cols), np.int64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        sums = deque(_adds(array, activations, weights), maxlen=1).pop().after
        if not np.isfinite(sums).all():  # what is not finite stays so: without any there was no overflow on the way
            for add in _adds(array, activations, weights):
                _count(array, add, per_pe)
    return FloatProduct(sums, per_pe)


@dataclass(frozen=True, slots=True, eq=False)
class _Add:
    """One add of every output: of term ``term``, or (None) of a tile's sum under the array. (samples, rows, cols).

    ``made_of_finite`` tells where the addend is a product of finite numbers.
    """

    term: int | None
    before: Floats
    addend: Floats
    after: Floats
    made_of_finite: Any = False


def _adds(array: FloatArray, activations: Floats, weights: Floats) -> Iterator[_Add]:
    """Yield the adds in order; the last one's ``after`` is the product."""
    depth = weights.shape[0]
    if array.dataflow is Dataflow.OUTPUT_STATIONARY:
        yield from _chain(array, activations, weights, slice(0, depth))
        return
    first, *others = tiles(depth, array.rows)
    total = yield from _chain(array, activations, weights, first)
    for tile in others:
        chain = yield from _chain(array, activations, weights, tile)
        add = _Add(None, total, chain, total + chain)
        total = add.after
        yield add


def _chain(array: FloatArray, activations: Floats, weights: Floats, terms: slice) -> Generator[_Add, None, Floats]:
    """Add terms up from zero; return the sum."""
    dtype = array.accumulator.dtype
    register = np.zeros((*activations.shape[:2], weights.shape[1]), dtype)
    for term in range(terms.start, terms.stop):
        left, right = activations[:, :, term, np.newaxis], weights[term]
        product = left.astype(dtype) * right.astype(dtype)
        add = _Add(term, register, product, register + product, np.isfinite(left) & np.isfinite(right))
        register = add.after
        yield add
    return register


def _count(array: FloatArray, add: _Add, per_pe: IntArray) -> None:
    """Enter the overflows of one add, and of the product that is added, where they happen in the array."""
    finite = np.isfinite(add.addend)
    events = (~finite & add.made_of_finite).astype(np.int64)
    events += finite & np.isfinite(add.before) & ~np.isfinite(add.after)
    by_output = events.sum(axis=0)
    rows, cols = np.nonzero(by_output)
    if array.dataflow is Dataflow.OUTPUT_STATIONARY:
        place = rows % array.rows, cols % array.cols
    else:
        lane = cols if array.dataflow is Dataflow.WEIGHT_STATIONARY else rows
        row = array.rows if add.term is None else add.term % array.rows
        place = np.full_like(lane, row), lane % array.cols
    np.add.at(per_pe, place, by_output[rows, cols])
