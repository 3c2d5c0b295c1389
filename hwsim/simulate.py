"""From a specification and a workload to a result: the one place that sees the whole way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import __version__
from hwsim.array.gemm import EngineName, make_engine
from hwsim.array.params import ArrayParams, Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.energy.account import Account, EnergyContext
from hwsim.energy.table import EnergyTable
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.execute.codes import Values, check_codes
from hwsim.execute.floating import check_inputs, float_output
from hwsim.execute.integer import IntegerRun, LayerOverflow, run_integer
from hwsim.machine.machine import LayerRun, SampleData, run_machine
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import plan_network
from hwsim.metrics.sqnr import accuracy, sqnr_db
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions, quantization_of
from hwsim.network.steps import MatmulStep, Step
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray, accumulator_format
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.profiles import Profile
from hwsim.quantize.post_training import quantize
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.layer_result import CYCLE_PARTS, LayerResult, sparse_overflows
from hwsim.results.run_result import OverflowEvent, RunResult, utilization

MAX_EVENTS = 10_000
BITS_PER_BYTE = 8
REAL_BITS = 32  # of a tensor that is not quantized: before a quantize, after a dequantize
DEFAULT_PROFILE: Profile = "tflm"

Inputs = Values | Mapping[str, Values]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What a workload is run on: inputs by tensor, labels if there are any, the float network's outputs for them.

    Inputs have shape (samples, *shape): reals, or codes where the network holds codes; that has no float outputs.
    """

    workload: Workload
    inputs: Mapping[str, Values]
    labels: IntArray | None
    float_outputs: FloatArray | None

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self.inputs.values())))

    def part(self, samples: slice) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.workload,
            {name: values[samples] for name, values in self.inputs.items()},
            None if self.labels is None else self.labels[samples],
            None if self.float_outputs is None else self.float_outputs[samples],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A workload made ready for one architecture: the integer network, its steps, their arrays, their plan."""

    steps: tuple[Step, ...]
    params: Mapping[str, ArrayParams]
    layers: tuple[LayerPlan, ...]
    network: Network

    @property
    def input(self) -> str:
        """Name of the first input."""
        return self.network.input

    @property
    def output(self) -> str:
        """Name of the first output."""
        return self.network.output

    @property
    def input_quantization(self) -> Quantization:
        """Of the first input."""
        return _quantization(self.network, self.network.input)

    @property
    def output_quantization(self) -> Quantization:
        """Of the first output."""
        return _quantization(self.network, self.network.output)

    def codes(self, inputs: Mapping[str, Values]) -> dict[str, IntArray]:
        """Return what the array takes for these samples, (samples, elements): codes, or reals before a quantize."""
        flat = {name: np.asarray(values).reshape(len(values), -1) for name, values in inputs.items()}
        if self.network.holds_codes:
            return flat
        return {name: _quantization(self.network, name).quantize(values) for name, values in flat.items()}

    def reals(self, outputs: IntArray) -> FloatArray:
        """Return the real numbers that codes of the first output stand for."""
        grid = self.network.tensors[self.network.output].quantization
        return np.asarray(outputs, np.float64) if grid is None else grid.dequantize(outputs)


def run(
    architecture: str | Path | ArchSpec,
    workload: str | Path | Workload,
    *,
    inputs: Inputs | None = None,
    labels: IntArray | None = None,
    samples: int | None = None,
    engine: EngineName = "stepped",
    overrides: Sequence[str] = (),
) -> RunResult:
    """Run a workload on an architecture and return cycles, energy, overflows and accuracy.

    The first sample runs on the machine with data, its folds stepped by ``engine``; what comes out must equal the
    array's shadow that computes the other samples.

    Args:
        architecture: a path, a shipped name, or a specification.
        workload: a path, a shipped name, or a workload that has been read.
        inputs: samples to run, (samples, *input shape), or one array for each input by its tensor's name; the
            workload's own if None. A ``.tflite`` file takes codes, of the types that it says.
        labels: class numbers of ``inputs``.
        samples: how many of the inputs to run, from the first; all if None.
        engine: ``stepped`` (every register, every cycle) or ``functional`` (the same values and events, faster).
        overrides: such as ``"array.rows=32"``.

    Raises:
        ConfigError: a wrong specification, workload or input.
        UnsupportedError: an operator without an integer form.
        AccumulatorOverflowError: an add overflowed under ``overflow: error``.
        CheckFailedError: machine and shadow differ.
    """
    spec = load_arch(architecture, overrides) if not isinstance(architecture, ArchSpec) else architecture
    read = workload if isinstance(workload, Workload) else read_workload(workload)
    chosen = choose_samples(read, inputs=inputs, labels=labels, samples=samples)
    return simulate(spec, chosen, engine=engine, with_data=True)


def choose_samples(
    workload: Workload,
    *,
    inputs: Inputs | None = None,
    labels: IntArray | None = None,
    samples: int | None = None,
) -> Samples:
    """Choose what to run and compute the float network's outputs for it.

    Raises:
        ConfigError: there are no inputs, or they are of the wrong shape or number.
    """
    if labels is not None and inputs is None:
        raise ConfigError("labels without inputs; allowed: both, or the workload's own")
    if inputs is None:
        inputs, labels = workload.inputs, workload.labels
    if inputs is None:
        raise ConfigError(f"workload {workload.name} has no inputs of its own; allowed: give some (--inputs)")
    network = workload.network
    named = _named_inputs(network, inputs)
    count = len(named[network.input])
    if labels is not None and labels.shape != (count,):
        raise ConfigError(f"labels of shape {list(labels.shape)}; allowed: [{count}], one for each input")
    classes = int(np.prod(workload.network.tensors[workload.network.output].shape))
    if labels is not None and not np.all((labels >= 0) & (labels < classes)):
        raise ConfigError(f"labels from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}, as outputs")
    if samples is not None and not 1 <= samples <= count:
        raise ConfigError(f"{samples} samples; allowed: 1 to {count}")
    chosen = Samples(workload, named, labels, None).part(slice(samples))
    if network.holds_codes:
        return chosen
    return replace(chosen, float_outputs=float_output(network, chosen.inputs[network.input]))


def _named_inputs(network: Network, inputs: Inputs) -> dict[str, Values]:
    """Return an array for each input of the network.

    Raises:
        ConfigError: one is missing or unknown, or of the wrong type, shape or number of samples.
    """
    named = inputs if isinstance(inputs, Mapping) else {network.input: inputs}
    if set(named) != set(network.inputs):
        given, wanted = (", ".join(sorted(names)) or "none" for names in (named, network.inputs))
        raise ConfigError(f"inputs for {given}; allowed: one array for each of {wanted}")
    if not network.holds_codes:
        check_inputs(network, named[network.input])
        return dict(named)
    codes = {name: check_codes(network, name, np.asarray(named[name])) for name in network.inputs}
    counts = {len(values) for values in codes.values()}
    if len(counts) != 1:
        raise ConfigError(f"inputs of {', '.join(map(str, sorted(counts)))} samples; allowed: as many of each")
    return codes


def compile_workload(spec: ArchSpec, workload: Workload) -> Compiled:
    """Quantize, lower and plan a workload for an architecture.

    Raises:
        ConfigError: no calibration data, or an operand that does not fit a scratchpad.
        UnsupportedError: an operator without an integer form.
    """
    network = _quantized(spec, workload)
    steps = network.lower(lowering_options(spec, holds_codes=network.holds_codes))
    _check_widths(spec, steps)
    params = {step.name: _array_params(spec, step) for step in steps if isinstance(step, MatmulStep)}
    layers = plan_network(
        steps,
        params,
        spec.scratchpads,
        bits={name: _size_bits(network.tensors[name]) for name in network.activations},
        outputs=network.outputs,
    )
    return Compiled(steps, params, layers, network)


def _quantized(spec: ArchSpec, workload: Workload) -> Network:
    """Return a network of integers: the file's own, or one that is made here."""
    if workload.network.holds_codes:
        return workload.network
    if workload.calibration is None:
        raise ConfigError(f"workload {workload.name} has no calibration data; allowed: data.calibration in its YAML")
    return quantize(
        workload.network,
        workload.calibration,
        spec.quantization,
        weight_bits=spec.array.weight_bits,
        activation_bits=spec.array.activation_bits,
    )


