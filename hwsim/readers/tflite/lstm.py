"""UNIDIRECTIONAL_SEQUENCE_LSTM: of int8 with a 16-bit cell state, unrolled into its time steps, or of reals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.lstm_unroll import (
    MAX_STEPS,
    Lstm,
    LstmLayer,
    hidden_of,
    last_state,
    output_grid,
    unroll,
    with_grids,
)
from hwsim.network.operators.moves import Pack
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.lstm import GATES, StateGrids
from hwsim.numerics.quantization import Quantization
from hwsim.readers.tflite.model import NO_TENSOR, FileTensor
from hwsim.readers.tflite.source import Source
from hwsim.readers.tflite.types import REAL

INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = slice(1, 5), slice(5, 9), slice(12, 16)
HIDDEN, CELL = 18, 19
INPUTS = 24
LEFT_OUT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalization
TANH = 4


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sequences at once, their steps, inputs of a step, cells."""

    batch: int
    steps: int
    inputs: int
    cells: int


def build_lstm(source: Source) -> tuple[list[Operator], list[Tensor]]:
    """Return the unrolled operators, and the tensors between them that the file does not have.

    Raises:
        UnsupportedError: a variant that is not supported.
        ConfigError: tensors that do not go together.
    """
    _check_variant(source)
    sizes = _check_sizes(source)
    if source.model.is_real:
        return _real_lstm(source, sizes)
    weights = [
        _weights(source, f"{source.output}.{part}", where)
        for part, where in (("input_weights", INPUT_WEIGHTS), ("recurrent_weights", RECURRENT_WEIGHTS))
    ]
    bias = np.concatenate(_codes(source, BIASES))
    constants = [*weights, Tensor(f"{source.output}.bias", bias.shape, bias, is_internal=True)]
    layer = _layer(source, sizes, tuple(constant.name for constant in constants))
    built, sequence, states = unroll(layer), _grid(source.tensor(0)), _states(source)
    grids = {operator.output: output_grid(operator, states) for operator in built.operators}
    ordered = zip(*built.states, strict=True) if layer.time_major else built.states
    read = tuple(state for group in ordered for state in group)
    operators = [
        *(with_grids(operator, sequence, states) for operator in built.operators),
        hidden_of(layer, read, source.output, _output(source).shape),
    ]
    between = [replace(tensor, quantization=grids[tensor.name]) for tensor in built.tensors]
    for part, place in enumerate((HIDDEN, CELL)):
        last, more = _last_states(layer, built.states, part, source.tensor(place))
        operators += last
        between += more
    return operators, [*constants, *between]


def _layer(source: Source, sizes: _Sizes, constants: tuple[str, ...]) -> LstmLayer:
    return LstmLayer(
        source.name,
        source.output,
        str(source.tensor(0).index),
        sizes.steps,
        sizes.inputs,
        sizes.cells,
        constants,
        batch=sizes.batch,
        time_major=bool(source.operator.options["TimeMajor"]),
    )


def _last_states(
    layer: LstmLayer, states: tuple[tuple[str, ...], ...], part: int, variable: FileTensor
) -> tuple[list[Operator], list[Tensor]]:
    """Return what the variable of hidden or cell states holds in the end: the last states, packed if several."""
    name, grid = str(variable.index), _grid(variable)
    if layer.batch == 1:
        return [last_state(layer, 0, states[0], part, name)], [Tensor(name, (layer.cells,), quantization=grid)]
    names = tuple(f"{name}.{number}" for number in range(layer.batch))
    operators: list[Operator] = [
        last_state(layer, number, states[number], part, output) for number, output in enumerate(names)
    ]
    tensors = [Tensor(one, (layer.cells,), quantization=grid, is_internal=True) for one in names]
    operators.append(Pack(f"{layer.name}_last_{part}", names, name, names, 0))
    return operators, [*tensors, Tensor(name, (layer.batch, layer.cells), quantization=grid)]


def _real_lstm(source: Source, sizes: _Sizes) -> tuple[list[Operator], list[Tensor]]:
    """Return one layer of reals, which is unrolled when it is quantized.

    Raises:
        UnsupportedError: several sequences at once.
    """
    if sizes.batch > 1:
        raise UnsupportedError(f"{source.operator.label}: {sizes.batch} sequences of reals; allowed: 1")
    prefix = source.output
    constants = []
    for name, where in (
        ("input_weights", INPUT_WEIGHTS), ("recurrent_weights", RECURRENT_WEIGHTS), ("bias", BIASES)
    ):  # fmt: skip
        parts = [np.asarray(one.data, np.float64).T for one in _tensors(source, where)]
        data = np.concatenate(parts, axis=-1)
        constants.append(Tensor(f"{prefix}.{name}", data.shape, data, is_internal=True))
    lstm = Lstm(
        source.name,
        (str(source.tensor(0).index),),
        prefix,
        input_weight=constants[0].name,
        recurrent_weight=constants[1].name,
        bias=constants[2].name,
        cells=sizes.cells,
        returns_sequences=True,
        cell_clip=_cell_clip(source),
    )
    return [lstm], constants


