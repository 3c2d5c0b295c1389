"""From a specification and a workload to a result: the one place that sees the whole way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np

from hwsim import __version__
from hwsim.accounting import layer_results
from hwsim.array.gemm import EngineName, make_engine
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.energy.table import EnergyTable
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.execute.codes import Values
from hwsim.execute.integer import IntegerRun, run_integer
from hwsim.machine.machine import LayerRun, SampleData, run_machine
from hwsim.machine.tracing import Sink
from hwsim.metrics.sqnr import accuracy, sqnr_db
from hwsim.network.network import Network, no_values
from hwsim.numerics.formats import IntArray
from hwsim.quantize.random_values import with_random_values
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.run_result import OverflowEvent, RunResult
from hwsim.samples import Inputs, Samples, choose_samples, with_calibration
from hwsim.simulate_float import float_tensors, prepare_float, simulate_float

MAX_EVENTS = 10_000
DEFAULT_ENGINE: EngineName = "stepped"
TIMING = "timing"  # what a result has in place of an engine's name where there are no values
BITS_PER_BYTE = 8


def run(
    architecture: str | Path | ArchSpec,
    workload: str | Path | Workload,
    *,
    inputs: Inputs | None = None,
    labels: IntArray | None = None,
    calibration: Inputs | None = None,
    samples: int | None = None,
    engine: EngineName | None = None,
    random_values: int | None = None,
    overrides: Sequence[str] = (),
) -> RunResult:
    """Run a workload on an architecture and return cycles, energy, overflows and accuracy.

    With the stepped engine the first sample, or as many as ``mapping.batch`` says, runs on the machine with data; what
    comes out must equal the array's shadow that computes the other samples. With the functional engine the shadow
    computes all samples, and the machine runs for timing. A workload of shapes alone is timed without data: its result
    has 0 samples and no accuracy.

    Args:
        architecture: a path, a shipped name, or a specification.
        workload: a path, a shipped name, or a workload that has been read.
        inputs: samples to run, (samples, *input shape), or one array for each input by its tensor's name; the
            workload's own if None. A ``.tflite`` file takes codes, of the types that it says.
        labels: class numbers of ``inputs``.
        calibration: samples to quantize a network of reals by, as ``inputs``; the workload's own if None.
        samples: how many of the inputs to run, from the first; all if None.
        engine: ``stepped`` (every register, every cycle; if None) or ``functional`` (the same values and events,
            faster; the only one for an array of floats).
        random_values: a seed: a workload of shapes alone gets random integers and samples for one batch, and runs like
            one that has values.
        overrides: such as ``"array.rows=32"``.

    Raises:
        ConfigError: a wrong specification, workload or input.
        UnsupportedError: an operator without an integer form.
        AccumulatorOverflowError: an add overflowed under ``overflow: error``.
        CheckFailedError: machine and shadow differ.
    """
    spec = load_arch(architecture, overrides) if not isinstance(architecture, ArchSpec) else architecture
    read = workload if isinstance(workload, Workload) else read_workload(workload)
    if random_values is not None:
        read = with_random_values(read, spec, random_values)
    if calibration is not None:
        read = with_calibration(read, calibration)
    chosen = choose_samples(read, inputs=inputs, labels=labels, samples=samples)
    return simulate(spec, chosen, engine=chosen_engine(spec, read, engine), with_data=True)


def chosen_engine(spec: ArchSpec, workload: Workload, engine: EngineName | None) -> EngineName:
    """Return the engine that was asked for, or the one that runs if none was: the functional one for floats.

    Raises:
        ConfigError: the workload has nothing to run an engine on, or the engine does not step floats.
    """
    if spec.array.float_formats is not None:
        if engine == "stepped":
            raise ConfigError(
                f"engine stepped with array.number_format {spec.array.number_format}: registers are stepped for "
                "integers only; allowed: functional"
            )
        return "functional"
    if engine is not None and not workload.network.has_values:
        raise ConfigError(f"engine {engine}: {no_values(workload.name)}")
    return engine or DEFAULT_ENGINE


def simulate(
    spec: ArchSpec, chosen: Samples, *, engine: EngineName, with_data: bool, trace: Sink | None = None
) -> RunResult:
    """Run chosen samples on an architecture.

    ``with_data`` runs the first batch on the machine with real operands and compares, if ``engine`` steps its folds;
    without, the machine runs for timing alone (same cycles and counts) and single events are not kept. A workload of
    shapes alone is timed.
    An array of floats always runs for timing alone, and its values are the functional engine's. ``trace`` is told what
    every unit of the machine does when.

    Raises:
        ConfigError: a trace of an array of floats, or fewer samples than a batch has.
    """
    if spec.array.float_formats is not None:
        if trace is not None:
            raise ConfigError(f"trace with array.number_format {spec.array.number_format}; allowed: integer")
        return simulate_float(spec, chosen, __version__)
    compiled = _compiled(spec, chosen)
    if not compiled.network.has_values:
        return _timed(spec, compiled, trace)
    codes = compiled.codes(chosen.inputs)
    if with_data:
        run_samples = _checked_run if engine == "stepped" else _functional_run
        whole, runs = run_samples(spec, compiled, codes, trace)
    else:
        whole = _values(compiled, codes)
        runs = run_machine(compiled.layers, spec, trace=trace)
    outputs = compiled.reals(whole.values[compiled.output])
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
        layer_results=layer_results(runs, spec, whole.overflows),
        events_kept=events,
        events_left_out=left_out,
    )


def check_run(spec: ArchSpec, chosen: Samples) -> None:
    """Refuse what ``simulate`` refuses, as far as that is known without running anything.

    Raises:
        ConfigError: too few samples for a batch, a layer that does not fit, an unknown energy table, ….
        UnsupportedError: an operator without an integer form.
    """
    if spec.array.float_formats is None:
        _compiled(spec, chosen)
    else:
        prepare_float(spec, chosen)
    EnergyTable.load(spec.energy_table)


def _compiled(spec: ArchSpec, chosen: Samples) -> Compiled:
    compiled = compile_workload(spec, chosen.workload)
    if compiled.network.has_values:
        chosen.check_batch(compiled.batch)
    return compiled


def _checked_run(
    spec: ArchSpec, compiled: Compiled, codes: Mapping[str, IntArray], trace: Sink | None
) -> tuple[IntegerRun, list[LayerRun]]:
    """Run all samples without the clock, and the first batch stepped on the machine with data, where both must agree.

    Raises:
        CheckFailedError: they do not.
    """
    first, others = _first_and_others(compiled, codes)
    written = [layer.output for layer in compiled.layers]
    steps = compiled.steps_of(compiled.batch)
    shadow = run_integer(steps, compiled.params, first, keep=sorted({*written, compiled.output}))
    runs = run_machine(compiled.layers, spec, sample_data(first, "stepped"), trace=trace)
    _compare(runs, shadow)
    return _with_others(compiled, shadow, others), runs


def _functional_run(
    spec: ArchSpec, compiled: Compiled, codes: Mapping[str, IntArray], trace: Sink | None
) -> tuple[IntegerRun, list[LayerRun]]:
    """Run all samples without the clock, keeping the first batch's events, and the machine for timing."""
    first, others = _first_and_others(compiled, codes)
    steps = compiled.steps_of(compiled.batch)
    values = run_integer(steps, compiled.params, first, keep=[compiled.output], max_events=MAX_EVENTS)
    runs = run_machine(compiled.layers, spec, trace=trace)
    found = [values.overflows.get(one.plan.name) for one in runs]
    placed = [
        one if overflow is None else replace(one, per_pe=overflow.per_pe, events=overflow.first)
        for one, overflow in zip(runs, found, strict=True)
    ]
    return _with_others(compiled, values, others), placed


