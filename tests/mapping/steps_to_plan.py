"""Steps and scratchpads for the planner; codes are 8 bits, so that an element is a byte."""

from __future__ import annotations

import numpy as np

from hwsim.array.params import ArrayParams, array_params
from hwsim.config.arch import ScratchpadSpec, ScratchpadsSpec
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


def arrays(
    steps: list[Step], dataflow: str = "output_stationary", rows: int = 4, cols: int = 4
) -> dict[str, ArrayParams]:
    one = array_params(rows, cols, dataflow, weight_bits=8, activation_bits=8, guard_bits=8)
    return {step.name: one for step in steps if isinstance(step, MatmulStep)}


def pads(*, double_buffered: bool = True, **capacity_bytes: int) -> ScratchpadsSpec:
    sizes = {"activations": 1 << 20, "weights": 1 << 20, "outputs": 1 << 20} | capacity_bytes
    return ScratchpadsSpec(
        **{name: ScratchpadSpec(capacity_bytes=size, double_buffered=double_buffered) for name, size in sizes.items()}
    )
