"""Constants of the integer LSTM from its tensors' scales and codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.lstm import (
    CELL_EXPONENTS,
    PRE_ACTIVATION_SCALE,
    VALUE_SCALE,
    CellArithmetic,
    Rescale,
    StateGrids,
)
from hwsim.numerics.lut import CodeTable, every_code
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.lstm import GateConstants, IntegerLstm, hidden_by, rescale_by, shift_by
from hwsim.numerics.tflite.multipliers import INT16, quantize_multiplier
from hwsim.numerics.tflite.nonlinear import table_function_16
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import double_product, float32, single_ratio
from hwsim.numerics.tflite.schemes import DoubleRounding

GATE_INTEGER_BITS = 3
INTERPOLATED_READS = 2


@dataclass(frozen=True, eq=False)
class LstmTensors:
    """What a file says of an LSTM; sequences hold one entry per gate: input, forget, cell, output.

    Weights are codes of shape (cells, inputs) and (cells, cells), biases of shape (cells,); weight scales are per
    tensor. The hidden state's quantization belongs to the output and the fifth intermediate tensor alike.
    """

    input: Quantization
    states: StateGrids
    input_weights: Sequence[IntArray]
    recurrent_weights: Sequence[IntArray]
    biases: Sequence[IntArray]
    input_weight_scales: Sequence[float]
    recurrent_weight_scales: Sequence[float]


class LitertGateRounding(DoubleRounding):
    """How LiteRT rescales sums of an LSTM's gates: `DoubleRounding` by a multiplier in float32."""

    @staticmethod
    def real_multiplier(input_scale: float, weight_scale: FloatArray, output_scale: float) -> FloatArray:
        """Return m in float32."""
        return single_ratio(input_scale, weight_scale, output_scale)


def build_lstm(profile: Profile, tensors: LstmTensors) -> IntegerLstm:
    """Build an LSTM layer.

    Raises:
        UnsupportedError: a cell scale that is not a power of two from 2**-15 to 2**-9.
    """
    return IntegerLstm(
        np.concatenate([weights.T for weights in tensors.input_weights], axis=1),
        np.concatenate([weights.T for weights in tensors.recurrent_weights], axis=1),
        _gate_constants(profile, tensors),
        profile_arithmetic(profile, tensors.states),
        int(tensors.states.hidden.zero_point),
    )


def profile_arithmetic(profile: Profile, states: StateGrids) -> CellArithmetic:
    """Build a profile's step. LiteRT's profiles share one arithmetic, which is not that of ``tflm``.

    Raises:
        UnsupportedError: a cell scale that is not a power of two from 2**-15 to 2**-9.
    """
    check_profile(profile, "LSTM")
    exponent = states.cell_exponent
    is_tflm = profile == "tflm"
    tables = _tflm_tables(exponent) if is_tflm else _gemmlowp_tables(exponent)
    forget, added, hidden = _tflm_rescales(states) if is_tflm else _litert_rescales(states)
    logistic, gate_tanh, cell_tanh = (CodeTable(values, INT16) for values in tables)
    return CellArithmetic(
        forget,
        added,
        hidden,
        states.clip,
        logistic,
        gate_tanh,
        cell_tanh,
        reads_per_lookup=INTERPOLATED_READS if is_tflm else 1,
    )


def _gate_constants(profile: Profile, tensors: LstmTensors) -> GateConstants:
    """Fold the zero points into the biases and quantize the multipliers S_W S_x / 2**-12 and S_R S_h / 2**-12.

    ``tflm`` computes them in float64, LiteRT in float32.
    """
    rule = double_product if profile == "tflm" else single_ratio
    cells = len(tensors.biases[0])

    def per_column(scale: FloatArray, weight_scales: Sequence[float]) -> FloatArray:
        return np.repeat(rule(float(scale), np.asarray(weight_scales, np.float64), PRE_ACTIVATION_SCALE), cells)

    zero_x, zero_h = int(tensors.input.zero_point), int(tensors.states.hidden.zero_point)
    parts = zip(tensors.biases, tensors.input_weights, strict=True)
    return GateConstants(
        np.concatenate([bias - zero_x * weights.sum(axis=1) for bias, weights in parts]),
        np.concatenate([-zero_h * weights.sum(axis=1) for weights in tensors.recurrent_weights]),
        quantize_multiplier(per_column(tensors.input.scale, tensors.input_weight_scales)),
        quantize_multiplier(per_column(tensors.states.hidden.scale, tensors.recurrent_weight_scales)),
        saturate_recurrent=profile == "tflm",
    )


def _tflm_rescales(states: StateGrids) -> tuple[Rescale, Rescale, Rescale]:
    """Return the rescalings of f c, i g and o tanh(c), by multipliers in float64."""
    cell, hidden = states.cell_scale, float(states.hidden.scale)
    return (
        rescale_by(quantize_multiplier(double_product(VALUE_SCALE, cell, cell))),
        rescale_by(quantize_multiplier(double_product(VALUE_SCALE, VALUE_SCALE, cell))),
        hidden_by(quantize_multiplier(double_product(VALUE_SCALE, VALUE_SCALE, hidden)), states.hidden),
    )


def _litert_rescales(states: StateGrids) -> tuple[Rescale, Rescale, Rescale]:
    """Return the same by shifts, and for the hidden state by a multiplier in float32."""
    ratio = float32(VALUE_SCALE) / float32(float(states.hidden.scale)) * float32(VALUE_SCALE)
    hidden = hidden_by(quantize_multiplier(float(ratio)), states.hidden)
    return shift_by(15), shift_by(30 + states.cell_exponent), hidden


@cache
def _tflm_tables(exponent: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return logistic and tanh of gates, and tanh of cells, by the interpolated table.

    For cells the argument is x (3 << l), l = 15 + k - 3, or (3 x + 2**(-l-1)) >> -l where l < 0.
    """
    gates = every_code(INT16) * 3
    shift = exponent - CELL_EXPONENTS[0] - GATE_INTEGER_BITS
    cells = gates << shift if shift >= 0 else (gates + (1 << (-shift - 1))) >> -shift
    return (
        table_function_16("logistic", gates),
        table_function_16("tanh", gates),
        table_function_16("tanh", cells),
    )


@cache
def _gemmlowp_tables(exponent: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the same by gemmlowp's 16-bit functions: 3 integer bits for gates, 15 + k for cells."""
    codes, word = every_code(INT16), gemmlowp.WORD16
    return (
        gemmlowp.logistic(codes, GATE_INTEGER_BITS, word),
        gemmlowp.tanh(codes, GATE_INTEGER_BITS, word),
        gemmlowp.tanh(codes, exponent - CELL_EXPONENTS[0], word),
    )
