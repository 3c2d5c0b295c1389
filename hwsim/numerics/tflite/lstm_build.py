"""Constants of the integer LSTM from its tensors' scales and codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.lstm import CellConstants, GateConstants, IntegerLstm, rescale_by, shift_by
from hwsim.numerics.tflite.multipliers import INT16, quantize_multiplier
from hwsim.numerics.tflite.nonlinear import CodeTable, power_of_two, table_function_16
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import double_product, float32, single_ratio

GATE_SCALE = 2.0**-12
VALUE_SCALE = 2.0**-15
GATE_INTEGER_BITS = 3
MAX_TANH_INTEGER_BITS = 6


@dataclass(frozen=True, eq=False)
class LstmTensors:
    """What a file says of an LSTM; sequences hold one entry per gate: input, forget, cell, output.

    Weights are codes of shape (cells, inputs) and (cells, cells), biases of shape (cells,); weight scales are per
    tensor. ``cell_scale`` is a power of two; ``cell_clip`` a real number, 0 for none. ``hidden`` belongs to the
    hidden state, the output and the fifth intermediate tensor alike.
    """

    input: Quantization
    hidden: Quantization
    cell_scale: float
    input_weights: Sequence[IntArray]
    recurrent_weights: Sequence[IntArray]
    biases: Sequence[IntArray]
    input_weight_scales: Sequence[float]
    recurrent_weight_scales: Sequence[float]
    cell_clip: float = 0.0


def build_lstm(profile: Profile, tensors: LstmTensors) -> IntegerLstm:
    """Build an LSTM layer. LiteRT's profiles share one arithmetic, which is not that of ``tflm``.

    Raises:
        UnsupportedError: a cell scale that is not a power of two from 2**-15 to 2**-9.
    """
    check_profile(profile, "LSTM")
    exponent, exact = power_of_two(tensors.cell_scale)
    if not exact or not 0 <= INT16.bits - 1 + exponent <= MAX_TANH_INTEGER_BITS:
        raise UnsupportedError(f"LSTM cell scale {tensors.cell_scale}; available: powers of two, 2**-15 to 2**-9")
    tables = _tflm_tables(exponent) if profile == "tflm" else _gemmlowp_tables(exponent)
    return IntegerLstm(
        np.concatenate([weights.T for weights in tensors.input_weights], axis=1),
        np.concatenate([weights.T for weights in tensors.recurrent_weights], axis=1),
        _gate_constants(profile, tensors),
        _cell_constants(profile, tensors, exponent),
        *(CodeTable(values, INT16) for values in tables),
    )


def _gate_constants(profile: Profile, tensors: LstmTensors) -> GateConstants:
    """Fold the zero points into the biases and quantize the multipliers S_W S_x / 2**-12 and S_R S_h / 2**-12.

    ``tflm`` computes them in float64, LiteRT in float32.
    """
    rule = double_product if profile == "tflm" else single_ratio
    cells = len(tensors.biases[0])

    def per_column(scale: FloatArray, weight_scales: Sequence[float]) -> FloatArray:
        return np.repeat(rule(float(scale), np.asarray(weight_scales, np.float64), GATE_SCALE), cells)

    zero_x, zero_h = int(tensors.input.zero_point), int(tensors.hidden.zero_point)
    parts = zip(tensors.biases, tensors.input_weights, strict=True)
    return GateConstants(
        np.concatenate([bias - zero_x * weights.sum(axis=1) for bias, weights in parts]),
        np.concatenate([-zero_h * weights.sum(axis=1) for weights in tensors.recurrent_weights]),
        quantize_multiplier(per_column(tensors.input.scale, tensors.input_weight_scales)),
        quantize_multiplier(per_column(tensors.hidden.scale, tensors.recurrent_weight_scales)),
        saturate_recurrent=profile == "tflm",
    )


def _cell_constants(profile: Profile, tensors: LstmTensors, exponent: int) -> CellConstants:
    """Choose how products of gate values are rescaled: by multipliers in ``tflm``, by shifts in LiteRT.

    The hidden multiplier 2**-30 / S_h is a float64 in ``tflm`` and a float32 in LiteRT.
    """
    scale_h = float(tensors.hidden.scale)
    clip = _quantized_clip(tensors)
    zero_h = int(tensors.hidden.zero_point)
    if profile == "tflm":
        scale_c = tensors.cell_scale
        forget = rescale_by(quantize_multiplier(double_product(VALUE_SCALE, scale_c, scale_c)))
        added = rescale_by(quantize_multiplier(double_product(VALUE_SCALE, VALUE_SCALE, scale_c)))
        hidden = quantize_multiplier(double_product(VALUE_SCALE, VALUE_SCALE, scale_h))
        return CellConstants(forget, added, clip, hidden, zero_h)
    ratio = float32(VALUE_SCALE) / float32(scale_h) * float32(VALUE_SCALE)
    hidden = quantize_multiplier(float(ratio))
    return CellConstants(shift_by(15), shift_by(30 + exponent), clip, hidden, zero_h)


def _quantized_clip(tensors: LstmTensors) -> int | None:
    """Return trunc(min(clip / S_c, 32767)), or None without a clip; one that truncates to 0 is none either."""
    if tensors.cell_clip <= 0:
        return None
    return int(min(tensors.cell_clip / tensors.cell_scale, INT16.max)) or None


def _codes() -> IntArray:
    return np.arange(INT16.min, INT16.max + 1, dtype=np.int64)


@cache
def _tflm_tables(exponent: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return logistic and tanh of gates, and tanh of cells, by the interpolated table.

    For cells the argument is x (3 << l), l = 15 + k - 3, or (3 x + 2**(-l-1)) >> -l where l < 0.
    """
    gates = _codes() * 3
    shift = INT16.bits - 1 + exponent - GATE_INTEGER_BITS
    cells = gates << shift if shift >= 0 else (gates + (1 << (-shift - 1))) >> -shift
    return (
        table_function_16("logistic", gates),
        table_function_16("tanh", gates),
        table_function_16("tanh", cells),
    )


@cache
def _gemmlowp_tables(exponent: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the same by gemmlowp's 16-bit functions: 3 integer bits for gates, 15 + k for cells."""
    codes, word = _codes(), gemmlowp.WORD16
    return (
        gemmlowp.logistic(codes, GATE_INTEGER_BITS, word),
        gemmlowp.tanh(codes, GATE_INTEGER_BITS, word),
        gemmlowp.tanh(codes, INT16.bits - 1 + exponent, word),
    )
