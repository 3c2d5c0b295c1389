"""The least and the greatest value that any register would hold if no add could overflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.array.params import ArrayParams, Dataflow
from hwsim.numerics.formats import IntArray

Array = np.ndarray[Any, Any]
BLOCK_ELEMENTS = 1 << 16
INT32_SUMS = 1 << 31


@dataclass(frozen=True, slots=True)
class Extremes:
    """The ends of a range of partial sums; 0, what a register starts from, lies in it."""

    least: int = 0
    greatest: int = 0

    def widened(self, other: Extremes) -> Extremes:
        """Return the range that holds both."""
        return Extremes(min(self.least, other.least), max(self.greatest, other.greatest))

    @property
    def bits(self) -> int:
        """The fewest bits of a signed accumulator that holds the range: one bit less, and an add overflows."""
        return (max(-self.least, 1 + self.greatest) - 1).bit_length() + 1


def partial_sum_extremes(params: ArrayParams, activations: IntArray, weights: IntArray, initial: IntArray) -> Extremes:
    """Return the range of all partial sums of a product, in the order in which the dataflow adds.

    Output stationary, a sum runs over the whole depth; otherwise over the rows of each depth tile, and the tiles'
    sums are added under the array.

    Args:
        params: the array; its accumulator's width does not matter.
        activations: (out_rows, depth).
        weights: (depth, out_cols).
        initial: (out_rows, out_cols), what the sums start from.
    """
    dtype = np.int32 if _bound(activations, weights, initial) < INT32_SUMS else np.int64
    operands = weights.astype(dtype)
    tile = activations.shape[1] if params.dataflow is Dataflow.OUTPUT_STATIONARY else params.rows
    found = Extremes()
    block = max(1, BLOCK_ELEMENTS // weights.shape[1])
    for start in range(0, len(activations), block):
        rows = slice(start, start + block)
        terms = np.ascontiguousarray(activations[rows].T, dtype)
        for sums in _registers(terms, operands, initial[rows].astype(dtype), tile):
            found = found.widened(Extremes(int(sums.min()), int(sums.max())))
    return found


def _bound(activations: IntArray, weights: IntArray, initial: IntArray) -> int:
    """Return what no partial sum can exceed."""
    largest = [int(np.abs(values).max(initial=0)) for values in (activations, weights, initial)]
    return largest[0] * largest[1] * len(weights) + largest[2]


def _registers(terms: Array, weights: Array, initial: Array, tile: int) -> Iterator[Array]:
    """Yield the registers (rows, columns) after each add; each array is overwritten by the next."""
    under: Array | None = None
    product = np.empty_like(initial)
    for first in range(0, len(terms), tile):
        chain = initial.copy() if first == 0 else np.zeros_like(initial)
        yield chain
        for activation, weight in zip(terms[first : first + tile], weights[first : first + tile], strict=True):
            np.multiply(activation[:, None], weight, out=product)
            chain += product
            yield chain
        under = chain if under is None else under + chain
        yield under
