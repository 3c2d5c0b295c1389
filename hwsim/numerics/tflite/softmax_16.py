"""Softmax of 16-bit codes along the last axis: two interpolated tables, one of exp and one of a reciprocal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray, round_half_away
from hwsim.numerics.tflite.multipliers import INT16, multiply_double, quantize_multiplier
from hwsim.numerics.tflite.profiles import Profile
from hwsim.numerics.tflite.scales import float32

SEGMENTS = 512
SEGMENT_BITS = 7  # steps of a 16-bit argument in one segment: 2**7
STEPS = 65535  # between the least and the greatest 16-bit argument
EXP_RANGE = 10.0  # exp(-10) is nothing in 15 bits

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """``values`` (513 int64 of 16 bits) of a function at the ends of 512 equal segments of its arguments."""

    values: IntArray

    def look_up(self, arguments: IntArray) -> IntArray:
        """Return ``T[u] + ((T[u + 1] - T[u]) (x & 127) + 64 >> 7)`` with u = 256 + (x >> 7), for 16-bit x.

        Source: ``LUTLookup`` (int16) in TensorFlow Lite's ``kernels/internal/common.h``.
        """
        segment = SEGMENTS // 2 + (arguments >> SEGMENT_BITS)
        offset = arguments & ((1 << SEGMENT_BITS) - 1)
        base = self.values[segment]
        slope = self.values[segment + 1] - base
        return base + ((slope * offset + (1 << (SEGMENT_BITS - 1))) >> SEGMENT_BITS)


def segment_table(
    function: Callable[[FloatArray], FloatArray], span: float, zero_point: int, precision: Precision
) -> SegmentTable:
    """Tabulate a function over 16-bit arguments of scale ``span`` / 65535, with values of scale 2 / 65535.

    Each entry is f(left end) less half the chord's error in the middle of the segment, every term rounded half
    away from zero; the last entry is f(right end). All in that precision.

    Source: ``LUTPopulateInt16`` in TensorFlow Lite's ``kernels/internal/common.h``.
    """
    real: Any = np.dtype(precision).type
    low, high = (real(span) / real(STEPS) * real(end - zero_point) for end in (INT16.min, INT16.max))
    step = (high - low) / real(SEGMENTS)
    out_scale = real(2.0) / real(STEPS)
    codes_in_one = real(STEPS + 1) / (out_scale * real(INT16.max) - out_scale * real(INT16.min))

    def scaled(arguments: Any) -> FloatArray:
        values = function(np.asarray(arguments, np.float64)).astype(real)
        return np.asarray(values * codes_in_one, np.float64)

    index = np.arange(SEGMENTS, dtype=real)
    left, middle = (round_half_away(scaled(low + index * step + part)) for part in (real(0.0), step / real(2.0)))
    right = scaled(low + (index + real(1.0)) * step)
    chord = round_half_away(((right + left).astype(real) / real(2.0)).astype(np.float64))
    error = round_half_away((chord - middle) / 2)
    values = np.concatenate([left - error, round_half_away(scaled([high]))])
    return SegmentTable(INT16.saturate(values.astype(np.int64)))


@cache
def _tables(precision: Precision) -> tuple[SegmentTable, SegmentTable]:
    """Return exp over [-10, 0] and 1 / (1 + x) over [0, 1]."""
    return (
        segment_table(np.exp, EXP_RANGE, INT16.max, precision),
        segment_table(lambda values: 1.0 / (1.0 + values), 1.0, INT16.min, precision),
    )


@dataclass(frozen=True)
class TableSoftmax:
    """From 16-bit codes to codes of scale 2**-15.

    e_j = exp table at clamp16(MBQM(q_j - max, beta S 65535 / 10) + 32767); s = sum(e_j); h = clz32(s);
    r = table of 1 / (1 + x) at clamp16(((s << (h - 1)) + 2**13 >> 14) - 2**15 - 2**16);
    out = (e_j r + 2**(30 - h)) >> (31 - h), clamped to [0, 32767]. MBQM is `multiply_double`. The tables are
    computed in float32 in ``tflm``, in float64 in LiteRT.

    Source: ``SoftmaxInt16`` in TensorFlow Lite's ``kernels/internal/reference/softmax.h``.
    """

    profile: Profile
    scale: float
    beta: float

    def apply(self, codes: IntArray) -> IntArray:
        """Return the output codes."""
        exponential, inverse = _tables("float32" if self.profile == "tflm" else "float64")
        real = float(float32(self.scale)) * float(np.float32(self.beta)) / (EXP_RANGE / STEPS)
        scaled = multiply_double(codes - codes.max(axis=-1, keepdims=True), quantize_multiplier(real))
        exponentials = exponential.look_up(INT16.saturate(scaled + INT16.max))
        total = exponentials.sum(axis=-1, keepdims=True)
        _, length = np.frexp(total.astype(np.float64))
        headroom = 32 - length.astype(np.int64)
        shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
        reciprocal = inverse.look_up(INT16.saturate(shifted - ((1 << 15) + (1 << 16))))
        right = 31 - headroom
        products = (exponentials * reciprocal + (np.int64(1) << (right - 1))) >> right
        return np.clip(products, 0, INT16.max)
