"""Requantization: from the accumulator's grid to the output's, then zero point and clamp.

A scheme turns ``accumulator * M`` into an integer, with ``M = S_w S_x / S_y``; the requantizer adds the output's
zero point and clamps to the output's width and the fused activation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim import registry
from hwsim.errors import ConfigError
from hwsim.numerics.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    Multiplier,
    quantize_multiplier,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray, RealRounding, round_real
from hwsim.numerics.wide import ShiftRounding, check_shift, multiply_shift

Rounding = Literal["single", "double", "floor", "half_even"]
Activation = Literal["none", "relu", "relu6"]

Number = TypeVar("Number", bound=np.generic)

_SHIFT_ROUNDING: dict[Rounding, ShiftRounding] = {
    "single": "half_up",
    "double": "half_away",
    "floor": "floor",
    "half_even": "half_even",
}


@dataclass(frozen=True, slots=True)
class RequantizerOptions:
    """What the requantization unit is built as: scheme by name, its rounding, the multiplier's width."""

    scheme: str = "fixed_point"
    rounding: Rounding = "single"
    multiplier_bits: int = 31


class Scheme(ABC):
    """One way of multiplying an integer by a real constant; built once per layer, applied to every output."""

    multiplies: ClassVar[bool] = True
    """Whether there is a multiplication at all."""

    @classmethod
    @abstractmethod
    def build(
        cls, input_scale: float, weight_scale: FloatArray, output_scale: float, options: RequantizerOptions
    ) -> Scheme:
        """Choose the constants for ``M = input_scale * weight_scale / output_scale`` (shape of weight_scale)."""

    @abstractmethod
    def scale(self, accumulators: IntArray) -> IntArray:
        """Return ``accumulators * M`` as integers; M broadcasts along the last axis."""

    @abstractmethod
    def columns(self, columns: slice) -> Scheme:
        """Return the scheme of some output channels (itself where all channels share M)."""


@dataclass(frozen=True, eq=False)
class FixedPoint(Scheme):
    """``accumulator * M0 * 2**-(bits + n)`` with an integer M0.

    ``single``: half up on the exact product; ``floor`` and ``half_even`` as named, on the exact product.
    ``double``: gemmlowp's doubling high multiply, then a rounding division by 2**n, as TFLite's reference
    kernels do; for accumulators in int32 and 31 multiplier bits.
    """

    multiplier: Multiplier
    rounding: Rounding

    @classmethod
    def build(
        cls, input_scale: float, weight_scale: FloatArray, output_scale: float, options: RequantizerOptions
    ) -> FixedPoint:
        """Quantize M to ``options.multiplier_bits``.

        Raises:
            ConfigError: ``double`` with other than 31 multiplier bits, or an M that no shift of the unit reaches.
        """
        if options.rounding == "double" and options.multiplier_bits != 31:
            raise ConfigError(f"double rounding with {options.multiplier_bits} multiplier bits; allowed: 31")
        multiplier = quantize_multiplier(input_scale * weight_scale / output_scale, options.multiplier_bits)
        if options.rounding != "double":
            check_shift(multiplier.shift + multiplier.bits)
        return cls(multiplier, options.rounding)

    def scale(self, accumulators: IntArray) -> IntArray:
        """Multiply, shift and round.

        Raises:
            ConfigError: ``double`` meets a value outside int32.
        """
        mantissa, shift = self.multiplier.mantissa, self.multiplier.shift
        if self.rounding != "double":
            total_shift = shift + self.multiplier.bits
            return multiply_shift(accumulators, mantissa, total_shift, _SHIFT_ROUNDING[self.rounding])
        if not IntFormat(32).holds(accumulators):
            raise ConfigError("double rounding of a sum outside 32 bits; allowed: -2**31 to 2**31 - 1")
        left, right = np.maximum(-shift, 0), np.maximum(shift, 0)
        shifted = IntFormat(32).wrap(accumulators << left)
        high = saturating_rounding_doubling_high_multiply(shifted, mantissa)
        return rounding_divide_by_power_of_two(high, right)

    def columns(self, columns: slice) -> FixedPoint:
        """Return the scheme of some output channels."""
        whole = self.multiplier
        part = Multiplier(_take(whole.mantissa, columns), _take(whole.shift, columns), whole.bits)
        return replace(self, multiplier=part)


