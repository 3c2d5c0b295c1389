"""Rectifiers that stand alone: ReLU, ReLU6, ReLU in [-1, 1], leaky ReLU."""

from __future__ import annotations

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.convert import in_xnnpack_range, multiply_8_bit
from hwsim.numerics.tflite.multipliers import multiply_double, quantize_multiplier
from hwsim.numerics.tflite.profiles import LITERT, PROFILES, Profile, check_profile
from hwsim.numerics.tflite.scales import TfliteActivation, activation_clamp, double_product, float32, single_ratio


def rectify(
    profile: Profile, activation: TfliteActivation, codes: IntArray, source: Quantization, output: Quantization
) -> IntArray:
    """Return ``clamp(MBQM(q - Z_i, S_i / S_o) + Z_o)`` with the activation's clamp on the output's codes.

    S_i / S_o is a float64 in ``tflm`` and a float32 in LiteRT, which XNNPACK leaves these operators to. ReLU6 in
    ``tflm`` only clamps, on the input's grid: input and output share their quantization there.

    Source: ``ReluQuantized`` in TensorFlow Lite for Microcontrollers' ``micro/kernels/activations.cc``;
    ``QuantizedReluX`` in LiteRT's ``kernels/activations.cc``.

    Raises:
        UnsupportedError: ReLU in [-1, 1] in ``tflm`` or of 16-bit codes: there is no such kernel.
    """
    check_profile(profile, activation, LITERT if activation == "relu_n1_to_1" else PROFILES)
    if activation == "relu_n1_to_1" and source.format.bits != 8:
        raise UnsupportedError(f"{activation} of {source.format.bits}-bit codes; available: 8")
    if profile == "tflm" and activation == "relu6":
        return np.clip(codes, *activation_clamp(source, activation))
    rule = double_product if profile == "tflm" else single_ratio
    multiplier = quantize_multiplier(rule(float(source.scale), 1.0, float(output.scale)))
    scaled = multiply_double(codes - int(source.zero_point), multiplier) + int(output.zero_point)
    return np.clip(scaled, *activation_clamp(output, activation))


def leaky_rectify(
    profile: Profile, slope: float, codes: IntArray, source: Quantization, output: Quantization
) -> IntArray:
    """Return ``MBQM(q - Z_i, m) + Z_o``, clamped, with m = S_i / S_o, or S_i slope / S_o where q < Z_i.

    Multipliers are float64 in ``tflm`` and float32 in LiteRT. ``xnnpack`` takes 8-bit codes by multipliers with
    8 fraction bits: ``((q - Z_i) rint(256 m) + 128) >> 8``, unless one of them lies outside its range.

    Source: ``QuantizeLeakyRelu`` in TensorFlow Lite's ``kernels/internal/reference/leaky_relu.h``; XNNPACK's
    ``qs8-vlrelu``.
    """
    check_profile(profile, "leaky ReLU")
    steps = codes - int(source.zero_point)
    ratio = float32(source.scale) / float32(output.scale)
    short = (float(ratio), float(ratio * np.float32(slope)))
    if profile == "xnnpack" and source.format.bits == 8 and all(in_xnnpack_range(real) for real in short):
        scaled = [multiply_8_bit(steps, real) for real in short]
    else:
        scaled = [multiply_double(steps, quantize_multiplier(real)) for real in _slopes(profile, slope, source, output)]
    return output.format.saturate(np.where(steps >= 0, scaled[0], scaled[1]) + int(output.zero_point))


def _slopes(profile: Profile, slope: float, source: Quantization, output: Quantization) -> tuple[float, float]:
    """Return the real multipliers of positive and of negative inputs."""
    rule = double_product if profile == "tflm" else single_ratio
    scale, out_scale = float(source.scale), float(output.scale)
    return float(rule(scale, 1.0, out_scale)), float(rule(scale, slope, out_scale))
