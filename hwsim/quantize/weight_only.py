"""Weight-only quantization: memory holds codes of weights, the array multiplies floats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.config.quantization import QuantizationSpec
from hwsim.network.network import Network
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Tensor
from hwsim.numerics.number_formats import FloatFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.constants import check_constants, shared_values, weight_quantization
from hwsim.quantize.depth_groups import group_depth, ungroup_depth
from hwsim.quantize.repairs.repair import repaired_before
from hwsim.quantize.schemes import WeightScheme, check_layer_names, products, weight_schemes
from hwsim.quantize.shared_constants import join_constants, separate_constants


def decoded_weights(network: Network, spec: QuantizationSpec, *, weight_bits: int, word: FloatFormat) -> Network:
    """Return the network with every weight as a decoder makes it of its code, and said so in its tensor.

    The decoder computes in the array's format: ``word(word(S) * word(q - Z))``. Groups of depth terms cost nothing
    here, as every weight is scaled before it is multiplied.

    Raises:
        ConfigError: a weight that suits no grid, layers that the network does not have, or a repair that needs
            integer sums.
    """
    check_constants(network)
    check_layer_names(network, spec)
    network = separate_constants(network)
    network = repaired_before(network, spec, "which has no sums of integers")
    tensors = dict(network.tensors)
    schemes = weight_schemes(network, spec, weight_bits)
    for product in {operator.weight: operator for operator in products(network)}.values():
        own = spec.weights_of(product.layer)
        group_size = own.group_size if own.granularity == "per_group" else None
        tensors[product.weight] = _decoded(product, tensors[product.weight], schemes[product.layer], group_size, word)
    return join_constants(replace(network, tensors=tensors))


def _decoded(
    product: MatmulOperator, weight: Tensor, scheme: WeightScheme, group_size: int | None, word: FloatFormat
) -> Tensor:
    reals = np.asarray(weight.data, np.float64)
    grouped = reals if group_size is None else group_depth(reals, group_size)
    shared = shared_values(product.layer, grouped, scheme)
    grid = weight_quantization(product, shared, scheme)
    numbers = _numbers(grid.quantize(shared), grid, word)
    steps = ("lookup" if scheme.index_bits else "", "" if scheme.grid.symmetric else "subtract", "float_multiply")
    return replace(
        weight,
        data=numbers if group_size is None else ungroup_depth(numbers, reals.shape),
        index_bits=scheme.index_bits or scheme.grid.format.bits,
        decoding=tuple(filter(None, steps)),
    )


def _numbers(codes: np.ndarray, grid: Quantization, word: FloatFormat) -> FloatArray:
    """Compute as the decoder does: every step rounded to the array's format."""
    exact = Quantization(np.ones_like(grid.scale), grid.zero_point, grid.format, grid.axis)
    offsets = word.convert(exact.dequantize(codes)).astype(np.float64)
    scale = word.convert(grid.scale).astype(np.float64)  # on the last axis, or one for all
    return word.convert(offsets * scale).astype(np.float64)
