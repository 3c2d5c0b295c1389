"""Runs a lowered network on the functional array, for data sets: values and overflow counts, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.array.engine import all_zero
from hwsim.array.functional import EXACT_FLOAT64
from hwsim.array.params import ArrayParams
from hwsim.errors import AccumulatorOverflowError
from hwsim.execute.liveness import last_reads
from hwsim.execute.row_shares import SharedProduct
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.float_sums import OutputBlock
from hwsim.network.steps import MatmulStep, Step
from hwsim.numerics.formats import IntArray

CHUNK_ELEMENTS = 1 << 23


@dataclass(slots=True)
class LayerOverflow:
    """Overflows of one matrix product, summed over samples; ``per_pe`` is (rows + 1, cols).

    ``first`` are the kept events (cycle, row, col) of the first sample, ordered.
    """

    per_pe: IntArray
    preload: int = 0
    first: IntArray = field(default_factory=lambda: np.zeros((0, 3), np.int64))

    @property
    def events(self) -> int:
        """Adds in the array and under it that left the accumulator's range."""
        return int(self.per_pe.sum())

    def plus(self, other: LayerOverflow) -> LayerOverflow:
        """Return the overflows of both."""
        return LayerOverflow(self.per_pe + other.per_pe, self.preload + other.preload, self.first)


@dataclass(slots=True)
class IntegerRun:
    """Codes of every tensor (samples, elements), and overflows by layer name."""

    values: dict[str, IntArray]
    overflows: dict[str, LayerOverflow] = field(default_factory=dict)

    def apart(self, samples: int) -> IntegerRun:
        """Return the run of batches of so many samples with values sample by sample."""
        values = {name: one.reshape(len(one) * samples, -1) for name, one in self.values.items()}
        return IntegerRun(values, self.overflows)

    def followed_by(self, other: IntegerRun) -> IntegerRun:
        """Return the run of both's samples, with the tensors that ``other`` has."""
        values = {name: np.concatenate([self.values[name], more]) for name, more in other.values.items()}
        return IntegerRun(values, {name: one.plus(other.overflows[name]) for name, one in self.overflows.items()})


def run_integer(
    steps: Sequence[Step],
    params: Mapping[str, ArrayParams],
    inputs: Mapping[str, IntArray],
    *,
    keep: Sequence[str],
    max_events: int = 0,
) -> IntegerRun:
    """Run input codes (samples, elements) through all steps; values that no later step reads are forgotten.

    Args:
        steps: the lowered network.
        params: the array of each matrix product, by step name.
        inputs: codes of the network's inputs by tensor, as many samples of each.
        keep: names of the tensors to return.
        max_events: how many single events of the first sample to keep for each matrix product, the first by cycle.

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
    last = last_reads([step.inputs for step in steps], keep)
    for start in range(0, len(next(iter(inputs.values()))), chunk):
        values = {name: codes[start : start + chunk] for name, codes in inputs.items()}
        chosen = _Chunk(len(next(iter(values.values()))), 0 if start else max_events)
        for step, forgotten in zip(steps, last, strict=True):
            values[step.output] = _run_step(step, params, [values[name] for name in step.inputs], run, chosen)
            for name in forgotten:
                del values[name]
        for name in keep:
            parts[name].append(values[name])
    run.values = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    return run


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Samples that run together, and how many events of the first of them to keep."""

    samples: int
    max_events: int


def _largest_operand(steps: Sequence[Step]) -> int:
    """Elements of the largest operand of one sample: what bounds the memory of a chunk."""
    return max((step.shape.out_rows * step.shape.depth for step in steps if isinstance(step, MatmulStep)), default=1)


def _run_step(
    step: Step, params: Mapping[str, ArrayParams], codes: list[IntArray], run: IntegerRun, chunk: _Chunk
) -> IntArray:
    if isinstance(step, ActivationMatmulStep):
        return _run_by_sample(step, params[step.name], codes, run.overflows[step.name], chunk.max_events)
    if isinstance(step, MatmulStep):
        return _run_matmul(step, params[step.name], codes[0], run.overflows[step.name], chunk.max_events)
    assert isinstance(step, ElementwiseStep)  # noqa: S101  (the only other kind)
    return np.broadcast_to(step.compute(*codes), (chunk.samples, step.outputs))


