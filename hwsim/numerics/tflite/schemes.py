"""Requantization schemes of the rounding profiles: convolution, depthwise convolution, fully connected.

Accumulators are 32 bits wide and wrap, except in `WideAccumulator`. The zero point and the clamp are the
requantizer's; the clamp of a fused activation is `hwsim.numerics.tflite.scales.activation_clamp`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.fixed_point import INT32_MAX, INT32_MIN, Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.requantize import RequantizerOptions, Scheme
from hwsim.numerics.rounding import FloatArray, round_half_away
from hwsim.numerics.tflite.multipliers import (
    multiply_double,
    multiply_double_half_up,
    multiply_single,
    multiply_wide,
    quantize_multiplier,
    wrap32,
)
from hwsim.numerics.tflite.profiles import ALL_PROFILES, LITERT, Profile, check_profile
from hwsim.numerics.tflite.scales import double_product, single_product, single_ratio

VECTOR_CHANNELS = 8  # output channels that LiteRT's depthwise kernel computes at once

ProductOperator = Literal["convolution", "grouped_convolution", "depthwise_convolution", "fully_connected"]


@dataclass(frozen=True, eq=False)
class _QuantizedMultiplier(Scheme):
    """An accumulator times a quantized multiplier, one for all channels or one each."""

    multiplier: Multiplier

    @classmethod
    def build(
        cls,
        input_scale: float,
        weight_scale: FloatArray,
        output_scale: float,
        options: RequantizerOptions,  # noqa: ARG003 (a profile leaves no choice)
    ) -> Self:
        """Quantize the profile's real multiplier."""
        return cls(quantize_multiplier(cls.real_multiplier(input_scale, weight_scale, output_scale)))

    @staticmethod
    def real_multiplier(input_scale: float, weight_scale: FloatArray, output_scale: float) -> FloatArray:
        """Return m; in float64 from the float32 scales, unless a profile computes it otherwise."""
        return double_product(input_scale, weight_scale, output_scale)

    @abstractmethod
    def scale(self, accumulators: IntArray) -> IntArray:
        """Return ``accumulators m``."""

    def columns(self, columns: slice) -> Self:
        """Return the scheme of some output channels."""
        whole = self.multiplier
        if whole.mantissa.ndim == 0:
            return self
        return replace(self, multiplier=Multiplier(whole.mantissa[columns], whole.shift[columns], whole.bits))


class DoubleRounding(_QuantizedMultiplier):
    """``tflm``, and ``litert_reference`` but for fully connected: `multiply_double`."""

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply, round twice."""
        return multiply_double(wrap32(accumulators), self.multiplier)


class SingleRounding(_QuantizedMultiplier):
    """TensorFlow Lite built with TFLITE_SINGLE_ROUNDING: `multiply_single`."""

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply, round once."""
        return multiply_single(wrap32(accumulators), self.multiplier)


class DoubleRoundingHalfUp(_QuantizedMultiplier):
    """``litert_optimized`` on x86: `multiply_double_half_up`."""

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply, round twice half up."""
        return multiply_double_half_up(wrap32(accumulators), self.multiplier)


class SingleProductHalfUp(DoubleRoundingHalfUp):
    """``litert_optimized``, fully connected per tensor: the product of the scales is a float32."""

    @staticmethod
    def real_multiplier(input_scale: float, weight_scale: FloatArray, output_scale: float) -> FloatArray:
        """Return m from the float32 product of the scales."""
        return single_product(input_scale, weight_scale, output_scale)


@dataclass(frozen=True, eq=False)
class DepthwiseHalfUp(_QuantizedMultiplier):
    """``litert_optimized``, depthwise convolution on x86: half up in whole blocks of 8 output channels.

    The kernel's vector loop rounds half up; the channels that are left over take `multiply_double`.
    """

    vectorized: NDArray[np.bool_]

    @classmethod
    def build(
        cls,
        input_scale: float,
        weight_scale: FloatArray,
        output_scale: float,
        options: RequantizerOptions,  # noqa: ARG003 (a profile leaves no choice)
    ) -> Self:
        """Quantize the multipliers and mark the channels of whole blocks.

        Raises:
            ConfigError: not one scale per output channel: the number of channels decides.
        """
        if weight_scale.ndim != 1:
            raise ConfigError("depthwise convolution in profile 'litert_optimized' needs one scale per channel")
        multiplier = quantize_multiplier(cls.real_multiplier(input_scale, weight_scale, output_scale))
        channels = np.arange(weight_scale.size)
        return cls(multiplier, channels < weight_scale.size // VECTOR_CHANNELS * VECTOR_CHANNELS)

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply, round twice by each channel's rule."""
        values = wrap32(accumulators)
        up = multiply_double_half_up(values, self.multiplier)
        if self.vectorized.all():
            return up
        return np.where(self.vectorized, up, multiply_double(values, self.multiplier))

    def columns(self, columns: slice) -> Self:
        """Return the scheme of some output channels."""
        part = super().columns(columns)
        return replace(part, vectorized=self.vectorized[columns])


