"""The requantization of one value, stage by stage, in Python's unlimited integers.

Computed apart from the kernels that work on arrays, so that each can be held against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from hwsim.numerics.fixed_point import INT32_MAX, INT32_MIN, Multiplier
from hwsim.numerics.requantize import FixedPoint, FloatScale, PowerOfTwo, Rounding, Scheme
from hwsim.numerics.tflite.schemes import (
    DoubleRounding,
    DoubleRoundingHalfUp,
    Float32Product,
    Float64Product,
    Float64ProductOf32,
    SingleRounding,
    WideAccumulator,
)
from hwsim.numerics.wide import ShiftRounding

Number = int | float
_HIGH_SHIFT = 31
_ROUNDINGS: dict[Rounding, ShiftRounding] = {
    "single": "half_up",
    "double": "half_away",
    "floor": "floor",
    "half_even": "half_even",
}
_NAMES: dict[ShiftRounding, str] = {
    "half_up": "half up",
    "half_away": "half away from zero",
    "floor": "down",
    "half_even": "half to even",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a calculation: what it does, and the value behind it."""

    name: str
    value: Number


@dataclass(frozen=True, slots=True)
class Rescaling:
    """``accumulator * M`` by one scheme: the constants that stand for M, and the stages; the last is the result.

    ``multiplier`` is the real number that the constants stand for.
    """

    scheme: str
    constants: dict[str, Number]
    multiplier: float
    stages: tuple[Stage, ...]

    @property
    def result(self) -> int:
        """The rescaled value."""
        return int(self.stages[-1].value)


@singledispatch
def rescaling(scheme: Scheme, accumulator: int) -> Rescaling:
    """Rescale one accumulator by the scheme of its channel.

    A scheme that has no stages of its own here is one stage, computed by itself.
    """
    name = type(scheme).__name__
    result = int(np.ravel(scheme.scale(np.array([accumulator], np.int64)))[0])
    return Rescaling(name, {}, float("nan"), (Stage(f"by {name}", result),))


def divided(value: int, shift: int, rounding: ShiftRounding) -> int:
    """Return ``value / 2**shift`` rounded as named; a negative shift multiplies."""
    if shift <= 0:
        return value << -shift
    floor = value >> shift
    twice_rest, whole = 2 * (value - (floor << shift)), 1 << shift
    up = {
        "floor": False,
        "half_up": twice_rest >= whole,
        "half_away": twice_rest > whole or (twice_rest == whole and value >= 0),
        "half_even": twice_rest > whole or (twice_rest == whole and floor % 2 == 1),
    }[rounding]
    return floor + up


@rescaling.register
def _fixed_point(scheme: FixedPoint, accumulator: int) -> Rescaling:
    if scheme.rounding == "double":
        return _two_roundings("fixed_point", scheme.multiplier, accumulator, "half_away")
    return _one_rounding("fixed_point", scheme.multiplier, accumulator, _ROUNDINGS[scheme.rounding])


@rescaling.register
def _single_rounding(scheme: SingleRounding, accumulator: int) -> Rescaling:
    return _one_rounding("tflite_single", scheme.multiplier, _wrapped(accumulator), "half_up")


@rescaling.register
def _double_rounding(scheme: DoubleRounding, accumulator: int) -> Rescaling:
    return _two_roundings("tflm", scheme.multiplier, _wrapped(accumulator), "half_away")


@rescaling.register
def _double_rounding_half_up(scheme: DoubleRoundingHalfUp, accumulator: int) -> Rescaling:
    return _two_roundings("litert_optimized", scheme.multiplier, _wrapped(accumulator), "half_up")


@rescaling.register
def _wide_accumulator(scheme: WideAccumulator, accumulator: int) -> Rescaling:
    """Multiply by the upper 15 bits of M0, so that 48 bits times 15 fit 63."""
    mantissa, shift = int(_first(scheme.multiplier.mantissa)), int(_first(scheme.multiplier.shift))
    reduced, total = min(divided(mantissa, 16, "half_up"), 0x7FFF), 15 + shift
    product = accumulator * reduced
    shifted = _shift_stage(product, total, "half_up")
    stages = (Stage("times M0 in 15 bits", product), Stage(shifted.name, _wrapped(int(shifted.value))))
    constants: dict[str, Number] = {"M0": mantissa, "n": shift, "M0 in 15 bits": reduced}
    return Rescaling("tflite_wide", constants, reduced * 2.0**-total, stages)


