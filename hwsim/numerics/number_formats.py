"""Number formats: what a word of so many bits can stand for. Floating point, fixed point, codebooks.

A float is ``(-1)**sign 1.fraction 2**(stored exponent - bias)``; with a stored exponent of 0 it is subnormal,
``(-1)**sign 0.fraction 2**(1 - bias)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwsim.errors import ConfigError, did_you_mean
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.rounding import FloatArray

FloatName = Literal["fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"]


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format with a sign bit.

    ``has_infinity``: the highest stored exponent is kept for infinities and NaN, as IEEE 754 does; without it only
    the word of all ones is NaN, there is no infinity, and the range reaches further.
    """

    name: FloatName
    description: str
    exponent_bits: int
    fraction_bits: int
    has_infinity: bool = True

    @property
    def bits(self) -> int:
        """Width of a word: sign, exponent, fraction."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """What is subtracted from the stored exponent."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def significand_bits(self) -> int:
        """Precision: the fraction and the leading one, which is not stored."""
        return self.fraction_bits + 1

    @property
    def epsilon(self) -> float:
        """Distance from 1 to the next number."""
        return 2.0**-self.fraction_bits

    @property
    def decimal_digits(self) -> int:
        """Decimal digits that every number of so many digits keeps (C's ``FLT_DIG``): floor(fraction_bits log10 2)."""
        return math.floor(self.fraction_bits * math.log10(2))

    @property
    def max(self) -> float:
        """Largest finite number."""
        reserved, last_fraction = (1, 1) if self.has_infinity else (0, 2)
        exponent = (1 << self.exponent_bits) - 1 - reserved - self.bias
        return math.ldexp(2 - last_fraction * self.epsilon, exponent)

    @property
    def min(self) -> float:
        """Most negative finite number."""
        return -self.max

    @property
    def smallest_normal(self) -> float:
        """Smallest positive number of full precision."""
        return 2.0 ** (1 - self.bias)

    @property
    def smallest_subnormal(self) -> float:
        """Smallest positive number."""
        return self.smallest_normal * self.epsilon

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which NumPy computes in this format: each operation's exact result, rounded half to even."""
        if self.name == "fp32":
            return np.dtype(np.float32)
        if self.name == "fp16":
            return np.dtype(np.float16)
        import ml_dtypes  # here, as most runs need no such type

        return np.dtype(getattr(ml_dtypes, _ML_DTYPES[self.name]))

    def convert(self, reals: FloatArray) -> np.ndarray[Any, Any]:
        """Return reals in this format's ``dtype``: the nearest number, ties to even; beyond the range infinity or NaN.

        Rounded here, in one step: ml_dtypes' own conversion goes by way of float32 and so rounds twice.
        """
        _, exponent = np.frexp(reals)  # of a significand in [0.5, 1)
        step = np.ldexp(1.0, np.maximum(exponent - 1, 1 - self.bias) - self.fraction_bits)
        with np.errstate(over="ignore", invalid="ignore"):
            return (np.rint(reals / step) * step).astype(self.dtype)


_ML_DTYPES = {"bf16": "bfloat16", "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}

FLOAT_FORMATS: dict[str, FloatFormat] = {
    one.name: one
    for one in (
        FloatFormat("fp32", "single precision (IEEE 754 binary32)", 8, 23),
        FloatFormat("fp16", "half precision (IEEE 754 binary16)", 5, 10),
        FloatFormat("bf16", "brain float: fp32's range, 8 bits of precision", 8, 7),
        FloatFormat("fp8_e4m3", "OCP FP8 E4M3: no infinity", 4, 3, has_infinity=False),
        FloatFormat("fp8_e5m2", "OCP FP8 E5M2", 5, 2),
    )
}


def float_format(name: str) -> FloatFormat:
    """Return the format of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FLOAT_FORMATS:
        close = did_you_mean(name, FLOAT_FORMATS)
        raise ConfigError(f"unknown number format '{name}'; allowed: {', '.join(FLOAT_FORMATS)}{close}")
    return FLOAT_FORMATS[name]


@dataclass(frozen=True, slots=True)
class FixedPointFormat:
    """Two's complement with a binary point: ``code 2**-fraction_bits``, codes of sign, integer and fraction bits."""

    integer_bits: int
    fraction_bits: int

    @property
    def name(self) -> str:
        """``q3.4`` for 3 integer and 4 fraction bits beside the sign; ``int8`` without a fraction."""
        return f"q{self.integer_bits}.{self.fraction_bits}" if self.fraction_bits else f"int{self.bits}"

    @property
    def word(self) -> IntFormat:
        """The codes."""
        return IntFormat(1 + self.integer_bits + self.fraction_bits)

    @property
    def bits(self) -> int:
        """Width of a word."""
        return self.word.bits

    @property
    def resolution(self) -> float:
        """Distance between neighbours, everywhere the same, and the smallest positive number."""
        return 2.0**-self.fraction_bits

    @property
    def min(self) -> float:
        """Most negative number."""
        return self.word.min * self.resolution

    @property
    def max(self) -> float:
        """Largest number."""
        return self.word.max * self.resolution

    def reals(self, codes: IntArray) -> FloatArray:
        """Return what codes stand for."""
        return np.asarray(codes * self.resolution, np.float64)

    def codes(self, reals: FloatArray) -> IntArray:
        """Return the nearest codes, ties to even; numbers beyond the range take its ends."""
        return np.clip(np.rint(reals / self.resolution), self.word.min, self.word.max).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Codebook:
    """A table of values: a word is the index of an entry of ``entry_bits`` bits."""

    entries: tuple[float, ...]
    entry_bits: int = 32

    def __post_init__(self) -> None:
        if len(self.entries) < 2:
            raise ConfigError(f"codebook of {len(self.entries)} entries; allowed: 2 or more")

    @property
    def bits(self) -> int:
        """Width of an index."""
        return (len(self.entries) - 1).bit_length()

    @property
    def min(self) -> float:
        """Least entry."""
        return min(self.entries)

    @property
    def max(self) -> float:
        """Greatest entry."""
        return max(self.entries)

    def reals(self, indices: IntArray) -> FloatArray:
        """Look indices up.

        Raises:
            ConfigError: an index outside the table.
        """
        if indices.size and (indices.min() < 0 or indices.max() >= len(self.entries)):
            raise ConfigError(f"codebook index outside 0 to {len(self.entries) - 1}")
        return np.array(self.entries, np.float64)[indices]

    def indices(self, reals: FloatArray) -> IntArray:
        """Return the index of the nearest entry for each number; of two as near, the first."""
        distances = np.abs(reals[..., np.newaxis] - np.array(self.entries))
        return distances.argmin(axis=-1).astype(np.int64)

    def storage_bits(self, words: int) -> int:
        """Return the bits of so many indices and of the table."""
        return words * self.bits + len(self.entries) * self.entry_bits
