"""Fusions before quantization: batch normalization into weights, activations into the product before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.elementwise import BatchNorm, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor


def fuse(network: Network) -> Network:
    """Fold what can be folded; the network computes the same reals with fewer operators."""
    tensors = dict(network.tensors)
    operators: list[Operator] = []
    for operator in network.operators:
        before = operators[-1] if operators else None
        if isinstance(before, MatmulOperator) and before.activation == "none" and isinstance(operator, BatchNorm):
            operators[-1] = _fold_batch_norm(before, operator, tensors)
        elif isinstance(before, MatmulOperator) and before.activation == "none" and isinstance(operator, Rectify):
            operators[-1] = replace(before, output=operator.output, activation=operator.activation)
        else:
            operators.append(operator)
    return replace(network, tensors=tensors, operators=tuple(operators))


def _fold_batch_norm(product: MatmulOperator, norm: BatchNorm, tensors: dict[str, Tensor]) -> MatmulOperator:
    """Scale the output channels of the weight and move the bias: ``(x W + b) m + o = x (W m) + (b m + o)``."""
    multiplier, offset = norm.factors(tensors)
    weight = tensors[product.weight]
    tensors[product.weight] = replace(weight, data=np.asarray(weight.data, np.float64) * multiplier)
    bias_name = product.bias or f"{product.name}.bias"
    if product.bias is None:
        tensors[bias_name] = Tensor(bias_name, offset.shape, offset)
    else:
        bias = np.asarray(tensors[bias_name].data, np.float64)
        tensors[bias_name] = replace(tensors[bias_name], data=bias * multiplier + offset)
    return replace(product, output=norm.output, bias=bias_name)
