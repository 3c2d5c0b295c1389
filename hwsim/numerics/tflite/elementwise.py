"""Addition, subtraction and multiplication of two quantized tensors. Operands broadcast as in NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.fixed_point import Multiplier, rounding_divide_by_power_of_two
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.multipliers import INT16, Multiply, multiply_double, quantize_multiplier
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import TfliteActivation, activation_clamp, float32, mul_scale, power_of_two_of

NARROW_SHIFT, WIDE_SHIFT = 20, 15  # bits of headroom for sums of codes of 8 and of 16 bits
NARROW_BITS, SUM_BITS = 8, 31
XNNPACK_ADD_BITS = 20


@dataclass(frozen=True, eq=False)
class Operands:
    """Zero points of both operands and of the result, and the clamp on the result's codes."""

    first_zero_point: int
    second_zero_point: int
    zero_point: int
    low: int
    high: int

    @classmethod
    def of(
        cls, first: Quantization, second: Quantization, output: Quantization, activation: TfliteActivation
    ) -> Operands:
        """Collect the zero points and the activation's clamp."""
        low, high = activation_clamp(output, activation)
        return cls(int(first.zero_point), int(second.zero_point), int(output.zero_point), low, high)

    def finish(self, values: IntArray) -> IntArray:
        """Add the result's zero point and clamp."""
        return np.clip(values + self.zero_point, self.low, self.high)


class ElementwiseOperator(ABC):
    """One element-wise operator with its constants."""

    @abstractmethod
    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Return the output codes of two arrays of input codes."""


@dataclass(frozen=True, eq=False)
class FixedPointAdd(ElementwiseOperator):
    """Add or subtract on a common grid with headroom.

    With L = 20 (8-bit codes) or 15 (16-bit), t = 2 max(S_1, S_2): out = MBQM(MBQM((q_1 - Z_1) << L, S_1/t) +-
    MBQM((q_2 - Z_2) << L, S_2/t), t/(2**L S_o)) + Z_o, clamped. MBQM is `multiply_double`.

    Source: ``reference_integer_ops::Add`` in TensorFlow Lite's ``kernels/internal/reference/integer_ops/add.h``.
    """

    operands: Operands
    shift: int
    first: Multiplier
    second: Multiplier
    output: Multiplier
    sign: int

    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Rescale both operands, add, rescale the sum."""
        left = multiply_double((first - self.operands.first_zero_point) << self.shift, self.first)
        right = multiply_double((second - self.operands.second_zero_point) << self.shift, self.second)
        return self.operands.finish(multiply_double(left + self.sign * right, self.output))


@dataclass(frozen=True, eq=False)
class ShiftedAdd(ElementwiseOperator):
    """Add or subtract 16-bit codes whose scales are powers of two: only shifts.

    out = clamp(clamp16(RD(q_1, log2(S_o / S_1)) +- RD(q_2, log2(S_o / S_2)))), RD the rounding division by that
    power of two, half away from zero.

    Source: ``Add`` (int16) in TensorFlow Lite's ``kernels/internal/reference/add.h``, ``Sub16`` in ``sub.h``.
    """

    operands: Operands
    first: int
    second: int
    sign: int

    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Shift both operands, add, clamp."""
        left = rounding_divide_by_power_of_two(first, np.asarray(self.first))
        right = rounding_divide_by_power_of_two(second, np.asarray(self.second))
        return self.operands.finish(INT16.saturate(left + self.sign * right))


@dataclass(frozen=True, eq=False)
class XnnpackAdd(ElementwiseOperator):
    """Add or subtract with one rounding.

    With A = S_1/S_o, B = S_2/S_o in float32, s = 20 - floor(log2 max(A, B)), a = rint(A 2**s), b = rint(B 2**s):
    out = ((2**(s-1) - a Z_1 -+ b Z_2 + a q_1 +- b q_2) >> s) + Z_o, clamped; an int32 throughout.

    Source: XNNPACK's ``qs8-vadd`` microkernels and ``xnn_init_qs8_add_minmax_params``.
    """

    operands: Operands
    shift: int
    first: int
    second: int

    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Multiply, add, shift once, half up."""
        total = (first - self.operands.first_zero_point) * self.first
        total = total + (second - self.operands.second_zero_point) * self.second
        total += 1 << (self.shift - 1)
        return self.operands.finish(total >> self.shift)


