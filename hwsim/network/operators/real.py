"""Products of reals, on the vector unit: neither operand is codes, so that the array cannot take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.tensor import Shape

# x' = x (2 - d x), twice from a table's first guess: what a reciprocal takes.
RECIPROCAL_MULTIPLICATIONS = 4
RECIPROCAL_ADDS = 2
# Argument reduction and a polynomial of degree 5 by Horner's rule: what an exponential takes.
EXPONENTIAL_MULTIPLICATIONS = 7
EXPONENTIAL_ADDS = 6

CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True, eq=False)
class RealProduct(QuantizedOperator):
    """The product that ``like`` describes, of the operands: input, weights as the file lays them out, perhaps bias.

    Every product and sum is a float32 action; values are summed in float64 and rounded to float32 once, so that they
    lie within the roundings of any order of float32 additions.
    """

    like: MatmulOperator | None = None
    order: tuple[int, ...] = ()
    """The axes of the weights in the order of ``like``: output channels last."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """As the product says, in the file's number of dimensions."""
        return self._like.output_shape(shapes[0])

    def real_values(self, values: Sequence[Values]) -> Values:
        """Multiply, add, activate, a few samples at a time."""
        inputs, weight = values[0], values[1][0].transpose(self.order)
        bias = values[2][0] if len(values) > 2 else None
        most = max(1, CHUNK_ELEMENTS // max(self._operand_elements(inputs.shape[1:], weight.shape), 1))
        parts = [self._like.products(inputs[n : n + most], weight, bias) for n in range(0, len(inputs), most)]
        return np.concatenate(parts).astype(np.float32)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """A multiplication and an addition for each product, the bias's among them; perhaps a clamp."""
        outputs = operands.outputs
        macs = outputs * (int(np.prod(shapes[1])) // shapes[1][self.order[-1]])
        actions = Counts({("vector_unit", "float_multiply"): macs, ("vector_unit", "float_add"): macs})
        if self._like.activation != "none":
            actions["vector_unit", "float_compare"] += 2 * outputs
        return actions

    def _operand_elements(self, shape: Shape, weight: Shape) -> int:
        """Elements of one sample's windows: output pixels times the depth of the product and its groups."""
        pixels = int(np.prod(self._like.output_shape(shape)[:-1]))
        return pixels * int(np.prod(weight[:-1])) * self._like.groups

    @property
    def _like(self) -> MatmulOperator:
        assert self.like is not None  # noqa: S101  (a default only because the fields before have one)
        return self.like
