"""Static post-training quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwsim.config.parts import make_part
from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import Reals, by_name, check_inputs, chunks
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.depth_groups import DepthProducts
from hwsim.network.operators.elementwise import LutFunction
from hwsim.network.operators.functions import Softmax
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import QuantizedOperator
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule, Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.calibrators import Calibrator
from hwsim.quantize.constants import check_constants, quantize_constants, quantize_operand
from hwsim.quantize.depth_groups import split_depth, sum_grids
from hwsim.quantize.fuse import fuse
from hwsim.quantize.lstm import (
    bind_lstms,
    calibration_values,
    cell_name,
    has_fixed_grid,
    hidden_name,
    state_grids,
    state_homes,
    state_schemes,
)
from hwsim.quantize.repairs.repair import Repair
from hwsim.quantize.schemes import (
    ActivationScheme,
    activation_schemes,
    check_layer_names,
    grid_homes,
    products,
    weight_schemes,
)
from hwsim.quantize.shared_constants import join_constants, separate_constants
from hwsim.registry import CALIBRATORS, REPAIRS

BATCH_SAMPLES = 32
BOUNDED_FUNCTIONS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def quantize(
    network: Network, calibration: Reals, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int
) -> Network:
    """Return the network with integer weights and biases, and a quantization on every tensor.

    Args:
        network: in floating point; batch normalizations and activations are fused first.
        calibration: samples (samples, *input shape) from which activation ranges are found, by name if there are
            several inputs.
        spec: the schemes of weights and activations, of single layers too, and repairs.
        weight_bits, activation_bits: widths of the codes where a layer has none of its own.

    Raises:
        ConfigError: calibration data of the wrong shape or not finite, a range that a scheme cannot hold, or layers
            that the network does not have.
    """
    fused = fuse(network)
    check_constants(fused)
    check_inputs(fused, calibration)
    check_layer_names(fused, spec)
    fused = separate_constants(fused)
    repairs: list[Repair] = [make_part(REPAIRS, part) for part in spec.repairs]
    for repair in repairs:
        fused = repair.before(fused)
    fused = split_depth(fused, spec)
    schemes = activation_schemes(fused, spec, weight_bits=weight_bits, activation_bits=activation_bits)
    found = _activation_grids(fused, calibration, schemes)
    bound = replace(fused, operators=found.operators)
    tensors = {name: replace(one, quantization=found.grids.get(name)) for name, one in fused.tensors.items()}
    of_weights = weight_schemes(fused, spec, weight_bits)
    for constant, scheme in _operand_schemes(bound, schemes).items():
        tensors[constant] = quantize_operand(tensors[constant], scheme.grid)
    for operator in _first_of_each_weight(bound):
        quantize_constants(operator, tensors, of_weights[operator.layer])
    quantized = replace(bound, tensors=tensors | sum_grids(bound, tensors))
    for repair in repairs:
        quantized = repair.after(fused, quantized, calibration)
    return join_constants(quantized)


def _operand_schemes(network: Network, schemes: Mapping[str, ActivationScheme]) -> dict[str, ActivationScheme]:
    """Return how constants that stand beside activations are quantized: as the outputs that they go into."""
    return {
        name: schemes[operator.output]
        for operator in network.operators
        if isinstance(operator, QuantizedOperator)
        for name in operator.constants
    }


def _first_of_each_weight(network: Network) -> list[MatmulOperator]:
    """Return the products in order, but of those that share a weight (steps of an LSTM) only the first."""
    return list({operator.weight: operator for operator in reversed(products(network))}.values())[::-1]


@dataclass(frozen=True, slots=True, eq=False)
class _Grids:
    """The grid of every activation tensor, and the operators, which in LSTMs know grids themselves."""

    grids: dict[str, Quantization]
    operators: tuple[Operator, ...]


def _activation_grids(network: Network, calibration: Reals, schemes: Mapping[str, ActivationScheme]) -> _Grids:
    """Find the grid of every activation tensor; those that share one share the object."""
    homes = grid_homes(network)
    producers = {operator.output: operator for operator in network.operators}
    functions = {
        home: producer.function
        for home in homes.values()
        if isinstance(producer := producers.get(home), LutFunction) and producer.function in BOUNDED_FUNCTIONS
    }
    shares = [home for home in homes.values() if isinstance(producers.get(home), Softmax)]
    lstms = state_homes(network)
    fixed = (name for name, one in producers.items() if _needs_no_range(one))
    known = {*functions, *shares, *lstms.values(), *fixed}
    calibrated = {name: schemes[name] for name in dict.fromkeys(homes.values()) if name not in known}
    calibrated |= state_schemes(network, schemes)
    ranges = activation_ranges(network, calibration, calibrated)
    grids = {name: _grid_of_range(name, ranges[name], scheme.grid) for name, scheme in calibrated.items()}
    states = {layer: state_grids(layer, grids[hidden_name(layer)], grids[cell_name(layer)]) for layer in lstms}
    grids |= {name: function_quantization(function, schemes[name].grid) for name, function in functions.items()}
    grids |= {name: softmax_quantization(schemes[name].grid.format) for name in shares}
    grids |= {home: states[layer].hidden for layer, home in lstms.items()}
    of_tensors = {name: grids[home] for name, home in homes.items() if home in grids}
    operators = bind_lstms(network, states, of_tensors)
    return _Grids(of_tensors, operators)


def _needs_no_range(operator: Operator) -> bool:
    return has_fixed_grid(operator) or isinstance(operator, DepthProducts)


def activation_ranges(
    network: Network, calibration: Reals, schemes: Mapping[str, ActivationScheme]
) -> dict[str, tuple[float, float]]:
    """Return (low, high) of activation tensors, as their calibrators see the float network in batches.

    A batch has ``BATCH_SAMPLES`` samples, fewer where they are large.

    Raises:
        ConfigError: no such calibrator, or a tensor that is not finite.
    """
    observers: dict[str, Calibrator] = {
        name: make_part(CALIBRATORS, scheme.calibrator) for name, scheme in schemes.items()
    }
    given = by_name(network, calibration)
    for chunk in chunks(network, len(given[network.input]), most_samples=BATCH_SAMPLES):
        for name, values in calibration_values(network, {name: values[chunk] for name, values in given.items()}):
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


def softmax_quantization(word: IntFormat) -> Quantization:
    """Return the grid of a softmax: [0, 1) over all codes, whatever other activations have."""
    return Quantization(np.asarray(2.0**-word.bits), np.asarray(word.min, np.int64), word)


def function_quantization(function: str, rule: GridRule) -> Quantization:
    """Return the grid of a bounded function: [0, 1) or [-1, 1) over all codes, or symmetric round zero.

    Over all codes the scale is a power of two by itself, unless the range is narrow.
    """
    low, high = BOUNDED_FUNCTIONS[function]
    word = rule.format
    if rule.symmetric or word.narrow:
        return rule.over(low, high)
    scale = (high - low) / 2**word.bits
    return Quantization(np.asarray(scale), np.asarray(word.min - round(low / scale), np.int64), word)
