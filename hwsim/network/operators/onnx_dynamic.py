"""Codes that an ``.onnx`` file makes at run time: DynamicQuantizeLinear, and what follows products of such codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.qlinear import OnnxOperator
from hwsim.network.operators.quantized import Operands, Values
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray

LARGEST_CODE = 255


@dataclass(frozen=True)
class RunTimeParameters(OnnxOperator):
    """(scale, zero point) of uint8 codes that cover a tensor's values and 0, as reals.

    S = (max - min) / 255, Z = rint(0 - min / S), clamped, all in float32; S of 0 is 1.

    Source: DynamicQuantizeLinear in the ONNX operator specification.
    """

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(2,)."""
        return (2,)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Find the least and the greatest value of each sample."""
        flat = values[0].astype(np.float32).reshape(len(values[0]), -1)
        low, high = np.minimum(flat.min(axis=1), np.float32(0)), np.maximum(flat.max(axis=1), np.float32(0))
        scale = (high - low) / np.float32(LARGEST_CODE)
        scale = np.where(scale == 0, np.float32(1), scale)
        return np.stack([scale, np.clip(np.rint(-low / scale), 0, LARGEST_CODE)], axis=1)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """Two comparisons an element, a scale and a zero point."""
        return Counts(
            {("vector_unit", "float_compare"): 2 * int(np.prod(shapes[0])), ("vector_unit", "float_multiply"): 2}
        )


@dataclass(frozen=True)
class RunTimeCodes(OnnxOperator):
    """``rint(x / S) + Z`` of a tensor with its parameters, clamped to uint8."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The tensor's."""
        return shapes[0]

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Quantize each sample by its own parameters."""
        real, parameters = values[0].astype(np.float32), values[1].astype(np.float32)
        scale, zero = (parameters[:, part].reshape(-1, *(1,) * (real.ndim - 1)) for part in (0, 1))
        scale = np.where(scale > 0, scale, np.float32(1))  # parameters of a tensor always are
        return np.clip(np.rint(real / scale) + zero, 0, LARGEST_CODE).astype(np.int64)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """A multiplication by the reciprocal, an addition and a clamp for each element."""
        elements = operands.outputs
        return Counts(
            {
                ("vector_unit", "float_multiply"): elements,
                ("vector_unit", "add"): elements,
                ("vector_unit", "compare"): 2 * elements,
            }
        )


@dataclass(frozen=True)
class RunTimeOffset(OnnxOperator):
    """``sums - Z w``: what a zero point that is known at run time adds to sums of raw codes.

    ``weight_sums`` (elements,) are the weights that each sum has multiplied, without those that met padding.
    """

    weight_sums: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sums'."""
        return shapes[0]

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Subtract."""
        zero = values[1][:, 1].astype(np.int64).reshape(-1, *(1,) * (values[0].ndim - 1))
        return values[0] - zero * self.weight_sums.reshape(values[0].shape[1:])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """A multiplication and an addition for each sum."""
        return Counts({("vector_unit", "multiply"): operands.outputs, ("vector_unit", "add"): operands.outputs})
