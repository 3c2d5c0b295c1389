"""Nonlinear functions of codes by a rounding profile, on the activation LUT unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.operators.real import (
    EXPONENTIAL_ADDS,
    EXPONENTIAL_MULTIPLICATIONS,
    RECIPROCAL_ADDS,
    RECIPROCAL_MULTIPLICATIONS,
)
from hwsim.network.parts import PartsKind
from hwsim.network.tensor import Shape
from hwsim.numerics.lut import FUNCTIONS
from hwsim.numerics.onnxruntime import functions as float32
from hwsim.numerics.tflite.nonlinear import NonlinearFunction, nonlinear_table
from hwsim.numerics.tflite.softmax import build_softmax

TABLE_BITS = 8  # codes up to here have a table with an entry for each of them


def _entries(operands: Operands) -> int:
    """Return how many entries of its table a look-up reads: one for codes of 8 bits, two to interpolate between."""
    return 1 if operands.are_real or operands.source.format.bits <= TABLE_BITS else 2


@dataclass(frozen=True)
class TableFunction(QuantizedOperator):
    """Logistic or tanh of each element, by look-up."""

    work_parts: ClassVar[PartsKind] = "elements"

    function: NonlinearFunction = "logistic"

    has_float32_form: ClassVar[bool] = True

    def reads_per_lookup(self, operands: Operands) -> int:
        """One, or two to interpolate between."""
        return _entries(operands)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`nonlinear_table`."""
        return nonlinear_table(self.function, operands.profile, operands.source, operands.output).look_up(values[0])

    def real_values(self, values: Sequence[Values]) -> Values:
        """Evaluate the function itself."""
        name = "sigmoid" if self.function == "logistic" else "tanh"
        return FUNCTIONS[name](values[0].astype(np.float64)).astype(values[0].dtype)

    def float32_values(self, values: Sequence[Values]) -> Values:
        """`onnxruntime.functions`."""
        return (float32.sigmoid if self.function == "logistic" else float32.tanh)(values[0])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """One look-up an element; two of 16-bit codes, between whose entries the unit interpolates.

        Of reals an exponential, an addition and a reciprocal.
        """
        if operands.are_real:
            return _exponentials(operands.outputs, reciprocals=operands.outputs)
        return Counts({("activation_lut", "lookup"): operands.outputs * _entries(operands)})


@dataclass(frozen=True)
class Softmax(QuantizedOperator):
    """``exp(beta x)`` over the sum along the last axis; differences from the greatest keep exponents negative."""

    work_parts: ClassVar[PartsKind] = "rows"

    beta: float = 1.0

    has_float32_form: ClassVar[bool] = True

    def reads_per_lookup(self, operands: Operands) -> int:
        """One, or two to interpolate between."""
        return _entries(operands)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`build_softmax`."""
        return build_softmax(operands.profile, operands.source, operands.output, self.beta).apply(values[0])

    def real_values(self, values: Sequence[Values]) -> Values:
        """Evaluate the function itself."""
        (real,) = values
        exponentials = np.exp((real - real.max(axis=-1, keepdims=True)) * real.dtype.type(self.beta))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def float32_values(self, values: Sequence[Values]) -> Values:
        """`onnxruntime.functions.softmax`."""
        return float32.softmax(values[0] * np.float32(self.beta) if self.beta != 1 else values[0])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """Greatest, difference, exponential by look-up, sum and scaling for each element; one reciprocal a row.

        16-bit codes take two entries a look-up, and their differences are rescaled to the table's grid.
        """
        if operands.are_real:
            return self._real_work(operands)
        elements, entries = operands.outputs, _entries(operands)
        multiplications = elements * entries
        return Counts(
            {
                ("vector_unit", "compare"): elements,
                ("vector_unit", "add"): 2 * elements,
                ("vector_unit", "multiply"): multiplications,
                ("vector_unit", "shift"): multiplications,
                ("activation_lut", "lookup"): entries * (elements + elements // operands.output_shape[-1]),
            }
        )

    def _real_work(self, operands: Operands) -> Counts:
        """The greatest, its difference and beta, an exponential and a scaling for each element; a reciprocal a row."""
        elements = operands.outputs
        actions = _exponentials(elements, reciprocals=elements // operands.output_shape[-1])
        actions["vector_unit", "float_compare"] += elements
        actions["vector_unit", "float_add"] += elements
        actions["vector_unit", "float_multiply"] += 2 * elements
        return actions


def _exponentials(exponentials: int, *, reciprocals: int) -> Counts:
    """Return the actions of exponentials, each with an addition after it, and of reciprocals."""
    multiplications = EXPONENTIAL_MULTIPLICATIONS * exponentials + RECIPROCAL_MULTIPLICATIONS * reciprocals
    adds = (EXPONENTIAL_ADDS + 1) * exponentials + RECIPROCAL_ADDS * reciprocals
    return Counts({("vector_unit", "float_multiply"): multiplications, ("vector_unit", "float_add"): adds})