@dataclass(frozen=True, eq=False)
class FixedPointMul(ElementwiseOperator):
    """``MBQM((q_1 - Z_1) (q_2 - Z_2), S_1 S_2 / S_o) + Z_o``, clamped.

    Source: ``reference_integer_ops::Mul`` in TensorFlow Lite's ``kernels/internal/reference/integer_ops/mul.h``.
    """

    operands: Operands
    output: Multiplier
    multiply: Multiply

    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Multiply and requantize."""
        product = (first - self.operands.first_zero_point) * (second - self.operands.second_zero_point)
        return self.operands.finish(self.multiply(product, self.output))


@dataclass(frozen=True, eq=False)
class XnnpackMul(ElementwiseOperator):
    """``rint(float32((q_1 - Z_1) (q_2 - Z_2)) m) + Z_o``, clamped, with m = (S_1 S_2) / S_o in float32.

    Source: XNNPACK's ``qs8-vmul`` microkernels with the fp32 requantization.
    """

    operands: Operands
    real: np.float32

    def apply(self, first: IntArray, second: IntArray) -> IntArray:
        """Multiply and requantize."""
        product = (first - self.operands.first_zero_point) * (second - self.operands.second_zero_point)
        return self.operands.finish(np.rint(product.astype(np.float32) * self.real).astype(np.int64))


def build_add(
    profile: Profile,
    first: Quantization,
    second: Quantization,
    output: Quantization,
    activation: TfliteActivation = "none",
    *,
    subtract: bool = False,
    power_of_two: bool = False,
) -> ElementwiseOperator:
    """Build an addition or subtraction of 8-bit or 16-bit codes.

    ``power_of_two`` (``pot_scale_int16`` in a file) lets LiteRT, not ``tflm``, take `ShiftedAdd` where all scales
    of 16-bit codes are powers of two.

    Raises:
        UnsupportedError: such scales of which neither input's is the output's, or one is greater.
    """
    check_profile(profile, "addition")
    operands = Operands.of(first, second, output, activation)
    sign = -1 if subtract else 1
    if power_of_two and profile != "tflm" and output.format.bits == 16:
        logarithms = [power_of_two_of(float(part.scale)) for part in (first, second, output)]
        if all(is_exact for _, is_exact in logarithms):
            return _shifted_add(operands, [exponent for exponent, _ in logarithms], sign)
    if profile == "xnnpack" and output.format.bits == 8:
        return _xnnpack_add(operands, first, second, output, sign)
    scales = [float(float32(part.scale)) for part in (first, second, output)]
    shift = _headroom(operands, output.format.bits)
    twice = 2.0 * max(scales[:2])
    multipliers = [quantize_multiplier(scale / twice) for scale in scales[:2]]
    final = quantize_multiplier(twice / (2.0**shift * scales[2]))
    return FixedPointAdd(operands, shift, multipliers[0], multipliers[1], final, sign)


def _headroom(operands: Operands, bits: int) -> int:
    """Return by how many bits operands are shifted: differences of codes and zero points fit 32 bits then."""
    if bits <= NARROW_BITS:
        return NARROW_SHIFT
    is_symmetric = operands.first_zero_point == operands.second_zero_point == 0
    return WIDE_SHIFT if is_symmetric else SUM_BITS - (bits + 1)


def _shifted_add(operands: Operands, logarithms: list[int], sign: int) -> ShiftedAdd:
    shifts = [logarithms[2] - one for one in logarithms[:2]]
    if min(shifts) != 0:
        raise UnsupportedError(
            f"16-bit addition of scales 2**{logarithms[0]} and 2**{logarithms[1]} to 2**{logarithms[2]}; "
            "available: inputs of the output's scale, one of them of a smaller one"
        )
    return ShiftedAdd(operands, shifts[0], shifts[1], sign)


def _xnnpack_add(
    operands: Operands, first: Quantization, second: Quantization, output: Quantization, sign: int
) -> XnnpackAdd:
    ratios = [float32(part.scale) / float32(output.scale) for part in (first, second)]
    _, exponent = np.frexp(max(ratios))
    shift = XNNPACK_ADD_BITS - (int(exponent) - 1)
    weights = [int(np.rint(np.ldexp(ratio.astype(np.float64), shift))) for ratio in ratios]
    return XnnpackAdd(operands, shift, weights[0], sign * weights[1])


def build_mul(
    profile: Profile,
    first: Quantization,
    second: Quantization,
    output: Quantization,
    activation: TfliteActivation = "none",
) -> ElementwiseOperator:
    """Build a multiplication of 8-bit or 16-bit codes."""
    check_profile(profile, "multiplication")
    operands = Operands.of(first, second, output, activation)
    real = mul_scale(profile, float(first.scale), float(second.scale), float(output.scale))
    if profile == "xnnpack" and output.format.bits == 8:
        return XnnpackMul(operands, np.float32(real))
    return FixedPointMul(operands, quantize_multiplier(real), multiply_double)
