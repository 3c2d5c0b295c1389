"""Products of 8-bit codes between tensors of reals: activations become codes at run time, sums become reals again.

Such a product of a file is four layers here: the least and the greatest value of the input, its codes, the product on
the array, whose sums leave it as they are, and their rescaling. The codes are padded as they are written: only then
is the code of 0 known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.matmul import activate
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.operators.real import RECIPROCAL_ADDS, RECIPROCAL_MULTIPLICATIONS
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray
from hwsim.numerics.tflite.run_time import RunTimeGrid, ranges, run_time_grid, to_reals
from hwsim.numerics.tflite.scales import Float32Array, TfliteActivation

Amounts = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class RunTimeRange(QuantizedOperator):
    """Least and greatest value of each row of the input, which is cut into ``rows``; both widened to 0."""

    rows: int = 1

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(rows, 2)."""
        return (self.rows, 2)

    def real_values(self, values: Sequence[Values]) -> Values:
        """`ranges`."""
        return ranges(values[0].astype(np.float32).reshape(len(values[0]), self.rows, -1))

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """Two comparisons an element."""
        return Counts({("vector_unit", "float_compare"): 2 * int(np.prod(shapes[0]))})


@dataclass(frozen=True)
class RunTimeQuantize(QuantizedOperator):
    """Codes of the first operand by the ranges in the second, surrounded by ``amounts`` of the code of 0."""

    symmetric: bool = False
    amounts: Amounts = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's, with the padding."""
        amounts = self.amounts or ((0, 0),) * len(shapes[0])
        return tuple(size + sum(pair) for size, pair in zip(shapes[0], amounts, strict=True))

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`run_time_grid`."""
        real, limits = values[0].astype(np.float32), values[1].astype(np.float32)
        grid = run_time_grid(operands.profile, limits, symmetric=self.symmetric)
        codes = grid.quantize(real.reshape(*limits.shape[:2], -1)).reshape(real.shape)
        if not self.amounts:
            return codes
        padded = np.empty((len(codes), *operands.output_shape), np.int64)
        padded[:] = grid.zero_point.reshape(*limits.shape[:2], *(1,) * (codes.ndim - 2))
        inside = tuple(
            slice(before, before + size) for (before, _), size in zip(self.amounts, codes.shape[1:], strict=True)
        )
        padded[:, *inside] = codes
        return padded

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """Scaling, zero point and clamp for each element, a move for each of the padding; a grid for each row."""
        elements, rows = int(np.prod(shapes[0])), shapes[1][0]
        return Counts(
            {
                ("vector_unit", "float_multiply"): elements + rows * (2 + RECIPROCAL_MULTIPLICATIONS),
                ("vector_unit", "float_add"): rows * (2 + RECIPROCAL_ADDS),
                ("vector_unit", "add"): elements,
                ("vector_unit", "compare"): 2 * elements,
                ("vector_unit", "move"): operands.outputs - elements,
            }
        )


@dataclass(frozen=True, eq=False)
class ProductConstants:
    """What turns sums into reals, per output channel: scales and sums of the weights, and the bias."""

    weight_scale: Float32Array
    weight_sums: IntArray
    bias: Float32Array | None
    activation: TfliteActivation


@dataclass(frozen=True, eq=False)
class RunTimeRescale(QuantizedOperator):
    """Reals from the sums of raw codes (first operand) and the ranges that their codes came from (second)."""

    constants_of: ProductConstants | None = None
    symmetric: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sums'."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """Take ``Z sum(w)`` off the sums, then `to_reals`, then the activation."""
        product = self._constants
        sums, limits = values[0], values[1].astype(np.float32)
        grid: RunTimeGrid = run_time_grid(operands.profile, limits, symmetric=self.symmetric)
        rows = sums.reshape(len(sums), limits.shape[1], -1, sums.shape[-1])
        inner = rows - grid.zero_point[..., np.newaxis] * product.weight_sums
        real = to_reals(operands.profile, inner, grid.scale[..., np.newaxis], product.weight_scale, product.bias)
        return activate(real, product.activation).astype(np.float32).reshape(sums.shape)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """An integer multiplication and addition, two of reals and a bias for each element; perhaps a clamp."""
        outputs = operands.outputs
        actions = Counts(
            {
                ("vector_unit", "multiply"): outputs,
                ("vector_unit", "add"): outputs,
                ("vector_unit", "float_multiply"): 2 * outputs,
            }
        )
        if self._constants.bias is not None:
            actions["vector_unit", "float_add"] += outputs
        if self._constants.activation != "none":
            actions["vector_unit", "float_compare"] += 2 * outputs
        return actions

    @property
    def _constants(self) -> ProductConstants:
        assert self.constants_of is not None  # noqa: S101  (a default only because the fields before have one)
        return self.constants_of
