"""What a run reads: architecture, workload, and the user's own samples, with all problems told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.readers.arrays import read_npy, read_npz
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import Inputs

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, eq=False)
class RunInputs:
    """What was read and found right; ``samples`` and ``labels`` are None where the workload's own are meant."""

    spec: ArchSpec
    workload: Workload
    samples: FloatArray | None
    labels: IntArray | None


class Problems:
    """Collects what is wrong with several independent things."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def attempt(self, step: Callable[[], _Result]) -> _Result | None:
        """Return what ``step`` returns, or None after noting why it could not."""
        try:
            return step()
        except ConfigError as error:
            self._lines += error.problems
            return None

    def refuse(self) -> None:
        """End here if there was a problem.

        Raises:
            ConfigError: with all of them.
        """
        if self._lines:
            raise ConfigError(dict.fromkeys(self._lines))


def read_spec_and_workload(architecture: str, overrides: Sequence[str], workload: str) -> tuple[ArchSpec, Workload]:
    """Return both.

    Raises:
        ConfigError: with the problems of both.
    """
    problems = Problems()
    spec = problems.attempt(lambda: load_arch(architecture, overrides))
    read = problems.attempt(lambda: read_workload(workload))
    problems.refuse()
    assert spec is not None  # noqa: S101  (else there was a problem)
    assert read is not None  # noqa: S101
    return spec, read


def read_samples(
    workload: Workload, samples: Path | None, labels: Path | None
) -> tuple[Inputs | None, IntArray | None]:
    """Return the samples and labels in the user's files, where there are any.

    Raises:
        ConfigError: with the problems of both files.
    """
    problems = Problems()
    values = problems.attempt(lambda: _inputs(samples, workload.network)) if samples else None
    classes = problems.attempt(lambda: _labels(labels, workload.network)) if labels else None
    problems.refuse()
    return values, classes


def _inputs(path: Path, network: Network) -> Inputs:
    """Return an array for each input: as they are where the network holds codes, else reals."""
    if not network.holds_codes:
        return _samples(path, network)
    if path.suffix == ".npz" and len(network.inputs) > 1:
        return read_npz(path)
    return _array(path, network.input)


def _samples(path: Path, network: Network) -> FloatArray:
    values = _numbers(_array(path, network.input), path)
    if not np.all(np.isfinite(values)):
        raise ConfigError(f"{path}: holds NaN or infinity; allowed: finite numbers")
    return values


def _labels(path: Path, network: Network) -> IntArray:
    values = _numbers(_array(path, "labels"), path)
    classes = int(np.prod(network.tensors[network.output].shape))
    if values.ndim != 1:
        raise ConfigError(f"{path}: labels of shape {list(values.shape)}; allowed: one axis, a label for each sample")
    if np.any(values != np.rint(values)) or np.any(values < 0) or np.any(values >= classes):
        raise ConfigError(f"{path}: holds other labels than class numbers; allowed: 0 to {classes - 1}")
    return values.astype(np.int64)


def _array(path: Path, name: str) -> np.ndarray[Any, Any]:
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


def _numbers(values: np.ndarray[Any, Any], path: Path) -> FloatArray:
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise ConfigError(f"{path}: type {values.dtype}; allowed: integers or floats")
    return values.astype(np.float64)
