"""Tensors of a network: names, shapes, constants, and how integers stand for reals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.numerics.quantization import Quantization

Shape = tuple[int, ...]
Values = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named tensor. ``shape`` is that of one sample, channels last.

    ``data`` holds a constant's values: reals, or codes once ``quantization`` is set. Activations have none.
    ``is_internal`` marks a tensor that the user's file does not have. ``index_bits`` is the width of what memory holds
    for an element where that is not the element itself, but something shorter; ``decoding`` names what a decoder
    before the array does with each: "lookup" in a table, "subtract" a zero point, "float_multiply" by a scale.
    ``copy_of`` names the constant that several layers read and that this one is a copy of, for one of them.
    ``order`` says which axis of the user's array each axis is; None: they are the same.
    """

    name: str
    shape: Shape
    data: Values | None = None
    quantization: Quantization | None = None
    is_internal: bool = False
    index_bits: int | None = None
    decoding: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None
    copy_of: str | None = None

    @property
    def user_shape(self) -> Shape:
        """The shape of the user's array."""
        if self.order is None:
            return self.shape
        return tuple(self.shape[self.order.index(axis)] for axis in range(len(self.order)))
