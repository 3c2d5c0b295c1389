"""What a network becomes before quantization: LSTMs unrolled; batch normalization and activations in products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import Add
from hwsim.network.operators.elementwise import BatchNorm, Rectify
from hwsim.network.operators.lstm_unroll import Lstm, LstmLayer, hidden_of, sequence_sizes, unroll
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.quantize.shared_constants import join_constants, separate_constants


def fuse(network: Network) -> Network:
    """Unroll LSTMs and fold what can be folded; the network computes the same reals.

    An operator is folded into a product only if it is the only one that reads the product.

    Raises:
        UnsupportedError: an LSTM of too many steps.
    """
    network = separate_constants(_unrolled(network))
    tensors = dict(network.tensors)
    producers: dict[str, Operator] = {}
    for operator in network.operators:
        before = producers.get(operator.input)
        folded = _folded(before, operator, tensors) if _is_private(network, operator.input) else None
        if folded is not None:
            del producers[operator.input]
        producers[operator.output] = folded or operator
    return join_constants(replace(network, tensors=tensors, operators=tuple(producers.values())))


def _unrolled(network: Network) -> Network:
    """Write the steps of LSTMs out, as operators with float values."""
    tensors, operators = dict(network.tensors), list[Operator]()
    for operator in network.operators:
        if not isinstance(operator, Lstm):
            operators.append(operator)
            continue
        steps, inputs = sequence_sizes(tensors[operator.input].shape)
        layer = LstmLayer(
            operator.name,
            operator.output,
            operator.input,
            steps,
            inputs,
            operator.cells,
            operator.constants,
            operator.cell_clip,
        )
        built = unroll(layer)
        (states,) = built.states
        read = states if operator.returns_sequences else states[-1:]
        shape = tensors[operator.output].shape
        operators += [*built.operators, hidden_of(layer, read, operator.output, shape)]
        tensors |= {tensor.name: tensor for tensor in built.tensors}
    return replace(network, tensors=tensors, operators=tuple(operators))


def _is_private(network: Network, tensor: str) -> bool:
    """Tell whether a tensor has one reader and is no output of the network."""
    return len(network.readers(tensor)) == 1 and tensor not in network.outputs


def _folded(before: Operator | None, operator: Operator, tensors: dict[str, Tensor]) -> Operator | None:
    """Return one operator in place of two, or None where they stay apart."""
    if not isinstance(before, MatmulOperator | Add) or before.activation != "none":
        return None
    if isinstance(operator, Rectify):
        return replace(before, output=operator.output, activation=operator.activation)
    if isinstance(operator, BatchNorm) and isinstance(before, MatmulOperator) and before.has_weights:
        return _fold_batch_norm(before, operator, tensors)
    return None


def _fold_batch_norm(product: MatmulOperator, norm: BatchNorm, tensors: dict[str, Tensor]) -> MatmulOperator:
    """Scale the output channels of the weight and move the bias: ``(x W + b) m + o = x (W m) + (b m + o)``.

    Where only shapes are known, a bias is all that is left of it.
    """
    if tensors[product.weight].data is None:
        unknown = Tensor(f"{product.name}.bias", tensors[norm.gamma].shape)
        tensors[unknown.name] = unknown
        return replace(product, output=norm.output, bias=unknown.name)
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
