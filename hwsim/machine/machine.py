"""Runs the planned layers on the machine, one after the other, with data or for timing alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import simpy

from hwsim.array.engine import Engine
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.errors import CheckFailedError
from hwsim.machine.clock import Clock, Process
from hwsim.machine.core import Core
from hwsim.machine.counting import array_counts, requantizer_counts
from hwsim.machine.data import Held, LayerData, ProductData
from hwsim.machine.dram import DramChannels, Traffic
from hwsim.machine.memory import ScratchpadData
from hwsim.machine.periods import Periods
from hwsim.machine.prefetch import WeightSupplies
from hwsim.machine.product import ProductRun
from hwsim.machine.supply import OperandSupply
from hwsim.machine.timeline import Span, Timeline
from hwsim.machine.tracing import Sink, Tracer
from hwsim.machine.units import Units
from hwsim.machine.vector import VectorRun
from hwsim.mapping.plan import WHOLE, LayerPlan, ProductPlan
from hwsim.network.activation_products import bound
from hwsim.network.steps import MatmulStep, ProductStep
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

    Under ``mapping.layer_overlap: weights`` the next product's weights come while a layer runs, as far as there is
    room. Cycles belong to the layer that runs, counts to the layer for which something is done: what a prefetch moves
    is counted with the layer that reads it.

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
    machine = _Machine(layers, spec, data, observe, trace, fast_forward=fast_forward)
    return [machine.run(layer) for layer in layers]


@dataclass(slots=True, eq=False)
class _Memories:
    """Codes of tensors by name in a run with data, in DRAM and in the scratchpads.

    ``weights`` are by core and name, ``brought`` those of products that are under way.
    """

    dram: dict[str, IntArray]
    activations: dict[str, IntArray] = field(default_factory=dict)
    weights: dict[tuple[int, str], ScratchpadData] = field(default_factory=dict)
    brought: dict[ProductPlan, ScratchpadData] = field(default_factory=dict)

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

    def held(self, plan: LayerPlan, product: ProductPlan) -> Held:
        """Return a product's operands as far as they are in a core's scratchpads.

        Raises:
            CheckFailedError: what should be there is not.
        """
        step = product.step
        assert isinstance(step, MatmulStep)  # noqa: S101  (floats run without data)
        codes = self.inputs(plan)
        step = bound(step, codes)
        padding = step.activation_zero_point
        activations = ScratchpadData(codes[0], padding)
        if product.activations.residency == "on_chip":  # a core's own samples, or all of them
            share = plan.shares[plan.products.index(product)] if plan.split == "samples" else WHOLE
            activations.load(slice(*(codes[0].size * end // share.whole for end in (share.start, share.stop))))
        return Held(step, activations, self.held_weights(plan, product, step))

    def held_weights(self, plan: LayerPlan, product: ProductPlan, step: ProductStep) -> ScratchpadData:
        """Return a product's weights as far as they are in a core's scratchpad, perhaps before the layer starts.

        Args:
            plan: the layer.
            product: the core's share.
            step: the product with the weights of this sample.

        Raises:
            CheckFailedError: what should be there is not.
        """
        if product not in self.brought:
            place = plan.products.index(product), step.weight_name
            if product.weights.residency != "on_chip":
                self.weights[place] = ScratchpadData(step.weights)
            if place not in self.weights:
                raise CheckFailedError(f"layer {plan.name}: its weights are not in the scratchpad, as the plan says")
            self.brought[product] = self.weights[place]
        return self.brought[product]

    def store(self, plan: LayerPlan, output: IntArray) -> None:
        """Write a layer's output, and forget what no later layer reads."""
        for product in plan.products:
            self.brought.pop(product, None)
        place = self.dram if plan.output_memory == "dram" else self.activations
        place[plan.output] = output
        for name in plan.released:
            self.activations.pop(name, None)


