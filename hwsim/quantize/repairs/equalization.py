"""Cross-layer equalization: two products in a row share their channels' ranges out evenly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.options import whole_number
from hwsim.quantize.repairs.repair import Repair
from hwsim.quantize.schemes import products


class Equalization(Repair):
    """Divides output channel c of a product by s and multiplies what the next one makes of it by s.

    ``s = sqrt(r1 / r2)`` with r1 and r2 the greatest magnitudes of channel c's weights in both, so that both become
    ``sqrt(r1 r2)``. As ReLU, maxima and a change of shape let a positive factor through, the network computes the
    same reals. Pairs are visited in order, ``iterations`` times, as neighbouring pairs share a product. A channel
    that is zero on either side stays.

    Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019.
    """

    def __init__(self, iterations: int = 20) -> None:
        self._iterations = whole_number("equalization", "iterations", iterations, low=1, high=1000)

    def before(self, network: Network) -> Network:
        """Equalize every pair."""
        tensors = dict(network.tensors)
        pairs = list(pairs_in(network))
        for _ in range(self._iterations):
            for first, second in pairs:
                _equalize(first, second, tensors)
        return replace(network, tensors=tensors)


def pairs_in(network: Network) -> Iterator[tuple[MatmulOperator, MatmulOperator]]:
    """Yield products with the product that alone reads them, through nothing but ReLU, maxima and shapes."""
    for first in filter(_has_channels, products(network)):
        reader: Operator | None = first if first.activation in ("none", "relu") else None
        while reader is not None:
            reader = _only_reader(network, reader.output)
            if isinstance(reader, MatmulOperator) and _has_channels(reader):
                yield first, reader
            if not isinstance(reader, MaxPool2d | Flatten):
                break


def _has_channels(product: MatmulOperator) -> bool:
    """Tell whether the weight's last two axes are input and output channels, as `_input_channels` takes them."""
    return type(product) in (Dense, Conv2d)


def _only_reader(network: Network, tensor: str) -> Operator | None:
    readers = network.readers(tensor)
    return readers[0] if len(readers) == 1 and tensor not in network.outputs else None


def _equalize(first: MatmulOperator, second: MatmulOperator, tensors: dict[str, Tensor]) -> None:
    left = np.asarray(tensors[first.weight].data, np.float64)
    right = np.asarray(tensors[second.weight].data, np.float64)
    channels = _input_channels(second, right, left.shape[-1])
    of_left = np.abs(left).reshape(-1, left.shape[-1]).max(axis=0)
    of_right = np.zeros_like(of_left)
    np.maximum.at(of_right, channels, np.abs(right).reshape(-1, *channels.shape).max(axis=0))
    factor = _factors(of_left, of_right)
    tensors[first.weight] = replace(tensors[first.weight], data=left / factor)
    tensors[second.weight] = replace(tensors[second.weight], data=right * factor[channels])
    if first.bias is not None:
        bias = np.asarray(tensors[first.bias].data, np.float64)
        tensors[first.bias] = replace(tensors[first.bias], data=bias / factor)


def _factors(of_left: FloatArray, of_right: FloatArray) -> FloatArray:
    alive = (of_left > 0) & (of_right > 0)
    ratios = np.ones_like(of_left)
    np.divide(of_left, of_right, out=ratios, where=alive)
    return np.sqrt(ratios)


def _input_channels(product: MatmulOperator, weight: FloatArray, channels: int) -> IntArray:
    """Return which of the ``channels`` before each entry of the weight's last two axes (inputs, outputs) reads.

    A group reads its own channels; a dense layer reads a flattened image, channels last.
    """
    inputs, outputs = weight.shape[-2:]
    group = np.arange(outputs) // (outputs // product.groups)
    return (np.arange(inputs)[:, None] + group[None, :] * inputs) % channels
