"""The functions of the LUT unit by name, from a table of the function itself or from one table of the sigmoid.

The second kind is TensorFlow Lite's: sigmoid and tanh of either sign come from one half of the sigmoid,
``sigmoid(-x) = 1 - sigmoid(x)`` and ``tanh(x) = 2 sigmoid(2x) - 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.fixed_point import Multiplier, quantize_multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import FUNCTIONS, LookUpTable, LutOptions, build_lut
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.interpolated import (
    OUTPUT_BITS,
    SigmoidTable,
    interpolated_logistic,
    interpolated_tanh,
    sigmoid_table,
)
from hwsim.numerics.wide import multiply_shift

ARGUMENT_STEPS = 3 * 4096  # steps of the interpolated table's argument in 1.0
LARGEST_ARGUMENT = 1 << 20  # far beyond the table's end, where every function has its last value

_RULES: dict[str, Callable[[IntArray, SigmoidTable], IntArray]] = {
    "sigmoid": interpolated_logistic,
    "tanh": interpolated_tanh,
}


@dataclass(frozen=True, eq=False)
class SigmoidLut:
    """Sigmoid or tanh of codes by a `SigmoidTable`.

    The argument is ``(q - Z_x) * argument_multiplier``, in steps of 1 / 12288; the function's value, with 15 fraction
    bits, times ``output_multiplier`` plus ``output.zero_point`` is the output code. Both products round half up.
    """

    rule: Callable[[IntArray, SigmoidTable], IntArray]
    table: SigmoidTable
    input_zero_point: int
    argument_multiplier: Multiplier
    output_multiplier: Multiplier
    output: Quantization

    @property
    def reads_per_lookup(self) -> int:
        """The two entries that a line joins."""
        return 2

    def look_up(self, codes: IntArray) -> IntArray:
        """Return the output codes for input ``codes`` of any shape."""
        arguments = _scaled(codes - self.input_zero_point, self.argument_multiplier)
        values = self.rule(np.clip(arguments, -LARGEST_ARGUMENT, LARGEST_ARGUMENT), self.table)
        return self.output.format.saturate(_scaled(values, self.output_multiplier) + self.output.zero_point)


def _scaled(values: IntArray, multiplier: Multiplier) -> IntArray:
    return multiply_shift(values, multiplier.mantissa, multiplier.shift + multiplier.bits, "half_up")


def build_function_lut(function: str, inputs: Quantization, output: Quantization, options: LutOptions) -> LookUpTable:
    """Return what the LUT unit does for a function by name, for codes of ``inputs`` and ``output`` (per tensor).

    Raises:
        ConfigError: a table that cannot be made (see `build_lut` and `sigmoid_table`).
        UnsupportedError: ``tflite_int16`` of a function that does not come from the sigmoid.
    """
    if options.interpolation != "tflite_int16":
        return build_lut(FUNCTIONS[function], inputs, output, options)
    if function not in _RULES:
        raise UnsupportedError(f"{function} by interpolation tflite_int16; available: {', '.join(_RULES)}")
    return SigmoidLut(
        _RULES[function],
        sigmoid_table(options.entries, options.output_bits),
        int(inputs.zero_point),
        quantize_multiplier(float(inputs.scale) * ARGUMENT_STEPS),
        quantize_multiplier(2.0**-OUTPUT_BITS / float(output.scale)),
        output,
    )
