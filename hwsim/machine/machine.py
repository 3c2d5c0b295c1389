"""Runs the planned layers on the machine, one after the other, with data or for timing alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import simpy

from hwsim.array.engine import Engine
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.errors import CheckFailedError
from hwsim.machine.clock import Clock, Process
from hwsim.machine.counting import array_counts, requantizer_counts
from hwsim.machine.data import Held, ProductData
from hwsim.machine.dram import Dram, DramChannels
from hwsim.machine.memory import ScratchpadData
from hwsim.machine.periods import Periods
from hwsim.machine.product import ProductRun
from hwsim.machine.timeline import Span, Timeline
from hwsim.machine.tracing import Sink, Tracer
from hwsim.machine.units import Units
from hwsim.machine.vector import VectorRun
from hwsim.mapping.plan import LayerPlan
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray

Observer = Callable[[str, Span], None]


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
    without a matrix product. ``dram_row_hits`` are bursts that found their row open, ``dram_row_misses`` rows that had
    to be opened; 0 where the architecture does not say what a row is.
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
    dram_row_hits: int = 0
    dram_row_misses: int = 0


def run_machine(
    layers: Sequence[LayerPlan],
    spec: ArchSpec,
    data: SampleData | None = None,
    *,
    observe: Observer | None = None,
    trace: Sink | None = None,
    fast_forward: bool = True,
) -> list[LayerRun]:
    """Run the layers in order; each starts when the one before has been written back.

    With ``data`` the transfers carry codes, every fold is stepped on what is in the scratchpads, and each layer's
    output is what write-back has assembled and put into DRAM or the activation scratchpad. Without, the same processes
    take the same cycles.

    Args:
        layers: the plan.
        spec: the machine it was made for.
        data: one sample, or None for timing alone.
        observe: is told each span of each layer by the layer's name, as it ends; then nothing is skipped.
        trace: is told what every unit does when; then nothing is skipped either.
        fast_forward: whether periods in which the machine repeats itself are skipped in a timing run. The result is
            the same.

    Raises:
        AccumulatorOverflowError: an add overflowed under ``overflow: error``.
        CheckFailedError: a fold read operands that no transfer had brought.
    """
    fast_forward = fast_forward and data is None and observe is None and trace is None
    machine = _Machine(spec, data, observe, trace, fast_forward=fast_forward)
    return [machine.run(layer) for layer in layers]


@dataclass(slots=True, eq=False)
class _Memories:
    """Codes of tensors by name in a run with data, in DRAM and in the scratchpads."""

    dram: dict[str, IntArray]
    activations: dict[str, IntArray] = field(default_factory=dict)
    weights: dict[str, ScratchpadData] = field(default_factory=dict)

    def inputs(self, plan: LayerPlan) -> list[IntArray]:
        """Return a layer's inputs from where the plan says that they are.

        Raises:
            CheckFailedError: they are not there.
        """
        places = [self.activations if name in plan.on_chip else self.dram for name in plan.inputs]
        missing = [name for name, place in zip(plan.inputs, places, strict=True) if name not in place]
        if missing:
            raise CheckFailedError(f"layer {plan.name} reads {', '.join(missing)}, which is not where the plan says")
        return [place[name] for name, place in zip(plan.inputs, places, strict=True)]

    def held(self, plan: LayerPlan) -> Held:
        """Return a product's operands as far as they are in their scratchpads.

        Raises:
            CheckFailedError: what should be there is not.
        """
        assert plan.product is not None  # noqa: S101  (of a product)
        step = plan.product.step
        assert isinstance(step, MatmulStep)  # noqa: S101  (floats run without data)
        (codes,) = self.inputs(plan)
        padding = step.activation_zero_point
        on_chip = plan.product.activations.residency == "on_chip"
        activations = ScratchpadData.filled(codes, padding) if on_chip else ScratchpadData(codes, padding)
        if plan.product.weights.residency != "on_chip":
            return Held(activations, ScratchpadData(step.weights))
        if step.weight_name not in self.weights:
            raise CheckFailedError(f"layer {plan.name}: its weights are not in the scratchpad, as the plan says")
        return Held(activations, self.weights[step.weight_name])

    def store(self, plan: LayerPlan, output: IntArray) -> None:
        """Write a layer's output, and forget what no later layer reads."""
        place = self.dram if plan.output_memory == "dram" else self.activations
        place[plan.output] = output
        for name in plan.released:
            self.activations.pop(name, None)


