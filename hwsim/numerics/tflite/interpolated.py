"""Logistic and hyperbolic tangent of 16-bit codes by one table of the logistic function and interpolation.

TensorFlow Lite's table has 256 entries of 16 bits over [0, 32/3); the same rule makes other lengths and widths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import sigmoid
from hwsim.numerics.rounding import FloatArray

RANGE = 32.0 / 3.0  # the table covers [0, RANGE)
INPUT_BITS = 17  # log2 of the table's range in steps of the argument, which stands for 3 x 2**12
OUTPUT_BITS = 15


@dataclass(frozen=True, eq=False)
class SigmoidTable:
    """``values`` (int64) of the logistic function at i h, h = (32/3) / entries, with ``bits`` fraction bits."""

    values: IntArray
    bits: int

    @property
    def index_bits(self) -> int:
        """Base-2 logarithm of the number of entries."""
        return self.values.size.bit_length() - 1


@cache
def sigmoid_table(entries: int = 256, bits: int = 16) -> SigmoidTable:
    """Tabulate the logistic function so that straight lines between entries err equally to both sides.

    With S(x) = 2**bits / (1 + exp(-x)): T[i] = round(S(ih) - e/2), e = (S(ih) + S((i+1)h)) / 2 - S((i + 1/2)h),
    the chord's error at the middle of its interval. The last entry is 2**bits - 1, as is what would exceed it.

    Source: reproduces ``sigmoid_table_uint16`` of TensorFlow Lite's ``kernels/internal/common.cc`` (256 entries of
    16 bits) in every entry.

    Raises:
        ConfigError: entries other than a power of two from 4 to 65,536, bits outside 8 to 24, or entries of so few
            bits that neighbours could not differ.
    """
    if not 4 <= entries <= 1 << 16 or entries & (entries - 1):
        raise ConfigError(f"interpolated table of {entries} entries; allowed: powers of two from 4 to 65536")
    if not 8 <= bits <= 24:
        raise ConfigError(f"interpolated table of {bits} bits; allowed: 8 to 24")
    if entries >= 1 << bits:
        raise ConfigError(f"interpolated table of {entries} entries of {bits} bits; allowed: fewer than {1 << bits}")
    step = RANGE / entries
    grid: FloatArray = np.arange(entries, dtype=np.float64) * step
    here, middle, after = (2.0**bits * sigmoid(grid + part * step) for part in (0.0, 0.5, 1.0))
    chord_error = (here + after) / 2 - middle
    values = np.minimum(np.rint(here - chord_error / 2), 2**bits - 1).astype(np.int64)
    values[-1] = 2**bits - 1
    return SigmoidTable(values, bits)


def interpolated_logistic(arguments: IntArray, table: SigmoidTable) -> IntArray:
    """Return the logistic function with 15 fraction bits, for arguments in steps of 1 / (3 x 4096).

    For 256 entries of 16 bits: a = |d|, u = a >> 9; R = (T[u] << 9) + (a & 511) (T[u+1] - T[u]), or 0x7FFF << 10
    for u >= 255; y = ((R if d >= 0 else 2**25 - R - 1) + 512) >> 10.

    Source: ``Logistic`` (int16) in TensorFlow Lite's ``kernels/internal/reference/integer_ops/logistic.h``.
    """
    drop = INPUT_BITS - table.index_bits
    right = table.bits + drop - OUTPUT_BITS
    result = _interpolate(np.abs(arguments), drop, table, ((1 << OUTPUT_BITS) - 1) << right)
    mirrored = (1 << (table.bits + drop)) - result - 1
    return (np.where(arguments >= 0, result, mirrored) + (1 << (right - 1))) >> right


def interpolated_tanh(arguments: IntArray, table: SigmoidTable) -> IntArray:
    """Return tanh(x) = 2 logistic(2x) - 1 with 15 fraction bits, for arguments in steps of 1 / (3 x 4096).

    For 256 entries of 16 bits: a = |d|, u = a >> 8; R = (T[u] << 8) + (a & 255) (T[u+1] - T[u]), or 0xFFFF << 8
    for u >= 255; y = ((R - 2**23 if d >= 0 else 2**23 - R - 1) + 128) >> 8.

    Source: ``Tanh`` (int16) in TensorFlow Lite's ``kernels/internal/reference/integer_ops/tanh.h``.
    """
    drop = INPUT_BITS - 1 - table.index_bits
    right = table.bits + drop - OUTPUT_BITS - 1
    result = _interpolate(np.abs(arguments), drop, table, ((1 << (OUTPUT_BITS + 1)) - 1) << right)
    centred = result - (1 << (table.bits + drop - 1))
    return (np.where(arguments >= 0, centred, -centred - 1) + (1 << (right - 1))) >> right


def _interpolate(magnitudes: IntArray, drop: int, table: SigmoidTable, saturated: int) -> IntArray:
    """Join neighbouring entries by lines: ``drop`` low bits of the magnitude lie between two entries."""
    index = magnitudes >> drop
    last = table.values.size - 1
    inside = np.minimum(index, last - 1)
    low, high = table.values[inside], table.values[inside + 1]
    line = (low << drop) + (magnitudes & ((1 << drop) - 1)) * (high - low)
    return np.where(index >= last, saturated, line)
