"""An LSTM, float or integer: one product of all time steps' inputs, then for each step a product and a cell update.

Integer products run on the array, cell updates on the vector unit and the LUT.

A state tensor of shape (2, cells) holds the hidden state's codes and then the cell state's. Like every tensor
it stays in the activation scratchpad up to the last step that reads it, where it fits, and else goes through DRAM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import ConstantStep, FunctionStep
from hwsim.network.gather import RowsGather
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.parts import Parts
from hwsim.network.steps import MatmulStep, Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lstm import (
    GATES,
    CellArithmetic,
    LstmState,
    StateGrids,
    build_cell_arithmetic,
    float_state,
    gate_values,
    next_state,
)
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import Requantizer
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.lstm_build import LitertGateRounding, profile_arithmetic
from hwsim.numerics.tflite.schemes import ProductOperator

UNSATURATED = IntFormat(32)
PROFILE_BITS = 8
PARTS = 2  # of a state: hidden and cell


@dataclass(frozen=True)
class GateProduct(MatmulOperator):
    """``W x + b`` of all steps or ``R h`` of one: (rows, depth) by (depth, 4 cells), requantized to pre-activations.

    It reads the first ``rows`` times ``depth`` elements of its input; once quantized, codes of the quantization
    ``source``.
    """

    part_of: str = ""
    rows: int = 1
    depth: int = 0
    columns: int = 0
    source: Quantization | None = None
    is_recurrent: bool = False

    matrices: ClassVar[int] = len(GATES)

    @property
    def product(self) -> ProductOperator:
        """A dense layer."""
        return "fully_connected"

    @property
    def layer(self) -> str:
        """The LSTM."""
        return self.part_of

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(4 cells,), or (steps, 4 cells)."""
        return (self.columns,) if self.is_recurrent else (self.rows, self.columns)

    def gather(self, input_shape: Shape) -> RowsGather:  # noqa: ARG002
        """The elements in order."""
        return RowsGather(self.rows, self.depth)

    def input_quantization(self, tensors: Mapping[str, Tensor]) -> Quantization:  # noqa: ARG002
        """That of the elements, which may be only a part of the input.

        Raises:
            ConfigError: it is not known.
        """
        if self.source is None:
            raise ConfigError(f"layer {self.name}: input is not quantized")
        return self.source

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> MatmulStep:
        """Lay out the product. LiteRT adds R h to W x before it saturates to 16 bits: there R h leaves in 32 bits.

        Raises:
            UnsupportedError: operands that a rounding profile has no arithmetic for.
        """
        if options.profile not in (None, "onnxruntime"):
            self._check_profile(tensors, str(options.profile))
        step = super().lower(tensors, options)
        if options.profile in (None, "tflm", "onnxruntime"):
            return step
        word = UNSATURATED if self.is_recurrent else step.output_format
        inputs, weights = self.input_quantization(tensors), quantization_of(tensors[self.weight])
        output_scale = float(quantization_of(tensors[self.output]).scale)
        scheme = LitertGateRounding.build(float(inputs.scale), weights.scale, output_scale, options.requantizer)
        return replace(step, requantizer=Requantizer(scheme, 0, word.min, word.max), output_format=word)

    def _check_profile(self, tensors: Mapping[str, Tensor], profile: str) -> None:
        """Refuse operands other than int8, and scales that are not one for each gate."""
        inputs, weights = self.input_quantization(tensors), quantization_of(tensors[self.weight])
        where = f"layer {self.layer}: LSTM in profile '{profile}'"
        for what, grid in (("inputs", inputs), ("weights", weights)):
            word = grid.format
            if not word.signed or word.bits > PROFILE_BITS:
                kind = "signed" if word.signed else "unsigned"
                raise UnsupportedError(f"{where} with {kind} {what} of {word.bits} bits; available: signed, up to 8")
        if np.any(weights.zero_point):
            raise UnsupportedError(f"{where} with asymmetric weights; available: quantization.weights.symmetric: true")
        if np.any(np.ptp(np.broadcast_to(weights.scale, (self.columns,)).reshape(len(GATES), -1), axis=1)):
            lever = "quantization.weights.granularity: per_tensor"
            raise UnsupportedError(f"{where} with a scale for each channel; available: {lever}")