def _cell_clip(source: Source) -> float:
    clip = float(source.operator.options["CellClip"])
    if not np.isfinite(clip):
        raise ConfigError(f"{source.operator.label}: cell clip {clip}")
    return clip


def _check_variant(source: Source) -> None:
    label, options = source.operator.label, source.operator.options
    if len(source.operator.inputs) != INPUTS:
        raise ConfigError(f"{label}: {len(source.operator.inputs)} inputs; allowed: {INPUTS}")
    if any(source.operator.inputs[place] != NO_TENSOR for place in LEFT_OUT):
        raise UnsupportedError(f"{label} with peepholes, projection or layer normalization; allowed: none of them")
    if options["FusedActivationFunction"] != TANH:
        raise UnsupportedError(f"{label}: fused activation {options['FusedActivationFunction']}; allowed: tanh")
    wanted = dict.fromkeys((0, *range(1, 9), HIDDEN), "INT8") | {CELL: "INT16"}
    wanted |= dict.fromkeys(range(12, 16), "INT32")
    if source.model.is_real:
        wanted = dict.fromkeys(wanted, REAL)
    for place, dtype in wanted.items():
        if source.tensor(place).dtype != dtype:
            raise UnsupportedError(f"{label}: input {place} is {source.tensor(place).dtype}; allowed: {dtype}")
    if not (source.tensor(HIDDEN).is_variable and source.tensor(CELL).is_variable):
        raise ConfigError(f"{label}: inputs {HIDDEN} and {CELL} are no variables")


def _check_sizes(source: Source) -> _Sizes:
    label, shape, output = source.operator.label, source.shape, _output(source).shape
    if len(shape) != 3 or source.tensor(0).data is not None:
        raise UnsupportedError(f"{label}: input of shape {list(shape)}; allowed: sequences")
    batch, steps = shape[:2][::-1] if source.operator.options["TimeMajor"] else shape[:2]
    sizes = _Sizes(batch, steps, shape[2], output[-1] if output else 0)
    cells, inputs = sizes.cells, sizes.inputs
    wanted = [(INPUT_WEIGHTS, (cells, inputs)), (RECURRENT_WEIGHTS, (cells, cells)), (BIASES, (cells,))]
    fits = all(one.shape == size and one.data is not None for where, size in wanted for one in _tensors(source, where))
    states = {source.tensor(place).shape for place in (HIDDEN, CELL)}
    if not fits or states != {(batch, cells)} or output != (*shape[:2], cells) or min(batch, steps, inputs, cells) < 1:
        raise ConfigError(f"{label}: weights, biases, states and output of shapes that do not go together")
    if batch * steps > MAX_STEPS:
        raise UnsupportedError(f"{label}: {batch} sequences of {steps} time steps; allowed: {MAX_STEPS} in all")
    return sizes


def _states(source: Source) -> StateGrids:
    hidden, output = _grid(source.tensor(HIDDEN)), _grid(_output(source))
    if hidden.scale != output.scale or hidden.zero_point != output.zero_point:
        raise UnsupportedError(f"{source.operator.label}: hidden state and output of other scales or zero points")
    return StateGrids(hidden, float(_grid(source.tensor(CELL)).scale), _cell_clip(source))


def _codes(source: Source, where: slice) -> list[IntArray]:
    return [np.asarray(one.data, np.int64) for one in _tensors(source, where)]


def _tensors(source: Source, where: slice) -> list[FileTensor]:
    return [source.tensor(place) for place in range(where.start, where.stop)]


def _output(source: Source) -> FileTensor:
    return source.model.tensors[int(source.output)]


def _grid(tensor: FileTensor) -> Quantization:
    """Return a tensor's quantization, which is per tensor.

    Raises:
        ConfigError: it has none, or one that makes no sense.
    """
    if tensor.scales.size != 1:
        raise ConfigError(f"tensor {tensor.index}: {tensor.scales.size} scales; allowed: 1")
    word = IntFormat(16 if tensor.dtype == "INT16" else 8)
    return Quantization(tensor.scales.reshape(()), tensor.zero_points.reshape(()), word)


def _weights(source: Source, name: str, where: slice) -> Tensor:
    """Return the weights of all gates as (depth, 4 cells); each gate has one scale."""
    data = np.concatenate([codes.T for codes in _codes(source, where)], axis=1)
    cells = data.shape[1] // len(GATES)
    scales = np.repeat([float(_grid(one).scale) for one in _tensors(source, where)], cells)
    grid = Quantization(scales, np.zeros(scales.shape, np.int64), IntFormat(8), axis=1)
    return Tensor(name, data.shape, data, grid, is_internal=True)
