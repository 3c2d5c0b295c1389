"""Runs the planned layers on the machine, one after the other, with data or for timing alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from hwsim.array.dataflows import rules
from hwsim.array.engine import Engine
from hwsim.array.params import Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.machine.data import ProductData
from hwsim.machine.memory import Dram, Process
from hwsim.machine.product import ProductRun
from hwsim.machine.timeline import Span, split
from hwsim.mapping.plan import LayerPlan, ProductPlan
from hwsim.network.steps import ElementwiseStep, FunctionStep, LutStep
from hwsim.numerics.formats import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SampleData:
    """What a run with data starts from: codes of the network's inputs, flat, and the engine that steps the folds."""

    codes: Mapping[str, IntArray]
    engine: Engine
    max_events: int


@dataclass(frozen=True, slots=True, eq=False)
class LayerRun:
    """One layer as it ran.

    ``cycles`` shares out ``total_cycles`` by class. ``output`` (flat), ``per_pe``, ``events`` (cycle, row, col) and
    ``array_counts``, what the engine counted, are a run's with data: None in a timing run and, but for the output,
    without a matrix product.
    """

    plan: LayerPlan
    start_cycle: int
    total_cycles: int
    cycles: dict[str, int]
    counts: Counts
    output: IntArray | None = None
    per_pe: IntArray | None = None
    events: IntArray | None = None
    array_counts: Counts | None = None


def run_machine(layers: Sequence[LayerPlan], spec: ArchSpec, data: SampleData | None = None) -> list[LayerRun]:
    """Run the layers in order; each starts when the one before has been written back.

    With ``data`` the transfers carry codes, every fold is stepped on what is in the scratchpads, and each layer's
    output is what write-back has assembled and put into DRAM. Without, the same processes take the same cycles.

    Raises:
        AccumulatorOverflowError: an add overflowed under ``overflow: error``.
        CheckFailedError: a fold read operands that no transfer had brought.
    """
    env = simpy.Environment()
    dram = Dram(env, spec.dram)
    runs: list[LayerRun] = []
    tensors = dict(data.codes) if data else {}
    for layer in layers:
        one = _LayerProcess(env, dram, spec, layer, data, tensors)
        start = int(env.now)
        env.run(env.process(one.run()))
        runs.append(one.result(start, int(env.now)))
        if runs[-1].output is not None:
            tensors[layer.output] = runs[-1].output
    return runs


class _LayerProcess:
    """One layer: its product, the steps after it, and the write-back."""

    def __init__(
        self,
        env: simpy.Environment,
        dram: Dram,
        spec: ArchSpec,
        plan: LayerPlan,
        data: SampleData | None,
        tensors: Mapping[str, IntArray],
    ) -> None:
        self._env, self._dram, self._spec, self._plan = env, dram, spec, plan
        self._tensors = tensors
        self._codes: IntArray | None = None
        self._spans: list[Span] = []
        self._product_data = None
        if plan.product is not None and data is not None:
            (source,) = plan.inputs
            self._product_data = ProductData(plan.product, data.engine, tensors[source], data.max_events)

    def run(self) -> Process:
        """Run until the output is in DRAM."""
        plan = self._plan
        writes_blocks = plan.product is not None and not plan.after
        if plan.product is None:
            yield from self._timed("load_stall", self._read_input())
        else:
            product = ProductRun(
                self._env,
                self._dram,
                self._spec,
                plan.product,
                self._product_data,
                self._spans.append,
                write_blocks=writes_blocks,
            )
            yield from product.run()
        if self._product_data is not None:
            self._product_data.stop_on_overflow(plan.name)
            self._codes = self._product_data.output.reshape(-1)
        for step in plan.after:
            yield from self._timed("vector", self._step(step))
        if not writes_blocks:
            yield from self._timed("write_stall", self._dram.occupy(plan.output_bits))

    def result(self, start: int, end: int) -> LayerRun:
        """Return the finished layer."""
        found = self._product_data
        return LayerRun(
            plan=self._plan,
            start_cycle=start,
            total_cycles=end - start,
            cycles=split(self._spans, start, end),
            counts=layer_counts(self._plan, self._spec),
            output=self._codes,
            per_pe=found.per_pe if found else None,
            events=found.events if found else None,
            array_counts=found.counts if found else None,
        )

    def _read_input(self) -> Process:
        for name in dict.fromkeys(self._plan.inputs):
            yield from self._dram.occupy(self._plan.bits[name])
        yield self._env.timeout(self._dram.latency_cycles)

    def _step(self, step: ElementwiseStep) -> Process:
        on_lut = isinstance(step, LutStep) or (isinstance(step, FunctionStep) and step.unit == "activation_lut")
        lanes = self._spec.activation_lut.lanes if on_lut else self._spec.vector_unit.lanes
        yield self._env.timeout(-(-step.operations // lanes))
        if not self._tensors:
            return
        codes = [self._codes] if self._codes is not None else [self._tensors[name] for name in self._plan.inputs]
        self._codes = step.compute(*(one[np.newaxis] for one in codes))[0]

    def _timed(self, kind: str, process: Process) -> Process:
        begun = int(self._env.now)
        yield from process
        self._spans.append(Span(kind, begun, int(self._env.now)))


def layer_counts(plan: LayerPlan, spec: ArchSpec) -> Counts:
    """Count the actions of one layer for one sample: array, memories, requantizer, LUT and vector unit.

    Memory actions count bits. Padding taps are read from the activation scratchpad like other elements.
    """
    counts = Counts()
    held = plan.input_bits
    if plan.product is not None:
        counts.update(product_counts(plan.product, spec))
        held = plan.bits[plan.product.step.output]
    else:
        counts["dram", "read_bits"] += held
    counts["output_scratchpad", "write_bits"] += held
    for step in plan.after:
        counts.update(step.counts)
        counts["output_scratchpad", "read_bits"] += held
        held = plan.bits[step.output]
        counts["output_scratchpad", "write_bits"] += held
    counts["output_scratchpad", "read_bits"] += held
    counts["dram", "write_bits"] += held
    return counts


def product_counts(plan: ProductPlan, spec: ArchSpec) -> Counts:
    """Count what the array, its operands' memories, the accumulator buffer and the requantizer do."""
    step, groups = plan.step, plan.step.groups
    counts = rules(plan.params.dataflow).counts(step.shape, plan.params).scaled(groups)
    for name, operand in (("activation_scratchpad", plan.activations), ("weight_scratchpad", plan.weights)):
        loaded = sum(transfer.bits for transfer in operand.transfers)
        counts["dram", "read_bits"] += loaded
        counts[name, "write_bits"] += loaded
        counts[name, "read_bits"] += sum(operand.read_bits)
    for action in step.weight_decoding:
        counts["weight_decoder", action] += sum(plan.weights.read_bits) // step.weight_memory_bits
    if plan.params.dataflow is Dataflow.OUTPUT_STATIONARY:
        counts["accumulator_buffer", "write"] += step.outputs
    counts["accumulator_buffer", "read"] += step.outputs
    counts.update(step.requantizer_counts(spec.requantizer.scheme))
    return counts
