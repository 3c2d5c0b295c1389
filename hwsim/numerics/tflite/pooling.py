"""Average and maximum over windows, and the mean over axes. Codes have shape (batch, height, width, channels)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.multipliers import multiply_double, quantize_multiplier
from hwsim.numerics.tflite.profiles import Profile, check_profile
from hwsim.numerics.tflite.scales import double_product, float32

Padding = Literal["same", "valid"]
RealArray = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """A pooling window: its size, its steps, and whether it may reach over the edge."""

    height: int
    width: int
    stride_y: int
    stride_x: int
    padding: Padding

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (out_height, out_width)."""
        return (
            _out_size(height, self.height, self.stride_y, self.padding),
            _out_size(width, self.width, self.stride_x, self.padding),
        )

    def taps(self, padded: RealArray, height: int, width: int) -> Iterator[RealArray]:
        """Yield, for each place in the window, what all windows see there; ``padded`` is `pad`'s result."""
        out_height, out_width = self.out_size(height, width)
        for y, x in itertools.product(range(self.height), range(self.width)):
            rows = slice(y, y + (out_height - 1) * self.stride_y + 1, self.stride_y)
            cols = slice(x, x + (out_width - 1) * self.stride_x + 1, self.stride_x)
            yield padded[:, rows, cols]

    def pad(self, codes: RealArray, fill: float) -> RealArray:
        """Surround ``codes`` with ``fill`` as far as the windows reach."""
        height, width = codes.shape[1:3]
        rows = padding_amounts(height, self.height, self.stride_y, 1, self.padding)
        cols = padding_amounts(width, self.width, self.stride_x, 1, self.padding)
        return np.pad(codes, [(0, 0), rows, cols, (0, 0)], constant_values=fill)


def padding_amounts(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> tuple[int, int]:
    """Return how many taps lie (before, after) the edge: none for ``valid``; for ``same`` the odd one lies after.

    Source: ``ComputePaddingWithOffset`` in TensorFlow Lite's ``kernels/padding.h``.
    """
    if padding == "valid":
        return 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def average_pool(codes: IntArray, window: Window, low: int, high: int) -> IntArray:
    """Return the rounded mean of each window's valid codes; input and output share their quantization.

    With S their sum and n their number: ``(S + n // 2) / n`` for S > 0, else ``(S - n // 2) / n``, truncated;
    that is half away from zero on codes, zero points included. Clamped to [low, high].

    Source: ``AveragePool`` in TensorFlow Lite's ``kernels/internal/reference/integer_ops/pooling.h``.
    """
    height, width = codes.shape[1:3]
    total = _reduce(window, window.pad(codes, 0), (height, width), np.add)
    ones = window.pad(np.ones((1, height, width, 1), np.int64), 0)
    count = _reduce(window, ones, (height, width), np.add)
    magnitude = (np.abs(total) + count // 2) // count
    return np.clip(np.where(total > 0, magnitude, -magnitude), low, high)


def max_pool(codes: IntArray, window: Window, low: int, high: int) -> IntArray:
    """Return each window's greatest valid code, clamped to [low, high].

    Source: ``MaxPool`` in TensorFlow Lite's ``kernels/internal/reference/integer_ops/pooling.h``.
    """
    padded = window.pad(codes, np.iinfo(np.int32).min)
    return np.clip(_reduce(window, padded, codes.shape[1:3], np.maximum), low, high)


def real_average_pool(values: RealArray, window: Window) -> RealArray:
    """Return the mean of each window's valid reals, in their precision."""
    height, width = values.shape[1:3]
    total = _reduce(window, window.pad(values, 0), (height, width), np.add)
    ones = window.pad(np.ones((1, height, width, 1), values.dtype), 0)
    return total / _reduce(window, ones, (height, width), np.add)


def real_max_pool(values: RealArray, window: Window) -> RealArray:
    """Return each window's greatest valid real."""
    return _reduce(window, window.pad(values, -np.inf), values.shape[1:3], np.maximum)


def mean(
    profile: Profile, codes: IntArray, axes: tuple[int, ...], source: Quantization, output: Quantization
) -> IntArray:
    """Return the mean of 8-bit or 16-bit codes over ``axes``, which stay with size 1.

    (M, e) = quantized S_i/S_o; s = min(floor(log2 n), 32, 31 + e); M = (M << s) // n; e -= s;
    MBQM(sum(q) - n Z_i, M, e) + Z_o, clamped. MBQM is `multiply_double`.

    8-bit codes: over height and width of four axes ``litert_optimized`` has a rule of its own, and ``xnnpack``
    one for all axes: rint(float32(sum(q) - n Z_i) ((S_i / S_o) / n)) + Z_o in float32.

    Source: ``QuantizedMeanOrSum`` in TensorFlow Lite's ``kernels/internal/reference/reduce.h``; XNNPACK's
    ``qs8-rdsum`` and ``qs8-rsum``.
    """
    check_profile(profile, "mean")
    count = int(np.prod([codes.shape[axis] for axis in axes]))
    sums = codes.sum(axis=axes, keepdims=True)
    zero_point = int(output.zero_point)
    narrow = source.format.bits == 8
    if narrow and profile == "litert_optimized" and codes.ndim == 4 and sorted(axes) == [1, 2]:
        return output.format.saturate(_spatial_mean(sums, count, source, output))
    sums = sums - count * int(source.zero_point)
    if narrow and profile == "xnnpack":
        ratio = float32(source.scale) / float32(output.scale) / np.float32(count)
        return output.format.saturate(np.rint(sums.astype(np.float32) * ratio).astype(np.int64) + zero_point)
    whole = quantize_multiplier(double_product(float(source.scale), 1.0, float(output.scale)))
    bits = min(count.bit_length() - 1, 32, 31 - int(whole.shift))
    part = Multiplier((whole.mantissa << bits) // count, whole.shift + bits, whole.bits)
    return output.format.saturate(multiply_double(sums, part) + zero_point)


def _spatial_mean(sums: IntArray, count: int, source: Quantization, output: Quantization) -> IntArray:
    """Return ``MBQM(sum(q), S_i / (n S_o)) + Z_o - round(Z_i S_i / S_o)``, multiplier and offset in float32.

    Source: ``optimized_integer_ops::Mean`` in LiteRT's ``kernels/internal/optimized/integer_ops/mean.h``.
    """
    scale, out_scale = float32(source.scale), float32(output.scale)
    offset = np.float32(source.zero_point) * scale / out_scale
    rounded = int(offset + np.float32(0.5) if offset > 0 else offset - np.float32(0.5))
    multiplier = quantize_multiplier(float(scale / (np.float32(count) * out_scale)))
    return multiply_double(sums, multiplier) + (int(output.zero_point) - rounded)


def _out_size(size: int, kernel: int, stride: int, padding: Padding) -> int:
    return -(-size // stride) if padding == "same" else (size - kernel) // stride + 1


def _reduce(
    window: Window, padded: RealArray, size: tuple[int, ...], combine: Callable[[RealArray, RealArray], RealArray]
) -> RealArray:
    taps = window.taps(padded, size[0], size[1])
    result = next(taps).copy()
    for tap in taps:
        result = combine(result, tap)
    return result
