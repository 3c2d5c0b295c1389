"""TensorFlow Lite's integer LSTM: int8 input, weights and hidden state (UNIDIRECTIONAL_SEQUENCE_LSTM).

The matrix products come from outside: W x and R h on raw codes, the four gates side by side in the order input,
forget, cell, output, so that a step is two products of ``4 cells`` columns. Zero points are in the biases. What
follows them is in `hwsim.numerics.lstm`.

Source: ``LstmStep`` in TensorFlow Lite for Microcontrollers' ``micro/kernels/lstm_eval.h``; ``LstmStepInteger8x8_16``
in LiteRT's ``kernels/lstm_eval.cc``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lstm import CellArithmetic, LstmGates, LstmState, Rescale, gate_values, next_state
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.multipliers import INT16, multiply_double, wrap32

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
class IntegerLstm:
    """One LSTM layer, built by `hwsim.numerics.tflite.lstm_build.build_lstm`.

    ``input_weights`` (inputs, 4 cells) and ``recurrent_weights`` (cells, 4 cells) are codes.
    """

    input_weights: IntArray
    recurrent_weights: IntArray
    gates: GateConstants
    arithmetic: CellArithmetic
    hidden_zero_point: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.recurrent_weights.shape[0]

    def initial_state(self, samples: int) -> LstmState:
        """Return the state before the first step."""
        shape = (samples, self.cells)
        return LstmState(np.full(shape, self.hidden_zero_point, np.int64), np.zeros(shape, np.int64))


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
    as well. Sums wrap at 32 bits.
    """
    constants = lstm.gates
    first = multiply_double(wrap32(input_sums + constants.input_bias), constants.input_multiplier)
    second = multiply_double(wrap32(recurrent_sums + constants.recurrent_bias), constants.recurrent_multiplier)
    if constants.saturate_recurrent:
        second = INT16.saturate(second)
    return gate_values(lstm.arithmetic, INT16.saturate(first), second)


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
        state = next_state(lstm.arithmetic, gates, state)
        hidden[time] = state.hidden
        if keep_steps:
            steps.append(LstmStep(gates, state))
    return LstmRun(hidden if time_major else np.swapaxes(hidden, 0, 1), state, tuple(steps))


def rescale_by(multiplier: Multiplier) -> Rescale:
    """Return ``sat16(MBQM(x))``: how ``tflm`` rescales a product of two 16-bit codes."""
    return lambda values: INT16.saturate(multiply_double(values, multiplier))


def shift_by(bits: int) -> Rescale:
    """Return ``x / 2**bits`` rounded half away from zero, wrapped to 16 bits: how LiteRT does it."""
    return lambda values: INT16.wrap(gemmlowp.divide_by_power_of_two(values, bits))


def hidden_by(multiplier: Multiplier, hidden: Quantization) -> Rescale:
    """Return ``clamp(MBQM(x) + Z_h)``: how o tanh(c) becomes codes of the hidden state."""
    zero_point = int(hidden.zero_point)
    return lambda values: hidden.format.saturate(multiply_double(values, multiplier) + zero_point)