def _check_widths(spec: ArchSpec, steps: Sequence[Step]) -> None:
    """Refuse matrix products of operands wider than the array's.

    Raises:
        ConfigError: one line for each product and operand.
    """
    problems = []
    for step in steps:
        if not isinstance(step, MatmulStep):
            continue
        widths = (
            ("activation", step.activation_format.bits, spec.array.activation_bits),
            ("weight", step.weight_format.bits, spec.array.weight_bits),
        )
        problems += [
            f"layer {step.name}: {operand}s of {bits} bits; array.{operand}_bits is {allowed}; allowed: {bits} or more"
            for operand, bits, allowed in widths
            if bits > allowed
        ]
    if problems:
        raise ConfigError(problems)


def simulate(spec: ArchSpec, chosen: Samples, *, engine: EngineName, with_data: bool) -> RunResult:
    """Run chosen samples on an architecture.

    ``with_data`` runs the first sample on the machine with real operands and compares; without, the machine runs
    for timing alone (same cycles and counts) and single events are not kept.
    """
    compiled = compile_workload(spec, chosen.workload)
    codes = compiled.codes(chosen.inputs)
    whole = run_integer(compiled.steps, compiled.params, codes, keep=[compiled.output])
    outputs = compiled.reals(whole.values[compiled.output])
    first = {name: values[:1] for name, values in codes.items()}
    runs = run_machine(compiled.layers, spec, sample_data(first, engine) if with_data else None)
    if with_data:
        written = [one.plan.output for one in runs]
        _compare(runs, run_integer(compiled.steps, compiled.params, first, keep=written))
    account = Account(EnergyTable.load(spec.energy_table), energy_context(spec))
    reference = None if chosen.float_outputs is None else chosen.float_outputs.reshape(outputs.shape)
    events, left_out = _first_events(runs)
    return RunResult(
        version=__version__,
        architecture=spec.model_dump(mode="json"),
        workload=chosen.workload.name,
        engine=engine,
        samples=chosen.count,
        accuracy=None if chosen.labels is None else accuracy(outputs, chosen.labels),
        float_accuracy=None if chosen.labels is None or reference is None else accuracy(reference, chosen.labels),
        sqnr_db=None if reference is None else sqnr_db(reference, outputs),
        layer_results=tuple(_layer_result(one, spec, account, whole.overflows.get(one.plan.name)) for one in runs),
        events_kept=events,
        events_left_out=left_out,
    )


