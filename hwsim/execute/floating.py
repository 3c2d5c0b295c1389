"""Runs a network in floating point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hwsim.errors import ConfigError
from hwsim.execute.codes import Values
from hwsim.execute.liveness import last_reads
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.numerics.rounding import FloatArray

CHUNK_SAMPLES = 256
CHUNK_ELEMENTS = 1 << 23

Reals = FloatArray | Mapping[str, FloatArray]
"""Samples of a network's only input, or of each by its name: (samples, *shape)."""


def by_name(network: Network, inputs: Reals) -> dict[str, FloatArray]:
    """Return the samples of each input by its name."""
    named = inputs if isinstance(inputs, Mapping) else {network.input: inputs}
    return {name: np.asarray(values, np.float64) for name, values in named.items()}


def float_values(network: Network, inputs: Reals) -> Iterator[tuple[str, FloatArray]]:
    """Yield (tensor, values (samples, *shape)) for the inputs and then every operator's output.

    Values are forgotten when no later operator reads them.
    """
    values = by_name(network, inputs)
    yield from [(name, values[name]) for name in network.inputs]
    last = last_reads([operator.inputs for operator in network.operators])
    for number, operator in enumerate(network.operators):
        found = operator.float_values([values[name] for name in operator.inputs], network.tensors)
        found = found.reshape(len(found), *network.tensors[operator.output].shape)
        values[operator.output] = found
        yield operator.output, found
        for name in last[number]:
            del values[name]


def float_output(network: Network, inputs: Reals) -> FloatArray:
    """Return the network's output (samples, *output shape) in floating point, in chunks of samples."""
    check_inputs(network, inputs)
    results = []
    named = by_name(network, inputs)
    for chunk in chunks(network, len(named[network.input])):
        part = {name: values[chunk] for name, values in named.items()}
        results += [values for name, values in float_values(network, part) if name == network.output]
    return np.concatenate(results)


def chunks(network: Network, samples: int, most_samples: int = CHUNK_SAMPLES) -> Iterator[slice]:
    """Yield as many samples at a time as keep the largest operand of a matrix product small."""
    largest = max((_operand_elements(network, operator) for operator in network.operators), default=1)
    size = max(1, min(most_samples, CHUNK_ELEMENTS // largest))
    return (slice(start, start + size) for start in range(0, samples, size))


def _operand_elements(network: Network, operator: Operator) -> int:
    """Elements of one sample's windows: output pixels times the depth of a product."""
    if not isinstance(operator, MatmulOperator):
        return 1
    pixels = int(np.prod(network.tensors[operator.output].shape[:-1]))
    return max(pixels * int(np.prod(network.tensors[operator.weight].shape[:-1])), 1)


def check_inputs(network: Network, inputs: Reals) -> None:
    """Refuse inputs that are not (samples, *input shape), none at all, not as many of each, or not finite.

    Raises:
        ConfigError: they are not.
    """
    named = by_name(network, inputs)
    for name in network.inputs:
        expected, shape = network.tensors[name].shape, named[name].shape
        of_several = f" '{name[:80]}'" if len(network.inputs) > 1 else ""
        if shape[1:] != expected or shape[0] == 0:
            raise ConfigError(
                f"inputs{of_several} of shape {list(shape)}; "
                f"allowed: [samples, {', '.join(map(str, expected))}], one sample or more"
            )
        if not np.all(np.isfinite(named[name])):
            raise ConfigError(f"inputs{of_several} hold NaN or infinity; allowed: finite numbers")
    check_counts(named)


def check_counts(inputs: Mapping[str, Values]) -> None:
    """Refuse inputs of different numbers of samples.

    Raises:
        ConfigError: they are.
    """
    counts = {len(values) for values in inputs.values()}
    if len(counts) != 1:
        raise ConfigError(f"inputs of {', '.join(map(str, sorted(counts)))} samples; allowed: as many of each")
