"""UNIDIRECTIONAL_SEQUENCE_LSTM: an int8 LSTM with a 16-bit cell state, unrolled into its time steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.lstm import GateSums, LstmCell, LstmHidden, LstmStart
from hwsim.network.operators.moves import Index
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.lstm_build import LstmTensors
from hwsim.readers.tflite.model import NO_TENSOR, FileTensor
from hwsim.readers.tflite.source import Source

INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = slice(1, 5), slice(5, 9), slice(12, 16)
HIDDEN, CELL = 18, 19
INPUTS = 24
LEFT_OUT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalization
TANH = 4
MAX_STEPS = 4096


def build_lstm(source: Source) -> tuple[list[Operator], list[Tensor]]:
    """Return the unrolled operators, and the tensors between them that the file does not have.

    Raises:
        UnsupportedError: a variant that is not supported.
        ConfigError: tensors that do not go together.
    """
    _check_variant(source)
    steps, inputs, cells = _check_sizes(source)
    lstm = _constants(source)
    prefix, sequence, name = source.output, str(source.tensor(0).index), source.name
    columns = 4 * cells
    weights = [
        _weights(f"{prefix}.{part}", _codes(source, where))
        for part, where in (("input_weights", INPUT_WEIGHTS), ("recurrent_weights", RECURRENT_WEIGHTS))
    ]
    zero_x, zero_h = int(lstm.input.zero_point), int(lstm.hidden.zero_point)
    state = f"{prefix}.state"
    tensors, states = [*weights, _state(state, cells, lstm)], []
    start = LstmStart(f"{name}_start", (sequence,), state, (sequence,), cells, zero_h)
    operators: list[Operator] = [start]
    for step in range(steps):
        at, before = f"{prefix}.{step}", state
        sums, state = (f"{at}.input_sums", f"{at}.recurrent_sums"), f"{at}.state"
        first = GateSums(
            f"{name}_input_{step}", (sequence,), sums[0], weights[0].name,
            first=step * inputs, depth=inputs, columns=columns, activation_zero_point=zero_x,
        )  # fmt: skip
        second = GateSums(
            f"{name}_recurrent_{step}", (before,), sums[1], weights[1].name,
            depth=cells, columns=columns, activation_zero_point=zero_h,
        )  # fmt: skip
        operands = (*sums, before)
        operators += [first, second, LstmCell(f"{name}_cell_{step}", operands, state, operands, lstm)]
        tensors += [*(Tensor(sum_, (columns,), is_internal=True) for sum_ in sums), _state(state, cells, lstm)]
        states.append(state)
    every = tuple(states)
    operators.append(LstmHidden(f"{name}_hidden", every, source.output, every, _output(source).shape))
    for part, place in enumerate((HIDDEN, CELL)):
        variable = str(source.tensor(place).index)
        operators.append(Index(f"{name}_last_{part}", (state,), variable, (state,), 0, part))
        tensors.append(Tensor(variable, (cells,), quantization=_grid(source.tensor(place))))
    return operators, tensors


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
    for place, dtype in wanted.items():
        if source.tensor(place).dtype != dtype:
            raise UnsupportedError(f"{label}: input {place} is {source.tensor(place).dtype}; allowed: {dtype}")
    if not (source.tensor(HIDDEN).is_variable and source.tensor(CELL).is_variable):
        raise ConfigError(f"{label}: inputs {HIDDEN} and {CELL} are no variables")


def _check_sizes(source: Source) -> tuple[int, int, int]:
    """Return steps, inputs and cells."""
    label, shape, output = source.operator.label, source.shape, _output(source).shape
    batch = 1 if source.operator.options["TimeMajor"] else 0
    if len(shape) != 3 or shape[batch] != 1 or source.tensor(0).data is not None:
        raise UnsupportedError(f"{label}: input of shape {list(shape)}; allowed: one sequence")
    steps, inputs = shape[1 - batch], shape[2]
    cells = output[-1] if output else 0
    sizes = [(INPUT_WEIGHTS, (cells, inputs)), (RECURRENT_WEIGHTS, (cells, cells)), (BIASES, (cells,))]
    fits = all(one.shape == size and one.data is not None for where, size in sizes for one in _tensors(source, where))
    states = {source.tensor(place).shape for place in (HIDDEN, CELL)}
    if not fits or states != {(1, cells)} or output != (*shape[:2], cells) or min(steps, inputs, cells) < 1:
        raise ConfigError(f"{label}: weights, biases, states and output of shapes that do not go together")
    if steps > MAX_STEPS:
        raise UnsupportedError(f"{label}: {steps} time steps; allowed: {MAX_STEPS}")
    return steps, inputs, cells


def _constants(source: Source) -> LstmTensors:
    clip = float(source.operator.options["CellClip"])
    if not np.isfinite(clip):
        raise ConfigError(f"{source.operator.label}: cell clip {clip}")
    hidden, output = _grid(source.tensor(HIDDEN)), _grid(_output(source))
    if hidden.scale != output.scale or hidden.zero_point != output.zero_point:
        raise UnsupportedError(f"{source.operator.label}: hidden state and output of other scales or zero points")
    return LstmTensors(
        _grid(source.tensor(0)),
        hidden,
        float(_grid(source.tensor(CELL)).scale),
        _codes(source, INPUT_WEIGHTS),
        _codes(source, RECURRENT_WEIGHTS),
        _codes(source, BIASES),
        input_weight_scales=_scales(source, INPUT_WEIGHTS),
        recurrent_weight_scales=_scales(source, RECURRENT_WEIGHTS),
        cell_clip=clip,
    )


def _codes(source: Source, where: slice) -> list[IntArray]:
    return [np.asarray(one.data, np.int64) for one in _tensors(source, where)]


def _scales(source: Source, where: slice) -> list[float]:
    return [float(_grid(one).scale) for one in _tensors(source, where)]


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


def _weights(name: str, parts: Sequence[np.ndarray]) -> Tensor:
    """Return the weights of all gates as (depth, 4 cells)."""
    data = np.concatenate([part.T for part in parts], axis=1)
    return Tensor(name, data.shape, data, Quantization(np.asarray(1.0), np.asarray(0), IntFormat(8)), is_internal=True)


def _state(name: str, cells: int, lstm: LstmTensors) -> Tensor:
    grid = Quantization(np.asarray(lstm.cell_scale), np.asarray(0), IntFormat(16))
    return Tensor(name, (2, cells), quantization=grid, is_internal=True)
