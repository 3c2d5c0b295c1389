"""The integer LSTM: int8 input, weights and hidden state, int16 cell state (UNIDIRECTIONAL_SEQUENCE_LSTM).

The matrix products come from outside: W x and R h on raw codes, the four gates side by side in the order input,
forget, cell, output, so that a step is two products of ``4 cells`` columns. Zero points are in the biases.

Gate pre-activations have scale 2**-12 (8 bits would be too coarse for them), gate values 2**-15, the cell state
2**k. The hidden state starts at its zero point, the cell state at 0. Peepholes, projection, layer normalization
and coupled input and forget gates are not here.

Source: ``LstmStep`` in TensorFlow Lite for Microcontrollers' ``micro/kernels/lstm_eval.h``; ``LstmStepInteger8x8_16``
in LiteRT's ``kernels/lstm_eval.cc``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.multipliers import INT8, INT16, multiply_double, wrap32
from hwsim.numerics.tflite.nonlinear import CodeTable

GATES = ("input", "forget", "cell", "output")

Product = Callable[[IntArray, IntArray], IntArray]


@dataclass(frozen=True, eq=False)
class GateConstants:
    """Biases and multipliers of all gates' columns, each of shape (4 cells,).

    ``input_bias`` is b - Z_x sum(W), ``recurrent_bias`` is -Z_h sum(R).
    """

    input_bias: IntArray
    recurrent_bias: IntArray
    input_multiplier: Multiplier
    recurrent_multiplier: Multiplier
    saturate_recurrent: bool


@dataclass(frozen=True, eq=False)
class CellConstants:
    """How gate values become the next states.

    ``forget_product`` and ``input_product`` rescale f c and i g to the cell state; ``clip`` bounds it where not
    None. The hidden state is o tanh(c) times ``hidden_multiplier`` plus ``hidden_zero_point``.
    """

    forget_product: Callable[[IntArray], IntArray]
    input_product: Callable[[IntArray], IntArray]
    clip: int | None
    hidden_multiplier: Multiplier
    hidden_zero_point: int


@dataclass(frozen=True, eq=False)
class IntegerLstm:
    """One LSTM layer, built by `hwsim.numerics.tflite.lstm_build.build_lstm`.

    ``input_weights`` (inputs, 4 cells) and ``recurrent_weights`` (cells, 4 cells) are codes; the tables hold
    every 16-bit code.
    """

    input_weights: IntArray
    recurrent_weights: IntArray
    gates: GateConstants
    cell: CellConstants
    logistic: CodeTable
    gate_tanh: CodeTable
    cell_tanh: CodeTable

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.recurrent_weights.shape[0]

    def initial_state(self, samples: int) -> LstmState:
        """Return the state before the first step."""
        shape = (samples, self.cells)
        return LstmState(np.full(shape, self.cell.hidden_zero_point, np.int64), np.zeros(shape, np.int64))


@dataclass(frozen=True, eq=False)
class LstmState:
    """Codes of the hidden state (int8) and the cell state (int16), each of shape (samples, cells)."""

    hidden: IntArray
    cell: IntArray


@dataclass(frozen=True, eq=False)
class LstmGates:
    """Codes of the pre-activations (2**-12) and of the gates' values (2**-15), each (samples, 4, cells)."""

    pre_activations: IntArray
    values: IntArray


@dataclass(frozen=True, eq=False)
class LstmStep:
    """What one step computed: its gates and the state after it."""

    gates: LstmGates
    state: LstmState


@dataclass(frozen=True, eq=False)
class LstmRun:
    """A sequence: the hidden state after every step, in the input's layout, the last state, and the steps if kept."""

    hidden: IntArray
    state: LstmState
    steps: tuple[LstmStep, ...]


