"""The integer LSTM, unrolled: for each time step two products on the array and one cell update on the vector unit.

A state tensor of shape (2, cells) holds the hidden state's codes and then the cell state's. Between the steps it lies
in DRAM like every tensor that several layers read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from hwsim.counts import Counts
from hwsim.network.gather import RowsGather
from hwsim.network.operator import LoweringOptions, quantization_of
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.requantize import Requantizer, RequantizerOptions, Scheme
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.lstm import GATES, IntegerLstm, LstmState, lstm_cell_update, lstm_gates
from hwsim.numerics.tflite.lstm_build import LstmTensors, build_lstm
from hwsim.numerics.tflite.multipliers import wrap32
from hwsim.numerics.tflite.profiles import Profile

SUM_FORMAT = IntFormat(32)


class RawSums(Scheme):
    """No multiplication: sums leave as 32-bit integers."""

    @classmethod
    def build(
        cls,
        input_scale: float,  # noqa: ARG003 (there is nothing to choose)
        weight_scale: FloatArray,  # noqa: ARG003
        output_scale: float,  # noqa: ARG003
        options: RequantizerOptions,  # noqa: ARG003
    ) -> Self:
        """Return the scheme."""
        return cls()

    def scale(self, accumulators: IntArray) -> IntArray:
        """Keep 32 bits."""
        return wrap32(accumulators)

    def columns(self, columns: slice) -> Self:  # noqa: ARG002
        """Return the scheme of some output channels: the same."""
        return self


@dataclass(frozen=True)
class GateSums(MatmulOperator):
    """``W x`` or ``R h`` of all gates, raw codes by raw codes: (1, depth) by (depth, 4 cells), as 32-bit sums.

    It reads ``depth`` elements of its input from ``first`` on.
    """

    first: int = 0
    depth: int = 0
    columns: int = 0
    activation_zero_point: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(4 cells,)."""
        return (self.columns,)

    def gather(self, input_shape: Shape) -> RowsGather:  # noqa: ARG002
        """The elements in order."""
        return RowsGather(1, self.depth, self.first)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> MatmulStep:
        """Lay out the weights; where zero points are subtracted in front of the PEs, they are added back after them."""
        weight = tensors[self.weight]
        matrix = self.weight_matrix(np.asarray(weight.data, np.int64))
        bias = np.zeros((1, self.columns), np.int64)
        if options.zero_point == "operand":
            bias += self.activation_zero_point * matrix.sum(axis=1)
        return MatmulStep(
            name=self.name,
            inputs=self.inputs,
            output=self.output,
            output_shape=tensors[self.output].shape,
            gather=self.gather(tensors[self.input].shape),
            weights=np.asarray(matrix),
            bias=bias,
            activation_format=IntFormat(8),
            weight_format=quantization_of(weight).format,
            activation_zero_point=self.activation_zero_point,
            weight_zero_point=np.asarray(0),
            zero_point=options.zero_point,
            bias_mode="requantizer",
            requantizer=Requantizer(RawSums(), 0, SUM_FORMAT.min, SUM_FORMAT.max),
            output_format=SUM_FORMAT,
            weight_name=self.weight,
        )


@lru_cache(maxsize=16)
def _built(profile: Profile, constants: LstmTensors) -> IntegerLstm:
    return build_lstm(profile, constants)


@dataclass(frozen=True)
class LstmStart(QuantizedOperator):
    """The state before the first step: the hidden state's zero point, a cell state of 0."""

    cells: int = 0
    hidden_zero_point: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(2, cells)."""
        return (2, self.cells)

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Fill the state."""
        state = np.zeros((len(values[0]), 2, self.cells), np.int64)
        state[:, 0] = self.hidden_zero_point
        return state


@dataclass(frozen=True, eq=False)
class LstmCell(QuantizedOperator):
    """The next state from the sums of ``W x`` and ``R h`` and the state before."""

    lstm: LstmTensors | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        """The state's."""
        return shapes[2]

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`lstm_gates` and `lstm_cell_update`."""
        assert self.lstm is not None  # noqa: S101  (a default only because the fields before have one)
        layer = _built(operands.profile, self.lstm)
        input_sums, recurrent_sums, state = values
        gates = lstm_gates(layer, input_sums, recurrent_sums)
        after = lstm_cell_update(layer, gates, LstmState(state[:, 0], state[:, 1]))
        return np.stack([after.hidden, after.cell], axis=1)

    def work(self, shapes: Sequence[Shape], output: Shape) -> Counts:  # noqa: ARG002
        """Per gate two rescaled sums and a look-up; per cell three products, their sum, and one more look-up."""
        cells = output[1]
        gates = len(GATES) * cells
        multiplications = 2 * gates + 6 * cells  # each of the three products is rescaled by another multiplication
        return Counts(
            {
                ("vector_unit", "multiply"): multiplications,
                ("vector_unit", "shift"): multiplications,
                ("vector_unit", "add"): 3 * gates + 2 * cells,
                ("activation_lut", "lookup"): gates + cells,
            }
        )


@dataclass(frozen=True)
class LstmHidden(QuantizedOperator):
    """The hidden states of all steps, one after the other."""

    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """As the file has it: (1, steps, cells) or (steps, 1, cells)."""
        return self.shape

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Take the hidden half of every state."""
        return np.stack([state[:, 0] for state in values], axis=1)

    def work(self, shapes: Sequence[Shape], output: Shape) -> Counts:  # noqa: ARG002
        """One move an element."""
        return Counts({("vector_unit", "move"): int(np.prod(output))})
