"""Products whose weights have a scale for each group of depth terms become products of the groups and their sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.depth_groups import SUM_SUFFIX, DepthProducts, DepthSum
from hwsim.network.operators.matmul import SUM_BITS, MatmulOperator
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.schemes import products

SUMS = IntFormat(SUM_BITS)


def split_depth(network: Network, spec: QuantizationSpec) -> Network:
    """Return a network that computes the same reals, with the products split that have a scale per group.

    Raises:
        ConfigError: a layer whose depth cannot be split; one line for each.
    """
    tensors, operators = dict(network.tensors), list[Operator]()
    problems: list[str] = []
    for operator in network.operators:
        if not _has_group_scales(operator, spec):
            operators.append(operator)
            continue
        assert isinstance(operator, MatmulOperator)  # noqa: S101  (only products have weights)
        if not _can_be_split(operator):
            kind = "grouped convolution" if operator.groups > 1 else type(operator).__name__
            problems.append(
                f"layer {operator.layer}: granularity per_group for a {kind}; allowed: per_tensor, per_channel"
            )
        else:
            operators += _split(operator, tensors, spec.weights_of(operator.layer).group_size)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return replace(network, tensors=tensors, operators=tuple(operators))


def group_depth(weight: FloatArray, group_size: int) -> FloatArray:
    """Return a weight (..., channels) as (group_size, groups times channels), the last group filled up with zeros."""
    matrix = weight.reshape(-1, weight.shape[-1])
    groups = -(-len(matrix) // group_size)
    padded = np.pad(matrix, ((0, groups * group_size - len(matrix)), (0, 0)))
    return padded.reshape(groups, group_size, -1).transpose(1, 0, 2).reshape(group_size, -1)


def ungroup_depth(grouped: FloatArray, shape: Shape) -> FloatArray:
    """Return a weight of ``shape`` from what `group_depth` makes of it."""
    matrix = grouped.reshape(len(grouped), -1, shape[-1]).transpose(1, 0, 2).reshape(-1, shape[-1])
    return matrix[: int(np.prod(shape[:-1]))].reshape(shape)


def _has_group_scales(operator: Operator, spec: QuantizationSpec) -> bool:
    has_weights = isinstance(operator, MatmulOperator) and operator.has_weights
    return has_weights and spec.weights_of(operator.layer).granularity == "per_group"


def _can_be_split(operator: MatmulOperator) -> bool:
    return type(operator) in (Dense, Conv2d) and operator.groups == 1 and operator.activation != "relu_n1_to_1"


def _split(whole: MatmulOperator, tensors: dict[str, Tensor], group_size: int) -> tuple[DepthProducts, DepthSum]:
    """Return the two operators; put the partial products' tensor and the rearranged weight into ``tensors``."""
    weight = np.asarray(tensors[whole.weight].data, np.float64)
    channels = weight.shape[-1]
    group_size = min(group_size, weight.size // channels)  # a group beyond the depth would only multiply zeros
    grouped = group_depth(weight, group_size)
    groups = grouped.shape[1] // channels
    tensors[whole.weight] = replace(tensors[whole.weight], shape=grouped.shape, data=grouped)
    partial = f"{whole.output}.partial"
    shape = (*tensors[whole.output].shape[:-1], groups * channels)
    tensors[partial] = Tensor(partial, shape, is_internal=True)
    split = DepthProducts(
        whole.name, whole.inputs, partial, whole.weight, groups=groups, whole=whole, group_size=group_size
    )
    assert whole.activation != "relu_n1_to_1"  # noqa: S101  (see _can_be_split)
    added = DepthSum(
        whole.name + SUM_SUFFIX,
        (partial,),
        whole.output,
        source=whole.input,
        weight=whole.weight,
        bias=whole.bias,
        activation=whole.activation,
        groups=groups,
    )
    return split, added


def sum_grids(network: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of partial products with their grid, S_w S_x of each group and channel in 32 bits."""
    found = {}
    for product in products(network):
        if isinstance(product, DepthProducts):
            weights, inputs = tensors[product.weight].quantization, tensors[product.input].quantization
            assert weights is not None  # noqa: S101  (quantized before)
            assert inputs is not None  # noqa: S101
            tensor = tensors[product.output]
            scale = weights.scale * float(inputs.scale)
            grid = Quantization(scale, np.zeros(scale.shape, np.int64), SUMS, axis=-1)
            found[product.output] = replace(tensor, quantization=grid)
    return found
