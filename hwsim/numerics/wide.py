"""Products that fit no int64: an accumulator of up to 63 bits times a multiplier of up to 32 bits, then a shift."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray

ShiftRounding = Literal["half_up", "half_even", "half_away", "floor"]

# Results are exact inside +-2**61 and saturate there: far beyond every output format (32 bits).
RESULT_LIMIT = 1 << 61
LEAST_SHIFT, LARGEST_SHIFT = -31, 94
_LOW_MASK = np.int64(0xFFFFFFFF)


def multiply_shift(values: IntArray, multiplier: IntArray, shift: IntArray, rounding: ShiftRounding) -> IntArray:
    """Return ``values * multiplier / 2**shift``, rounded once on the exact 95-bit product.

    Results beyond +-2**61 saturate there. |values| <= 2**62, ``multiplier`` lies in [0, 2**32), ``shift`` in
    [-31, 94]; both broadcast against ``values``.

    Raises:
        ConfigError: a multiplier or shift outside those ranges.
    """
    if multiplier.size and (int(multiplier.min()) < 0 or int(multiplier.max()) >= 1 << 32):
        raise ConfigError("multiplier outside 0 to 2**32 - 1")
    check_shift(shift)
    if _fits_int64(values, multiplier, shift):
        result = shift_right(values * multiplier, shift, rounding)
    else:
        result = _wide_multiply_shift(values, multiplier, shift, rounding)
    return np.clip(result, np.int64(-RESULT_LIMIT), np.int64(RESULT_LIMIT))


def check_shift(shift: IntArray) -> None:
    """Refuse right shifts that the requantizer does not have.

    Raises:
        ConfigError: one of them, and what is allowed.
    """
    outside = shift[(shift < LEAST_SHIFT) | (shift > LARGEST_SHIFT)]
    if outside.size:
        raise ConfigError(f"right shift of {outside[0]}; allowed: {LEAST_SHIFT} to {LARGEST_SHIFT}")


def shift_right(values: IntArray, shift: IntArray, rounding: ShiftRounding) -> IntArray:
    """Return ``values / 2**shift`` rounded by the named rule (negative shifts multiply, which must fit int64).

    |values| stays below 2**62 and shift below 63.
    """
    values, shift = np.broadcast_arrays(values, shift)
    right, left = np.maximum(shift, 0), np.maximum(-shift, 0)
    floor = values >> right
    remainder = values - (floor << right)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), np.int64(1))
    return (floor + _round_up(floor, remainder, half, values < 0, rounding)) << left


def _round_up(
    floor: IntArray, remainder: IntArray, half: IntArray, negative: np.ndarray, rounding: ShiftRounding
) -> IntArray:
    """Return 1 where the discarded ``remainder`` (0 <= remainder < 2 half) rounds the floor up, else 0."""
    if rounding == "floor":
        return np.zeros_like(floor)
    up = remainder > half
    tie = remainder == half
    if rounding == "half_up":
        return (up | tie).astype(np.int64)
    if rounding == "half_away":
        return (up | (tie & ~negative)).astype(np.int64)
    return (up | (tie & ((floor & 1) == 1))).astype(np.int64)


def _fits_int64(values: IntArray, multiplier: IntArray, shift: IntArray) -> bool:
    """Tell whether product, rounding and left shift stay inside 62 bits, so that plain int64 is exact."""
    if values.size == 0 or multiplier.size == 0:
        return True
    largest = max(abs(int(values.min())), abs(int(values.max()))) * int(multiplier.max())
    left = max(-int(shift.min()), 0)
    return largest << left < 1 << 62 and int(shift.max()) < 63


def _wide_multiply_shift(values: IntArray, multiplier: IntArray, shift: IntArray, rounding: ShiftRounding) -> IntArray:
    """Split the product into high * 2**32 + low (0 <= low < 2**32) and shift both parts."""
    values, multiplier, shift = np.broadcast_arrays(values, multiplier, shift)
    low_product = (values & _LOW_MASK).astype(np.uint64) * multiplier.astype(np.uint64)
    high = (values >> 32) * multiplier + (low_product >> np.uint64(32)).astype(np.int64)
    low = (low_product & np.uint64(_LOW_MASK)).astype(np.int64)
    result = np.empty(values.shape, np.int64)
    small = shift < 32
    result[small] = _shift_small(high[small], low[small], shift[small], rounding)
    result[~small] = _shift_large(high[~small], low[~small], shift[~small], rounding)
    return result


def _shift_small(high: IntArray, low: IntArray, shift: IntArray, rounding: ShiftRounding) -> IntArray:
    """Shift by less than 32: the discarded bits all lie in ``low``; results beyond RESULT_LIMIT become it."""
    right, left = np.maximum(shift, 0), np.maximum(-shift, 0)
    bound = np.int64(RESULT_LIMIT) >> (32 - right)
    floor = (np.clip(high, -bound, bound - 1) << (32 - right)) + (low >> right)
    remainder = low & ((np.int64(1) << right) - 1)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), np.int64(1))
    rounded = floor + _round_up(floor, remainder, half, high < 0, rounding)
    rounded[high >= bound] = RESULT_LIMIT
    rounded[high < -bound] = -RESULT_LIMIT
    limit = np.int64(RESULT_LIMIT) >> left
    return np.clip(rounded, -limit, limit) << left


def _shift_large(high: IntArray, low: IntArray, shift: IntArray, rounding: ShiftRounding) -> IntArray:
    """Shift by 32 to 94: ``low`` only decides whether the remainder lies above, at or below one half."""
    right = shift - 32
    floor = high >> right
    discarded = high - (floor << right)
    # doubled, so that a remainder strictly between two codes of the high part keeps its side of one half
    remainder = 2 * discarded + (low > 0)
    half = np.int64(1) << right
    at_zero = right == 0
    remainder = np.where(at_zero, np.sign(low - (1 << 31)) + 1, remainder)
    return floor + _round_up(floor, remainder, half, high < 0, rounding)