@dataclass(frozen=True, eq=False)
class PowerOfTwo(Scheme):
    """A shift only: M is replaced by the nearest power of two on a log scale, ``2**-n``, after calibration.

    Rounding of the shift: ``single`` half up, ``double`` half away from zero, ``floor``, ``half_even``.
    """

    shift: IntArray
    rounding: ShiftRounding

    @classmethod
    def build(
        cls, input_scale: float, weight_scale: FloatArray, output_scale: float, options: RequantizerOptions
    ) -> PowerOfTwo:
        """Round ``log2 M`` to the nearest integer.

        Raises:
            ConfigError: an M that no shift of the unit reaches.
        """
        mantissa, exponent = np.frexp(input_scale * weight_scale / output_scale)
        shift = np.where(mantissa >= math.sqrt(0.5), -exponent, 1 - exponent).astype(np.int64)
        check_shift(shift)
        return cls(shift, _SHIFT_ROUNDING[options.rounding])

    def scale(self, accumulators: IntArray) -> IntArray:
        """Shift and round."""
        return multiply_shift(accumulators, np.ones_like(self.shift), self.shift, self.rounding)

    def columns(self, columns: slice) -> PowerOfTwo:
        """Return the scheme of some output channels."""
        return replace(self, shift=_take(self.shift, columns))


@dataclass(frozen=True, eq=False)
class FloatScale(Scheme):
    """ONNX Runtime's rule: float32(accumulator) * M in float32, half to even; M itself computed in float32."""

    real: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        input_scale: float,
        weight_scale: FloatArray,
        output_scale: float,
        options: RequantizerOptions,  # noqa: ARG003 (this scheme has no options)
    ) -> FloatScale:
        """Compute ``M = (S_x S_w) / S_y``, each step in float32."""
        product = np.float32(input_scale) * weight_scale.astype(np.float32)
        return cls(product / np.float32(output_scale))

    def scale(self, accumulators: IntArray) -> IntArray:
        """Multiply in float32 and round half to even; results beyond int32 saturate."""
        product = np.rint(accumulators.astype(np.float32) * self.real)
        return np.clip(product.astype(np.float64), INT32_MIN, INT32_MAX).astype(np.int64)

    def columns(self, columns: slice) -> FloatScale:
        """Return the scheme of some output channels."""
        return replace(self, real=_take(self.real, columns))


@dataclass(frozen=True, eq=False)
class Requantizer:
    """``clamp(scheme(accumulator) + zero_point, low, high)``: one layer's requantization."""

    scheme: Scheme
    zero_point: int
    low: int
    high: int

    def apply(self, accumulators: IntArray) -> IntArray:
        """Return output codes; channels are the last axis."""
        return np.clip(self.scheme.scale(accumulators) + self.zero_point, self.low, self.high)

    def columns(self, columns: slice) -> Requantizer:
        """Return the requantizer of some output channels."""
        return replace(self, scheme=self.scheme.columns(columns))


def _take(constants: NDArray[Number], columns: slice) -> NDArray[Number]:
    return constants if constants.ndim == 0 else constants[columns]


def build_requantizer(
    input_scale: float,
    weight_scale: FloatArray,
    output: Quantization,
    activation: Activation,
    options: RequantizerOptions,
) -> Requantizer:
    """Build the requantizer of a layer from its scales, its output's quantization and its fused activation."""
    scheme = registry.load(registry.REQUANTIZATION_SCHEMES, options.scheme)
    low, high = activation_range(output, activation)
    built = scheme.build(input_scale, weight_scale, float(output.scale), options)
    return Requantizer(built, int(output.zero_point), low, high)


def activation_range(
    output: Quantization, activation: Activation, rounding: RealRounding = "half_even"
) -> tuple[int, int]:
    """Return the clamp (low, high) that a fused activation means on the output's codes.

    ReLU starts at the code of 0, ReLU6 also ends at the code of 6; both stay inside the format.
    """
    low, high = output.format.min, output.format.max
    if activation == "none":
        return low, high
    zero = int(output.zero_point)
    if activation == "relu6":
        six = round_real(np.float64(6.0) / output.scale, rounding)
        high = min(high, zero + int(six))
    return max(low, zero), high
