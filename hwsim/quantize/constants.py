"""Weights and biases become codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.config.parts import make_part
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule, Quantization, power_of_two_above
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.calibrators import Calibrator
from hwsim.quantize.codebook import cluster_weights
from hwsim.quantize.schemes import WeightScheme
from hwsim.registry import CALIBRATORS

BIAS_FORMAT = IntFormat(32)


def check_constants(network: Network) -> None:
    """Refuse weights and biases that no grid can hold.

    Raises:
        ConfigError: a constant holds NaN or infinity; one line for each.
    """
    problems = [
        f"layer {operator.name}: {name} holds NaN or infinity; allowed: finite numbers"
        for operator in network.operators
        for name in operator.constants
        if not np.all(np.isfinite(np.asarray(network.tensors[name].data, np.float64)))
    ]
    if problems:
        raise ConfigError(problems)


def quantize_constants(operator: MatmulOperator, tensors: dict[str, Tensor], scheme: WeightScheme) -> None:
    """Replace weight and bias by codes; the bias lies on the S_w S_x grid in 32 bits."""
    weight = tensors[operator.weight]
    reals = shared_values(operator.layer, np.asarray(weight.data, np.float64), scheme)
    input_scale = float(operator.input_quantization(tensors).scale)
    bias = None if operator.bias is None else np.asarray(tensors[operator.bias].data, np.float64)
    found = weight_quantization(operator, reals, scheme)
    if bias is not None:
        found = _make_room_for_bias(found, bias, input_scale, _pieces(operator, scheme, bias.size), scheme.grid)
    tensors[operator.weight] = replace(
        weight,
        data=found.quantize(reals),
        quantization=found,
        index_bits=scheme.index_bits,
        decoding=() if scheme.index_bits is None else ("lookup",),
    )
    if operator.bias is None or bias is None:
        return
    on_grid = bias_grid(found, input_scale, len(bias))
    tensors[operator.bias] = replace(tensors[operator.bias], data=on_grid.quantize(bias), quantization=on_grid)


def quantize_operand(constant: Tensor, rule: GridRule) -> Tensor:
    """Return a constant that stands beside activations as codes, on a grid from its least to its greatest value."""
    reals = np.asarray(constant.data, np.float64)
    grid = rule.over(float(reals.min()), float(reals.max()))
    return replace(constant, data=grid.quantize(reals), quantization=grid)


def shared_values(layer: str, reals: FloatArray, scheme: WeightScheme) -> FloatArray:
    """Return the weights as they are, or each as its entry of the table of weights."""
    if scheme.codebook_entries is None:
        return reals
    try:
        return cluster_weights(reals, scheme.codebook_entries, per_channel=scheme.granularity == "per_channel")
    except ConfigError as error:
        raise ConfigError(f"layer {layer}: {error}") from None


def _pieces(operator: MatmulOperator, scheme: WeightScheme, channels: int) -> int:
    """Return how many scales a weight has: one a channel, or one for each of the matrices that it consists of."""
    return channels if scheme.granularity == "per_channel" else operator.matrices


def weight_quantization(operator: MatmulOperator, reals: FloatArray, scheme: WeightScheme) -> Quantization:
    """Choose a weight's grid.

    Raises:
        ConfigError: its range suits no grid of the scheme.
    """
    channels = reals.shape[-1]
    pieces = _pieces(operator, scheme, channels)
    try:
        ranges = np.array([_weight_range(one, scheme) for one in reals.reshape(-1, channels).T.reshape(pieces, -1)])
        if pieces == 1 and scheme.granularity == "per_tensor":
            return scheme.grid.over(*ranges[0])
        low, high = np.repeat(ranges, channels // pieces, axis=0).T
        return scheme.grid.over(low, high, axis=reals.ndim - 1)
    except ConfigError as error:
        raise ConfigError(f"layer {operator.layer}, weights: {error}") from None


def _weight_range(reals: FloatArray, scheme: WeightScheme) -> tuple[float, float]:
    calibrator: Calibrator = make_part(CALIBRATORS, scheme.calibrator)
    calibrator.observe(reals)
    return calibrator.range(scheme.grid)


def _make_room_for_bias(
    weights: Quantization, bias: FloatArray, input_scale: float, pieces: int, rule: GridRule
) -> Quantization:
    """Widen weight scales on whose S_w S_x grid the bias would need more than 32 bits."""
    needed = (np.abs(bias) / (input_scale * BIAS_FORMAT.max)).reshape(pieces, -1).max(axis=1)
    needed = needed[0] if weights.axis is None else np.repeat(needed, bias.size // pieces)
    scale = np.maximum(weights.scale, needed)
    return replace(weights, scale=power_of_two_above(scale) if rule.power_of_two else scale)


def bias_grid(weights: Quantization, input_scale: float, channels: int) -> Quantization:
    """Return the grid of a product's sums, S_w S_x for each output channel, in 32 bits."""
    scale = np.broadcast_to(weights.scale * input_scale, (channels,))
    return Quantization(scale, np.zeros(channels, np.int64), BIAS_FORMAT, axis=0)
