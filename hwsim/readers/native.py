"""Reads hwsim's own workloads: a folder with ``workload.yaml`` and an ``.npz`` of weights and samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwsim.config.load import load_workload_spec
from hwsim.config.shipped import WORKLOAD, WORKLOAD_FILE
from hwsim.config.workload import NETWORK_INPUT, WorkloadSpec
from hwsim.errors import ConfigError, did_you_mean
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.elementwise import BatchNorm
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.readers.arrays import read_npz
from hwsim.readers.native_layers import build_layer
from hwsim.readers.workload import Workload


def read_workload(name_or_path: str | Path) -> Workload:
    """Return the workload in a folder (or of that shipped name).

    Raises:
        ConfigError: one line for each problem of the files: an unknown layer, a missing array, a wrong shape, a
            value that is not finite.
    """
    found = WORKLOAD.find(name_or_path)
    spec_file = found / WORKLOAD_FILE if found.is_dir() else found
    spec = load_workload_spec(spec_file)
    arrays_file = None if spec.arrays is None else spec_file.parent / spec.arrays
    build = _Build(None, str(spec_file)) if arrays_file is None else _Build(read_npz(arrays_file), str(arrays_file))
    network = build.network(spec)
    calibration, inputs, labels = build.data(spec)
    if build.problems:
        raise ConfigError(dict.fromkeys(build.problems))
    digest = hashlib.sha256(spec_file.read_bytes())
    if arrays_file is not None:
        digest.update(arrays_file.read_bytes())
    return Workload(spec.name, network, calibration, inputs, labels, digest.hexdigest())


class _Build:
    """Turns layers and arrays into a network, collecting every problem on the way; arrays of None: shapes alone."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | None, file: str) -> None:
        self._arrays, self._file = arrays, file
        self._tensors: dict[str, Tensor] = {}
        self.problems: list[str] = []

    def network(self, spec: WorkloadSpec) -> Network:
        """Connect the layers; after a layer whose shape is wrong, the rest goes unchecked."""
        last = NETWORK_INPUT
        self._tensors[last] = Tensor(last, spec.input_shape)
        operators: list[Operator] = []
        for layer in spec.layers:
            sources = layer.inputs or (last,)
            try:
                chain = build_layer(layer, sources, [self._tensors[name].shape for name in sources], self._constant)
                for operator in chain:
                    self._connect(operator)
            except ConfigError as error:
                self.problems += [f"{self._file}: {problem}" for problem in error.problems]
                break
            operators += chain
            last = layer.name
        has_values = self._arrays is not None
        return Network(spec.name, self._tensors, tuple(operators), (NETWORK_INPUT,), (last,), has_values=has_values)

    def _connect(self, operator: Operator) -> None:
        """Enter the operator's output."""
        shape = operator.output_shape(*(self._tensors[name].shape for name in operator.inputs))
        self._tensors[operator.output] = Tensor(operator.output, shape)
        if isinstance(operator, BatchNorm):
            self._check_variance(operator)

    def data(self, spec: WorkloadSpec) -> tuple[FloatArray | None, FloatArray | None, IntArray | None]:
        """Return calibration samples, inputs and labels, where the file says there are some."""
        if spec.data is None:
            return None, None, None
        calibration = self._samples(spec.data.calibration, spec.input_shape)
        inputs = self._samples(spec.data.inputs, spec.input_shape)
        labels = None
        if spec.data.labels is not None and inputs is not None:
            labels = self._labels(spec.data.labels, len(inputs))
        return calibration, inputs, labels

    def _check_variance(self, norm: BatchNorm) -> None:
        variance = self._tensors[norm.variance].data
        if variance is not None and np.any(variance < 0):
            self.problems.append(f"{self._file}: array {norm.variance}: negative variance; allowed: 0 or more")

    def _constant(self, name: str, shape: Shape) -> str:
        """Enter a constant tensor; whatever is wrong with it becomes a problem, and zeros take its place."""
        if self._arrays is None:
            self._tensors[name] = Tensor(name, shape)
            return name
        values = self._numbers(name, (name.rsplit(".", 1)[0] + ".",))
        if values is not None and values.shape != shape:
            self.problems.append(
                f"{self._file}: array {name}: shape {list(values.shape)}; allowed: {list(shape)}, as its layer says"
            )
            values = None
        self._tensors[name] = Tensor(name, shape, np.zeros(shape) if values is None else values)
        return name

    def _samples(self, name: str, shape: Shape) -> FloatArray | None:
        values = self._numbers(name, ())
        if values is not None and (values.shape[1:] != shape or len(values) == 0):
            self.problems.append(
                f"{self._file}: array {name}: shape {list(values.shape)}; "
                f"allowed: [samples, {', '.join(map(str, shape))}], one sample or more"
            )
            return None
        return values

    def _labels(self, name: str, samples: int) -> IntArray | None:
        values = self._numbers(name, ())
        if values is None:
            return None
        problem = None
        if values.shape != (samples,):
            problem = f"shape {list(values.shape)}; allowed: [{samples}], a class number for each input"
        elif np.any(values != np.rint(values)) or np.any(values < 0):
            problem = "holds fractions or negative numbers; allowed: class numbers from 0"
        if problem:
            self.problems.append(f"{self._file}: array {name}: {problem}")
            return None
        return values.astype(np.int64)

    def _numbers(self, name: str, prefixes: tuple[str, ...]) -> FloatArray | None:
        """Return an array as float64, or None after noting why there is none."""
        arrays = self._arrays or {}
        if name not in arrays:
            near = [key for key in arrays if not prefixes or key.startswith(prefixes)]
            has = f"the file has: {', '.join(sorted(near))}" if near else "the file has none for this layer"
            self.problems.append(f"{self._file}: no array '{name}'; {has}{did_you_mean(name, arrays)}")
            return None
        values = arrays[name]
        if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
            self.problems.append(f"{self._file}: array {name}: type {values.dtype}; allowed: integers or floats")
            return None
        if not np.all(np.isfinite(values)):
            self.problems.append(f"{self._file}: array {name}: holds NaN or infinity; allowed: finite numbers")
            return None
        return values.astype(np.float64)
