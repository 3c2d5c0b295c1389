"""The quantization of a network of which only shapes are known.

Time and traffic depend on the widths of codes alone. Scales and zero points matter where random values fill the
shapes: then codes should neither all be the same nor all be clamped.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.arithmetic import Add
from hwsim.network.operators.elementwise import LutFunction, Rectify
from hwsim.network.operators.functions import Softmax
from hwsim.network.operators.lstm import LstmStart
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import QuantizedOperator
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.lstm import StateGrids
from hwsim.numerics.quantization import GridRule, Quantization
from hwsim.quantize.constants import BIAS_FORMAT
from hwsim.quantize.fuse import fuse
from hwsim.quantize.lstm import bind_lstms, state_homes
from hwsim.quantize.post_training import BOUNDED_FUNCTIONS, function_quantization
from hwsim.quantize.schemes import activation_schemes, check_layer_names, grid_homes, products, weight_schemes
from hwsim.quantize.shared_constants import join_constants, separate_constants

CELL_SCALE = 2.0**-12  # of an LSTM's cell states, which then reach 8
REACH = 4.0  # activations are taken to have variance 1, and codes to cover four standard deviations
_REACHES = {"none": (-REACH, REACH), "relu": (0.0, REACH), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}


def assume_quantization(network: Network, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int) -> Network:
    """Return the network, its activations fused, with a quantization on every tensor, of the widths that ``spec`` says.

    Zero points are 0 exactly where ``spec`` wants symmetric codes: an asymmetric weight costs row sums.

    Raises:
        ConfigError: ``spec`` names layers that the network does not have, or wants two schemes for one tensor.
    """
    fused = separate_constants(fuse(network))
    check_layer_names(fused, spec)
    _refuse_groups(fused, spec)
    tensors = dict(fused.tensors)
    producers = {operator.output: operator for operator in fused.operators}
    schemes = activation_schemes(fused, spec, weight_bits=weight_bits, activation_bits=activation_bits)
    homes = grid_homes(fused)
    grids = {name: _activation_grid(producers.get(home), schemes[name].grid) for name, home in homes.items()}
    states = {layer: StateGrids(grids[home], CELL_SCALE) for layer, home in state_homes(fused).items()}
    fused = replace(fused, operators=bind_lstms(fused, states, grids))
    for name, grid in grids.items():
        tensors[name] = replace(tensors[name], quantization=grid)
    for operator in fused.operators:
        if isinstance(operator, QuantizedOperator):
            beside = {name: replace(tensors[name], quantization=grids[operator.output]) for name in operator.constants}
            tensors |= beside
    of_weights = weight_schemes(fused, spec, weight_bits)
    for operator in products(fused):
        _quantize_constants(operator, tensors, of_weights[operator.layer].grid)
    return join_constants(replace(fused, tensors=tensors))


def _refuse_groups(network: Network, spec: QuantizationSpec) -> None:
    """Refuse what is not planned for shapes alone: run-time ranges, and scales of groups of depth terms.

    Raises:
        ConfigError: it is asked for.
    """
    if spec.mode != "static":
        raise ConfigError(f"quantization.mode {spec.mode}: a workload of shapes alone; allowed: static")
    layers = [one.layer for one in products(network) if spec.weights_of(one.layer).granularity == "per_group"]
    if layers:
        raise ConfigError(
            f"granularity per_group of layers {', '.join(dict.fromkeys(layers))}: a workload of shapes alone; "
            "allowed: per_tensor, per_channel"
        )


def _activation_grid(producer: Operator | None, rule: GridRule) -> Quantization:
    if isinstance(producer, LstmStart):
        return rule.over(-1.0, 1.0)  # of hidden states
    if isinstance(producer, Softmax):
        return function_quantization("sigmoid", rule)  # it has the same range
    if isinstance(producer, LutFunction) and producer.function in BOUNDED_FUNCTIONS:
        return function_quantization(producer.function, rule)
    fused = producer.activation if isinstance(producer, MatmulOperator | Add | Rectify) else "none"
    return rule.over(*_REACHES[fused])


def _quantize_constants(operator: MatmulOperator, tensors: dict[str, Tensor], rule: GridRule) -> None:
    """Give the weight a grid, and the bias the one of the products; neither has values."""
    for name in operator.constants:
        if name == operator.weight:
            grid = _weight_grid(tensors[name].shape, rule)
        else:
            scale = operator.input_quantization(tensors).scale * quantization_of(tensors[operator.weight]).scale
            grid = Quantization(np.asarray(scale), np.asarray(0, np.int64), BIAS_FORMAT)
        tensors[name] = replace(tensors[name], quantization=grid)


def _weight_grid(shape: Shape, rule: GridRule) -> Quantization:
    """Return the grid on which evenly distributed codes have the variance 2 / depth (He et al., 2015).

    It is the variance with which a rectified product's mean square stays what its input's was.
    """
    word = rule.format
    deviation = (word.max - word.min) / math.sqrt(12.0)  # of evenly distributed codes
    zero_point = 0 if rule.symmetric else (word.min + word.max + 1) // 2 + 1
    scale = math.sqrt(2.0 / math.prod(shape[:-1])) / deviation
    return Quantization(np.asarray(scale), np.asarray(zero_point, np.int64), word)
