"""Reads hwsim's own workloads: a folder with ``workload.yaml`` and an ``.npz`` of weights and samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwsim.config.load import load_workload_spec
from hwsim.config.shipped import WORKLOAD, WORKLOAD_FILE
from hwsim.config.workload import (
    AnyLayer,
    BatchNormSpec,
    Conv2dSpec,
    DenseSpec,
    FlattenSpec,
    MaxPool2dSpec,
    Relu6Spec,
    ReluSpec,
    SigmoidSpec,
    TanhSpec,
    WorkloadSpec,
)
from hwsim.errors import ConfigError, did_you_mean
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import BatchNorm, Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.readers.arrays import read_npz
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
    arrays_file = spec_file.parent / spec.arrays
    arrays = read_npz(arrays_file)
    build = _Build(arrays, str(arrays_file))
    network = build.network(spec)
    calibration, inputs, labels = build.data(spec)
    if build.problems:
        raise ConfigError(dict.fromkeys(build.problems))
    digest = hashlib.sha256(spec_file.read_bytes() + arrays_file.read_bytes()).hexdigest()
    return Workload(spec.name, network, calibration, inputs, labels, digest)


def _without_constants(
    layer: MaxPool2dSpec | FlattenSpec | ReluSpec | Relu6Spec | SigmoidSpec | TanhSpec, source: str
) -> Operator:
    if isinstance(layer, MaxPool2dSpec):
        return MaxPool2d(layer.name, (source,), layer.name, layer.pool, layer.stride)
    if isinstance(layer, FlattenSpec):
        return Flatten(layer.name, (source,), layer.name)
    if isinstance(layer, ReluSpec | Relu6Spec):
        return Rectify(layer.name, (source,), layer.name, layer.type)
    return LutFunction(layer.name, (source,), layer.name, layer.type)


class _Build:
    """Turns layers and arrays into a network, collecting every problem on the way."""

    def __init__(self, arrays: Mapping[str, np.ndarray], file: str) -> None:
        self._arrays, self._file = arrays, file
        self._tensors: dict[str, Tensor] = {}
        self.problems: list[str] = []

    def network(self, spec: WorkloadSpec) -> Network:
        """Chain the layers; after a layer whose shape is wrong, the rest goes unchecked."""
        shape: Shape = spec.input_shape
        tensor = "input"
        self._tensors[tensor] = Tensor(tensor, shape)
        operators: list[Operator] = []
        for layer in spec.layers:
            try:
                operator = self._operator(layer, tensor, shape)
                shape = operator.output_shape(shape)
            except ConfigError as error:
                self.problems += [f"{self._file}: {problem}" for problem in error.problems]
                break
            tensor = operator.output
            self._tensors[tensor] = Tensor(tensor, shape)
            operators.append(operator)
        return Network(spec.name, self._tensors, tuple(operators), ("input",), (tensor,))

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

    def _operator(self, layer: AnyLayer, source: str, shape: Shape) -> Operator:
        if isinstance(layer, DenseSpec):
            return self._dense(layer, source, shape)
        if isinstance(layer, Conv2dSpec):
            return self._conv2d(layer, source, shape)
        if isinstance(layer, BatchNormSpec):
            return self._batch_norm(layer, source, shape)
        return _without_constants(layer, source)

    def _dense(self, layer: DenseSpec, source: str, shape: Shape) -> Dense:
        weight = self._constant(f"{layer.name}.weight", (*shape, layer.units)) if len(shape) == 1 else ""
        bias = self._constant(f"{layer.name}.bias", (layer.units,)) if layer.bias else None
        return Dense(layer.name, (source,), layer.name, weight, bias, units=layer.units)

    def _conv2d(self, layer: Conv2dSpec, source: str, shape: Shape) -> Conv2d:
        weight = ""
        if len(shape) == 3 and shape[2] % layer.groups == 0:
            weight = self._constant(f"{layer.name}.weight", (*layer.kernel, shape[2] // layer.groups, layer.filters))
        bias = self._constant(f"{layer.name}.bias", (layer.filters,)) if layer.bias else None
        return Conv2d(
            layer.name,
            (source,),
            layer.name,
            weight,
            bias,
            groups=layer.groups,
            filters=layer.filters,
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
        )

    def _batch_norm(self, layer: BatchNormSpec, source: str, shape: Shape) -> BatchNorm:
        gamma, beta, mean, variance_name = (
            self._constant(f"{layer.name}.{part}", shape[-1:]) for part in ("gamma", "beta", "mean", "variance")
        )
        variance = self._tensors[variance_name].data
        if variance is not None and np.any(variance < 0):
            self.problems.append(f"{self._file}: array {variance_name}: negative variance; allowed: 0 or more")
        return BatchNorm(layer.name, (source,), layer.name, gamma, beta, mean, variance_name, layer.epsilon)

    def _constant(self, name: str, shape: Shape) -> str:
        """Enter a constant tensor; whatever is wrong with it becomes a problem, and zeros take its place."""
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
        if name not in self._arrays:
            near = [key for key in self._arrays if not prefixes or key.startswith(prefixes)]
            has = f"the file has: {', '.join(sorted(near))}" if near else "the file has none for this layer"
            self.problems.append(f"{self._file}: no array '{name}'; {has}{did_you_mean(name, self._arrays)}")
            return None
        values = self._arrays[name]
        if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
            self.problems.append(f"{self._file}: array {name}: type {values.dtype}; allowed: integers or floats")
            return None
        if not np.all(np.isfinite(values)):
            self.problems.append(f"{self._file}: array {name}: holds NaN or infinity; allowed: finite numbers")
            return None
        return values.astype(np.float64)
