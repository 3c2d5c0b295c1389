"""Small networks and machines, and both ways to run them: with data and for timing alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.array.gemm import make_engine
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.execute.integer import IntegerRun, run_integer
from hwsim.machine.machine import LayerRun, SampleData, run_machine
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, LutFunction, MaxPool2d
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape, Tensor
from hwsim.readers.workload import Workload

DATAFLOW_OVERLAPS = [
    ("output_stationary", "none"),
    ("output_stationary", "drain"),
    ("output_stationary", "full"),
    ("weight_stationary", "none"),
    ("weight_stationary", "full"),
    ("input_stationary", "none"),
    ("input_stationary", "full"),
]
IDEAL: dict[str, Any] = {
    "requantizer.lanes": 4096,
    "requantizer.pipeline_cycles": 0,
    "dram.latency_cycles": 0,
    "dram.bytes_per_cycle": 65536,
    "scratchpads.activations.bytes_per_cycle": 65536,
    "scratchpads.weights.bytes_per_cycle": 65536,
    "scratchpads.outputs.bytes_per_cycle": 65536,
}


def machine(settings: dict[str, Any] | None = None, **array: Any) -> ArchSpec:
    """edge16 with other settings, by dotted key, or in its array."""
    keys = (settings or {}) | {f"array.{key}": value for key, value in array.items()}
    return load_arch("edge16", [f"{key}={str(value).lower()}" for key, value in keys.items()])


def conv(name: str, source: str, filters: int, kernel: tuple[int, int] = (3, 3), **keys: Any) -> Conv2d:
    return Conv2d(name, (source,), name, f"{name}.w", f"{name}.b", filters=filters, kernel=kernel, **keys)


def dense(name: str, source: str, units: int, *, bias: bool = True) -> Dense:
    return Dense(name, (source,), name, f"{name}.w", f"{name}.b" if bias else None, units=units)


def pool(name: str, source: str) -> MaxPool2d:
    return MaxPool2d(name, (source,), name)


def flatten(name: str, source: str) -> Flatten:
    return Flatten(name, (source,), name)


def function(name: str, source: str) -> LutFunction:
    return LutFunction(name, (source,), name)


def workload(shape: Shape, *operators: Operator, seed: int = 0) -> Workload:
    """Chain operators from the tensor "x" on, with random weights; the inputs are the calibration data."""
    random = np.random.default_rng(seed)
    inputs = random.uniform(-1, 1, (4, *shape))
    tensors = {"x": Tensor("x", shape)}
    for operator in operators:
        if isinstance(operator, MatmulOperator):
            kernel = operator.kernel if isinstance(operator, Conv2d) else ()
            after = operator.output_shape(shape)[-1]
            weight = random.normal(size=(*kernel, shape[-1] // operator.groups, after))
            tensors[operator.weight] = Tensor(operator.weight, weight.shape, weight)
            if operator.bias is not None:
                tensors[operator.bias] = Tensor(operator.bias, (after,), random.normal(size=after))
        shape = operator.output_shape(shape)
        tensors[operator.output] = Tensor(operator.output, shape)
    network = Network("small", tensors, operators, ("x",), (operators[-1].output,))
    return Workload("small", network, inputs, inputs, None, "")


def first_codes(compiled: Compiled, load: Workload) -> np.ndarray:
    assert load.inputs is not None
    return compiled.codes({compiled.input: load.inputs[:1]})[compiled.input][0]


def run_timing(spec: ArchSpec, load: Workload) -> list[LayerRun]:
    return run_machine(compile_workload(spec, load).layers, spec)


def run_data(spec: ArchSpec, load: Workload, engine: str = "functional", max_events: int = 10_000) -> list[LayerRun]:
    compiled = compile_workload(spec, load)
    sample = SampleData({"x": first_codes(compiled, load)}, make_engine(engine), max_events)  # type: ignore[arg-type]
    return run_machine(compiled.layers, spec, sample)


def run_shadow(spec: ArchSpec, load: Workload) -> IntegerRun:
    compiled = compile_workload(spec, load)
    names = [layer.output for layer in compiled.layers]
    return run_integer(compiled.steps, compiled.params, {"x": first_codes(compiled, load)[np.newaxis]}, keep=names)
