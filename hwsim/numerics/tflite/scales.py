"""Real multipliers of the operators, and the clamp that a fused activation means.

Which precision a kernel computes its multiplier in decides single codes, so each operator has its own rule.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError, did_you_mean
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray, round_half_away
from hwsim.numerics.tflite.profiles import Profile

TfliteActivation = Literal["none", "relu", "relu6", "relu_n1_to_1"]
Float32Array = NDArray[np.float32]

_REAL_RANGES: dict[TfliteActivation, tuple[float, float]] = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def float32(scale: FloatArray | float) -> Float32Array:
    """Return scales as a model file holds them."""
    return np.asarray(scale, np.float32)


def double_product(input_scale: float, weight_scale: FloatArray | float, output_scale: float) -> FloatArray:
    """Return ``double(S_x) double(S_w) / double(S_y)``, all in float64.

    Convolution and depthwise convolution, fully connected per channel, and in ``tflm`` fully connected per tensor
    and multiplication.

    Source: ``GetQuantizedConvolutionMultipler`` and ``PopulateConvolutionQuantizationParams`` of TensorFlow Lite.
    """
    inputs, weights, output = float32(input_scale), float32(weight_scale), float32(output_scale)
    return inputs.astype(np.float64) * weights.astype(np.float64) / output.astype(np.float64)


def single_product(input_scale: float, weight_scale: FloatArray | float, output_scale: float) -> FloatArray:
    """Return ``double(float32(S_x S_w)) / double(S_y)``: fully connected per tensor in ``litert_optimized``.

    Source: ``GetQuantizedConvolutionMultipler`` of LiteRT, overload without a bias check.
    """
    product = float32(input_scale) * float32(weight_scale)
    return product.astype(np.float64) / float32(output_scale).astype(np.float64)


def single_ratio(input_scale: float, weight_scale: FloatArray | float, output_scale: float) -> FloatArray:
    """Return ``float32(float32(S_x S_w) / S_y)``: multiplication in LiteRT, and every scale in ``xnnpack``."""
    product = float32(input_scale) * float32(weight_scale)
    return np.asarray(product / float32(output_scale)).astype(np.float64)


def mul_scale(profile: Profile, first_scale: float, second_scale: float, output_scale: float) -> FloatArray:
    """Return the real multiplier of an element-wise multiplication."""
    rule = double_product if profile == "tflm" else single_ratio
    return rule(first_scale, second_scale, output_scale)


def activation_clamp(output: Quantization, activation: TfliteActivation) -> tuple[int, int]:
    """Return the clamp (low, high) on the output's codes: q(v) = Z + round(v / S), in float32, half away from zero.

    ReLU starts at q(0), ReLU6 also ends at q(6), ``relu_n1_to_1`` spans q(-1) to q(1); all inside the format.

    Source: ``CalculateActivationRangeQuantized`` in TensorFlow Lite's ``kernels/kernel_util.cc``.

    Raises:
        ConfigError: no such activation.
    """
    if activation not in _REAL_RANGES:
        hint = did_you_mean(activation, _REAL_RANGES)
        raise ConfigError(f"unknown activation '{activation}'; allowed: {', '.join(_REAL_RANGES)}{hint}")
    low, high = _REAL_RANGES[activation]
    format_low, format_high = output.format.min, output.format.max
    return (
        format_low if low == -np.inf else max(format_low, code_of(low, output)),
        format_high if high == np.inf else min(format_high, code_of(high, output)),
    )


def code_of(real: float, output: Quantization) -> int:
    """Return ``Z + round(float32(v) / S)``, not clamped."""
    quotient = np.float32(real) / np.float32(output.scale)
    return int(output.zero_point) + int(round_half_away(np.asarray(quotient, np.float64)))


def power_of_two_of(value: float) -> tuple[int, bool]:
    """Return the nearest integer logarithm to base 2, and whether ``value`` is (nearly) that power."""
    logarithm = math.log2(value)
    return round(logarithm), abs(logarithm - round(logarithm)) < 1e-3