class WideAccumulator(_QuantizedMultiplier):
    """16-bit activations by 8-bit weights with 64-bit biases: `multiply_wide` on accumulators of up to 48 bits.

    Every operator of ``tflm``; convolution and depthwise convolution of LiteRT.
    """

    def scale(self, accumulators: IntArray) -> IntArray:
        """Multiply by the reduced multiplier and round half up."""
        return multiply_wide(accumulators, self.multiplier)


@dataclass(frozen=True, eq=False)
class _RealScale(Scheme):
    """An accumulator times a real constant."""

    real: FloatArray

    def columns(self, columns: slice) -> Self:
        """Return the scheme of some output channels."""
        return self if self.real.ndim == 0 else replace(self, real=self.real[columns])


class Float64Product(_RealScale):
    """LiteRT, fully connected in floating point: ``round(double(acc) m)``, half away from zero, all in float64.

    `litert_reference` for 8-bit activations; LiteRT for 16-bit activations. Accumulators are not wrapped here.
    """

    @classmethod
    def build(
        cls,
        input_scale: float,
        weight_scale: FloatArray,
        output_scale: float,
        options: RequantizerOptions,  # noqa: ARG003 (a profile leaves no choice)
    ) -> Self:
        """Compute m in float64."""
        return cls(double_product(input_scale, weight_scale, output_scale))

    def scale(self, accumulators: IntArray) -> IntArray:
        """Multiply in float64, round half away from zero."""
        return _to_int32(round_half_away(accumulators * self.real))


class Float64ProductOf32(Float64Product):
    """`Float64Product` of a 32-bit accumulator, which wraps: ``litert_reference``, 8-bit activations."""

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply in float64, round half away from zero."""
        return super().scale(wrap32(accumulators))


class Float32Product(_RealScale):
    """``xnnpack``, ``onnxruntime``: ``rint(float32(acc) m)`` with ``m = (S_x S_w) / S_y``, each step in float32."""

    @classmethod
    def build(
        cls,
        input_scale: float,
        weight_scale: FloatArray,
        output_scale: float,
        options: RequantizerOptions,  # noqa: ARG003 (a profile leaves no choice)
    ) -> Float32Product:
        """Compute m in float32."""
        return cls(single_ratio(input_scale, weight_scale, output_scale))

    def scale(self, accumulators: IntArray) -> IntArray:
        """Wrap to int32, multiply in float32, round half to even; results beyond int32 saturate."""
        product = wrap32(accumulators).astype(np.float32) * self.real.astype(np.float32)
        return _to_int32(np.rint(product).astype(np.float64))


class RawSums(Scheme):
    """No multiplication: sums leave as 32-bit integers."""

    multiplies: ClassVar[bool] = False

    @classmethod
    def build(
        cls,
        input_scale: float,  # noqa: ARG003 (there is nothing to choose)
        weight_scale: FloatArray,  # noqa: ARG003
        output_scale: float,  # noqa: ARG003
        options: RequantizerOptions,  # noqa: ARG003
    ) -> Self:
        """Return the scheme."""
        return cls()

    def scale(self, accumulators: IntArray) -> IntArray:
        """Keep 32 bits."""
        return wrap32(accumulators)

    def columns(self, columns: slice) -> Self:  # noqa: ARG002
        """Return the scheme of some output channels: the same."""
        return self


def _to_int32(values: FloatArray) -> IntArray:
    return np.clip(values, INT32_MIN, INT32_MAX).astype(np.int64)


_SCHEMES: dict[tuple[Profile, ProductOperator], str] = {
    ("litert_reference", "fully_connected"): "litert_reference_fully_connected",
    ("litert_optimized", "fully_connected"): "litert_optimized_fully_connected",
    ("litert_optimized", "grouped_convolution"): "litert_reference",  # which has the only kernel for groups
    ("litert_optimized", "depthwise_convolution"): "litert_optimized_depthwise_convolution",
}


def scheme_name(
    profile: Profile,
    operator: ProductOperator,
    *,
    per_channel: bool,
    accumulator_bits: int = 32,
    packed: bool = False,
) -> str:
    """Return the registered name of the scheme that ``profile`` uses for ``operator``.

    ``accumulator_bits`` is 64 for 16-bit activations with 64-bit biases, else 32. Those and ``packed``
    weights, of 4 bits, XNNPACK leaves to LiteRT's own kernels.

    Raises:
        ConfigError: no such profile, or another accumulator width.
        UnsupportedError: packed weights with a scale per channel, fully connected in ``tflm``.
    """
    check_profile(profile, operator, ALL_PROFILES)
    if profile == "onnxruntime":
        return profile
    if packed and profile == "tflm" and operator == "fully_connected" and per_channel:
        raise UnsupportedError(
            "fully connected with packed weights and a scale per channel in profile 'tflm'; "
            f"available: {', '.join(LITERT)}, or one scale"
        )
    if packed and profile == "xnnpack":
        profile = "litert_optimized"
    if accumulator_bits == 64:
        in_float = operator == "fully_connected" and profile != "tflm"
        return "litert_wide_fully_connected" if in_float else "tflite_wide"
    if accumulator_bits != 32:
        raise ConfigError(f"accumulator of {accumulator_bits} bits in a rounding profile; allowed: 32, 64")
    name = _SCHEMES.get((profile, operator), profile)
    return profile if per_channel and name == "litert_optimized_fully_connected" else name
