"""From a specification and a workload to a result: the one place that sees the whole way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from hwsim.quantize.post_training import quantize
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.layer_result import CYCLE_PARTS, LayerResult, sparse_overflows
from hwsim.results.run_result import OverflowEvent, RunResult, utilization

MAX_EVENTS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What a workload is run on: inputs, labels if there are any, and the float network's outputs for them."""

    workload: Workload
    inputs: FloatArray
    labels: IntArray | None
    float_outputs: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A workload made ready for one architecture."""

    steps: tuple[Step, ...]
    params: Mapping[str, ArrayParams]
    layers: tuple[LayerPlan, ...]
    input_quantization: Quantization
    output_quantization: Quantization
    input: str
    output: str


def run(
    architecture: str | Path | ArchSpec,
    workload: str | Path | Workload,
    *,
    inputs: FloatArray | None = None,
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
        inputs: samples to run, (samples, *input shape); the workload's own if None.
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
    inputs: FloatArray | None = None,
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
    check_inputs(workload.network, inputs)
    if labels is not None and labels.shape != (len(inputs),):
        raise ConfigError(f"labels of shape {list(labels.shape)}; allowed: [{len(inputs)}], one for each input")
    classes = int(np.prod(workload.network.tensors[workload.network.output].shape))
    if labels is not None and not np.all((labels >= 0) & (labels < classes)):
        raise ConfigError(f"labels from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}, as outputs")
    if samples is not None and not 1 <= samples <= len(inputs):
        raise ConfigError(f"{samples} samples; allowed: 1 to {len(inputs)}")
    chosen = inputs[:samples]
    return Samples(
        workload, chosen, None if labels is None else labels[:samples], float_output(workload.network, chosen)
    )


def compile_workload(spec: ArchSpec, workload: Workload) -> Compiled:
    """Quantize, lower and plan a workload for an architecture.

    Raises:
        ConfigError: no calibration data, or an operand that does not fit a scratchpad.
        UnsupportedError: an operator without an integer form.
    """
    if workload.calibration is None:
        raise ConfigError(f"workload {workload.name} has no calibration data; allowed: data.calibration in its YAML")
    network = quantize(
        workload.network,
        workload.calibration,
        spec.quantization,
        weight_bits=spec.array.weight_bits,
        activation_bits=spec.array.activation_bits,
    )
    steps = network.lower(lowering_options(spec))
    params = {step.name: _array_params(spec, step) for step in steps if isinstance(step, MatmulStep)}
    layers = plan_network(
        steps,
        params,
        spec.scratchpads,
        bits={name: _size_bits(network.tensors[name]) for name in network.activations},
        outputs=network.outputs,
    )
    ends = _quantization(network, network.input), _quantization(network, network.output)
    return Compiled(steps, params, layers, *ends, network.input, network.output)


def simulate(spec: ArchSpec, chosen: Samples, *, engine: EngineName, with_data: bool) -> RunResult:
    """Run chosen samples on an architecture.

    ``with_data`` runs the first sample on the machine with real operands and compares; without, the machine runs
    for timing alone (same cycles and counts) and single events are not kept.
    """
    compiled = compile_workload(spec, chosen.workload)
    flat = chosen.inputs.reshape(len(chosen.inputs), -1)
    codes = compiled.input_quantization.quantize(flat)
    whole = run_integer(compiled.steps, compiled.params, {compiled.input: codes}, keep=[compiled.output])
    outputs = compiled.output_quantization.dequantize(whole.values[compiled.output])
    sample = SampleData({compiled.input: codes[0]}, make_engine(engine), MAX_EVENTS) if with_data else None
    runs = run_machine(compiled.layers, spec, sample)
    if with_data:
        written = [one.plan.output for one in runs]
        _compare(runs, run_integer(compiled.steps, compiled.params, {compiled.input: codes[:1]}, keep=written))
    account = Account(EnergyTable.load(spec.energy_table), energy_context(spec))
    reference = chosen.float_outputs.reshape(outputs.shape)
    events, left_out = _first_events(runs)
    return RunResult(
        version=__version__,
        architecture=spec.model_dump(mode="json"),
        workload=chosen.workload.name,
        engine=engine,
        samples=len(codes),
        accuracy=None if chosen.labels is None else accuracy(outputs, chosen.labels),
        float_accuracy=None if chosen.labels is None else accuracy(reference, chosen.labels),
        sqnr_db=sqnr_db(reference, outputs),
        layer_results=tuple(_layer_result(one, spec, account, whole.overflows.get(one.plan.name)) for one in runs),
        events_kept=events,
        events_left_out=left_out,
    )


def integer_tensors(spec: ArchSpec, chosen: Samples) -> dict[str, IntArray]:
    """Return the codes of every activation tensor by name, (samples, *shape), as the array computes them."""
    compiled = compile_workload(spec, chosen.workload)
    codes = compiled.input_quantization.quantize(chosen.inputs.reshape(len(chosen.inputs), -1))
    outputs = {step.output: step.output_shape for step in compiled.steps}
    run = run_integer(compiled.steps, compiled.params, {compiled.input: codes}, keep=list(outputs))
    tensors = {compiled.input: codes.reshape(chosen.inputs.shape)}
    return tensors | {name: run.values[name].reshape(-1, *shape) for name, shape in outputs.items()}


def lowering_options(spec: ArchSpec) -> LoweringOptions:
    """Say what the hardware round the array is, in the network's terms."""
    requantizer, lut = spec.requantizer, spec.activation_lut
    return LoweringOptions(
        requantizer=RequantizerOptions(requantizer.scheme, requantizer.rounding, requantizer.multiplier_bits),
        lut=LutOptions(lut.entries, *lut.input_range, lut.output_bits, lut.interpolation),
        zero_point=spec.array.zero_point,
        bias=requantizer.bias,
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
    return int(np.prod(tensor.shape)) * quantization_of(tensor).format.bits


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
