"""Runs a network in floating point."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.numerics.rounding import FloatArray

CHUNK_SAMPLES = 256


def float_values(network: Network, inputs: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Yield (tensor, values (samples, *shape)) for the input and then every operator's output."""
    values = np.asarray(inputs, np.float64)
    yield network.input, values
    for operator in network.operators:
        values = operator.float_values(values, network.tensors)
        yield operator.output, values


def float_output(network: Network, inputs: FloatArray) -> FloatArray:
    """Return the network's output (samples, *output shape) in floating point, in chunks of samples."""
    check_input_shape(network, inputs.shape)
    chunks = []
    for start in range(0, len(inputs), CHUNK_SAMPLES):
        for _, values in float_values(network, inputs[start : start + CHUNK_SAMPLES]):
            last = values
        chunks.append(last)
    return np.concatenate(chunks)


def check_input_shape(network: Network, shape: tuple[int, ...]) -> None:
    """Refuse inputs that are not (samples, *input shape), or none at all.

    Raises:
        ConfigError: they are not.
    """
    expected = network.tensors[network.input].shape
    if shape[1:] != expected or shape[0] == 0:
        raise ConfigError(
            f"inputs of shape {list(shape)}; allowed: [samples, {', '.join(map(str, expected))}], one sample or more"
        )