def _run_by_sample(
    step: ActivationMatmulStep, params: ArrayParams, codes: list[IntArray], overflow: LayerOverflow, max_events: int
) -> IntArray:
    """Run a product whose samples have weights of their own: all at once where integer sums never overflow."""
    if step.float_sums is None and _never_overflows(step, params):
        return _exact_products(step, *codes)
    outputs = [
        _run_matmul(step.bind(second), params, first[np.newaxis], overflow, 0 if number else max_events)
        for number, (first, second) in enumerate(zip(*codes, strict=True))
    ]
    return np.concatenate(outputs)


def _never_overflows(step: MatmulStep, params: ArrayParams) -> bool:
    """Tell whether sums of so many products of the largest operands fit the accumulator, and a float64's mantissa."""
    reach = step.shape.depth * math.prod(max(-word.min, word.max) for word in step.operand_formats)
    return reach <= min(params.accumulator.max, EXACT_FLOAT64)


def _exact_products(step: ActivationMatmulStep, first: IntArray, second: IntArray) -> IntArray:
    outputs, columns = [], slice(0, step.shape.out_cols)
    for group in range(step.groups):
        rows, weights = step.activation_operands(first, group), step.sample_weights(second, group)
        operands = step.offset_weights(weights, group, columns)
        sums = np.matmul(rows.astype(np.float64), operands.astype(np.float64)).astype(np.int64)
        sums += step.sample_constants(weights)[:, np.newaxis]
        outputs.append(step.requantize(sums, step.row_sums(rows), _whole(step, group), rows, are_exact=True))
    return step.arranged(outputs)


def _whole(step: MatmulStep, group: int) -> OutputBlock:
    return OutputBlock(group, slice(0, step.shape.out_rows), slice(0, step.shape.out_cols))


def _run_matmul(
    step: MatmulStep, params: ArrayParams, codes: IntArray, overflow: LayerOverflow, max_events: int
) -> IntArray:
    outputs = []
    counting = replace(params, overflow="wrap") if params.overflow == "error" else params
    for group in range(step.groups):
        operands = step.activation_operands(codes, group)
        initial, outside = preload(step, params, group)
        overflow.preload += outside * len(codes)
        product = SharedProduct(counting, step.fold_rows(params.dataflow), step.weight_operands(group), initial)
        batch = product.run(operands)
        if params.overflow == "error" and batch.per_pe.any():
            raise overflow_error(step.name, params, _first_event(product, operands, group))
        overflow.per_pe += batch.per_pe
        room = max_events - len(overflow.first)
        if room > 0 and batch.per_pe.any():
            overflow.first = np.concatenate([overflow.first, product.events(operands[0], group, room)])
        are_exact = not (outside or batch.per_pe.any())
        whole, row_sums = _whole(step, group), step.row_sums(operands)
        outputs.append(step.requantize(batch.output, row_sums, whole, operands, are_exact=are_exact))
    return step.arranged(outputs)


def _first_event(product: SharedProduct, operands: IntArray, group: int) -> tuple[int, int, int]:
    """Return (cycle, row, col) of the first overflow in the first sample that has one."""
    found = (product.events(sample, group, 1) for sample in operands)
    cycle, row, col = next(events for events in found if len(events))[0].tolist()
    return cycle, row, col


def overflow_error(layer: str, params: ArrayParams, event: tuple[int, int, int]) -> AccumulatorOverflowError:
    """Return the error that names the place of an overflow; row = rows is the accumulator under the array."""
    cycle, row, col = event
    where = f"row {row}" if row < params.rows else "the accumulator under the array"
    bits = params.accumulator.bits
    return AccumulatorOverflowError(
        f"layer {layer}: accumulator of {bits} bits overflows in cycle {cycle}, {where}, column {col}"
    )


def preload(step: MatmulStep, params: ArrayParams, group: int) -> tuple[IntArray, int]:
    """Return what a group's sums start from, (out_rows, out_cols), and how many of them overflowed by themselves.

    Raises:
        AccumulatorOverflowError: a bias lies outside the accumulator under ``overflow: error``.
    """
    shape = (step.shape.out_rows, step.shape.out_cols)
    if step.bias_mode == "requantizer":
        return all_zero(*shape), 0
    bias = step.bias[group]
    fitted = params.accumulator.fit(bias, params.overflow)
    outside = int(np.count_nonzero((bias < params.accumulator.min) | (bias > params.accumulator.max)))
    if outside and params.overflow == "error":
        raise AccumulatorOverflowError(
            f"layer {step.name}: {outside} preloaded biases lie outside an accumulator of "
            f"{params.accumulator.bits} bits"
        )
    return np.broadcast_to(fitted, shape), outside * step.shape.out_rows
