"""Lookup tables for nonlinear functions: integers in, integers out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.fixed_point import Multiplier, quantize_multiplier
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.wide import multiply_shift, shift_right

Interpolation = Literal["none", "linear", "tflite_int16"]
Function = Callable[[FloatArray], FloatArray]

FRACTION_BITS = 12


def sigmoid(values: FloatArray) -> FloatArray:
    """Logistic function, without overflow for large negative values."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def gelu(values: FloatArray) -> FloatArray:
    """``x`` times the normal distribution function of ``x`` (Hendrycks and Gimpel, 2016), by the error function."""
    halves = [0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in values.ravel().tolist()]
    return values * np.asarray(halves).reshape(values.shape)


def gelu_by_tanh(values: FloatArray) -> FloatArray:
    """The same approximated by ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))`` (the same source)."""
    return 0.5 * values * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (values + 0.044715 * values**3)))


FUNCTIONS: dict[str, Function] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "gelu": gelu,
    "gelu_by_tanh": gelu_by_tanh,
    "exp": np.exp,
    "reciprocal_sqrt": lambda values: 1.0 / np.sqrt(values),
}


@dataclass(frozen=True, slots=True)
class LutOptions:
    """What the unit is built as: table length, the real input range it covers, output width, interpolation."""

    entries: int = 256
    low: float = -8.0
    high: float = 8.0
    output_bits: int = 8
    interpolation: Interpolation = "none"


class LookUpTable(Protocol):
    """What the LUT unit does with a code."""

    @property
    def reads_per_lookup(self) -> int:
        """Entries read for one code."""

    def look_up(self, codes: IntArray) -> IntArray:
        """Return the output codes for input ``codes`` of any shape."""


@dataclass(frozen=True, eq=False)
class CodeTable:
    """The output code of every input code, from the format's least on."""

    values: IntArray
    format: IntFormat

    def look_up(self, codes: IntArray) -> IntArray:
        """Return the output codes."""
        return self.values[codes - self.format.min]


def every_code(word: IntFormat) -> IntArray:
    """Return all codes of a format, ascending."""
    return np.arange(word.min, word.max + 1, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Lut:
    """A table of ``f`` on an even grid, addressed by fixed-point arithmetic on input codes.

    The address is ``(q - Z_x) * step_multiplier + offset`` with 12 fraction bits. Without interpolation the
    nearest entry is taken; with it the two neighbours are joined by a line. Addresses outside the table take
    the first or the last entry.
    """

    table: IntArray
    input_zero_point: int
    step_multiplier: Multiplier
    offset: int
    interpolation: Interpolation

    @property
    def reads_per_lookup(self) -> int:
        """The nearest entry, or the two that a line joins."""
        return 2 if self.interpolation == "linear" else 1

    def look_up(self, codes: IntArray) -> IntArray:
        """Return the table's output codes for input ``codes`` of any shape."""
        shift = self.step_multiplier.shift + self.step_multiplier.bits - FRACTION_BITS
        steps = multiply_shift(codes - self.input_zero_point, self.step_multiplier.mantissa, shift, "half_up")
        position = np.clip(steps + self.offset, 0, (self.table.size - 1) << FRACTION_BITS)
        if self.interpolation == "none":
            return self.table[shift_right(position, np.asarray(FRACTION_BITS), "half_up")]
        index = np.minimum(position >> FRACTION_BITS, self.table.size - 2)
        fraction = position - (index << FRACTION_BITS)
        rise = (self.table[index + 1] - self.table[index]) * fraction
        return self.table[index] + shift_right(rise, np.asarray(FRACTION_BITS), "half_up")


def build_lut(function: Function, inputs: Quantization, output: Quantization, options: LutOptions) -> Lut:
    """Tabulate ``function`` for input codes of ``inputs`` and output codes of ``output`` (both per tensor).

    Without interpolation the grid has ``entries`` steps over [low, high), so that a table as long as the input
    has codes, over the input's own range, holds ``f`` of every code. With linear interpolation the last entry
    stands at ``high``. Entries have ``options.output_bits`` bits: where the output format is wider, the low bits
    of code - zero point are zero; where it is narrower, its own width rules.

    Raises:
        ConfigError: fewer than two entries, an empty range, or no finite value of the function on the grid.
        UnsupportedError: an interpolation that is not made for every function.
    """
    if options.interpolation == "tflite_int16":
        raise UnsupportedError("a table of this function by interpolation tflite_int16; available: none, linear")
    if options.entries < 2:
        raise ConfigError(f"table of {options.entries} entries; allowed: 2 or more")
    if not options.low < options.high:
        raise ConfigError(f"table range [{options.low}, {options.high}] is empty")
    intervals = options.entries - (options.interpolation == "linear")
    step = (options.high - options.low) / intervals
    with np.errstate(all="ignore"):  # what is not finite is refused below
        values = function(options.low + step * np.arange(options.entries, dtype=np.float64))
    if not np.all(np.isfinite(values)):
        raise ConfigError(f"table function is not finite on [{options.low}, {options.high}]")
    return Lut(
        table=_table_codes(values, output, options.output_bits),
        input_zero_point=int(inputs.zero_point),
        step_multiplier=quantize_multiplier(float(inputs.scale) / step),
        offset=round(-options.low / step * (1 << FRACTION_BITS)),
        interpolation=options.interpolation,
    )


def _table_codes(values: FloatArray, output: Quantization, output_bits: int) -> IntArray:
    """Round to the coarser of the table's and the output format's grids, and stay inside the output format."""
    coarser = max(output.format.bits - output_bits, 0)
    zero = int(output.zero_point)
    lowest, highest = -((zero - output.format.min) >> coarser), (output.format.max - zero) >> coarser
    # clipped as reals: a large value would not survive the cast to an integer
    words = np.clip(np.rint(values / (float(output.scale) * 2.0**coarser)), lowest, highest)
    return (words.astype(np.int64) << coarser) + zero
