"""Logistic and hyperbolic tangent of 8-bit and 16-bit codes, as tables of every input code.

A table is as exact as the kernel that it was made from, and one look-up per value is the fastest way to apply it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import CodeTable, every_code
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import round_half_away
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.interpolated import (
    SigmoidTable,
    interpolated_logistic,
    interpolated_tanh,
    sigmoid_table,
)
from hwsim.numerics.tflite.multipliers import INT8, INT16, multiply_double, quantize_multiplier
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import Float32Array, float32, power_of_two_of

NonlinearFunction = Literal["logistic", "tanh"]

_GEMMLOWP_INTEGER_BITS = 4
_TABLE_STEPS = 3 * 4096  # steps of the interpolated table's argument in 1.0
_MULTIPLIER_LIMIT = 32767 / 2


def nonlinear_table(
    function: NonlinearFunction, profile: Profile, source: Quantization, output: Quantization
) -> CodeTable:
    """Tabulate a function for every code of ``source``, 8 or 16 bits.

    8-bit outputs have scale 1/256 and zero point -128 (logistic) or scale 1/128 and zero point 0 (tanh); 16-bit
    inputs have zero point 0 and outputs scale 2**-15.

    Raises:
        UnsupportedError: another width, or input and output of different widths.
    """
    check_profile(profile, function)
    bits = source.format.bits
    if bits not in (8, 16) or output.format.bits != bits:
        raise UnsupportedError(f"{function} of {bits}-bit codes to {output.format.bits} bits; available: 8 or 16")
    codes = every_code(source.format)
    if bits == 16:
        rule = nonlinear_16 if profile in ("tflm", "litert_reference") else optimized_16
        return CodeTable(rule(function, codes, float(source.scale)), INT16)
    if profile == "tflm":
        return CodeTable(_gemmlowp_8(function, codes - int(source.zero_point), float(source.scale)), INT8)
    return CodeTable(_float_8(function, codes - int(source.zero_point), source, output), INT8)


def nonlinear_16(
    function: NonlinearFunction, codes: IntArray, scale: float, table: SigmoidTable | None = None
) -> IntArray:
    """Return a function of 16-bit codes (zero point 0) with 15 fraction bits, by the interpolated table.

    The argument of the table is d = x 3 scale 4096. Scale 2**-12, and 2**-11 for tanh: d = x (3 << log2(4096
    scale)). Other scales: m = 3 scale 4096 is doubled while it is at most 16383.5, l times (at most 31);
    d = (x int(m) + 2**(l-1)) >> l.

    Source: ``TanhPrepare`` and ``CalculateArithmeticOpDataLogistic`` of TensorFlow Lite for Microcontrollers.
    """
    shift = _power_of_two_shift(function, scale)
    if shift is not None:
        return table_function_16(function, codes * (3 << shift), table)
    multiplier, left = float(float32(scale)) * _TABLE_STEPS, 0
    while multiplier <= _MULTIPLIER_LIMIT and left <= 30:
        multiplier, left = 2 * multiplier, left + 1
    rounded = codes * int(multiplier) + ((1 << left) >> 1)
    return table_function_16(function, rounded >> left, table)


def table_function_16(function: NonlinearFunction, arguments: IntArray, table: SigmoidTable | None = None) -> IntArray:
    """Apply `interpolated_logistic` or `interpolated_tanh`; the table is TensorFlow Lite's unless given."""
    chosen = sigmoid_table() if table is None else table
    return (interpolated_logistic if function == "logistic" else interpolated_tanh)(arguments, chosen)


def optimized_16(function: NonlinearFunction, codes: IntArray, scale: float) -> IntArray:
    """Return what LiteRT's optimized kernels do: gemmlowp's functions at the scales that are powers of two.

    Words of 16 bits with 3 integer bits, where scale 2**-11 is first shifted left by one, saturating. Other scales
    as `nonlinear_16`.

    Source: ``Logistic`` and ``Tanh`` (int16) in LiteRT's ``kernels/internal/optimized/optimized_ops.h``.
    """
    shift = _power_of_two_shift(function, scale)
    if shift is None:
        return nonlinear_16(function, codes, scale)
    word = gemmlowp.WORD16
    raw = word.shift_left(codes, shift) if shift else codes
    rule = gemmlowp.logistic if function == "logistic" else gemmlowp.tanh
    return rule(raw, 3, word)


def _power_of_two_shift(function: NonlinearFunction, scale: float) -> int | None:
    """Return l where the scale is 2**(l - 12) and the kernels treat that on its own, else None."""
    shift, exact = power_of_two_of(scale * 4096.0)
    return shift if exact and shift in ((0,) if function == "logistic" else (0, 1)) else None


def _gemmlowp_8(function: NonlinearFunction, steps: IntArray, scale: float) -> IntArray:
    """Return ``tflm``'s codes by fixed-point arithmetic with 4 integer bits.

    M, l = frexp(S 2**27) with M in 31 bits; r = floor(15 2**27 / 2**l); |q - Z| >= r saturates; else f(MBQM(q -
    Z)) / 2**23 - 128 (logistic) or f(MBQM(q - Z)) / 2**24 (tanh), rounded half away from zero, clamped.

    Source: ``Logistic`` and ``Tanh`` (int8) in TensorFlow Lite's ``kernels/internal/reference/integer_ops``.
    """
    fraction_bits = 31 - _GEMMLOWP_INTEGER_BITS
    multiplier: Multiplier = quantize_multiplier(float(float32(scale)) * 2.0**fraction_bits)
    left = -int(multiplier.shift)
    radius = int(np.floor(15.0 * 2.0**fraction_bits / 2.0**left))
    raw = multiply_double(np.clip(steps, -radius, radius), multiplier)
    if function == "logistic":
        values = gemmlowp.logistic(raw, _GEMMLOWP_INTEGER_BITS)
        rounded = gemmlowp.divide_by_power_of_two(values, 23) - 128
    else:
        rounded = gemmlowp.divide_by_power_of_two(gemmlowp.tanh(raw, _GEMMLOWP_INTEGER_BITS), 24)
    saturated = np.where(steps <= -radius, INT8.min, np.where(steps >= radius, INT8.max, rounded))
    return INT8.saturate(saturated)


def _float_8(function: NonlinearFunction, steps: IntArray, source: Quantization, output: Quantization) -> IntArray:
    """Return LiteRT's codes: ``round(f(S_i (q - Z_i)) (1 / S_o)) + Z_o``, half away from zero, in float32.

    Source: ``LUTPopulate`` in LiteRT's ``kernels/internal/common.h``.
    """
    real = steps.astype(np.float32) * float32(source.scale)
    values = _tanh32(real) if function == "tanh" else _logistic32(real)
    rescaled = values * (np.float32(1) / float32(output.scale))
    codes = round_half_away(rescaled.astype(np.float64)) + int(output.zero_point)
    return INT8.saturate(codes.astype(np.int64))


def _tanh32(values: Float32Array) -> Float32Array:
    return np.tanh(values.astype(np.float64)).astype(np.float32)


def _logistic32(values: Float32Array) -> Float32Array:
    """Return 1 / (1 + exp(-x)), each step rounded to float32."""
    with np.errstate(over="ignore"):
        exponential = np.exp(-values.astype(np.float64)).astype(np.float32)
    return np.float32(1) / (np.float32(1) + exponential)