def integer_tensors(spec: ArchSpec, chosen: Samples) -> dict[str, Values]:
    """Return the codes of every activation tensor by name, (samples, *shape), as the array computes them.

    Codes of a file have the type that they have there, others are int64.
    """
    compiled = compile_workload(spec, chosen.workload)
    network, codes = compiled.network, compiled.codes(chosen.inputs)
    named = [step.output for step in compiled.steps if not network.tensors[step.output].is_internal]
    values = codes | run_integer(compiled.steps, compiled.params, codes, keep=named).values
    shaped = {name: one.reshape(-1, *network.sample_shape(name)) for name, one in values.items()}
    return {name: _as_stored(network, name, one) for name, one in shaped.items()}


def _as_stored(network: Network, name: str, values: Values) -> Values:
    grid = network.tensors[name].quantization
    if not network.holds_codes or grid is None:
        return values
    return values.astype(f"i{grid.format.bits // BITS_PER_BYTE}")


def sample_data(codes: Mapping[str, IntArray], engine: EngineName) -> SampleData:
    """Return what the machine starts from with one sample's codes, (1, elements) for each input."""
    return SampleData({name: values[0] for name, values in codes.items()}, make_engine(engine), MAX_EVENTS)


def lowering_options(spec: ArchSpec, *, holds_codes: bool = False) -> LoweringOptions:
    """Say what the hardware round the array is, in the network's terms; files of codes have a profile by default."""
    requantizer, lut = spec.requantizer, spec.activation_lut
    return LoweringOptions(
        requantizer=RequantizerOptions(requantizer.scheme, requantizer.rounding, requantizer.multiplier_bits),
        lut=LutOptions(lut.entries, *lut.input_range, lut.output_bits, lut.interpolation),
        zero_point=spec.array.zero_point,
        bias=requantizer.bias,
        profile=requantizer.rounding_profile or (DEFAULT_PROFILE if holds_codes else None),
    )


