"""Softmax along the last axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.fixed_point import rounding_divide_by_power_of_two
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.multipliers import quantize_multiplier
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import Float32Array, float32
from hwsim.numerics.tflite.softmax_16 import TableSoftmax

DIFFERENCES = 256  # of two 8-bit codes: 0 to -255


@dataclass(frozen=True)
class FixedPointSoftmax:
    """``tflm`` and ``litert_reference``: integers only, to 8-bit codes (1/256, -128) or 16-bit (2**-16, -32768).

    (M, l) = QM(min(beta S 2**26, 2**31 - 1)); d = q - max; d below -floor(31 2**26 / 2**l) gives the least code;
    else e_j = exp(SRDHM(d << l, M)), from 5 integer bits to none; sum = sum(e_j / 2**12); h = clz(sum);
    r = 1 / (1 + x) at x = (sum << h) - 2**31; out = SRDHM(r, e_j) / 2**(12 - h + 31 - bits) + least code, clamped.
    Divisions round half away from zero.

    Input codes of other widths, ``bits``, have tables of other lengths.

    Source: ``Softmax`` in TensorFlow Lite's ``kernels/internal/reference/softmax.h``.
    """

    scale: float
    beta: float
    output: IntFormat
    bits: int = 8

    INTEGER_BITS: ClassVar[int] = 5
    SUM_INTEGER_BITS: ClassVar[int] = 12

    @cached_property
    def exponentials(self) -> IntArray:
        """Return exp(-k beta S) for every difference k, without integer bits; 0 where the kernel skips the input."""
        fraction_bits = 31 - self.INTEGER_BITS
        real = min(float(np.float32(self.beta)) * float(float32(self.scale)) * 2.0**fraction_bits, 2.0**31 - 1)
        multiplier = quantize_multiplier(real)
        left = -int(multiplier.shift)
        radius = int(np.floor(31.0 * 2.0**fraction_bits / 2.0**left))
        differences = -np.arange(1 << self.bits, dtype=np.int64)
        inside = np.maximum(differences, -radius)
        raw = gemmlowp.WORD32.multiply(inside << left, int(multiplier.mantissa))
        return np.where(differences < -radius, 0, gemmlowp.exp_of_negative(raw, self.INTEGER_BITS))

    def apply(self, codes: IntArray) -> IntArray:
        """Return the output codes."""
        # in the kernel an input that is skipped gets the least code, as an exponential of 0 does here
        exponentials = self.exponentials[codes.max(axis=-1, keepdims=True) - codes]
        parts = gemmlowp.divide_by_power_of_two(self.exponentials, self.SUM_INTEGER_BITS)
        total = parts[codes.max(axis=-1, keepdims=True) - codes].sum(axis=-1, keepdims=True)
        _, length = np.frexp(total.astype(np.float64))
        headroom = 32 - length.astype(np.int64)
        reciprocal = gemmlowp.reciprocal((total << headroom) - (1 << 31))
        exponent = self.SUM_INTEGER_BITS - headroom + 31 - self.output.bits
        product = gemmlowp.WORD32.multiply(reciprocal, exponentials)
        scaled = rounding_divide_by_power_of_two(product, exponent)
        return self.output.saturate(scaled + self.output.min)


@dataclass(frozen=True)
class FloatSoftmax:
    """``litert_optimized`` and ``xnnpack``: exp(-beta S k) from a float32 table, summed in order in float32.

    out = rint(t[k] (1 / (sum S_o))) + Z_o, clamped.

    Source: ``Softmax`` in LiteRT's ``kernels/internal/optimized/optimized_ops.h``.
    """

    scale: float
    beta: float
    output: Quantization

    @cached_property
    def exponentials(self) -> Float32Array:
        """Return exp(-k beta S) for k = 0 to 255 in float32."""
        step = -(float32(self.scale) * np.float32(self.beta))
        exponents = step * np.arange(DIFFERENCES, dtype=np.float32)
        return np.exp(exponents.astype(np.float64)).astype(np.float32)

    def apply(self, codes: IntArray) -> IntArray:
        """Return the output codes."""
        exponentials = self.exponentials[codes.max(axis=-1, keepdims=True) - codes]
        total = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
        inverse = np.float32(1) / (total * float32(self.output.scale))
        steps = np.rint(exponentials * inverse).astype(np.int64)
        return self.output.format.saturate(steps + int(self.output.zero_point))


def build_softmax(
    profile: Profile, source: Quantization, output: Quantization, beta: float = 1.0
) -> FixedPointSoftmax | FloatSoftmax | TableSoftmax:
    """Build the softmax of 8-bit or 16-bit codes; in ``tflm`` and ``litert_reference`` of any to as many bits.

    Raises:
        UnsupportedError: codes of other widths; 16-bit codes to 8 bits; 8-bit codes to 16 bits in
            ``litert_optimized`` and ``xnnpack``.
    """
    check_profile(profile, "softmax")
    bits, out_bits = source.format.bits, output.format.bits
    if bits == out_bits == 16 and not output.zero_point:
        return TableSoftmax(profile, float(source.scale), beta)
    if (bits, out_bits) != (8, 16) and bits != out_bits:
        raise UnsupportedError(f"softmax of {bits}-bit codes to {out_bits} bits; available: 8 to 8 or 16, 16 to 16")
    if profile in ("tflm", "litert_reference"):
        return FixedPointSoftmax(float(source.scale), beta, output.format, bits)
    if output.format.bits != 8:
        raise UnsupportedError(f"softmax to {output.format.bits}-bit codes in profile '{profile}'; available: 8")
    return FloatSoftmax(float(source.scale), beta, output)
