"""Fixed-point multipliers and gemmlowp's two rounding steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class Multiplier:
    """Real multipliers as integers: ``M = mantissa * 2**-(bits + shift)``.

    ``mantissa`` (int64) is M0 in [0.5, 1) scaled by ``2**bits``, so in [2**(bits-1), 2**bits), or 0;
    ``shift`` (int64) is n in ``M = 2**-n * M0`` and may be negative. Both have shape ``()`` or ``(channels,)``.
    """

    mantissa: IntArray
    shift: IntArray
    bits: int


def quantize_multiplier(real: FloatArray | float, bits: int = 31) -> Multiplier:
    """Write positive real multipliers as ``2**-n * M0``, M0 rounded half away from zero to ``bits`` bits.

    An M0 that rounds up to 1 is halved and n decremented. Multipliers below 2**-63 become 0.

    Raises:
        ConfigError: a multiplier is not positive and finite, or ``bits`` is outside 8 to 32.

    Source: TFLite's QuantizeMultiplier, for any number of bits.
    """
    if not 8 <= bits <= 32:
        raise ConfigError(f"multiplier of {bits} bits; allowed: 8 to 32")
    reals = np.asarray(real, np.float64)
    pairs = [_quantize_one(float(value), bits) for value in reals.flat]
    mantissa = np.array([pair[0] for pair in pairs], np.int64).reshape(reals.shape)
    shift = np.array([pair[1] for pair in pairs], np.int64).reshape(reals.shape)
    return Multiplier(mantissa, shift, bits)


def _quantize_one(real: float, bits: int) -> tuple[int, int]:
    if not math.isfinite(real) or real <= 0:
        raise ConfigError(f"requantization multiplier {real}; allowed: positive and finite")
    fraction, exponent = math.frexp(real)
    # the 53-bit mantissa as an integer: every step from here on is exact
    scaled = int(fraction * (1 << 53))
    mantissa = (scaled + (1 << (52 - bits))) >> (53 - bits)
    if mantissa == 1 << bits:
        mantissa, exponent = mantissa >> 1, exponent + 1
    if exponent < -62:
        return 0, 0
    return mantissa, -exponent


def saturating_rounding_doubling_high_multiply(values: IntArray, mantissa: IntArray) -> IntArray:
    """Return gemmlowp's SaturatingRoundingDoublingHighMul of two int32: the high half of the doubled product.

    gemmlowp adds a nudge of 2**30 or 1 - 2**30 and divides by 2**31, truncating: that is half up on the exact
    product, ``(a b + 2**30) >> 31``. Only INT_MIN * INT_MIN leaves int32, and saturates.
    """
    product = np.asarray(values * mantissa)
    product += 1 << 30
    product >>= 31
    return np.minimum(product, INT32_MAX, out=product)


def rounding_divide_by_power_of_two(values: IntArray, exponent: IntArray) -> IntArray:
    """Return gemmlowp's RoundingDivideByPOT: ``values / 2**exponent``, ties away from zero.

    That is ``(values + 2**(exponent - 1) - (values < 0)) >> exponent``, and ``values`` for exponent 0. Exponents
    lie in [0, 31], |values| below 2**62.
    """
    shifted = (values >> 63) & -(exponent > 0).astype(np.int64)
    shifted += values
    shifted += (np.int64(1) << exponent) >> 1
    shifted >>= exponent
    return shifted
