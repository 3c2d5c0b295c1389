"""Matrix products of given shapes without values, for timing runs: weights are zeros that take no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.compilation import array_params
from hwsim.config.arch import ArchSpec
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.network.gather import Gather, RowsGather
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.requantize import PowerOfTwo, Requantizer, RequantizerOptions

INT8 = IntFormat(8)
REQUANTIZER = Requantizer(
    PowerOfTwo.build(1.0, np.asarray(1.0), 1.0, RequantizerOptions("power_of_two")), 0, INT8.min, INT8.max
)


def product(name: str, source: str, gather: Gather, out_cols: int) -> MatmulStep:
    """A product of 8-bit codes; its output has (out_rows, groups times out_cols) elements."""
    return MatmulStep(
        name=name,
        inputs=(source,),
        output=name,
        output_shape=(gather.out_rows, gather.groups * out_cols),
        gather=gather,
        weights=np.broadcast_to(np.int64(0), (gather.groups, gather.depth, out_cols)),
        bias=np.zeros((gather.groups, out_cols), np.int64),
        activation_format=INT8,
        weight_format=INT8,
        activation_zero_point=0,
        weight_zero_point=np.asarray(0),
        zero_point="folded",
        bias_mode="requantizer",
        requantizer=REQUANTIZER,
        output_format=INT8,
    )


def conv(name: str, source: str, shape: Shape, filters: int, **keys: Any) -> MatmulStep:
    """A convolution of (height, width, channels) with ``filters``."""
    operator = Conv2d(name, (source,), name, "", filters=filters, **keys)
    return product(name, source, operator.gather(shape), filters // operator.groups)


def dense(name: str, source: str, inputs: int, units: int, rows: int = 1) -> MatmulStep:
    """Rows of ``inputs`` elements by a matrix."""
    return product(name, source, RowsGather(rows, inputs), units)


def plan_steps(spec: ArchSpec, steps: Sequence[MatmulStep], **inputs: int) -> tuple[LayerPlan, ...]:
    """Plan products; ``inputs`` are the network's input tensors with their numbers of elements."""
    bits = {name: 8 * elements for name, elements in inputs.items()} | {one.output: 8 * one.outputs for one in steps}
    params = {one.name: array_params(spec, one) for one in steps}
    return plan_network(NetworkSteps(steps, params, bits, [steps[-1].output]), spec)


def time_steps(
    spec: ArchSpec, steps: Sequence[MatmulStep], *, fast_forward: bool = True, **inputs: int
) -> list[LayerRun]:
    """Plan and run products for timing alone."""
    return run_machine(plan_steps(spec, steps, **inputs), spec, fast_forward=fast_forward)