def energy_context(spec: ArchSpec) -> EnergyContext:
    """Say what energy depends on besides counts."""
    pads = spec.scratchpads
    return EnergyContext(
        weight_bits=spec.array.weight_bits,
        activation_bits=spec.array.activation_bits,
        accumulator_bits=spec.array.accumulator_bits,
        multiplier_bits=spec.requantizer.multiplier_bits,
        activation_scratchpad_bytes=pads.activations.capacity_bytes,
        weight_scratchpad_bytes=pads.weights.capacity_bytes,
        output_scratchpad_bytes=pads.outputs.capacity_bytes,
        lut_entries=spec.activation_lut.entries,
        lut_output_bits=spec.activation_lut.output_bits,
    )


def _size_bits(tensor: Tensor) -> int:
    width = REAL_BITS if tensor.quantization is None else tensor.quantization.format.bits
    return int(np.prod(tensor.shape)) * width


def _quantization(network: Network, tensor: str) -> Quantization:
    return quantization_of(network.tensors[tensor])


def _array_params(spec: ArchSpec, step: MatmulStep) -> ArrayParams:
    array = spec.array
    activations, weights = step.operand_formats
    return ArrayParams(
        rows=array.rows,
        cols=array.cols,
        dataflow=Dataflow(array.dataflow),
        activations=activations,
        weights=weights,
        accumulator=accumulator_format(array.weight_bits, array.activation_bits, array.guard_bits),
        overflow=array.overflow,
        fold_overlap=array.fold_overlap,
    )


def _compare(runs: Sequence[LayerRun], shadow: IntegerRun) -> None:
    """Hold what the machine has assembled against the array's shadow.

    Raises:
        CheckFailedError: naming the first layer and element, or PE, that differs.
    """
    for one in runs:
        expected = shadow.values[one.plan.output][0]
        differing = np.flatnonzero(expected != one.output)
        if differing.size:
            first = int(differing[0])
            found = None if one.output is None else int(one.output[first])
            raise CheckFailedError(
                f"layer {one.plan.name}: element {first} is {found} on the machine, {expected[first]} without its clock"
            )
        overflow = shadow.overflows.get(one.plan.name)
        if overflow is not None and (one.per_pe is None or not np.array_equal(overflow.per_pe, one.per_pe)):
            raise CheckFailedError(
                f"layer {one.plan.name}: overflow counts differ on the machine and without its clock"
            )


def _first_events(runs: Sequence[LayerRun]) -> tuple[tuple[OverflowEvent, ...], int]:
    """Return the first sample's events, layer after layer, up to the limit, and how many were left out."""
    kept = [
        OverflowEvent(one.plan.name, *(int(part) for part in event))
        for one in runs
        if one.events is not None
        for event in one.events
    ]
    total = sum(int(one.per_pe.sum()) for one in runs if one.per_pe is not None)
    first = tuple(kept[:MAX_EVENTS])
    return first, total - len(first)


def _layer_result(one: LayerRun, spec: ArchSpec, account: Account, overflow: LayerOverflow | None) -> LayerResult:
    product = one.plan.product
    shape: dict[str, Any] = dict.fromkeys(("out_rows", "depth", "out_cols", "groups", "macs", "array_cycles"), 0)
    if product is not None:
        step = product.step
        shape = {
            "out_rows": step.shape.out_rows,
            "depth": step.shape.depth,
            "out_cols": step.shape.out_cols,
            "groups": step.groups,
            "macs": product.macs,
            "array_cycles": product.array_cycles,
        }
    energy = account.entries(one.counts)
    return LayerResult(
        layer=one.plan.name,
        **shape,
        total_cycles=one.total_cycles,
        **{part: one.cycles[part.removesuffix("_cycles")] for part in CYCLE_PARTS},
        utilization=utilization(shape["macs"], spec.array.rows, spec.array.cols, one.total_cycles),
        energy_pj=sum(entry.energy_pj for entry in energy),
        overflow_events=overflow.events if overflow else 0,
        preload_overflow_events=overflow.preload if overflow else 0,
        weight_bits=spec.array.weight_bits,
        activation_bits=spec.array.activation_bits,
        accumulator_bits=spec.array.accumulator_bits,
        energy=tuple(energy),
        pe_overflows=sparse_overflows(overflow.per_pe) if overflow else (),
    )
