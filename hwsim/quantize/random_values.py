"""Random integers for a network of which only shapes are known, so that it can be computed as well as timed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operator import quantization_of
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.quantize.assumed import assume_quantization
from hwsim.quantize.constants import BIAS_FORMAT
from hwsim.readers.workload import Workload

LARGEST_BIAS = 0.1  # in the reals that codes stand for; activations are taken to have variance 1


def with_random_values(workload: Workload, spec: ArchSpec, seed: int) -> Workload:
    """Return the workload as one of integers, with random weights and biases, and random samples for one batch.

    Weights and inputs are evenly distributed over all codes of the architecture's widths, biases over a small range.
    The same seed gives the same values.

    Raises:
        ConfigError: the workload has values of its own.
    """
    if workload.network.has_values:
        raise ConfigError(f"random values: workload {workload.name} has its own; allowed: for shapes alone")
    random = np.random.default_rng(seed)
    assumed = assume_quantization(
        workload.network,
        spec.quantization,
        weight_bits=spec.array.weight_bits,
        activation_bits=spec.array.activation_bits,
    )
    constants = dict.fromkeys(name for operator in assumed.operators for name in operator.constants)
    filled = {name: _filled(random, assumed.tensors[name]) for name in constants}
    network = replace(assumed, tensors=dict(assumed.tensors) | filled, holds_codes=True, has_values=True)
    inputs = {name: _input(random, network, name, spec.mapping.batch) for name in network.inputs}
    return replace(workload, network=network, inputs=inputs, digest=f"{workload.digest} random {seed}")


def _filled(random: np.random.Generator, tensor: Tensor) -> Tensor:
    """Return codes, or reals round 1 for what stays real: the factors and shifts of a normalization."""
    if tensor.quantization is None:
        return replace(tensor, data=1.0 + random.uniform(-LARGEST_BIAS, LARGEST_BIAS, tensor.shape))
    grid = quantization_of(tensor)
    if grid.format != BIAS_FORMAT:
        return replace(tensor, data=_codes(random, grid.format, tensor.shape))
    reals = random.uniform(-LARGEST_BIAS, LARGEST_BIAS, tensor.shape)
    return replace(tensor, data=grid.quantize(reals))


def _input(random: np.random.Generator, network: Network, name: str, samples: int) -> IntArray:
    return _codes(random, quantization_of(network.tensors[name]).format, (samples, *network.sample_shape(name)))


def _codes(random: np.random.Generator, word: IntFormat, shape: tuple[int, ...]) -> IntArray:
    return random.integers(word.min, word.max, shape, endpoint=True)
