"""Between real numbers and codes, and from one quantization to another."""

from __future__ import annotations

import numpy as np

from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import round_half_away
from hwsim.numerics.tflite.multipliers import multiply_double, multiply_double_half_up, quantize_multiplier
from hwsim.numerics.tflite.profiles import LITERT, PROFILES, Profile, check_profile
from hwsim.numerics.tflite.scales import Float32Array, double_product, float32

VECTOR_CODES = 16  # codes that LiteRT's requantization kernel computes at once
VECTOR_REALS = 8  # codes that its dequantization kernel computes at once


def quantize(profile: Profile, real: Float32Array, output: Quantization) -> IntArray:
    """Return ``round(float32(r / S)) + Z``, half away from zero, clamped.

    ``litert_optimized`` and ``xnnpack`` multiply by float32(1 / S) instead and round half to even.

    Source: ``AffineQuantize`` in TensorFlow Lite's ``kernels/internal/reference/quantize.h`` and
    ``kernels/internal/optimized/optimized_ops.h``; XNNPACK's ``f32-qs8-vcvt``.
    """
    check_profile(profile, "quantize")
    scale = float32(output.scale)
    zero = int(output.zero_point)
    low, high = output.format.min - zero, output.format.max - zero
    if profile in ("litert_optimized", "xnnpack"):
        steps = np.rint(np.clip(real * (np.float32(1) / scale), np.float32(low), np.float32(high)))
    else:
        steps = round_half_away(np.asarray(real / scale, np.float64))
    return np.clip(steps, low, high).astype(np.int64) + zero


def requantize(profile: Profile, codes: IntArray, source: Quantization, output: Quantization) -> IntArray:
    """Return ``MBQM(q - Z_i, S_i / S_o) + Z_o``, clamped; MBQM is `multiply_double`.

    From 8 to 8 bits, ``litert_optimized`` on x86 rounds half up in whole blocks of 16 codes, where each entry of
    the first axis is one run of the kernel; ``xnnpack`` multiplies by 8 fraction bits (`multiply_8_bit`) within
    `in_xnnpack_range` and leaves the rest to ``litert_optimized``.

    Source: ``Requantize`` in TensorFlow Lite's ``kernels/internal/reference/requantize.h`` and
    ``kernels/internal/optimized/optimized_ops.h``; XNNPACK's ``qs8-vcvt``.
    """
    check_profile(profile, "requantize")
    real = double_product(float(source.scale), 1.0, float(output.scale))
    steps = codes - int(source.zero_point)
    narrow = source.format.bits == 8 and output.format.bits == 8
    single = float(float32(source.scale) / float32(output.scale))
    if narrow and profile == "xnnpack" and in_xnnpack_range(single):
        scaled = multiply_8_bit(steps, single)
    elif narrow and profile in ("xnnpack", "litert_optimized"):
        scaled = _multiply_in_vectors(steps, quantize_multiplier(real))
    else:
        scaled = multiply_double(steps, quantize_multiplier(real))
    return output.format.saturate(scaled + int(output.zero_point))


def _multiply_in_vectors(steps: IntArray, multiplier: Multiplier) -> IntArray:
    """Round half up in whole vectors of each entry of the first axis, half away from zero in what is left over."""
    rows = steps.reshape(len(steps), -1)
    whole = rows.shape[1] // VECTOR_CODES * VECTOR_CODES
    parts = [multiply_double_half_up(rows[:, :whole], multiplier), multiply_double(rows[:, whole:], multiplier)]
    return np.concatenate(parts, axis=1).reshape(steps.shape)


def in_xnnpack_range(real: float) -> bool:
    """Tell whether XNNPACK takes a multiplier of 8 fraction bits; what it refuses, LiteRT's own kernels do."""
    return 2.0**-8 <= abs(real) <= 2.0**7


def multiply_8_bit(steps: IntArray, real: float) -> IntArray:
    """Return ``(steps rint(256 m) + 128) >> 8``: XNNPACK's multiplication by a ratio of scales."""
    return (steps * int(np.rint(256.0 * real)) + 128) >> 8


def dequantize(profile: Profile, codes: IntArray, source: Quantization) -> Float32Array:
    """Return ``S (q - Z)`` in float32.

    ``litert_optimized`` on x86 returns ``S q - S Z`` for 8-bit codes, each step in float32, in whole blocks of 8
    codes; each entry of the first axis is one run of the kernel. Samples are the first axis of ``codes``, which the
    axis of a scale per channel does not count.

    Source: ``Dequantize`` in TensorFlow Lite's ``kernels/internal/reference/dequantize.h`` and
    ``kernels/internal/optimized/optimized_ops.h``.
    """
    check_profile(profile, "dequantize" if source.axis is None else "dequantization per channel", _dequantizers(source))
    if source.axis is not None:
        sizes = [-1 if axis == source.axis + 1 else 1 for axis in range(codes.ndim)]
        return (codes - source.zero_point.reshape(sizes)).astype(np.float32) * float32(source.scale).reshape(sizes)
    scale, zero_point = float32(source.scale), int(source.zero_point)
    real = (codes - zero_point).astype(np.float32) * scale
    if profile == "litert_optimized" and source.format.bits == 8:
        rows, result = codes.reshape(len(codes), -1), real.reshape(len(codes), -1)
        whole = rows.shape[1] // VECTOR_REALS * VECTOR_REALS
        result[:, :whole] = rows[:, :whole].astype(np.float32) * scale + np.float32(-zero_point) * scale
        real = result.reshape(codes.shape)
    return real


def _dequantizers(source: Quantization) -> tuple[Profile, ...]:
    """Return the profiles that dequantize such codes: ``tflm`` knows one scale only."""
    return PROFILES if source.axis is None else LITERT


def pad_code(source: Quantization) -> int:
    """Return the code that padding fills with: the zero point, which stands for 0."""
    return int(source.zero_point)
