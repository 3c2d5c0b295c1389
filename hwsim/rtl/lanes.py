"""The units behind the array's columns, requantizer and activation table, as parameters and constants of the RTL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError
from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import FRACTION_BITS, Lut, LutOptions
from hwsim.numerics.requantize import FixedPoint, PowerOfTwo, Requantizer, RequantizerOptions
from hwsim.numerics.wide import check_shift

CODE_CYCLES = 4  # from a sum that leaves the array to its requantized code
TABLE_CYCLES = 3  # from there to the table's code
SHIFT_BITS = 8
BIAS_BITS = 32
WIDE_BIAS_BITS = 63

# the ROUNDING parameter of requantizer.sv
_ROUNDINGS = {
    "single": 0,
    "half_up": 0,
    "half_away": 1,
    "half_even": 2,
    "floor": 3,
    "double": 4,
}  # ROUNDING of requantizer.sv

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Lanes:
    """Requantizer, table and the constants of each output channel.

    ``mantissa``, ``shift`` and ``bias`` have shape (channels,); ``shift`` is what the product is shifted right by
    (``double``: what is left of it after the high multiply).
    """

    requantizer: Requantizer
    lut: Lut | None
    mantissa: IntArray
    shift: IntArray
    bias: IntArray
    multiplier_bits: int
    rounding: int

    @property
    def bias_bits(self) -> int:
        """Width of the bias port."""
        return BIAS_BITS if signed_bits(self.bias) <= BIAS_BITS else WIDE_BIAS_BITS

    @property
    def code_bits(self) -> int:
        """Signed width that holds every requantized code, and the zero points beside them."""
        unit = self.requantizer
        zero = 0 if self.lut is None else self.lut.input_zero_point
        return signed_bits(np.array([unit.zero_point, unit.low, unit.high, zero], np.int64))

    @property
    def table_bits(self) -> int:
        """Signed width of the table's entries."""
        return 2 if self.lut is None else signed_bits(self.lut.table)

    @property
    def table_words(self) -> int:
        """Entries of the table."""
        return 0 if self.lut is None else int(self.lut.table.size)

    @property
    def constant_bits(self) -> int:
        """Width of one channel's constants."""
        return SHIFT_BITS + self.multiplier_bits + self.bias_bits

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of the lanes' modules."""
        return {
            "LANES": 1,
            "BIAS_BITS": self.bias_bits,
            "MULTIPLIER_BITS": self.multiplier_bits,
            "OUT_BITS": self.code_bits,
            "ROUNDING": self.rounding,
            "TABLE": int(self.lut is not None),
            "TABLE_BITS": self.table_bits,
            "TABLE_ADDRESS_BITS": max((self.table_words - 1).bit_length(), 1),
            "LINEAR": int(self.lut is not None and self.lut.interpolation == "linear"),
        }

    def settings(self) -> list[int]:
        """Return the run-time inputs, in the order in which the test bench reads them."""
        unit, lut = self.requantizer, self.lut
        fixed = [unit.zero_point, unit.low, unit.high]
        if lut is None:
            return [*fixed, 0, 0, 0, 0]
        step = lut.step_multiplier
        shift = int(step.shift) + step.bits - FRACTION_BITS
        return [*fixed, lut.input_zero_point, int(step.mantissa), shift, lut.offset]

    def channel_words(self) -> list[int]:
        """Return each channel's constants as one word: shift, multiplier, bias."""
        bias_bits, bits = self.bias_bits, self.multiplier_bits
        return [
            (bits_of(int(shift), SHIFT_BITS) << (bits + bias_bits))
            | (int(mantissa) << bias_bits)
            | bits_of(int(bias), bias_bits)
            for mantissa, shift, bias in zip(self.mantissa, self.shift, self.bias, strict=True)
        ]


def build_lanes(requantizer: Requantizer, lut: Lut | None, bias: IntArray, channels: int) -> Lanes:
    """Return the lanes of a product with ``channels`` output channels.

    Raises:
        ConfigError: a scheme without integer constants, or constants outside the hardware's ports.
    """
    if bias.shape != (channels,):
        raise ConfigError(f"bias of shape {bias.shape}; allowed: ({channels},)")
    scheme = requantizer.scheme
    if isinstance(scheme, FixedPoint):
        whole: Multiplier = scheme.multiplier
        shift = whole.shift if scheme.rounding == "double" else whole.shift + whole.bits
        constants, bits = whole.mantissa, whole.bits
    elif isinstance(scheme, PowerOfTwo):
        shift, constants, bits = scheme.shift, np.ones_like(scheme.shift), 1
    else:
        raise ConfigError(f"no RTL of {type(scheme).__name__}; allowed: fixed_point, power_of_two")
    check_shift(shift)
    if lut is not None:
        _check_table(lut)
    return Lanes(
        requantizer, lut, _each(constants, channels), _each(shift, channels), bias, bits, _ROUNDINGS[scheme.rounding]
    )


def rounding_code(options: RequantizerOptions) -> int:
    """Return the ROUNDING parameter of a requantizer built with ``options``.

    Raises:
        ConfigError: the scheme has no RTL.
    """
    if options.scheme == "power_of_two":
        return _ROUNDINGS["half_away" if options.rounding == "double" else options.rounding]
    if options.scheme == "fixed_point":
        return _ROUNDINGS[options.rounding]
    raise ConfigError(f"no RTL of the {options.scheme} scheme; allowed: fixed_point, power_of_two")


def check_interpolation(options: LutOptions) -> None:
    """Refuse a table whose look-ups have no RTL.

    Raises:
        ConfigError: its interpolation is none of those that the RTL has.
    """
    if options.interpolation == "tflite_int16":
        raise ConfigError("no RTL of interpolation tflite_int16; allowed: none, linear")


def _check_table(lut: Lut) -> None:
    shift = int(lut.step_multiplier.shift) + lut.step_multiplier.bits - FRACTION_BITS
    if int(lut.step_multiplier.mantissa) >= 1 << 31 or not -31 <= shift <= 94 or abs(lut.offset) >= 1 << 47:
        raise ConfigError("table whose step or offset leaves the RTL's ports (31, 8 and 48 bits)")


def _each(constants: NDArray[Number], channels: int) -> NDArray[Number]:
    return np.broadcast_to(constants, (channels,))


def signed_bits(values: IntArray) -> int:
    """Return the least two's-complement width, at least 2, that holds every value."""
    low, high = min(int(values.min()), -1), max(int(values.max()), 0)
    return max((-low - 1).bit_length(), high.bit_length(), 1) + 1


def bits_of(value: int, bits: int) -> int:
    """Return the low ``bits`` bits of a two's-complement word."""
    return value & ((1 << bits) - 1)
