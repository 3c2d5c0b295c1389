"""Runs a lowered network on the functional array, for data sets: values and overflow counts, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwsim.array.batch import run_batch
from hwsim.array.params import ArrayParams
from hwsim.errors import AccumulatorOverflowError
from hwsim.network.steps import ElementwiseStep, MatmulStep, Step
from hwsim.numerics.formats import IntArray

CHUNK_ELEMENTS = 1 << 23


@dataclass(slots=True)
class LayerOverflow:
    """Overflows of one matrix product, summed over samples; ``per_pe`` is (rows + 1, cols)."""

    per_pe: IntArray
    preload: int = 0

    @property
    def events(self) -> int:
        """Adds in the array and under it that left the accumulator's range."""
        return int(self.per_pe.sum())


@dataclass(slots=True)
class IntegerRun:
    """Codes of every tensor (samples, elements), and overflows by layer name."""

    values: dict[str, IntArray]
    overflows: dict[str, LayerOverflow] = field(default_factory=dict)


def run_integer(
    steps: Sequence[Step], params: Mapping[str, ArrayParams], inputs: IntArray, *, keep: Sequence[str]
) -> IntegerRun:
    """Run input codes (samples, elements) through all steps.

    Args:
        steps: the lowered network.
        params: the array of each matrix product, by step name.
        inputs: codes of the first step's input.
        keep: names of the tensors to return.

    Raises:
        AccumulatorOverflowError: an add overflowed under ``overflow: error``; the text names layer and place.
    """
    run = IntegerRun(values={})
    for step in steps:
        if isinstance(step, MatmulStep):
            array = params[step.name]
            run.overflows[step.name] = LayerOverflow(np.zeros((array.rows + 1, array.cols), np.int64))
    chunk = max(1, CHUNK_ELEMENTS // _largest_operand(steps))
    parts: dict[str, list[IntArray]] = {name: [] for name in keep}
    for start in range(0, len(inputs), chunk):
        values = {steps[0].input: inputs[start : start + chunk]}
        for step in steps:
            values[step.output] = _run_step(step, params, values[step.input], run)
        for name in keep:
            parts[name].append(values[name])
    run.values = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    return run


def _largest_operand(steps: Sequence[Step]) -> int:
    """Elements of the largest operand of one sample: what bounds the memory of a chunk."""
    return max((step.shape.out_rows * step.shape.depth for step in steps if isinstance(step, MatmulStep)), default=1)


def _run_step(step: Step, params: Mapping[str, ArrayParams], codes: IntArray, run: IntegerRun) -> IntArray:
    if isinstance(step, MatmulStep):
        return _run_matmul(step, params[step.name], codes, run.overflows[step.name])
    assert isinstance(step, ElementwiseStep)  # noqa: S101  (the only other kind)
    return step.compute(codes)


def _run_matmul(step: MatmulStep, params: ArrayParams, codes: IntArray, overflow: LayerOverflow) -> IntArray:
    outputs = []
    for group in range(step.groups):
        operands = step.activation_operands(codes, group)
        initial, outside = preload(step, params, group)
        overflow.preload += outside * len(codes)
        try:
            batch = run_batch(params, operands, step.weight_operands(group), initial)
        except AccumulatorOverflowError as error:
            raise AccumulatorOverflowError(f"layer {step.name}: {error}") from None
        overflow.per_pe += batch.per_pe
        columns = slice(0, step.shape.out_cols)
        outputs.append(step.requantize(batch.output, operands.sum(axis=2), group, columns))
    return np.concatenate(outputs, axis=2).reshape(len(codes), -1)


def preload(step: MatmulStep, params: ArrayParams, group: int) -> tuple[IntArray, int]:
    """Return what a group's sums start from, (out_rows, out_cols), and how many of them overflowed by themselves.

    Raises:
        AccumulatorOverflowError: a bias lies outside the accumulator under ``overflow: error``.
    """
    shape = (step.shape.out_rows, step.shape.out_cols)
    if step.bias_mode == "requantizer":
        return np.zeros(shape, np.int64), 0
    bias = step.bias[group]
    fitted = params.accumulator.fit(bias, params.overflow)
    outside = int(np.count_nonzero((bias < params.accumulator.min) | (bias > params.accumulator.max)))
    if outside and params.overflow == "error":
        raise AccumulatorOverflowError(
            f"layer {step.name}: {outside} preloaded biases lie outside an accumulator of "
            f"{params.accumulator.bits} bits"
        )
    return np.broadcast_to(fitted, shape), outside * step.shape.out_rows
