"""Nonlinear functions of codes by a rounding profile, on the activation LUT unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.steps import VectorOrLut
from hwsim.network.tensor import Shape
from hwsim.numerics.tflite.nonlinear import NonlinearFunction, nonlinear_table
from hwsim.numerics.tflite.softmax import build_softmax


@dataclass(frozen=True)
class TableFunction(QuantizedOperator):
    """Logistic or tanh of each element: one look-up, in a table with an entry for every code."""

    function: NonlinearFunction = "logistic"

    @property
    def unit(self) -> VectorOrLut:
        """The LUT."""
        return "activation_lut"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`nonlinear_table`."""
        return nonlinear_table(self.function, operands.profile, operands.source, operands.output).look_up(values[0])

    def work(self, shapes: Sequence[Shape], output: Shape) -> Counts:  # noqa: ARG002
        """One look-up an element."""
        return Counts({("activation_lut", "lookup"): int(np.prod(output))})


@dataclass(frozen=True)
class Softmax(QuantizedOperator):
    """``exp(beta x)`` over the sum along the last axis; differences from the greatest keep exponents negative."""

    beta: float = 1.0

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`build_softmax`."""
        return build_softmax(operands.profile, operands.source, operands.output, self.beta).apply(values[0])

    def work(self, shapes: Sequence[Shape], output: Shape) -> Counts:  # noqa: ARG002
        """Greatest, difference, exponential by look-up, sum and scaling for each element; one reciprocal a row."""
        elements = int(np.prod(output))
        return Counts(
            {
                ("vector_unit", "compare"): elements,
                ("vector_unit", "add"): 2 * elements,
                ("vector_unit", "multiply"): elements,
                ("vector_unit", "shift"): elements,
                ("activation_lut", "lookup"): elements + elements // output[-1],
            }
        )