@rescaling.register
def _power_of_two(scheme: PowerOfTwo, accumulator: int) -> Rescaling:
    shift = int(_first(scheme.shift))
    stage = _shift_stage(accumulator, shift, scheme.rounding)
    return Rescaling("power_of_two", {"n": shift}, 2.0**-shift, (stage,))


@rescaling.register
def _float_scale(scheme: FloatScale, accumulator: int) -> Rescaling:
    return _float32("float", np.float32(_first(scheme.real)), accumulator)


@rescaling.register
def _float32_product(scheme: Float32Product, accumulator: int) -> Rescaling:
    return _float32("float32", np.float32(_first(scheme.real)), _wrapped(accumulator))


@rescaling.register
def _float64_product_of_32(scheme: Float64ProductOf32, accumulator: int) -> Rescaling:
    return _float64_product(scheme, _wrapped(accumulator))


@rescaling.register
def _float64_product(scheme: Float64Product, accumulator: int) -> Rescaling:
    real = float(_first(scheme.real))
    product = accumulator * real
    away = int(abs(product)) + (abs(product) - int(abs(product)) >= 0.5)
    rounded = _saturated(-away if product < 0 else away)
    stages = (Stage("times M in float64", product), Stage("rounded half away from zero", rounded))
    return Rescaling("float64", {"M (float64)": real}, real, stages)


def _float32(name: str, real: np.float32, accumulator: int) -> Rescaling:
    single = np.float32(accumulator)
    product = single * real
    stages = (
        Stage("as float32", float(single)),
        Stage("times M in float32", float(product)),
        Stage("rounded half to even", _saturated(round(float(product)))),
    )
    return Rescaling(name, {"M (float32)": float(real)}, float(real), stages)


def _one_rounding(name: str, multiplier: Multiplier, accumulator: int, rounding: ShiftRounding) -> Rescaling:
    mantissa, shift = int(_first(multiplier.mantissa)), int(_first(multiplier.shift))
    product = accumulator * mantissa
    stages = (Stage("times M0", product), _shift_stage(product, multiplier.bits + shift, rounding))
    return Rescaling(name, _constants(multiplier, mantissa, shift), _real(multiplier, mantissa, shift), stages)


def _two_roundings(name: str, multiplier: Multiplier, accumulator: int, second: ShiftRounding) -> Rescaling:
    """Take gemmlowp's doubling high multiply, half up and saturating, then a division by 2**n."""
    mantissa, shift = int(_first(multiplier.mantissa)), int(_first(multiplier.shift))
    left, right = max(-shift, 0), max(shift, 0)
    shifted = _wrapped(accumulator << left)
    high = min(divided(shifted * mantissa, _HIGH_SHIFT, "half_up"), INT32_MAX)
    stages = (
        *([Stage(f"times 2^{left} in 32 bits", shifted)] if left else []),
        Stage("times M0", shifted * mantissa),
        Stage(f"divided by 2^{_HIGH_SHIFT}, rounded half up", high),
        _shift_stage(high, right, second),
    )
    return Rescaling(name, _constants(multiplier, mantissa, shift), _real(multiplier, mantissa, shift), stages)


def _shift_stage(value: int, shift: int, rounding: ShiftRounding) -> Stage:
    result = divided(value, shift, rounding)
    if shift <= 0:
        return Stage(f"times 2^{-shift}", result)
    return Stage(f"divided by 2^{shift}, rounded {_NAMES[rounding]}", result)


def _constants(multiplier: Multiplier, mantissa: int, shift: int) -> dict[str, Number]:
    return {"M0": mantissa, "n": shift, "multiplier_bits": multiplier.bits}


def _real(multiplier: Multiplier, mantissa: int, shift: int) -> float:
    return mantissa * 2.0 ** -(multiplier.bits + shift)


def _wrapped(value: int) -> int:
    return (value - INT32_MIN) % (1 << 32) + INT32_MIN


def _saturated(value: int) -> int:
    return min(max(value, INT32_MIN), INT32_MAX)


def _first(constants: np.ndarray[Any, Any]) -> Any:
    """Return the constant of a scheme of one channel: shape () or (1,)."""
    return constants.reshape(-1)[0]