class _Machine:
    """The machine from the first layer to the last."""

    def __init__(
        self,
        spec: ArchSpec,
        data: SampleData | None,
        observe: Observer | None,
        trace: Sink | None,
        *,
        fast_forward: bool,
    ) -> None:
        self._spec, self._data, self._observe, self._fast_forward = spec, data, observe, fast_forward
        self._clock = Clock(simpy.Environment())
        self._tracer = Tracer(trace) if trace is not None else None
        self._channels = DramChannels(spec.dram, self._tracer)
        self._memories = _Memories(dict(data.codes) if data else {})

    def run(self, plan: LayerPlan) -> LayerRun:
        """Run one layer until its output is where it belongs."""
        start = self._clock.now
        observe, tracer = self._observe, self._tracer
        timeline = Timeline(
            self._clock,
            observe and (lambda span: observe(plan.name, span)),
            None if tracer is None else tracer.share,
        )
        if tracer is not None:
            tracer.layer = plan.name
        counts = Counts()
        dram = Dram(self._clock, self._channels, counts)
        units = Units.of(self._clock, timeline, dram, self._spec, counts, tracer)
        product = self._product_data(plan)
        env = self._clock.env
        env.run(env.process(self._layer(units, plan, product)))
        if plan.product is not None:
            counts.update(array_counts(plan.product))
            counts.update(requantizer_counts(plan.product, self._spec))
            for action in plan.product.step.weight_decoding:
                read_bits = counts["weight_scratchpad", "read_bits"]
                counts["weight_decoder", action] += read_bits // plan.product.step.weight_memory_bits
        for step in plan.after:
            counts.update(step.counts)
        if tracer is not None:
            tracer.slice("layers", plan.name, start, self._clock.now)
        return LayerRun(
            plan=plan,
            start_cycle=start,
            total_cycles=self._clock.now - start,
            cycles=timeline.cycles(),
            counts=Counts({key: count for key, count in counts.items() if count}),
            output=self._output(plan, product),
            per_pe=product.per_pe if product else None,
            events=product.events if product else None,
            array_counts=product.counts if product else None,
            dram_row_hits=dram.row_hits,
            dram_row_misses=dram.row_misses,
        )

    def _layer(self, units: Units, plan: LayerPlan, data: ProductData | None) -> Process:
        yield from self._fetch(units, plan)
        vector = VectorRun(units, plan)
        if plan.product is None:
            yield from vector.run()
            return
        write_back = units.write_to_dram if plan.output_memory == "dram" else units.write_to_scratchpad
        product = ProductRun(units, plan.product, data, None if plan.after else write_back)
        if self._fast_forward:
            product.at_fold = Periods(units, product).at_fold
        yield from product.run()
        if plan.after:
            yield from vector.run_after_product(plan.bits[plan.product.step.output])

    def _fetch(self, units: Units, plan: LayerPlan) -> Process:
        """Bring inputs that other layers read as well into the activation scratchpad."""
        if not plan.fetched:
            return
        stalling = units.timeline.begin("load_stall")
        for name in plan.fetched:
            units.counts["activation_scratchpad", "write_bits"] += plan.bits[name]
            yield from units.dram.read("fetch", plan.bits[name])
        yield from units.dram.arrive("fetch")
        units.timeline.end(stalling)

    def _product_data(self, plan: LayerPlan) -> ProductData | None:
        if self._data is None:
            return None
        for name in plan.fetched:
            self._memories.activations[name] = self._memories.dram[name]
        if plan.product is None:
            return None
        held = self._memories.held(plan)
        return ProductData(plan.product, self._data.engine, held, self._data.max_events)

    def _output(self, plan: LayerPlan, data: ProductData | None) -> IntArray | None:
        """Return what the layer wrote, and note it for the layers that read it."""
        if self._data is None:
            return None
        if data is None:
            codes = self._memories.inputs(plan)
        else:
            data.stop_on_overflow(plan.name)
            codes = [data.output.reshape(-1)]
            assert plan.product is not None  # noqa: S101  (it has data)
            self._memories.weights[plan.product.step.weight_name] = data.weights
        for step in plan.after:
            codes = [step.compute(*(one[np.newaxis] for one in codes))[0]]
        self._memories.store(plan, codes[0])
        return codes[0]
