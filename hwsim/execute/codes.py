"""The inputs of a network that holds codes, as its users give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.network import Network

Values = np.ndarray[Any, Any]


def check_codes(network: Network, tensor: str, values: Values) -> Values:
    """Return one input's samples as codes in int64, or as reals in float32 where the network takes reals.

    Raises:
        ConfigError: of another type or shape than the tensor, outside its format, or no sample at all.
    """
    expected = network.sample_shape(tensor)
    whole = network.tensors[tensor].user_shape
    if len(values) == 0 or values.shape[1:] not in (expected, whole):
        raise ConfigError(
            f"input {tensor} of shape {list(values.shape)}; "
            f"allowed: [samples, {', '.join(map(str, expected))}], one sample or more"
        )
    values = values.reshape(len(values), *expected)
    grid = network.tensors[tensor].quantization
    if grid is None:
        if not np.issubdtype(values.dtype, np.number) or not np.all(np.isfinite(values)):
            raise ConfigError(f"input {tensor} of type {values.dtype}; allowed: finite numbers")
        return values.astype(np.float32)
    low, high = grid.format.min, grid.format.max
    if not np.issubdtype(values.dtype, np.integer):
        raise ConfigError(f"input {tensor} of type {values.dtype}; allowed: integers from {low} to {high}")
    if values.min() < low or values.max() > high:
        raise ConfigError(f"input {tensor} from {values.min()} to {values.max()}; allowed: {low} to {high}")
    return values.astype(np.int64)
