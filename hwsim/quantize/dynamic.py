"""Dynamic quantization: weights are codes, activations become codes at run time, tensors between layers are reals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hwsim.config.quantization import QuantizationSpec
from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import Add, Pool2d
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import Dense, RowsDense
from hwsim.network.operators.dynamic import (
    LIMITS_SHAPE,
    DynamicCodes,
    DynamicProduct,
    DynamicRange,
    DynamicRescale,
    RealMaxPool2d,
)
from hwsim.network.operators.elementwise import Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.operators.functions import TableFunction
from hwsim.network.operators.layer_norm import LayerNorm
from hwsim.network.operators.matmul import SUM_BITS, MatmulOperator, activate
from hwsim.network.operators.moves import Concatenation
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.operators.real_function import MovedElements, RealFunction, float_actions
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule, Quantization
from hwsim.numerics.tflite.nonlinear import NonlinearFunction
from hwsim.quantize.constants import check_constants, shared_values, weight_quantization
from hwsim.quantize.fuse import fuse
from hwsim.quantize.repairs.repair import repaired_before
from hwsim.quantize.schemes import WeightScheme, activation_scheme, check_layer_names, weight_schemes
from hwsim.quantize.shared_constants import separate_constants

SUMS = IntFormat(SUM_BITS)
TABLES: dict[str, NonlinearFunction] = {"sigmoid": "logistic", "tanh": "tanh"}


def quantize_dynamically(
    network: Network, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int
) -> Network:
    """Return the network with integer weights, and operators that make codes of activations as they come.

    No calibration data are needed. The biases stay reals.

    Raises:
        ConfigError: settings that have no meaning here, or sums that might not fit 32 bits.
        UnsupportedError: operators that have no form between reals; all are listed.
    """
    fused = fuse(network)
    check_constants(fused)
    check_layer_names(fused, spec)
    fused = separate_constants(fused)
    fused = repaired_before(fused, spec, "which has no ranges before a run")
    _refuse_unsupported(fused)
    schemes = weight_schemes(fused, spec, weight_bits)
    tensors = dict(fused.tensors)
    operators: list[Operator] = []
    for operator in fused.operators:
        if isinstance(operator, MatmulOperator):
            rule = _rule(operator, spec, activation_bits)
            operators += _dynamic(operator, tensors, rule, schemes[operator.layer])
        elif isinstance(operator, MaxPool2d):
            operators.append(
                RealMaxPool2d(operator.name, operator.inputs, operator.output, operator.pool, operator.stride)
            )
        else:
            operators.append(_between_reals(operator, tensors))
    return replace(fused, tensors=tensors, operators=tuple(operators))


def _refuse_unsupported(network: Network) -> None:
    unsupported: dict[str, dict[str, None]] = {}
    for operator in network.operators:
        if not _has_form(operator):
            unsupported.setdefault(operator.layer, {})[type(operator).__name__] = None
    if unsupported:
        problems = [f"layer {layer}: {', '.join(kinds)}" for layer, kinds in unsupported.items()]
        allowed = "allowed with quantization.mode dynamic: dense and convolution layers, pools, sums, "
        rest = "relu, relu6, sigmoid, tanh, layer_norm, moves; of files also other functions of elements and of rows"
        raise UnsupportedError("\n".join([*problems, allowed + rest]))


def _has_form(operator: Operator) -> bool:
    """Tell whether an operator has a form between reals, in float32 on the vector unit or as a product."""
    if isinstance(operator, LutFunction):
        return operator.function in TABLES
    of_reals = (Pool2d, Add, Concatenation, RealFunction, MovedElements, Flatten, MaxPool2d, Rectify, LayerNorm)
    return type(operator) in (Dense, RowsDense, Conv2d, DepthwiseConv2d, *of_reals)


def _between_reals(operator: Operator, tensors: Mapping[str, Tensor]) -> Operator:
    """Return an operator off the array as it works on reals."""
    ends = operator.name, operator.inputs, operator.output
    if isinstance(operator, LutFunction):
        return TableFunction(*ends, operator.inputs, function=TABLES[operator.function])
    if isinstance(operator, Rectify):
        shape, activation = tensors[operator.output].shape, operator.activation
        counts = Counts({("vector_unit", "float_compare"): 2 * int(np.prod(shape))})
        return InFloat32(*ends, operator.inputs, shape, lambda values: activate(values[0], activation), counts)
    if isinstance(operator, LayerNorm):
        operator = operator.in_float32(tensors)
    if isinstance(operator, RealFunction | InFloat32):
        return replace(operator, actions_once=float_actions(operator.actions_once))
    return operator


def _rule(operator: MatmulOperator, spec: QuantizationSpec, activation_bits: int) -> GridRule:
    """Return how the activations of a product become codes.

    Raises:
        ConfigError: settings that have no meaning here.
    """
    rule = activation_scheme(operator.layer, spec, activation_bits).grid
    if rule.power_of_two:
        raise ConfigError(f"layer {operator.layer}: activations of scale power_of_two with mode dynamic; allowed: free")
    if not rule.format.signed and rule.symmetric:
        raise ConfigError(
            f"layer {operator.layer}: symmetric unsigned activations with mode dynamic, whose signs only a run shows; "
            "allowed: signed, or asymmetric"
        )
    if spec.weights_of(operator.layer).granularity == "per_group":
        raise ConfigError(
            f"layer {operator.layer}: granularity per_group with mode dynamic; allowed: per_tensor, per_channel"
        )
    return rule


def _dynamic(
    whole: MatmulOperator, tensors: dict[str, Tensor], rule: GridRule, scheme: WeightScheme
) -> tuple[Operator, ...]:
    """Return the four operators of a product; put their tensors and the weight's codes into ``tensors``."""
    source, shape = whole.input, tensors[whole.input].shape
    limits, codes, sums = (f"{whole.output}.{part}" for part in ("range", "codes", "sums"))
    _quantize_weight(whole, tensors, scheme)
    _check_sums(whole, tensors, rule, scheme)
    found = DynamicRange(f"{whole.name}.range", (source,), limits)
    made = DynamicCodes(f"{whole.name}.codes", (source, limits), codes, rule=rule)
    product = DynamicProduct(
        whole.name, (codes,), sums, whole.weight, groups=whole.groups, whole=whole, source_shape=shape
    )
    rescaled = DynamicRescale(
        f"{whole.name}.rescale",
        (sums, limits),
        whole.output,
        weight=whole.weight,
        bias=whole.bias,
        activation=whole.activation,
        rule=rule,
    )
    one = np.asarray(1.0), np.asarray(0, np.int64)
    tensors[limits] = Tensor(limits, LIMITS_SHAPE, is_internal=True)
    tensors[codes] = Tensor(
        codes, made.output_shape(shape), quantization=Quantization(*one, rule.format), is_internal=True
    )
    tensors[sums] = Tensor(sums, product.output_shape(), quantization=Quantization(*one, SUMS), is_internal=True)
    return found, made, product, rescaled


def _quantize_weight(whole: MatmulOperator, tensors: dict[str, Tensor], scheme: WeightScheme) -> None:
    reals = shared_values(whole.layer, np.asarray(tensors[whole.weight].data, np.float64), scheme)
    grid = weight_quantization(whole, reals, scheme)
    tensors[whole.weight] = replace(
        tensors[whole.weight],
        data=grid.quantize(reals),
        quantization=grid,
        index_bits=scheme.index_bits,
        decoding=() if scheme.index_bits is None else ("lookup",),
    )


def _check_sums(whole: MatmulOperator, tensors: Mapping[str, Tensor], rule: GridRule, scheme: WeightScheme) -> None:
    """Refuse products whose sums of raw codes might not fit the 32 bits in which they leave the array.

    Raises:
        ConfigError: they might not.
    """
    depth = int(np.prod(tensors[whole.weight].shape[:-1]))
    weights = scheme.grid.format
    reach = depth * max(-rule.format.min, rule.format.max) * (weights.max - weights.min)
    if reach > SUMS.max:
        raise ConfigError(
            f"layer {whole.layer}: sums of {depth} products of {weights.bits} and {rule.format.bits} bits may need "
            f"more than {SUM_BITS}; allowed with mode dynamic: narrower operands"
        )
