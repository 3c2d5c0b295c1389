"""What transformers need besides dense layers: products of two activations, and rows brought to mean 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.gather import Gather
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.conv_gather import ConvGather
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.operators.windows import axis
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.schemes import ProductOperator


@dataclass(frozen=True)
class ActivationMatmul(MatmulOperator):
    """``x y`` of two activations, one product for each head (``groups``), each on its part of the last axes.

    The first is (rows, heads x depth); the second, whose name is ``weight`` too, is (depth, heads x columns), or
    (columns, heads x depth) if it is ``transposed``; the output is (rows, heads x columns). It can be timed only.
    """

    transposed: bool = False

    product: ClassVar[ProductOperator] = "fully_connected"

    @property
    def constants(self) -> tuple[str, ...]:
        """None: both operands are inputs."""
        return ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """(rows, heads x columns)."""
        left, right = shapes
        if len(left) != 2 or len(right) != 2:
            raise ConfigError(f"layer {self.name}: inputs of shape {list(left)} and {list(right)}; allowed: two axes")
        split = (left[1], right[1])
        depths = (left[1] // self.groups, right[1] // self.groups if self.transposed else right[0])
        if any(size % self.groups for size in split) or depths[0] != depths[1]:
            raise ConfigError(
                f"layer {self.name}: {self.groups} heads of {list(left)} by {list(right)}"
                f"{' transposed' if self.transposed else ''}; allowed: heads that divide both, and equal depths"
            )
        return (left[0], self.groups * self._columns(right))

    def gather(self, input_shape: Shape) -> Gather:
        """Each head's part of every row: a pointwise convolution of as many groups reads the same elements."""
        rows, width = input_shape
        one = axis(1, 1, 1, "valid")
        return ConvGather(axis(rows, 1, 1, "valid"), one, width // self.groups, self.groups)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Refuse: there are shapes alone.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"layer {self.name}: a product of two activations can be timed, not computed")

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> MatmulStep:
        """Plan the second operand as the weights: it comes from DRAM like those.

        Raises:
            UnsupportedError: values are wanted.
        """
        if options.has_values:
            raise UnsupportedError(f"layer {self.name}: a product of two activations can be timed, not computed")
        return super().lower(tensors, options)

    def _weight_codes(self, weight: Tensor) -> IntArray:
        depth = weight.shape[1] // self.groups if self.transposed else weight.shape[0]
        return np.broadcast_to(np.int64(0), (self.groups, depth, self._columns(weight.shape)))

    def _columns(self, right: Shape) -> int:
        """Output columns of a head."""
        return right[0] if self.transposed else right[1] // self.groups


@dataclass(frozen=True)
class LayerNorm(QuantizedOperator):
    """Each row less its mean, over its standard deviation, then scaled and shifted by channel. It can be timed only."""

    actions: ClassVar[Mapping[str, int]] = {"add": 4, "multiply": 3, "shift": 3}
    """For an element: sum, difference, sum of squares, shift by channel; square, two scalings."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Refuse: no rounding profile has it.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("layer_norm can be timed, not computed")

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """Also a reciprocal square root by look-up for each row."""
        counts = super().work(shapes, operands)
        counts["activation_lut", "lookup"] = int(np.prod(operands.output_shape[:-1]))
        return counts