def lstm_gates(lstm: IntegerLstm, input_sums: IntArray, recurrent_sums: IntArray) -> LstmGates:
    """Return the gates from the raw accumulators of W x and R h, each of shape (samples, 4 cells).

    p = sat16(MBQM(W x + b_W)); v = sat16(p + MBQM(R h + b_R)), where ``tflm`` saturates the second term to 16 bits
    as well. Input, forget and output gate are logistic(v), the cell gate tanh(v). Sums wrap at 32 bits.
    """
    constants = lstm.gates
    first = multiply_double(wrap32(input_sums + constants.input_bias), constants.input_multiplier)
    second = multiply_double(wrap32(recurrent_sums + constants.recurrent_bias), constants.recurrent_multiplier)
    if constants.saturate_recurrent:
        second = INT16.saturate(second)
    total = INT16.saturate(INT16.saturate(first) + second).reshape(len(first), len(GATES), lstm.cells)
    values = lstm.logistic.look_up(total)
    cell = GATES.index("cell")
    values[:, cell] = lstm.gate_tanh.look_up(total[:, cell])
    return LstmGates(total, values)


def lstm_cell_update(lstm: IntegerLstm, gates: LstmGates, state: LstmState) -> LstmState:
    """Return the next state.

    c' = sat16(rescaled(f c) + rescaled(i g)), clipped; h' = sat8(MBQM(o tanh(c')) + Z_h).
    """
    constants = lstm.cell
    input_gate, forget_gate, cell_gate, output_gate = (gates.values[:, gate] for gate in range(len(GATES)))
    kept = constants.forget_product(forget_gate * state.cell)
    added = constants.input_product(input_gate * cell_gate)
    cell = INT16.saturate(kept + added)
    if constants.clip is not None:
        cell = np.clip(cell, -constants.clip, constants.clip)
    product = output_gate * lstm.cell_tanh.look_up(cell)
    hidden = multiply_double(product, constants.hidden_multiplier) + constants.hidden_zero_point
    return LstmState(INT8.saturate(hidden), cell)


def exact_product(activations: IntArray, weights: IntArray) -> IntArray:
    """Return ``activations @ weights`` of 8-bit codes; float64 holds every such sum exactly and is fast."""
    return (activations.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def lstm_sequence(
    lstm: IntegerLstm,
    codes: IntArray,
    *,
    time_major: bool = False,
    product: Product = exact_product,
    keep_steps: bool = False,
) -> LstmRun:
    """Run a whole sequence from the initial state.

    Args:
        lstm: the layer.
        codes: inputs of shape (samples, time, inputs), or (time, samples, inputs) for ``time_major``.
        time_major: the layout of ``codes`` and of the result's ``hidden``.
        product: computes the raw accumulators of (samples, depth) by (depth, 4 cells).
        keep_steps: whether to keep each step's gates and states.
    """
    by_time = codes if time_major else np.swapaxes(codes, 0, 1)
    state = lstm.initial_state(by_time.shape[1])
    hidden, steps = np.empty((*by_time.shape[:2], lstm.cells), np.int64), []
    for time, inputs in enumerate(by_time):
        input_sums = product(inputs, lstm.input_weights)
        gates = lstm_gates(lstm, input_sums, product(state.hidden, lstm.recurrent_weights))
        state = lstm_cell_update(lstm, gates, state)
        hidden[time] = state.hidden
        if keep_steps:
            steps.append(LstmStep(gates, state))
    return LstmRun(hidden if time_major else np.swapaxes(hidden, 0, 1), state, tuple(steps))


def rescale_by(multiplier: Multiplier) -> Callable[[IntArray], IntArray]:
    """Return ``sat16(MBQM(x))``: how ``tflm`` rescales a product of two 16-bit codes."""
    return lambda values: INT16.saturate(multiply_double(values, multiplier))


def shift_by(bits: int) -> Callable[[IntArray], IntArray]:
    """Return ``x / 2**bits`` rounded half away from zero, wrapped to 16 bits: how LiteRT does it."""
    return lambda values: INT16.wrap(gemmlowp.divide_by_power_of_two(values, bits))
