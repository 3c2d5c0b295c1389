"""Where a quantized network loses accuracy: each layer's output against the float network's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import chunks, float_values
from hwsim.execute.integer import run_integer
from hwsim.metrics.tensor_error import CodeTally, FloatTally
from hwsim.network.elementwise_steps import MoveStep
from hwsim.network.network import Network
from hwsim.network.operator import quantization_of
from hwsim.network.operators.depth_groups import SUM_SUFFIX, DepthProducts
from hwsim.network.operators.elementwise import Flatten
from hwsim.quantize.fuse import fuse
from hwsim.results.run_result import RunResult
from hwsim.results.tensor_error import TensorError
from hwsim.samples import Samples
from hwsim.simulate import simulate
from hwsim.simulate_float import float_tensors

INPUT = "input"


def run_with_errors(spec: ArchSpec, chosen: Samples) -> RunResult:
    """Return the result of a run that also has ``errors``: one row for the input and one for each layer.

    The first sample takes its cycles from the machine without data; values are the functional array's.

    Raises:
        ConfigError: the network has shapes alone, or ranges are found at run time.
        UnsupportedError: there is no float network to compare with.
    """
    chosen.workload.network.check_values()
    if chosen.workload.network.holds_codes:
        raise UnsupportedError(
            f"workload {chosen.workload.name} keeps its file's own numbers: there is no float network to compare with"
        )
    if spec.quantization.mode == "dynamic" and spec.array.float_formats is None:
        raise ConfigError(
            "analyze error with quantization.mode dynamic: tensors between layers are reals there, with ranges of each "
            "sample's own; allowed: mode static"
        )
    result = simulate(spec, chosen, engine="functional", with_data=False)
    errors = tensor_errors if spec.array.float_formats is None else float_errors
    return replace(result, tensor_errors=tuple(errors(spec, chosen)))


def float_errors(spec: ArchSpec, chosen: Samples) -> Iterator[TensorError]:
    """Yield the errors of every activation tensor of an array of floats, but those that are another in a new shape."""
    assert spec.array.float_formats is not None  # noqa: S101  (the caller's choice)
    network, word = fuse(chosen.workload.network), spec.array.float_formats[0]
    written = {one.output: one.name for one in network.operators if not isinstance(one, Flatten)}
    names = _inputs(network) | written
    tallies = {name: FloatTally(word) for name in names}
    for chunk in chunks(network, chosen.count):
        part = chosen.part(chunk)
        found = float_tensors(spec, part)
        for name, reference in float_values(network, part.inputs):
            if name in tallies:
                tallies[name].add(reference, found[name])
    for name, tally in tallies.items():
        yield tally.result(names[name], name)


def tensor_errors(spec: ArchSpec, chosen: Samples) -> Iterator[TensorError]:
    """Yield the errors of every activation tensor but those that are another one in a new shape, in order."""
    compiled = compile_workload(spec, chosen.workload)
    network = fuse(chosen.workload.network)
    names = _layers(compiled)
    grids = compiled.network.tensors
    tallies = {name: CodeTally(quantization_of(grids[name])) for name in names}
    for chunk in chunks(network, chosen.count):
        part = chosen.part(chunk)
        codes = compiled.codes(part.inputs)
        found = run_integer(compiled.steps, compiled.params, codes, keep=list(names)).values
        for name, reference in float_values(network, part.inputs):
            if name in tallies:
                tallies[name].add(reference, found[name])
    for name, tally in tallies.items():
        yield tally.result(names[name], name)


def _inputs(network: Network) -> dict[str, str]:
    """Return what stands for a layer beside each input."""
    return dict.fromkeys(network.inputs, INPUT)


def _layers(compiled: Compiled) -> dict[str, str]:
    """Return the layer that writes each tensor that the float network has too."""
    network: Network = compiled.network
    partial = {operator.output for operator in network.operators if isinstance(operator, DepthProducts)}
    written = [step for step in compiled.steps if not isinstance(step, MoveStep) and step.output not in partial]
    return _inputs(network) | {step.output: step.name.removesuffix(SUM_SUFFIX) for step in written}
