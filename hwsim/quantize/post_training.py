"""Static post-training quantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim import registry
from hwsim.config.arch import ActivationQuantizationSpec, QuantizationSpec, WeightQuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import check_inputs, chunks, float_values
from hwsim.network.network import Network
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.elementwise import LutFunction
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization, from_range
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.calibrators import Calibrator
from hwsim.quantize.fuse import fuse

BIAS_FORMAT = IntFormat(32)
_FUNCTION_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def quantize(
    network: Network, calibration: FloatArray, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int
) -> Network:
    """Return the network with integer weights and biases, and a quantization on every tensor.

    Args:
        network: in floating point; batch normalizations and activations are fused first.
        calibration: samples (samples, *input shape) from which activation ranges are found.
        spec: symmetric or not, signed or not, per tensor or per channel, calibrator.
        weight_bits, activation_bits: widths of the codes.

    Raises:
        ConfigError: calibration data of the wrong shape or not finite, or a range that the scheme cannot hold.
    """
    fused = fuse(network)
    check_inputs(fused, calibration)
    ranges = activation_ranges(fused, calibration, spec.calibrator)
    tensors = dict(fused.tensors)
    activation_format = IntFormat(activation_bits, spec.activations.signed)
    for name in fused.activations:
        operator = _producer(fused, name)
        if operator is not None and operator.keeps_quantization:
            found = quantization_of(tensors[operator.input])
        elif isinstance(operator, LutFunction) and operator.function in _FUNCTION_RANGES:
            found = function_quantization(operator.function, activation_format, symmetric=spec.activations.symmetric)
        else:
            found = _activation_quantization(name, ranges[name], spec.activations, activation_format)
        tensors[name] = replace(tensors[name], quantization=found)
    for operator in fused.operators:
        if isinstance(operator, MatmulOperator):
            _quantize_constants(operator, tensors, spec.weights, weight_bits)
    return replace(fused, tensors=tensors)


def activation_ranges(network: Network, calibration: FloatArray, calibrator: str) -> dict[str, tuple[float, float]]:
    """Return (low, high) of every activation tensor, as the calibrator of that name sees the float network."""
    make = registry.load(registry.CALIBRATORS, calibrator)
    observers: dict[str, Calibrator] = {name: make() for name in network.activations}
    for chunk in chunks(network, calibration):
        for name, values in float_values(network, chunk):
            observers[name].observe(values)
    return {name: observer.range() for name, observer in observers.items()}


def _producer(network: Network, tensor: str) -> Operator | None:
    return next((operator for operator in network.operators if operator.output == tensor), None)


def _activation_quantization(
    name: str, limits: tuple[float, float], spec: ActivationQuantizationSpec, word: IntFormat
) -> Quantization:
    try:
        return from_range(*limits, word, symmetric=spec.symmetric)
    except ConfigError as error:
        raise ConfigError(f"tensor {name}: {error}") from None


def function_quantization(function: str, word: IntFormat, *, symmetric: bool) -> Quantization:
    """Return the grid of a bounded function: [0, 1) or [-1, 1) over all codes, or symmetric round zero."""
    low, high = _FUNCTION_RANGES[function]
    if symmetric:
        return from_range(low, high, word, symmetric=True)
    scale = (high - low) / 2**word.bits
    return Quantization(np.asarray(scale), np.asarray(word.min - round(low / scale), np.int64), word)


def _quantize_constants(
    operator: MatmulOperator, tensors: dict[str, Tensor], spec: WeightQuantizationSpec, weight_bits: int
) -> None:
    """Replace weight and bias by codes; the bias lies on the S_w S_x grid in 32 bits."""
    weight = tensors[operator.weight]
    reals = np.asarray(weight.data, np.float64)
    input_scale = float(quantization_of(tensors[operator.input]).scale)
    bias = None if operator.bias is None else np.asarray(tensors[operator.bias].data, np.float64)
    found = _weight_quantization(operator.name, reals, spec, weight_bits)
    if bias is not None:
        found = _make_room_for_bias(found, bias, input_scale)
    tensors[operator.weight] = replace(weight, data=found.quantize(reals), quantization=found)
    if operator.bias is None or bias is None:
        return
    grid = np.broadcast_to(found.scale * input_scale, bias.shape)
    on_grid = Quantization(grid, np.zeros(bias.shape, np.int64), BIAS_FORMAT, axis=0)
    tensors[operator.bias] = replace(tensors[operator.bias], data=on_grid.quantize(bias), quantization=on_grid)


def _weight_quantization(layer: str, reals: FloatArray, spec: WeightQuantizationSpec, weight_bits: int) -> Quantization:
    word = IntFormat(weight_bits, spec.signed, narrow=spec.narrow_range)
    per_channel = spec.granularity == "per_channel"
    others = tuple(range(reals.ndim - 1)) if per_channel else None
    try:
        return from_range(
            reals.min(axis=others),
            reals.max(axis=others),
            word,
            symmetric=spec.symmetric,
            axis=reals.ndim - 1 if per_channel else None,
        )
    except ConfigError as error:
        raise ConfigError(f"layer {layer}, weights: {error}") from None


def _make_room_for_bias(weights: Quantization, bias: FloatArray, input_scale: float) -> Quantization:
    """Widen weight scales on whose S_w S_x grid the bias would need more than 32 bits."""
    needed = np.abs(bias) / (input_scale * BIAS_FORMAT.max)
    if weights.axis is None:
        needed = np.asarray(needed.max(initial=0.0))
    return replace(weights, scale=np.maximum(weights.scale, needed))
