"""Affine quantization: real = scale * (code - zero_point)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.rounding import FloatArray, RealRounding, round_real

MAX_TENSOR_BITS = 32
FAR_CODE = 2.0**40  # beyond every code and zero point of a tensor, and still exact in float64


@dataclass(frozen=True, eq=False)
class Quantization:
    """How the integers of a tensor stand for real numbers: ``r = scale * (q - zero_point)``.

    ``scale`` (float64, > 0) and ``zero_point`` (int64) have shape ``()`` per tensor, or ``(channels,)`` per
    channel along ``axis`` of the tensor.
    """

    scale: FloatArray
    zero_point: IntArray
    format: IntFormat
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.format.bits > MAX_TENSOR_BITS:
            raise ConfigError(f"tensor of {self.format.bits} bits; allowed: 2 to {MAX_TENSOR_BITS}")
        if self.scale.shape != self.zero_point.shape or self.scale.ndim != int(self.axis is not None):
            raise ConfigError("scale and zero point need one value per tensor, or one per channel of an axis")
        if not np.all(np.isfinite(self.scale)) or not np.all(self.scale > 0):
            raise ConfigError("quantization scale is not a positive finite number")
        if not self.format.holds(self.zero_point):
            raise ConfigError(f"zero point outside its format; allowed: {self.format.min} to {self.format.max}")

    @property
    def largest_step(self) -> int:
        """The greatest distance of a code from its zero point."""
        return int(max(np.max(self.zero_point) - self.format.min, self.format.max - np.min(self.zero_point)))

    def differs(self, other: Quantization) -> bool:
        """Tell whether another grid gives codes another meaning."""
        same = np.array_equal(self.scale, other.scale) and np.array_equal(self.zero_point, other.zero_point)
        return not same or self.format != other.format

    def quantize(self, real: FloatArray, rounding: RealRounding = "half_even") -> IntArray:
        """Return ``clip(round(r / S) + Z, min, max)``: the zero point is added after rounding.

        Raises:
            ConfigError: a value is NaN or infinite.
        """
        if not np.all(np.isfinite(real)):
            raise ConfigError("cannot quantize NaN or infinity")
        scale, zero_point = self.aligned(real.ndim)
        low, high = self.format.min, self.format.max
        with np.errstate(over="ignore"):  # a quotient beyond float64 is far beyond every code
            steps = np.clip(real / scale, -FAR_CODE, FAR_CODE)
        codes = round_real(steps, rounding) + zero_point
        return np.clip(codes, low, high).astype(np.int64)

    def dequantize(self, codes: IntArray) -> FloatArray:
        """Return the real numbers that ``codes`` stand for."""
        scale, zero_point = self.aligned(codes.ndim)
        return scale * (codes - zero_point)

    def aligned(self, ndim: int) -> tuple[FloatArray, IntArray]:
        """Reshape scale and zero point so that they broadcast along ``axis`` of an ``ndim``-dimensional array."""
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [1] * ndim
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


def from_range(
    low: FloatArray | float,
    high: FloatArray | float,
    format: IntFormat,  # noqa: A002 (the field's word)
    *,
    symmetric: bool,
    axis: int | None = None,
    power_of_two: bool = False,
) -> Quantization:
    """Choose scale and zero point so that the reals in [low, high] fit ``format``.

    The range is widened to hold 0, so that 0 has a code of its own. Symmetric: ``S = max|r| / q_max``, Z = 0.
    Asymmetric: ``S = (high - low) / (q_max - q_min)``, ``Z = round(q_min - low / S)``, ties to even. A range
    of zero width (only zeros) gets scale 1. ``power_of_two``: S is the least power of two that is no less, so
    that the range still fits.

    Raises:
        ConfigError: a bound is NaN or infinite, low > high, or a symmetric unsigned format meets negative values.
    """
    lows, highs = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not (np.all(np.isfinite(lows)) and np.all(np.isfinite(highs))):
        raise ConfigError("quantization range holds NaN or infinity")
    if np.any(lows > highs):
        raise ConfigError("quantization range has its low end above its high end")
    lows, highs = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    if symmetric and not format.signed and np.any(lows < 0):
        raise ConfigError("symmetric unsigned quantization of negative values; allowed: signed, or asymmetric")
    if symmetric:
        step = np.maximum(-lows, highs) / format.max
    else:
        steps = format.max - format.min
        with np.errstate(over="ignore"):
            span = highs - lows
        step = np.where(np.isfinite(span), span / steps, highs / steps - lows / steps)
    # a subnormal span would give a scale of zero: treated as the zero-width range that it is in practice
    scale = np.where(step > 0, step, 1.0)
    if power_of_two:
        scale = power_of_two_above(scale)
    if symmetric:
        zero_point = np.zeros(scale.shape, np.int64)
    else:
        exact = np.rint(format.min - lows / scale)
        zero_point = np.clip(exact, format.min, format.max).astype(np.int64)
    return Quantization(scale, zero_point, format, axis)


def power_of_two_above(scale: FloatArray) -> FloatArray:
    """Return the least powers of two that are no less than these positive numbers."""
    mantissa, exponent = np.frexp(scale)
    with np.errstate(over="ignore"):  # infinity is refused where the scale is used
        return np.ldexp(1.0, np.where(mantissa == 0.5, exponent - 1, exponent))


@dataclass(frozen=True, slots=True)
class GridRule:
    """Everything about a tensor's grid but its range: the format of codes, symmetric or not, which scales."""

    format: IntFormat
    symmetric: bool
    power_of_two: bool = False

    def over(self, low: FloatArray | float, high: FloatArray | float, axis: int | None = None) -> Quantization:
        """Return the grid of the reals in [low, high]; see ``from_range``."""
        return from_range(low, high, self.format, symmetric=self.symmetric, axis=axis, power_of_two=self.power_of_two)