@lru_cache(maxsize=16)
def _arithmetic(options: LoweringOptions, grids: StateGrids) -> CellArithmetic:
    if options.profile == "onnxruntime":  # which has no integer LSTM: the machine's own, rescaled in float32
        return build_cell_arithmetic(grids, replace(options.requantizer, scheme="float"), options.lut)
    if options.profile is not None:
        return profile_arithmetic(options.profile, grids)
    return build_cell_arithmetic(grids, options.requantizer, options.lut)


@dataclass(frozen=True)
class _LstmPart(QuantizedOperator):
    """What an LSTM consists of besides its products."""

    part_of: str = ""

    @property
    def layer(self) -> str:
        """The LSTM."""
        return self.part_of


@dataclass(frozen=True)
class LstmStart(Operator):
    """The state before the first step: zeros, so for the hidden state the code of its zero point.

    Its input, the sequence, says how many samples there are; the integer step reads nothing.
    """

    part_of: str = ""
    cells: int = 0
    hidden_zero_point: int = 0

    @property
    def layer(self) -> str:
        """The LSTM."""
        return self.part_of

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(2, cells)."""
        return (PARTS, self.cells)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Zeros."""
        return np.zeros((len(inputs[0]), PARTS, self.cells))

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> ConstantStep:  # noqa: ARG002
        """Fill the state."""
        state = np.zeros((PARTS, self.cells), np.int64)
        state[0] = self.hidden_zero_point
        return ConstantStep(self.name, (), self.output, state.shape, state.reshape(-1))


@dataclass(frozen=True, eq=False)
class LstmCell(_LstmPart):
    """The next state from ``W x + b``, ``R h`` and the state before: `gate_values` and `next_state`.

    Of ``W x + b`` of all steps it reads the ``row`` of its own.
    """

    row: int = 0
    grids: StateGrids | None = None
    cell_clip: float = 0.0

    @property
    def grid_source(self) -> str:
        """The state before."""
        return self.inputs[2]

    def output_shape(self, *shapes: Shape) -> Shape:
        """The state's."""
        return shapes[2]

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """`float_state`."""
        input_parts, recurrent_part, state = inputs
        return float_state(input_parts[:, self.row], recurrent_part, state, self.cell_clip)

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """By a rounding profile, or by the machine's own requantizer and LUT."""
        arithmetic = self.arithmetic(operands.options)
        input_parts, recurrent_part, state = values
        gates = gate_values(arithmetic, input_parts[:, self.row], recurrent_part)
        after = next_state(arithmetic, gates, LstmState(state[:, 0], state[:, 1]))
        return np.stack([after.hidden, after.cell], axis=1)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Bind the arithmetic, and count what it does.

        Per gate a sum and a look-up; per cell three products, each rescaled, two sums and one more look-up. Sums and
        products take the vector unit's lanes and then the look-ups those of the LUT: they do not overlap.
        """
        step = super().lower(tensors, options)
        assert isinstance(step, FunctionStep)  # noqa: S101  (as of every such operator)
        arithmetic, cells = self.arithmetic(options), step.output_shape[1]
        gates = len(GATES) * cells
        actions = Counts(
            {
                ("vector_unit", "multiply"): 3 * cells * (1 + arithmetic.multiplications_per_rescale),
                ("vector_unit", "shift"): 3 * cells,
                ("vector_unit", "add"): gates + 2 * cells,
                ("activation_lut", "lookup"): (gates + cells) * arithmetic.reads_per_lookup,
            }
        )
        reads = arithmetic.reads_per_lookup
        portions, parts = (step.shapes[0][0], 1, 1), Parts("channels", cells)
        return replace(step, actions=actions, reads_per_lookup=reads, portions=portions, own_parts=parts)

    def arithmetic(self, options: LoweringOptions) -> CellArithmetic:
        """Return how pre-activations and states become the next states.

        Raises:
            ConfigError: the states are not quantized.
        """
        if self.grids is None:
            raise ConfigError(f"layer {self.name}: states are not quantized")
        return _arithmetic(options, self.grids)


@dataclass(frozen=True)
class LstmHidden(_LstmPart):
    """The hidden states of steps, one after the other."""

    shape: Shape = ()

    actions: ClassVar[Mapping[str, int]] = {"move": 1}
    keeps_quantization: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(steps, cells), or (cells,) for one step; in a file also with an axis of 1 before or between."""
        return self.shape

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Take the hidden half of every state."""
        return np.stack([state[:, 0] for state in inputs], axis=1).reshape(-1, *self.shape)

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Take the hidden half of every state."""
        return np.stack([state[:, 0] for state in values], axis=1)
