"""A run on an array of floating-point MACs: cycles and energy from the machine, values from the functional array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.accounting import layer_results
from hwsim.array.float_product import FloatArray, Floats
from hwsim.array.params import Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.float_array import run_float
from hwsim.machine.machine import run_machine
from hwsim.mapping.plan import LayerPlan, sample_shares
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.metrics.sqnr import accuracy, sqnr_db
from hwsim.network.batch import batched
from hwsim.network.float_steps import FloatMatmulStep, lower_float
from hwsim.network.network import Network, no_values
from hwsim.network.steps import Step
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray as Reals
from hwsim.quantize.fuse import fuse
from hwsim.quantize.weight_only import decoded_weights
from hwsim.results.run_result import RunResult
from hwsim.samples import Samples


@dataclass(frozen=True, slots=True, eq=False)
class ReadyFloats:
    """A workload made ready for an array of floats: its network, steps of one sample, and layers of a batch."""

    array: FloatArray
    network: Network
    steps: tuple[Step, ...]
    layers: tuple[LayerPlan, ...]


def simulate_float(spec: ArchSpec, chosen: Samples, version: str) -> RunResult:
    """Run chosen samples on an array of floats; weights and activations are converted, nothing is quantized.

    ``overflow_events`` are products, adds and conversions whose result is infinite or NaN while what went in was
    finite. A sample with NaN among its outputs counts as wrong; ``sqnr_db`` is None if any output is not finite.
    ``version`` is hwsim's, for the result.

    Raises:
        ConfigError: there are fewer samples than a batch has.
        UnsupportedError: the workload has no float network, or operators that the machine does not have for floats.
        AccumulatorOverflowError: something overflowed under ``overflow: error``.
    """
    ready = prepare_float(spec, chosen)
    network = ready.network
    run = run_float(
        ready.steps,
        ready.array,
        _inputs(network, chosen),
        keep=[network.output],
        stop=spec.array.overflow == "error",
        batch=spec.mapping.batch,
        shares=sample_shares(ready.layers),
    )
    outputs = run.values[network.output].astype(np.float64)
    reference = None if chosen.float_outputs is None else chosen.float_outputs.reshape(outputs.shape)
    comparable = reference is not None and bool(np.isfinite(outputs).all())
    return RunResult(
        version=version,
        architecture=spec.model_dump(mode="json"),
        workload=chosen.workload.name,
        engine="functional",
        samples=chosen.count,
        accuracy=None if chosen.labels is None else accuracy_with_nan(outputs, chosen.labels),
        float_accuracy=None if chosen.labels is None or reference is None else accuracy(reference, chosen.labels),
        sqnr_db=sqnr_db(reference, outputs) if reference is not None and comparable else None,
        layer_results=layer_results(run_machine(ready.layers, spec), spec, run.overflows),
    )


def prepare_float(spec: ArchSpec, chosen: Samples) -> ReadyFloats:
    """Lower and plan a workload for an array of floats.

    Raises:
        ConfigError: there are fewer samples than a batch has, or a layer does not fit.
        UnsupportedError: the workload has no float network, or operators that the machine does not have for floats.
    """
    array = _array(spec)
    network = _float_network(spec, chosen, array)
    steps = lower_float(network, array.operand, array.accumulator)
    chosen.check_batch(spec.mapping.batch)
    return ReadyFloats(array, network, steps, _plan(spec, array, network, steps))


def float_tensors(spec: ArchSpec, chosen: Samples) -> dict[str, Floats]:
    """Return the values of every activation tensor by name, (samples, *shape), in float32, which holds them all."""
    array = _array(spec)
    network = _float_network(spec, chosen, array)
    steps = lower_float(network, array.operand, array.accumulator)
    names = [*network.inputs, *(step.output for step in steps)]
    values = run_float(steps, array, _inputs(network, chosen), keep=names).values
    return {name: one.astype(np.float32).reshape(-1, *network.tensors[name].shape) for name, one in values.items()}


def _inputs(network: Network, chosen: Samples) -> dict[str, Reals]:
    return {name: np.asarray(chosen.inputs[name], np.float64).reshape(chosen.count, -1) for name in network.inputs}


def accuracy_with_nan(outputs: Reals, labels: IntArray) -> float:
    """Return the fraction of samples whose largest output is their label's; one with NaN among them is wrong."""
    known = ~np.isnan(outputs).any(axis=1)
    return accuracy(outputs[known], labels[known]) * float(known.mean()) if known.any() else 0.0


def _array(spec: ArchSpec) -> FloatArray:
    """Return the array of an architecture of floats.

    Raises:
        ConfigError: it has integers.
    """
    if spec.array.float_formats is None:
        raise ConfigError("array.number_format integer; allowed: a float format")
    array = spec.array
    operand, accumulator = spec.array.float_formats
    dataflow = Dataflow(array.dataflow)
    return FloatArray(array.rows, array.cols, dataflow, operand, accumulator, fold_overlap=array.fold_overlap)


def _float_network(spec: ArchSpec, chosen: Samples, array: FloatArray) -> Network:
    """Return the network, its weights as a decoder makes them where memory holds their codes."""
    network = chosen.workload.network
    if not network.has_values:
        raise UnsupportedError(f"array of floats: {no_values(network.name)}, on an array of integers")
    if network.holds_codes:
        raise UnsupportedError(
            f"workload {chosen.workload.name} keeps its file's own numbers; allowed on an array of floats: networks of "
            "reals, which hwsim would quantize for an array of integers"
        )
    if spec.quantization.mode == "weight_only":
        return decoded_weights(fuse(network), spec.quantization, weight_bits=spec.array.weight_bits, word=array.operand)
    return fuse(network)


def _plan(spec: ArchSpec, array: FloatArray, network: Network, steps: Sequence[Step]) -> tuple[LayerPlan, ...]:
    """Plan the layers, for a batch: every tensor in words of the operands' format."""
    arrays = {step.name: array for step in steps if isinstance(step, FloatMatmulStep)}
    elements = {name: int(np.prod(network.tensors[name].shape)) for name in network.activations}
    batch, word_bits = spec.mapping.batch, array.operand.bits
    bits = {name: batch * count * word_bits for name, count in elements.items()}
    return plan_network(NetworkSteps(batched(steps, elements, batch), arrays, bits, network.outputs), spec)
