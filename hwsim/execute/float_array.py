"""Runs a float network on an array of floating-point MACs, for data sets: values and overflows, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from hwsim.array.float_product import FloatArray, Floats, float_product
from hwsim.errors import AccumulatorOverflowError
from hwsim.execute.liveness import last_reads
from hwsim.network.batch import batched
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.float_steps import FloatMatmulStep
from hwsim.network.steps import Step
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray as Reals

CHUNK_ELEMENTS = 1 << 22


@dataclass(slots=True)
class FloatOverflow:
    """What became infinite or NaN in one matrix product, summed over samples.

    ``per_pe`` (rows + 1, cols) counts products and adds in the array; ``conversions`` weights, biases and outputs that
    do not fit their format; the network's inputs that do not are the first product's.
    """

    per_pe: IntArray
    conversions: int = 0

    @property
    def events(self) -> int:
        """All of them."""
        return int(self.per_pe.sum()) + self.conversions

    @property
    def preload(self) -> int:
        """None: biases are added behind the array."""
        return 0


@dataclass(slots=True)
class FloatRun:
    """Values of the kept tensors (samples, elements) in the operands' format, and overflows by layer."""

    values: dict[str, Floats]
    overflows: dict[str, FloatOverflow] = field(default_factory=dict)


def run_float(
    steps: Sequence[Step],
    array: FloatArray,
    inputs: Mapping[str, Reals],
    *,
    keep: Sequence[str],
    stop: bool = False,
    batch: int = 1,
    shares: Mapping[str, int] = MappingProxyType({}),
) -> FloatRun:
    """Convert reals (samples, elements) to the operands' format and run them through all steps.

    Samples run in batches, whose rows lie below each other in the array; the last batch may be smaller.

    Args:
        steps: the lowered network, of one sample.
        array: its shape and formats.
        inputs: reals for the network's inputs by tensor, as many samples of each.
        keep: names of the tensors to return.
        stop: whether an overflow is an error.
        batch: samples that run at once.
        shares: among how many cores a batch's rows are shared, by the names of products.

    Raises:
        AccumulatorOverflowError: something overflowed, with ``stop``; the text names the layer.
    """
    run = FloatRun({})
    for step in steps:
        if isinstance(step, FloatMatmulStep):
            per_pe = np.zeros((array.rows + 1, array.cols), np.int64)
            run.overflows[step.name] = FloatOverflow(per_pe, step.converted_to_infinity)
    parts: dict[str, list[Floats]] = {name: [] for name in keep}
    for portion in _portions(steps, inputs, batch, shares):
        values = {name: array.operand.convert(one) for name, one in portion.inputs.items()}
        for overflow in list(run.overflows.values())[:1]:
            overflow.conversions += sum(int(np.count_nonzero(~np.isfinite(one))) for one in values.values())
        _run_chunk(portion.steps, array, values, run, keep, stop=stop)
        for name in keep:
            parts[name].append(values[name].reshape(len(values[name]) * portion.samples, -1))
    run.values = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    return run


@dataclass(frozen=True, slots=True, eq=False)
class _Portion:
    """Batches that are computed together: steps of ``samples`` at once, and inputs (batches, samples x elements)."""

    steps: Sequence[Step]
    samples: int
    inputs: dict[str, Reals]


def _portions(
    steps: Sequence[Step], inputs: Mapping[str, Reals], batch: int, shares: Mapping[str, int]
) -> Iterator[_Portion]:
    """Cut samples into full batches, as many at a time as memory is meant for, and one of the rest."""
    elements = {name: one.shape[1] for name, one in inputs.items()}
    count = len(next(iter(inputs.values())))
    full = count - count % batch
    for first, stop, samples in ((0, full, batch), (full, count, count - full)):
        if first == stop:
            continue
        its_steps = batched(steps, elements, samples, shares)
        chunk = samples * max(1, CHUNK_ELEMENTS // _largest(its_steps))
        for start in range(first, stop, chunk):
            some = {name: one[start : min(start + chunk, stop)] for name, one in inputs.items()}
            rows = {name: one.reshape(-1, samples * elements[name]) for name, one in some.items()}
            yield _Portion(its_steps, samples, rows)


def _run_chunk(
    steps: Sequence[Step],
    array: FloatArray,
    values: dict[str, Floats],
    run: FloatRun,
    keep: Sequence[str],
    *,
    stop: bool,
) -> None:
    last = last_reads([step.inputs for step in steps], keep)
    for step, forgotten in zip(steps, last, strict=True):
        operands = [values[name] for name in step.inputs]
        if isinstance(step, FloatMatmulStep):
            values[step.output] = _run_product(step, array, operands[0], run.overflows[step.name])
            _stop(step, run.overflows[step.name].events if stop else 0)
        else:
            assert isinstance(step, ElementwiseStep)  # noqa: S101  (the only other kind)
            values[step.output] = step.compute(*operands)
        for name in forgotten:
            del values[name]


def _run_product(step: FloatMatmulStep, array: FloatArray, values: Floats, overflow: FloatOverflow) -> Floats:
    outputs, shares = [], step.fold_rows(array.dataflow)
    for group in range(step.groups):
        operands = step.activation_operands(values, group)
        parts = [float_product(array, operands[:, rows], step.weights[group]) for rows in shares]
        overflow.per_pe += sum(part.per_pe for part in parts)
        finished, lost = step.finish(np.concatenate([part.sums for part in parts], axis=1), group)
        overflow.conversions += lost
        outputs.append(finished)
    return np.concatenate(outputs, axis=2).reshape(len(values), -1)


def _stop(step: FloatMatmulStep, events: int) -> None:
    if events:
        raise AccumulatorOverflowError(
            f"layer {step.name}: values leave {step.output_format.name}, or sums {step.accumulator_format.name}: "
            f"infinite or NaN (events so far: {events})"
        )


def _largest(steps: Sequence[Step]) -> int:
    """Elements of the largest operand or product of one sample: what bounds the memory of a chunk."""
    products = [step for step in steps if isinstance(step, FloatMatmulStep)]
    return max((step.shape.out_rows * max(step.shape.depth, step.shape.out_cols) for step in products), default=1)
