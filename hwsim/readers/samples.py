"""Reads a user's own samples and labels, for a network that has been read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.readers.arrays import read_npy, read_npz

Array = np.ndarray[Any, Any]


def read_inputs(path: Path, network: Network) -> Array | dict[str, Array]:
    """Return the samples in a file: as they are where the network holds codes, else reals.

    A network of several inputs has them in an ``.npz`` file, one array for each by its tensor's name.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    several = path.suffix == ".npz" and len(network.inputs) > 1
    found = read_npz(path) if several else {network.input: _array(path, network.input)}
    if not network.holds_codes:
        found = {name: _finite(values, path) for name, values in found.items()}
    return found if several else found[network.input]


def _finite(given: Array, path: Path) -> FloatArray:
    values = _numbers(given, path)
    if not np.all(np.isfinite(values)):
        raise ConfigError(f"{path}: holds NaN or infinity; allowed: finite numbers")
    return values


def read_labels(path: Path, network: Network) -> IntArray:
    """Return the class numbers in a file, one for each sample.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    values = _numbers(_array(path, "labels"), path)
    classes = int(np.prod(network.tensors[network.output].shape))
    if values.ndim != 1:
        raise ConfigError(f"{path}: labels of shape {list(values.shape)}; allowed: one axis, a label for each sample")
    if np.any(values != np.rint(values)) or np.any(values < 0) or np.any(values >= classes):
        raise ConfigError(f"{path}: holds other labels than class numbers; allowed: 0 to {classes - 1}")
    return values.astype(np.int64)


def _array(path: Path, name: str) -> Array:
    """Return the array in an .npy file, or the only one, or the one called ``name``, in an .npz file."""
    if path.suffix == ".npy":
        return read_npy(path)
    if path.suffix != ".npz":
        raise ConfigError(f"{path}: not a name of an array file; allowed: FILE.npy or FILE.npz")
    arrays = read_npz(path)
    if name in arrays:
        return arrays[name]
    if len(arrays) != 1:
        has = ", ".join(sorted(arrays)) or "none"
        raise ConfigError(f"{path}: no array '{name}'; the file has: {has}; allowed: that one, or a single array")
    return next(iter(arrays.values()))


def _numbers(values: Array, path: Path) -> FloatArray:
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise ConfigError(f"{path}: type {values.dtype}; allowed: integers or floats")
    return values.astype(np.float64)