def _first_and_others(
    compiled: Compiled, codes: Mapping[str, IntArray]
) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Return the first batch as one sample, (1, elements), and the samples after it."""
    others = {name: values[compiled.batch :] for name, values in codes.items()}
    return together(codes, compiled.batch), others


def together(codes: Mapping[str, IntArray], batch: int) -> dict[str, IntArray]:
    """Return the first ``batch`` samples as one, (1, elements) for each input."""
    return {name: values[:batch].reshape(1, -1) for name, values in codes.items()}


def _with_others(compiled: Compiled, first: IntegerRun, others: Mapping[str, IntArray]) -> IntegerRun:
    """Return the run of the first batch followed by that of the others, if there are any, sample by sample."""
    first = first.apart(compiled.batch)
    return first.followed_by(_values(compiled, others)) if len(others[compiled.input]) else first


def _values(compiled: Compiled, codes: Mapping[str, IntArray]) -> IntegerRun:
    """Run samples without the clock, in batches; the last one may be smaller."""
    count = len(codes[compiled.input])
    rest = count % compiled.batch
    parts = [(slice(count - rest), compiled.batch)] * (count > rest) + [(slice(count - rest, None), rest)] * bool(rest)
    runs = []
    for part, batch in parts:
        batches = {name: np.reshape(values[part], (-1, batch * values.shape[1])) for name, values in codes.items()}
        run = run_integer(compiled.steps_of(batch), compiled.params, batches, keep=[compiled.output])
        runs.append(run.apart(batch))
    return reduce(IntegerRun.followed_by, runs)


def _timed(spec: ArchSpec, compiled: Compiled, trace: Sink | None) -> RunResult:
    """Run the machine without data: no sample, and so no accuracy and no overflow."""
    return RunResult(
        version=__version__,
        architecture=spec.model_dump(mode="json"),
        workload=compiled.network.name,
        engine=TIMING,
        samples=0,
        accuracy=None,
        float_accuracy=None,
        sqnr_db=None,
        layer_results=layer_results(run_machine(compiled.layers, spec, trace=trace), spec, {}),
    )


def all_tensors(spec: ArchSpec, chosen: Samples) -> dict[str, Values]:
    """Return every activation tensor by name, (samples, *shape): codes, or float32 of an array of floats."""
    return integer_tensors(spec, chosen) if spec.array.float_formats is None else float_tensors(spec, chosen)


def integer_tensors(spec: ArchSpec, chosen: Samples) -> dict[str, Values]:
    """Return the codes of every activation tensor by name, (samples, *shape), as the array computes them.

    Codes of a file have the type that they have there, others are int64.
    """
    compiled = compile_workload(spec, chosen.workload)
    network, codes = compiled.network, compiled.codes(chosen.inputs)
    named = [step.output for step in compiled.steps if not network.tensors[step.output].is_internal]
    given = {name: codes[name] for name in network.inputs}
    values = given | run_integer(compiled.steps, compiled.params, codes, keep=named).values
    shaped = {name: network.from_elements(name, one) for name, one in values.items()}
    return {name: _as_stored(network, name, one) for name, one in shaped.items()}


def _as_stored(network: Network, name: str, values: Values) -> Values:
    grid = network.tensors[name].quantization
    if not network.holds_codes or grid is None:
        return values
    width = next(width for width in (1, 2, 4) if grid.format.bits <= width * BITS_PER_BYTE)
    return values.astype(f"{'i' if grid.format.signed else 'u'}{width}")


def sample_data(codes: Mapping[str, IntArray], engine: EngineName) -> SampleData:
    """Return what the machine starts from with one sample's codes, (1, elements) for each input."""
    return SampleData({name: values[0] for name, values in codes.items()}, make_engine(engine), MAX_EVENTS)


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
    """Return the first batch's events, layer after layer, up to the limit, and how many were left out."""
    kept = [
        OverflowEvent(one.plan.name, *(int(part) for part in event))
        for one in runs
        if one.events is not None
        for event in one.events
    ]
    total = sum(int(one.per_pe.sum()) for one in runs if one.per_pe is not None)
    first = tuple(kept[:MAX_EVENTS])
    return first, total - len(first)
