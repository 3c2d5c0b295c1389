"""Runs a network in floating point."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.errors import ConfigError
from hwsim.execute.liveness import last_reads
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.numerics.rounding import FloatArray

CHUNK_SAMPLES = 256
CHUNK_ELEMENTS = 1 << 23


def float_values(network: Network, inputs: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Yield (tensor, values (samples, *shape)) for the input and then every operator's output.

    Values are forgotten when no later operator reads them.
    """
    values = {network.input: np.asarray(inputs, np.float64)}
    yield network.input, values[network.input]
    last = last_reads([operator.inputs for operator in network.operators])
    for number, operator in enumerate(network.operators):
        found = operator.float_values([values[name] for name in operator.inputs], network.tensors)
        found = found.reshape(len(found), *network.tensors[operator.output].shape)
        values[operator.output] = found
        yield operator.output, found
        for name in last[number]:
            del values[name]


def float_output(network: Network, inputs: FloatArray) -> FloatArray:
    """Return the network's output (samples, *output shape) in floating point, in chunks of samples."""
    check_inputs(network, inputs)
    results = []
    for chunk in chunks(network, inputs):
        results += [values for name, values in float_values(network, chunk) if name == network.output]
    return np.concatenate(results)


def chunks(network: Network, inputs: FloatArray, most_samples: int = CHUNK_SAMPLES) -> Iterator[FloatArray]:
    """Cut inputs into as many samples at a time as keep the largest operand of a matrix product small."""
    largest = max((_operand_elements(network, operator) for operator in network.operators), default=1)
    size = max(1, min(most_samples, CHUNK_ELEMENTS // largest))
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _operand_elements(network: Network, operator: Operator) -> int:
    """Elements of one sample's windows: output pixels times the depth of a product."""
    if not isinstance(operator, MatmulOperator):
        return 1
    pixels = int(np.prod(network.tensors[operator.output].shape[:-1]))
    return max(pixels * int(np.prod(network.tensors[operator.weight].shape[:-1])), 1)


def check_inputs(network: Network, inputs: FloatArray) -> None:
    """Refuse inputs that are not (samples, *input shape), none at all, or not finite.

    Raises:
        ConfigError: they are not.
    """
    expected, shape = network.tensors[network.input].shape, inputs.shape
    if shape[1:] != expected or shape[0] == 0:
        raise ConfigError(
            f"inputs of shape {list(shape)}; allowed: [samples, {', '.join(map(str, expected))}], one sample or more"
        )
    if not np.all(np.isfinite(inputs)):
        raise ConfigError("inputs hold NaN or infinity; allowed: finite numbers")
