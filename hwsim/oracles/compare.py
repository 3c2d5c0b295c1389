"""Holds every tensor of a ``.tflite`` or quantized ``.onnx`` file against an interpreter's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.config.arch import ArchSpec
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.network.network import Network
from hwsim.oracles.ask import ONNX_RUNTIME, Array, Case, ask, require_oracle
from hwsim.oracles.interpreters import onnx_tensors
from hwsim.readers.tflite.parse import parse_file
from hwsim.samples import Samples
from hwsim.simulate import integer_tensors

CHUNK_ELEMENTS = 1 << 24
REALS_WITHOUT_GRID = 1.0
REAL_TOLERANCE = 1e-5  # kernels add up reals in other orders


@dataclass(frozen=True, slots=True)
class OracleAgreement:
    """What was compared and found equal, and the tensors that the oracle does not show."""

    oracle: str
    samples: int
    tensors: int
    elements: int
    not_compared: tuple[str, ...]


def compare_with_oracle(spec: ArchSpec, path: Path, chosen: Samples, oracle: str) -> OracleAgreement:
    """Run a file here and in an interpreter, and compare every tensor that both have.

    Args:
        spec: the architecture, with the oracle's rounding profile.
        path: the ``.tflite`` or ``.onnx`` file that ``chosen`` has been read from.
        chosen: what to run.
        oracle: a rounding profile's name.

    Raises:
        CheckFailedError: a tensor differs; the text names the first element of the first such tensor.
        ConfigError: the oracle is not installed, cannot run the file, or does not show its outputs.
    """
    require_oracle(oracle)
    numbers, names = _onnx_tensors(path) if oracle == ONNX_RUNTIME else _tflite_tensors(path)
    compared: dict[str, int] = {}
    hidden: dict[str, None] = {}
    for first, part in _chunks(chosen):
        theirs = _asked(oracle, path, part)
        for tensor, ours in integer_tensors(spec, part).items():
            if tensor not in numbers:
                continue  # what was given, or what reading makes of several nodes: no node of the file writes it
            if numbers[tensor] not in theirs:
                hidden[names[tensor]] = None
                continue
            _compare(names[tensor], ours, theirs[numbers[tensor]], oracle, first)
            compared[tensor] = compared.get(tensor, 0) + ours.size
    unseen = [names.get(name, f"'{name}'") for name in chosen.workload.network.outputs if name not in compared]
    if unseen:
        raise ConfigError(f"{path}: {oracle} does not show the outputs {', '.join(unseen)}: nothing is proved")
    return OracleAgreement(oracle, chosen.count, len(compared), sum(compared.values()), tuple(hidden))


def _tflite_tensors(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return numbers and labels of a file's tensors by their name here, which is the number."""
    tensors = parse_file(path).tensors
    labels = {str(tensor.index): f"{tensor.index} '{tensor.name}'" for tensor in tensors}
    return {str(tensor.index): tensor.index for tensor in tensors}, labels


def _onnx_tensors(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return numbers and labels of a file's tensors by name."""
    names = onnx_tensors(path)
    return {name: number for number, name in enumerate(names)}, {name: f"'{name}'" for name in names}


def _chunks(chosen: Samples) -> Iterator[tuple[int, Samples]]:
    """Yield as many samples at a time as keep all their tensors small, with the number of the first."""
    network = chosen.workload.network
    elements = sum(int(np.prod(network.tensors[name].shape)) for name in network.activations)
    size = max(1, CHUNK_ELEMENTS // elements)
    for first in range(0, chosen.count, size):
        yield first, chosen.part(slice(first, first + size))


def _asked(oracle: str, path: Path, part: Samples) -> Mapping[int, Array]:
    network = part.workload.network
    inputs = [_as_in_file(network, name, part.inputs[name]) for name in network.inputs]
    (answer,) = ask(oracle, [Case(path.read_bytes(), inputs)])
    if answer.failure:
        raise ConfigError(f"{path}: {oracle} cannot run it: {answer.failure}")
    return answer.tensors


def _as_in_file(network: Network, name: str, values: Array) -> Array:
    """Return samples with the whole shape and the type that the file gives its input."""
    tensor = network.tensors[name]
    grid = tensor.quantization
    word = "float32" if grid is None else f"{'' if grid.format.signed else 'u'}int{grid.format.bits}"
    return values.reshape(-1, *tensor.user_shape).astype(word)


def _differ(ours: Array, theirs: Array) -> Array:
    """Tell which elements differ; reals may by ``REAL_TOLERANCE`` of the tensor's greatest."""
    if not np.issubdtype(ours.dtype, np.floating):
        return np.asarray(ours != theirs)
    reach = np.abs(theirs).max(initial=0.0)
    return ~(np.abs(ours - theirs) <= REAL_TOLERANCE * reach)  # NaN differs from everything


def _compare(name: str, ours: Array, theirs: Array, oracle: str, first_sample: int) -> None:
    """Hold one tensor's samples against the oracle's, which may lay out an empty axis otherwise.

    Raises:
        CheckFailedError: naming the first element that differs.
    """
    differing = np.argwhere(_differ(ours, theirs.reshape(ours.shape)))
    if not len(differing):
        return
    place = tuple(int(part) for part in differing[0])
    other = theirs.reshape(ours.shape)[place]
    raise CheckFailedError(
        f"tensor {name}: element {list(place[1:])} of sample {first_sample + place[0]} is {ours[place]} here, "
        f"{other} in {oracle}; {len(differing):,} of {ours.size:,} elements differ"
    )


def random_inputs(network: Network, samples: int, seed: int) -> dict[str, Array]:
    """Return random samples for every input, even over its codes.

    A real input takes reals over the range of the tensor that it is quantized to, or in [-1, 1).
    """
    random = np.random.default_rng(seed)
    drawn: dict[str, Array] = {}
    for name in network.inputs:
        shape = (samples, *network.sample_shape(name))
        grid = network.tensors[name].quantization
        if grid is not None:
            drawn[name] = random.integers(grid.format.min, grid.format.max + 1, shape)
        else:
            drawn[name] = random.uniform(*_real_range(network, name), shape).astype(np.float32)
    return drawn


def _real_range(network: Network, name: str) -> tuple[float, float]:
    """Return the reals that the first reader's output can stand for."""
    for operator in network.readers(name):
        grid = network.tensors[operator.output].quantization
        if grid is not None:
            low, high = grid.dequantize(np.array([grid.format.min, grid.format.max + 1]))
            return float(low), float(high)
    return -REALS_WITHOUT_GRID, REALS_WITHOUT_GRID
