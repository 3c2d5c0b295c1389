"""Products of two activations, as in attention: the second one takes the place of the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.gather import Gather, StridedGather
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.matmul import MatmulOperator, activate
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import Requantizer
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.schemes import ProductOperator


@dataclass(frozen=True)
class ActivationProduct(MatmulOperator):
    """``scale x y`` of two activations; the second one's name is ``weight`` too. ``scale`` is part of requantization.

    One product for each of ``groups``; the output holds (rows, groups, columns).
    """

    scale: float = 1.0

    product: ClassVar[ProductOperator] = "fully_connected"

    @property
    def constants(self) -> tuple[str, ...]:
        """None: both operands are inputs."""
        return ()

    @abstractmethod
    def gather(self, input_shape: Shape) -> Gather:
        """Return which element of the first input is each operand, (groups, rows, depth)."""

    @abstractmethod
    def weight_gather(self, input_shape: Shape) -> Gather:
        """Return the same of the second input, (groups, depth, columns)."""

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Multiply each group's matrices, then by the scale."""
        left, right = (one.reshape(len(one), -1) for one in inputs)
        shapes = [one.shape[1:] for one in inputs]
        rows, columns = self.gather(shapes[0]), self.weight_gather(shapes[1])
        products = [left[:, rows.indices(group)] @ right[:, columns.indices(group)] for group in range(self.groups)]
        outputs = np.stack(products, axis=2) * self.scale
        return activate(outputs, self.activation).reshape(len(left), *self.output_shape(*shapes))

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> ActivationMatmulStep:
        """Let the second operand come with each sample.

        Raises:
            UnsupportedError: sums are to start from constants that only the sample tells.
        """
        step = super().lower(tensors, options)
        found = ActivationMatmulStep(
            **(vars(step) | {"weight_name": ""}), weight_gather=self.weight_gather(tensors[self.weight].shape)
        )
        if options.bias == "preload" and found.adds_column_sums:
            raise UnsupportedError(
                f"layer {self.name}: sums of a product of two activations cannot start from what only its operands "
                "tell; allowed: requantizer.bias: requantizer, or array.zero_point: operand"
            )
        return found

    def _weight_codes(self, weight: Tensor) -> IntArray:
        """Return zeros that take no memory: the codes come with each sample."""
        gather = self.weight_gather(weight.shape)
        return np.broadcast_to(np.int64(0), (gather.groups, gather.out_rows, gather.depth))

    def _bias(self, tensors: Mapping[str, Tensor], matrices: IntArray, options: LoweringOptions) -> IntArray:  # noqa: ARG002
        """Return zeros: the constants come with each sample."""
        return np.zeros((self.groups, matrices.shape[2]), np.int64)

    def _requantizer(
        self, inputs: Quantization, weights: Quantization, output: Quantization, options: LoweringOptions
    ) -> Requantizer:
        """Count the scale in."""
        scaled = inputs if self.scale == 1.0 else replace(inputs, scale=inputs.scale * self.scale)
        return super()._requantizer(scaled, weights, output, options)


@dataclass(frozen=True)
class ActivationMatmul(ActivationProduct):
    """One product for each head (``groups``), each on its part of the last axes.

    The first input is (rows, heads x depth); the second (depth, heads x columns), or (columns, heads x depth) if it is
    ``transposed``; the output is (rows, heads x columns).
    """

    transposed: bool = False

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
        return (left[0], self.groups * (right[0] if self.transposed else split[1] // self.groups))

    def gather(self, input_shape: Shape) -> Gather:
        """Each head's part of every row."""
        rows, width = input_shape
        return self._heads(rows, width // self.groups, (width, 1))

    def weight_gather(self, input_shape: Shape) -> Gather:
        """Each head's part of every row, or of every column if it is transposed."""
        rows, width = input_shape
        part = width // self.groups
        return self._heads(part, rows, (1, width)) if self.transposed else self._heads(rows, part, (width, 1))

    def _heads(self, rows: int, columns: int, strides: tuple[int, int]) -> StridedGather:
        size = columns if strides[1] == 1 else rows
        return StridedGather(tuple(head * size for head in range(self.groups)), rows, columns, *strides)


@dataclass(frozen=True)
class StridedMatmul(ActivationProduct):
    """Products of matrices that lie anywhere in their tensors: ``left`` (groups, rows, depth) by ``right``.

    ``shape`` is that of the output, whose elements are (rows, groups, columns).
    """

    left: StridedGather | None = None
    right: StridedGather | None = None
    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """What the reader found."""
        return self.shape

    def gather(self, input_shape: Shape) -> Gather:  # noqa: ARG002
        """Where the first operand lies."""
        assert self.left is not None  # noqa: S101  (a default only because the fields before have one)
        return self.left

    def weight_gather(self, input_shape: Shape) -> Gather:  # noqa: ARG002
        """Where the second operand lies."""
        assert self.right is not None  # noqa: S101  (as above)
        return self.right
