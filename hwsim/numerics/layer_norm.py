"""Layer normalization of codes in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.square_root import integer_square_root
from hwsim.numerics.wide import shift_right

RADICAND_BITS = 60  # of a variance with what is added to it, each
RECIPROCAL_BITS = 61
VALUE_BITS = 20  # fraction bits of a normalized value
GAIN_BITS, GAIN_FRACTION_BITS = 28, 21  # of a factor, and the most that stand behind its point
LARGEST_OFFSET = float(1 << 18)  # of a shift by channel, in output steps
DOUBLINGS = (32, 16, 8, 4, 2)


@dataclass(frozen=True, eq=False)
class IntegerLayerNorm:
    """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` along the last axis, from codes to codes.

    With n codes q a row (any common offset taken off), s = sum q and d = n q - s, the row's variance is
    ``v S**2 / n**2`` with ``v = n sum(q q) - s s``: both sums and both products are exact. So a normalized value is
    ``d / sqrt(v + n**2 epsilon / S**2)``: scale and zero point of the input play no part but in epsilon.

    ``radicand = (v << 2 h) + E`` with E the last term times ``2**(2 h)``, rounded, is shifted left by an even e until
    it has 61 or 62 bits; ``r = floor(sqrt(.))`` is `integer_square_root`, of 31 bits, ``c = floor(2**61 / r)``, and
    ``x = d c >> (61 - h - e / 2 - 20)``, rounded half up, is the value with 20 fraction bits. The output code is
    ``(x gain + offset) >> shift``, rounded half up and clamped: ``gain`` is gamma / S_y and ``offset`` beta / S_y + Z_y
    for each channel, as integers.

    Source: the order of steps of I-BERT (Kim et al., 2021), section 3.6, with an exact variance.
    """

    headroom: int
    epsilon: int
    gains: IntArray
    offsets: IntArray
    shift: int
    word: IntFormat
    output: IntFormat

    def apply(self, codes: IntArray) -> IntArray:
        """Return the output codes, of the shape (..., n) of the input's."""
        length = self.gains.size
        centred = codes - (self.word.min + self.word.max + 1) // 2  # keeps the squares small
        total = centred.sum(axis=-1, keepdims=True)
        variance = length * (centred * centred).sum(axis=-1, keepdims=True) - total * total
        values = self._normalized(length * centred - total, (variance << (2 * self.headroom)) + self.epsilon)
        scaled = values * self.gains + self.offsets
        return self.output.saturate(shift_right(scaled, np.asarray(self.shift), "half_up"))

    def _normalized(self, deviations: IntArray, radicand: IntArray) -> IntArray:
        """Return ``deviations / sqrt(radicand) * 2**(headroom + 20)``."""
        radicand, half_exponent = _with_62_bits(radicand)
        reciprocal = (1 << RECIPROCAL_BITS) // integer_square_root(radicand)
        places = RECIPROCAL_BITS - VALUE_BITS - self.headroom - half_exponent
        # fewer than none only where all codes of a row are equal, and every deviation is 0
        return shift_right(deviations * reciprocal, np.maximum(places, 0), "half_up")


def _with_62_bits(values: IntArray) -> tuple[IntArray, IntArray]:
    """Return positive numbers shifted left by an even exponent to 61 or 62 bits, and half of that exponent."""
    shifted, half_exponent = values.copy(), np.zeros_like(values)
    for step in DOUBLINGS:
        fits = shifted < np.int64(1) << np.int64(RADICAND_BITS + 2 - step)
        shifted = np.where(fits, shifted << step, shifted)
        half_exponent += np.where(fits, step // 2, 0)
    return shifted, half_exponent


def build_layer_norm(
    source: Quantization, output: Quantization, gamma: FloatArray, beta: FloatArray, epsilon: float
) -> IntegerLayerNorm:
    """Choose the integers for rows as long as ``gamma`` and ``beta``; both quantizations are per tensor.

    Raises:
        ConfigError: rows so long, or an epsilon, factor or shift so large, that sums need more than 63 bits.
    """
    length, span = gamma.size, source.format.max - source.format.min
    added = epsilon * length**2 / float(source.scale) ** 2
    largest = max((length * (span + 1)) ** 2 // 4, int(min(added, 2.0**RADICAND_BITS)))
    headroom = (RADICAND_BITS - largest.bit_length()) // 2
    if headroom < 0:
        raise ConfigError(
            f"layer normalization of {length} codes of {source.format.bits} bits with epsilon {epsilon:g}: "
            "the variance needs more than 60 bits"
        )
    factors, shifts = gamma / float(output.scale), beta / float(output.scale) + float(output.zero_point)
    if np.abs(factors).max() > 2.0**GAIN_BITS or np.abs(shifts).max() > LARGEST_OFFSET:
        raise ConfigError(
            f"layer normalization: factors up to {np.abs(factors).max():g} and shifts up to {np.abs(shifts).max():g} "
            f"steps of the output; allowed: {2**GAIN_BITS} and {LARGEST_OFFSET:.0f}"
        )
    _, integer_bits = np.frexp(np.abs(factors).max())
    fraction_bits = min(GAIN_BITS - int(integer_bits), GAIN_FRACTION_BITS)
    shift = VALUE_BITS + fraction_bits
    return IntegerLayerNorm(
        headroom=headroom,
        epsilon=max(round(added * 4.0**headroom), 1),
        gains=np.rint(factors * 2.0**fraction_bits).astype(np.int64),
        offsets=np.rint(shifts * 2.0**shift).astype(np.int64),
        shift=shift,
        word=source.format,
        output=output.format,
    )
