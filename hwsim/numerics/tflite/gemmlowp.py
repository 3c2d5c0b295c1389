"""gemmlowp's fixed-point functions: exponential, reciprocal, logistic and hyperbolic tangent.

A raw value x of width w (32 or 16 bits) with i integer bits stands for x 2**-(w - 1 - i). Values are int64 arrays
that hold w-bit words. Published constants have 32 bits and are rounding-shifted for w = 16.

Source: gemmlowp's ``fixedpoint/fixedpoint.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.numerics.fixed_point import rounding_divide_by_power_of_two
from hwsim.numerics.formats import IntArray

_EXP_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
_48_OVER_17 = 1515870810  # two integer bits
_MINUS_32_OVER_17 = -1010580540  # two integer bits
_NEWTON_STEPS = 3
# exp(-2**bit) without integer bits
_EXP_FACTORS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
_EXP_INTEGER_BITS = 5  # beyond these exp is 0 below -32


@dataclass(frozen=True, slots=True)
class Word:
    """A signed word of ``bits`` bits, 32 or 16."""

    bits: int

    @property
    def max(self) -> int:
        """Greatest raw value."""
        return (1 << (self.bits - 1)) - 1

    @property
    def min(self) -> int:
        """Least raw value."""
        return -(1 << (self.bits - 1))

    def constant(self, raw32: int) -> int:
        """Return a 32-bit constant in this width."""
        return int(divide_by_power_of_two(np.asarray(raw32, np.int64), 32 - self.bits))

    def multiply(self, first: IntArray, second: IntArray | int) -> IntArray:
        """Return the rounded high half of the doubled product; -1 times -1 saturates. Integer bits add up."""
        product = first * second + (1 << (self.bits - 2))
        return np.minimum(product >> (self.bits - 1), self.max)

    def shift_left(self, values: IntArray, bits: int) -> IntArray:
        """Multiply by 2**bits, saturating beyond +-(2**(w - 1 - bits) - 1)."""
        threshold = (1 << (self.bits - 1 - bits)) - 1
        shifted = np.where(values > threshold, self.max, values << bits)
        return np.where(values < -threshold, self.min, shifted)


WORD32 = Word(32)
WORD16 = Word(16)


def divide_by_power_of_two(values: IntArray, exponent: int) -> IntArray:
    """Return ``values / 2**exponent``, ties away from zero, for one exponent."""
    return rounding_divide_by_power_of_two(values, np.asarray(exponent, np.int64))


def exp_of_negative(values: IntArray, integer_bits: int, word: Word = WORD32) -> IntArray:
    """Return exp(a) without integer bits, for a <= 0 with ``integer_bits``; exp(0) is the greatest value.

    a is split into a multiple of -1/4 and a remainder in [-1/4, 0); the remainder's exponential is multiplied by
    exp(-2**bit) for each bit of the multiple.
    """
    fraction_bits = word.bits - 1 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (values & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(word.shift_left(remainder, integer_bits), word)
    multiple = remainder - values
    for bit, factor in _EXP_FACTORS.items():
        if bit < integer_bits:
            chosen = (multiple & (1 << (fraction_bits + bit))) != 0
            result = np.where(chosen, word.multiply(result, word.constant(factor)), result)
    if integer_bits > _EXP_INTEGER_BITS:
        result = np.where(values < -(1 << (fraction_bits + _EXP_INTEGER_BITS)), 0, result)
    return np.where(values == 0, word.max, result)


def _exp_between_minus_quarter_and_zero(values: IntArray, word: Word) -> IntArray:
    """Return exp(a) for a in [-1/4, 0), by its Taylor polynomial of degree 4 around -1/8; no integer bits.

    x = a + 1/8; exp(-1/8) + exp(-1/8) (x + ((x**4 / 4 + x**3) / 3 + x**2) / 2).
    """
    x = values + (1 << (word.bits - 4))
    square = word.multiply(x, x)
    cube = word.multiply(square, x)
    fourth = divide_by_power_of_two(word.multiply(square, square), 2)
    third = word.multiply(fourth + cube, word.constant(_ONE_THIRD))
    tail = divide_by_power_of_two(third + square, 1)
    factor = word.constant(_EXP_MINUS_EIGHTH)
    # narrow words saturate here; wide ones cannot leave their range
    return np.minimum(factor + word.multiply(x + tail, factor), word.max)


def double_reciprocal(values: IntArray, word: Word = WORD32) -> IntArray:
    """Return 2 / (1 + a) with two integer bits, for a in [0, 1) without integer bits.

    h = (a + 1) / 2; x = 48/17 - 32/17 h; three Newton steps x += x (1 - h x).
    """
    half = (values + word.max + 1) >> 1
    x = word.multiply(half, word.constant(_MINUS_32_OVER_17)) + word.constant(_48_OVER_17)
    one = 1 << (word.bits - 3)
    for _ in range(_NEWTON_STEPS):
        x = x + word.shift_left(word.multiply(x, one - word.multiply(half, x)), 2)
    return x


def reciprocal(values: IntArray, word: Word = WORD32) -> IntArray:
    """Return 1 / (1 + a) for a in [0, 1), both without integer bits."""
    return word.shift_left(double_reciprocal(values, word), 1)


def logistic(values: IntArray, integer_bits: int, word: Word = WORD32) -> IntArray:
    """Return 1 / (1 + exp(-a)) without integer bits."""
    positive = reciprocal(exp_of_negative(-np.abs(values), integer_bits, word), word)
    signed = np.where(values > 0, positive, word.max - positive)
    return np.where(values == 0, 1 << (word.bits - 2), signed)


def tanh(values: IntArray, integer_bits: int, word: Word = WORD32) -> IntArray:
    """Return (1 - exp(-2a)) / (1 + exp(-2a)) without integer bits."""
    exponential = exp_of_negative(-np.abs(values), integer_bits + 1, word)
    positive = word.shift_left(double_reciprocal(exponential, word) - (1 << (word.bits - 3)), 2)
    return np.where(values == 0, 0, np.where(values < 0, -positive, positive))
