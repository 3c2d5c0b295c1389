"""Integer formats: how many bits a word has, which values it holds, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError

IntArray = NDArray[np.int64]
Overflow = Literal["wrap", "saturate", "error"]

MIN_BITS = 2
MAX_BITS = 63


@dataclass(frozen=True, slots=True)
class IntFormat:
    """A two's-complement (``signed``) or plain binary word of ``bits`` bits, 2 to 63.

    ``narrow`` leaves one code out: of a signed word the most negative one, so that the range is symmetric round
    zero; of an unsigned word the greatest one, so that there are as many codes (as QONNX has it).
    """

    bits: int
    signed: bool = True
    narrow: bool = False

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise ConfigError(f"integer format of {self.bits} bits; allowed: {MIN_BITS} to {MAX_BITS}")

    @property
    def min(self) -> int:
        """Least value."""
        if not self.signed:
            return 0
        return -(1 << (self.bits - 1)) + int(self.narrow)

    @property
    def max(self) -> int:
        """Greatest value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1 - int(self.narrow)

    def holds(self, values: IntArray) -> bool:
        """Tell whether every value lies in the range (true for an empty array)."""
        return values.size == 0 or (int(values.min()) >= self.min and int(values.max()) <= self.max)

    def wrap(self, values: IntArray) -> IntArray:
        """Keep the low ``bits`` bits, as a register without overflow logic does."""
        mask = (1 << self.bits) - 1
        offset = 1 << (self.bits - 1) if self.signed else 0
        with np.errstate(over="ignore"):
            return ((values + np.int64(offset)) & np.int64(mask)) - np.int64(offset)

    def saturate(self, values: IntArray) -> IntArray:
        """Clamp into the range."""
        return np.clip(values, self.min, self.max)

    def fit(self, values: IntArray, overflow: Overflow) -> IntArray:
        """Apply ``wrap`` or ``saturate``; under ``error`` the values wrap (the caller stops the run)."""
        return self.saturate(values) if overflow == "saturate" else self.wrap(values)


def accumulator_format(weight_bits: int, activation_bits: int, guard_bits: int) -> IntFormat:
    """Return the accumulator of a MAC: product width plus guard bits, always signed.

    Raises:
        ConfigError: the sum leaves 2 to 63 bits.
    """
    bits = weight_bits + activation_bits + guard_bits
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ConfigError(
            f"accumulator of {weight_bits} + {activation_bits} + {guard_bits} = {bits} bits; "
            f"allowed: {MIN_BITS} to {MAX_BITS}"
        )
    return IntFormat(bits)
