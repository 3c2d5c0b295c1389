"""Activations quantized to 8 bits at run time, and sums of products turned back into reals: LiteRT's hybrid kernels.

Each row of values has a grid of its own, made of its least and its greatest value. Rows are the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import round_half_away
from hwsim.numerics.tflite.multipliers import INT8
from hwsim.numerics.tflite.profiles import LITERT, Profile, check_profile
from hwsim.numerics.tflite.scales import Float32Array

SYMMETRIC_MAX = 127
STEPS = 255  # between the least and the greatest 8-bit code


@dataclass(frozen=True, eq=False)
class RunTimeGrid:
    """Real = ``scale`` (code - ``zero_point``), float32 and int64 of shape (rows, 1); ``inverse`` makes codes."""

    scale: Float32Array
    inverse: Float32Array
    zero_point: IntArray
    half_to_even: bool

    def quantize(self, values: Float32Array) -> IntArray:
        """Return ``clamp8(round(r inverse) + Z)`` for (rows, values)."""
        steps = (values * self.inverse).astype(np.float64)
        rounded = np.rint(steps) if self.half_to_even else round_half_away(steps)
        return INT8.saturate(rounded.astype(np.int64) + self.zero_point)


def ranges(values: Float32Array) -> Float32Array:
    """Return (rows, 2): least and greatest value of each row, widened to hold 0."""
    zero = np.float32(0)
    return np.stack([np.minimum(values.min(axis=-1), zero), np.maximum(values.max(axis=-1), zero)], axis=-1)


def run_time_grid(profile: Profile, limits: Float32Array, *, symmetric: bool) -> RunTimeGrid:
    """Return the grids of rows with these ranges (rows, 2); a row of zeros has scale 1.

    Asymmetric in LiteRT: S = (max - min) / 255 in float64, rounded to float32; Z = -128 - min / S or 127 - max / S,
    whichever has the smaller terms, rounded half away from zero; codes by 1 / S in float32, half away from zero.
    ``xnnpack``: codes by i = 255 / (max - min), S = 1 / i and Z, all in float32, half to even. Symmetric (not in
    ``xnnpack``): S = max|r| / 127, codes by 127 / max|r|.

    Source: ``AsymmetricQuantizeFloats`` and ``SymmetricQuantizeFloats`` in LiteRT's ``kernels/internal``;
    XNNPACK's ``xnn_f32_qd8_asymmetric_quantization_params`` and ``f32-qs8-vcvt``.

    Raises:
        UnsupportedError: ``tflm``, which has no such kernels.
    """
    check_profile(profile, "quantization at run time", LITERT)
    low, high = limits[..., :1], limits[..., 1:]
    is_zero = low == high
    if profile == "xnnpack":
        return _xnnpack_grid(low, high, is_zero)
    if symmetric:
        reach = np.where(is_zero, np.float32(SYMMETRIC_MAX), np.maximum(-low, high)).astype(np.float32)
        scale, inverse = reach / np.float32(SYMMETRIC_MAX), np.float32(SYMMETRIC_MAX) / reach
        return RunTimeGrid(scale, inverse, np.zeros(reach.shape, np.int64), half_to_even=False)
    exact_low, exact_high = low.astype(np.float64), high.astype(np.float64)
    step = np.where(is_zero, 1.0, (exact_high - exact_low) / STEPS)
    below, above = exact_low / step, exact_high / step
    nearer = np.abs(INT8.min) + np.abs(below) < INT8.max + np.abs(above)
    zero_point = round_half_away(np.where(nearer, INT8.min - below, INT8.max - above))
    scale = step.astype(np.float32)
    zeros = np.where(is_zero, 0, np.clip(zero_point, INT8.min, INT8.max)).astype(np.int64)
    return RunTimeGrid(scale, np.float32(1) / scale, zeros, half_to_even=False)


def _xnnpack_grid(low: Float32Array, high: Float32Array, is_zero: Float32Array) -> RunTimeGrid:
    span = np.where(is_zero, np.float32(STEPS), high - low).astype(np.float32)
    inverse = np.float32(STEPS) / span
    below, above = low * inverse, high * inverse
    least, most = np.float32(INT8.min), np.float32(INT8.max)
    zero_point = np.where((least + below) + (most + above) > 0, least - below, most - above)
    zeros = np.rint(np.clip(zero_point, least, most)).astype(np.int64)
    return RunTimeGrid(np.float32(1) / inverse, inverse, zeros, half_to_even=True)


def to_reals(
    profile: Profile, sums: IntArray, scale: Float32Array, weight_scale: Float32Array, bias: Float32Array | None
) -> Float32Array:
    """Return ``sums S_w S_x + b`` in float32; channels are the last axis.

    ``litert_reference`` multiplies by S_w and then by S_x, ``litert_optimized`` by their product, ``xnnpack`` by S_x
    and then by S_w with the bias in one fused operation.

    Source: ``HybridConvPerChannel`` in LiteRT's ``kernels/internal/reference/conv.h``; XNNPACK's
    ``qd8-f32-qc8w-gemm``.
    """
    real = sums.astype(np.float32)
    offset = np.float32(0) if bias is None else bias
    if profile == "xnnpack":
        fused = (real * scale).astype(np.float64) * weight_scale + offset  # exact but for the last bits of float64
        return fused.astype(np.float32)
    scaled = real * (scale * weight_scale) if profile == "litert_optimized" else real * weight_scale * scale
    return scaled + offset