class _Machine:
    """The machine from the first layer to the last."""

    def __init__(
        self,
        layers: Sequence[LayerPlan],
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
        self._memories = _Memories(dict(data.codes) if data else {})
        self._traffic: dict[LayerPlan, Traffic] = {}
        channels, several = DramChannels(spec.dram, self._tracer), spec.cores > 1
        self._cores = [
            Core(core if several else None, self._clock, channels, spec, self._tracer) for core in range(spec.cores)
        ]
        ahead = spec.mapping.layer_overlap == "weights"
        self._supplies = [
            WeightSupplies(layers, number, partial(self._bring_weights, core), ahead=ahead)
            for number, core in enumerate(self._cores)
        ]

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
        traffic = self._traffic_of(plan)
        cores = [
            Units.of(core, timeline, traffic, self._spec) for core, _ in zip(self._cores, plan.shares, strict=False)
        ]
        data = self._layer_data(plan)
        env = self._clock.env
        env.run(env.process(self._layer(cores, plan, data)))
        self._count(plan, traffic.counts)
        if tracer is not None:
            tracer.slice("layers", plan.name, start, self._clock.now)
        return LayerRun(
            plan=plan,
            start_cycle=start,
            total_cycles=self._clock.now - start,
            cycles=timeline.cycles(),
            counts=Counts({key: count for key, count in traffic.counts.items() if count}),
            output=self._output(plan, data),
            per_pe=data.per_pe if data else None,
            events=data.events if data else None,
            array_counts=data.counts if data else None,
            dram_row_hits=traffic.row_hits,
            dram_row_misses=traffic.row_misses,
        )

    def _layer(self, cores: Sequence[Units], plan: LayerPlan, data: LayerData | None) -> Process:
        """Let every core do its share; the layer ends when the last one has written."""
        yield from self._fetch(cores[0], plan)
        vectors = [VectorRun(units, plan, share) for units, share in zip(cores, plan.shares, strict=True)]
        if plan.products:
            parts: Sequence[ProductData | None] = data.parts if data else [None] * len(cores)
            weights = [supplies.start for supplies in self._supplies[: len(cores)]]
            products = [_product_run(plan, *one) for one in zip(cores, plan.products, parts, weights, strict=True)]
            if self._fast_forward:
                Periods(cores, products, self._supplies).watch()
            works = [self._share(plan, *one) for one in zip(products, vectors, strict=True)]
        else:
            works = [vector.run() for vector in vectors]
        env = self._clock.env
        yield env.all_of([env.process(work) for work in works])

    def _traffic_of(self, plan: LayerPlan) -> Traffic:
        """Return what is moved for a layer, perhaps before it starts."""
        return self._traffic.setdefault(plan, Traffic(plan.name))

    def _bring_weights(
        self, core: Core, plan: LayerPlan, product: ProductPlan, loaded: Callable[[], None]
    ) -> OperandSupply:
        """Begin to bring a core's weights for a layer."""
        data = self._memories.held_weights(plan, product, product.step) if self._data else None
        return core.bring_weights(product, self._traffic_of(plan), data, loaded)

    def _share(self, plan: LayerPlan, product: ProductRun, vector: VectorRun) -> Process:
        yield from product.run()
        if plan.after:
            yield from vector.run_after_product(product.plan.step)

    def _count(self, plan: LayerPlan, counts: Counts) -> None:
        """Add what is counted in closed form."""
        for product in plan.products:
            counts.update(array_counts(product))
            counts.update(requantizer_counts(product, self._spec))
        for step in plan.after:
            counts.update(step.counts)

    def _fetch(self, units: Units, plan: LayerPlan) -> Process:
        """Bring inputs that other layers read as well into the activation scratchpad."""
        if not plan.fetched:
            return
        stalling = units.timeline.begin("load_stall")
        for name in plan.fetched:
            yield from units.dram.read("fetch", plan.bits[name])
        yield from units.dram.arrive("fetch")
        for name in plan.fetched:
            bits = plan.bits[name]
            yield from units.activations.fill(bits, units.dram.least_cycles(bits), in_half=False)
        units.timeline.end(stalling)

    def _layer_data(self, plan: LayerPlan) -> LayerData | None:
        if self._data is None:
            return None
        for name in plan.fetched:
            self._memories.activations[name] = self._memories.dram[name]
        if not plan.products:
            return None
        engine, max_events = self._data.engine, self._data.max_events
        parts = [
            ProductData(product, engine, self._memories.held(plan, product), max_events) for product in plan.products
        ]
        return LayerData(parts, max_events)

    def _output(self, plan: LayerPlan, data: LayerData | None) -> IntArray | None:
        """Return what the layer wrote, and note it for the layers that read it."""
        if self._data is None:
            return None
        if data is None:
            codes = self._memories.inputs(plan)
        else:
            data.stop_on_overflow(plan.name, plan.products[0].params)
            codes = [data.output]
        for step in plan.after:
            codes = [step.compute(*(one[np.newaxis] for one in codes))[0]]
        self._memories.store(plan, codes[0])
        return codes[0]


def _product_run(
    plan: LayerPlan,
    units: Units,
    product: ProductPlan,
    data: ProductData | None,
    start_weights: Callable[[], OperandSupply],
) -> ProductRun:
    write_back = units.write_to_dram if plan.output_memory == "dram" else units.write_to_scratchpad
    return ProductRun(units, product, data, None if plan.after else write_back, start_weights)
