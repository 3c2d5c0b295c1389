"""Static post-training quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hwsim.config.parts import make_part
from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import check_inputs, chunks, float_values
from hwsim.network.network import Network
from hwsim.network.operator import quantization_of
from hwsim.network.operators.elementwise import LutFunction
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule, Quantization, power_of_two_above
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.calibrators import Calibrator
from hwsim.quantize.fuse import fuse
from hwsim.quantize.schemes import (
    ActivationScheme,
    WeightScheme,
    activation_schemes,
    check_layer_names,
    grid_homes,
    products,
    weight_schemes,
)
from hwsim.registry import CALIBRATORS

BIAS_FORMAT = IntFormat(32)
BATCH_SAMPLES = 32
_FUNCTION_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def quantize(
    network: Network, calibration: FloatArray, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int
) -> Network:
    """Return the network with integer weights and biases, and a quantization on every tensor.

    Args:
        network: in floating point; batch normalizations and activations are fused first.
        calibration: samples (samples, *input shape) from which activation ranges are found.
        spec: the schemes of weights and activations, of single layers too.
        weight_bits, activation_bits: widths of the codes where a layer has none of its own.

    Raises:
        ConfigError: calibration data of the wrong shape or not finite, a range that a scheme cannot hold, or layers
            that the network does not have.
    """
    fused = fuse(network)
    check_inputs(fused, calibration)
    check_layer_names(fused, spec)
    schemes = activation_schemes(fused, spec, activation_bits)
    tensors = dict(fused.tensors)
    for name, found in _activation_grids(fused, calibration, schemes).items():
        tensors[name] = replace(tensors[name], quantization=found)
    of_weights = weight_schemes(fused, spec, weight_bits)
    for operator in products(fused):
        _quantize_constants(operator, tensors, of_weights[operator.name])
    return replace(fused, tensors=tensors)


def _activation_grids(
    network: Network, calibration: FloatArray, schemes: Mapping[str, ActivationScheme]
) -> dict[str, Quantization]:
    """Return the grid of every activation tensor; those that share one share the object."""
    homes = grid_homes(network)
    producers = {operator.output: operator for operator in network.operators}
    functions = {
        home: producer.function
        for home in homes.values()
        if isinstance(producer := producers.get(home), LutFunction) and producer.function in _FUNCTION_RANGES
    }
    calibrated = {name: schemes[name] for name in dict.fromkeys(homes.values()) if name not in functions}
    ranges = activation_ranges(network, calibration, calibrated)
    grids = {name: _grid_of_range(name, ranges[name], scheme.grid) for name, scheme in calibrated.items()}
    grids |= {name: function_quantization(function, schemes[name].grid) for name, function in functions.items()}
    return {name: grids[home] for name, home in homes.items()}


def activation_ranges(
    network: Network, calibration: FloatArray, schemes: Mapping[str, ActivationScheme]
) -> dict[str, tuple[float, float]]:
    """Return (low, high) of activation tensors, as their calibrators see the float network in batches.

    A batch has ``BATCH_SAMPLES`` samples, fewer where they are large.

    Raises:
        ConfigError: no such calibrator, or a tensor that is not finite.
    """
    observers: dict[str, Calibrator] = {
        name: make_part(CALIBRATORS, scheme.calibrator) for name, scheme in schemes.items()
    }
    for chunk in chunks(network, calibration, most_samples=BATCH_SAMPLES):
        for name, values in float_values(network, chunk):
            if name in observers:
                _observe(name, observers[name], values)
    return {name: observer.range(schemes[name].grid) for name, observer in observers.items()}


def _observe(tensor: str, calibrator: Calibrator, values: FloatArray) -> None:
    try:
        calibrator.observe(values)
    except ConfigError as error:
        raise ConfigError(f"tensor {tensor}: {error}") from None


def _grid_of_range(tensor: str, limits: tuple[float, float], rule: GridRule) -> Quantization:
    try:
        return rule.over(*limits)
    except ConfigError as error:
        raise ConfigError(f"tensor {tensor}: {error}") from None


def function_quantization(function: str, rule: GridRule) -> Quantization:
    """Return the grid of a bounded function: [0, 1) or [-1, 1) over all codes, or symmetric round zero.

    Over all codes the scale is a power of two by itself, unless the range is narrow.
    """
    low, high = _FUNCTION_RANGES[function]
    word = rule.format
    if rule.symmetric or word.narrow:
        return rule.over(low, high)
    scale = (high - low) / 2**word.bits
    return Quantization(np.asarray(scale), np.asarray(word.min - round(low / scale), np.int64), word)


def _quantize_constants(operator: MatmulOperator, tensors: dict[str, Tensor], scheme: WeightScheme) -> None:
    """Replace weight and bias by codes; the bias lies on the S_w S_x grid in 32 bits."""
    weight = tensors[operator.weight]
    reals = np.asarray(weight.data, np.float64)
    input_scale = float(quantization_of(tensors[operator.input]).scale)
    bias = None if operator.bias is None else np.asarray(tensors[operator.bias].data, np.float64)
    found = _weight_quantization(operator.name, reals, scheme)
    if bias is not None:
        found = _make_room_for_bias(found, bias, input_scale, power_of_two=scheme.grid.power_of_two)
    tensors[operator.weight] = replace(weight, data=found.quantize(reals), quantization=found)
    if operator.bias is None or bias is None:
        return
    grid = np.broadcast_to(found.scale * input_scale, bias.shape)
    on_grid = Quantization(grid, np.zeros(bias.shape, np.int64), BIAS_FORMAT, axis=0)
    tensors[operator.bias] = replace(tensors[operator.bias], data=on_grid.quantize(bias), quantization=on_grid)


def _weight_quantization(layer: str, reals: FloatArray, scheme: WeightScheme) -> Quantization:
    per_channel = scheme.granularity == "per_channel"
    pieces = reals.reshape(-1, reals.shape[-1]).T if per_channel else reals.reshape(1, -1)
    try:
        ranges = np.array([_weight_range(piece, scheme) for piece in pieces])
        low, high = ranges.T if per_channel else ranges[0]
        return scheme.grid.over(low, high, axis=reals.ndim - 1 if per_channel else None)
    except ConfigError as error:
        raise ConfigError(f"layer {layer}, weights: {error}") from None


def _weight_range(reals: FloatArray, scheme: WeightScheme) -> tuple[float, float]:
    calibrator: Calibrator = make_part(CALIBRATORS, scheme.calibrator)
    calibrator.observe(reals)
    return calibrator.range(scheme.grid)


def _make_room_for_bias(
    weights: Quantization, bias: FloatArray, input_scale: float, *, power_of_two: bool
) -> Quantization:
    """Widen weight scales on whose S_w S_x grid the bias would need more than 32 bits."""
    needed = np.abs(bias) / (input_scale * BIAS_FORMAT.max)
    if weights.axis is None:
        needed = np.asarray(needed.max(initial=0.0))
    scale = np.maximum(weights.scale, needed)
    return replace(weights, scale=power_of_two_above(scale) if power_of_two else scale)
