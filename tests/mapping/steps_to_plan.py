"""Steps and machines for the planner; codes are 8 bits, so that an element is a byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hwsim.array.params import ArrayParams
from hwsim.compilation import array_params
from hwsim.config import apply_overrides, load_arch
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.steps import MatmulStep, Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization

GRID = Quantization(np.asarray(0.1), np.asarray(0), IntFormat(8))


def chain(shape: Shape, *operators: Operator) -> list[Step]:
    """Lower operators, each reading what the one before it wrote; all weights are 0."""
    tensors = {"x": Tensor("x", shape, quantization=GRID)}
    for operator in operators:
        if isinstance(operator, MatmulOperator):
            kernel = operator.kernel if isinstance(operator, Conv2d) else ()
            columns = operator.filters if isinstance(operator, Conv2d) else operator.units
            weights = np.zeros((*kernel, shape[-1] // operator.groups, columns), np.int64)
            tensors[operator.weight] = Tensor(operator.weight, weights.shape, weights, GRID)
        shape = operator.output_shape(shape)
        tensors[operator.output] = Tensor(operator.output, shape, quantization=GRID)
    return [operator.lower(tensors, LoweringOptions()) for operator in operators]


def conv(name: str, source: str, filters: int, **keys: object) -> Conv2d:
    return Conv2d(name, (source,), name, f"{name}.w", filters=filters, **{"kernel": (3, 3)} | keys)  # type: ignore[arg-type]


def dense(name: str, source: str, units: int) -> Dense:
    return Dense(name, (source,), name, f"{name}.w", units=units)


def pool(name: str, source: str) -> MaxPool2d:
    return MaxPool2d(name, (source,), name)


def flatten(name: str, source: str) -> Flatten:
    return Flatten(name, (source,), name)


def rectify(name: str, source: str) -> Rectify:
    return Rectify(name, (source,), name)


def spec(
    dataflow: str = "output_stationary", rows: int = 4, cols: int = 4, *, double_buffered: bool = True, **settings: Any
) -> ArchSpec:
    """edge16 with a small array and scratchpads of a megabyte, or of the sizes that are given.

    Settings: ``activations``, ``weights`` and ``outputs`` in bytes; others by dotted key with ``__`` for the dots.
    """
    keys = {"array.dataflow": dataflow, "array.rows": rows, "array.cols": cols, "vector_unit.lanes": 4}
    for name in ("activations", "weights", "outputs"):
        keys[f"scratchpads.{name}.capacity_bytes"] = settings.pop(name, 1 << 20)
        keys[f"scratchpads.{name}.double_buffered"] = double_buffered
    keys |= {key.replace("__", "."): value for key, value in settings.items()}
    return apply_overrides(load_arch("edge16"), keys)


def arrays(steps: Sequence[Step], arch: ArchSpec) -> dict[str, ArrayParams]:
    return {step.name: array_params(arch, step) for step in steps if isinstance(step, MatmulStep)}


def plan(steps: Sequence[Step], elements: int, arch: ArchSpec) -> tuple[LayerPlan, ...]:
    """Plan a chain whose input "x" has so many elements; its last output is the network's."""
    bits = {"x": 8 * elements} | {step.output: 8 * step.outputs for step in steps}
    return plan_network(NetworkSteps(steps, arrays(steps, arch), bits, [steps[-1].output]), arch)


def refusal(steps: Sequence[Step], elements: int, arch: ArchSpec) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        plan(steps, elements, arch)
    return list(refused.value.problems)
