"""An LSTM as one layer of a float network, and unrolled into the operators of its time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.operators.lstm import PARTS, GateProduct, LstmCell, LstmHidden, LstmStart
from hwsim.network.operators.moves import Index
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.lstm import GATES, PRE_ACTIVATION_SCALE, StateGrids, float_state, words
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray

MAX_STEPS = 4096
HIDDEN, CELL = range(PARTS)


@dataclass(frozen=True)
class Lstm(Operator):
    """A long short-term memory over (steps, inputs) that starts from zeros; returns all hidden states or the last.

    A batch axis of 1 may stand beside the steps. The cell state stays within +- ``cell_clip``, unless that is 0.
    ``input_weight`` names a constant (inputs, 4 cells), ``recurrent_weight`` one (cells, 4 cells), ``bias`` one
    (4 cells,); gates side by side: input, forget, cell, output. It is unrolled before it is quantized.
    """

    input_weight: str = ""
    recurrent_weight: str = ""
    bias: str = ""
    cells: int = 0
    returns_sequences: bool = False
    cell_clip: float = 0.0

    @property
    def constants(self) -> tuple[str, ...]:
        """Both weights and the bias."""
        return (self.input_weight, self.recurrent_weight, self.bias)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(steps, cells) or (cells,); a batch axis stays."""
        (shape,) = shapes
        if len(shape) == 3 and 1 in shape[:2] and self.returns_sequences:
            return (*shape[:2], self.cells)
        if len(shape) != 2:
            raise ConfigError(
                f"layer {self.name}: lstm layer on an input of shape {list(shape)}; allowed: [steps, inputs]"
            )
        return (shape[0], self.cells) if self.returns_sequences else (self.cells,)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Go through the steps."""
        values = inputs[0].reshape(len(inputs[0]), *sequence_sizes(inputs[0].shape[1:]))
        weight, recurrent, bias = (np.asarray(constants[name].data, np.float64) for name in self.constants)
        parts = values @ weight + bias
        state = np.zeros((len(values), PARTS, self.cells))
        hidden = []
        for step in range(values.shape[1]):
            state = float_state(parts[:, step], state[:, HIDDEN] @ recurrent, state, self.cell_clip)
            hidden.append(state[:, HIDDEN])
        return np.stack(hidden, axis=1) if self.returns_sequences else hidden[-1]

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Refuse.

        Raises:
            UnsupportedError: always; only the steps have an integer form.
        """
        raise UnsupportedError(f"layer {self.name}: an lstm layer that is not unrolled has no integer form")


def sequence_sizes(shape: Shape) -> Shape:
    """Return (steps, inputs) of a sequence, without the batch axis of 1 that may stand before or after the steps."""
    if len(shape) == 2:
        return shape
    return shape[1:] if shape[0] == 1 else (shape[0], shape[2])


@dataclass(frozen=True, eq=False)
class LstmLayer:
    """What an LSTM is unrolled from.

    ``sequence`` names its input, of ``steps`` times ``inputs`` elements, or of as many for each of ``batch`` sequences:
    one after the other, or with ``time_major`` side by side in each step. ``prefix`` begins the names of the tensors
    between its steps. ``constants`` are as in `Lstm`.
    """

    name: str
    prefix: str
    sequence: str
    steps: int
    inputs: int
    cells: int
    constants: tuple[str, ...]
    cell_clip: float = 0.0
    batch: int = 1
    time_major: bool = False

    def row_of(self, sequence: int, step: int) -> int:
        """Return how many steps of any sequence lie before one in the input."""
        return step * self.batch + sequence if self.time_major else sequence * self.steps + step

    def name_of(self, sequence: int) -> str:
        """Return the begin of the names of a sequence's operators."""
        return f"{self.name}_{sequence}" if self.batch > 1 else self.name

    def prefix_of(self, sequence: int) -> str:
        """Return the begin of the names of a sequence's tensors."""
        return f"{self.prefix}.{sequence}" if self.batch > 1 else self.prefix


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Operators in order, tensors between them, and for each sequence the names of the states after each step."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    states: tuple[tuple[str, ...], ...]


def unroll(lstm: LstmLayer) -> Unrolled:
    """Return the product of all inputs, the start of the states and, for each step, a product and the cell update.

    Nothing has a quantization yet.

    Raises:
        UnsupportedError: more steps than can be written out one by one.
    """
    if lstm.steps > MAX_STEPS:
        raise UnsupportedError(f"layer {lstm.name}: LSTM over {lstm.steps} time steps; allowed: {MAX_STEPS}")
    inputs = _input_product(lstm)
    start = LstmStart(f"{lstm.name}_start", (lstm.sequence,), f"{lstm.prefix}.state", lstm.name, lstm.cells)
    operators: list[Operator] = [inputs, start]
    tensors, states = [_between(inputs), _state(lstm, start.output)], []
    for sequence in range(lstm.batch):
        names = [f"{lstm.prefix_of(sequence)}.{step}.state" for step in range(lstm.steps)]
        for step, (before, after) in enumerate(pairwise([start.output, *names])):
            recurrent = _recurrent_product(lstm, sequence, step, before)
            operands = (inputs.output, recurrent.output, before)
            operators += [recurrent, _cell(lstm, sequence, step, operands, after)]
            tensors += [_between(recurrent), _state(lstm, after)]
        states.append(tuple(names))
    return Unrolled(tuple(operators), tuple(tensors), tuple(states))


def _between(product: GateProduct) -> Tensor:
    return Tensor(product.output, product.output_shape(), is_internal=True)


def _state(lstm: LstmLayer, name: str) -> Tensor:
    return Tensor(name, (PARTS, lstm.cells), is_internal=True)


def hidden_of(lstm: LstmLayer, states: tuple[str, ...], output: str, shape: Shape) -> LstmHidden:
    """Return the operator that gathers the hidden states of steps."""
    return LstmHidden(f"{lstm.name}_hidden", states, output, states, lstm.name, shape)


def last_state(lstm: LstmLayer, sequence: int, states: tuple[str, ...], part: int, output: str) -> Index:
    """Return the operator that takes a part, hidden or cell, of a sequence's last state."""
    name = f"{lstm.name_of(sequence)}_last_{'hidden' if part == HIDDEN else 'cell'}"
    return Index(name, states[-1:], output, states[-1:], 0, part)


def _input_product(lstm: LstmLayer) -> GateProduct:
    """Return the product of the inputs of all steps, which depend on no state: weights are loaded once for all."""
    weight, _, bias = lstm.constants
    return GateProduct(
        f"{lstm.name}_input", (lstm.sequence,), f"{lstm.prefix}.input_part", weight, bias,
        part_of=lstm.name, rows=lstm.batch * lstm.steps, depth=lstm.inputs, columns=len(GATES) * lstm.cells,
    )  # fmt: skip


def _recurrent_product(lstm: LstmLayer, sequence: int, step: int, state: str) -> GateProduct:
    """Return the product of the hidden state before a step."""
    _, weight, _ = lstm.constants
    output = f"{lstm.prefix_of(sequence)}.{step}.recurrent_part"
    return GateProduct(
        f"{lstm.name_of(sequence)}_recurrent_{step}", (state,), output, weight,
        part_of=lstm.name, depth=lstm.cells, columns=len(GATES) * lstm.cells, is_recurrent=True,
    )  # fmt: skip


def _cell(lstm: LstmLayer, sequence: int, step: int, operands: tuple[str, ...], state: str) -> LstmCell:
    name, row = f"{lstm.name_of(sequence)}_cell_{step}", lstm.row_of(sequence, step)
    return LstmCell(name, operands, state, operands, lstm.name, row, cell_clip=lstm.cell_clip)


def with_grids(operator: Operator, source: Quantization, states: StateGrids) -> Operator:
    """Return an operator of an unrolled LSTM that knows the quantizations of its sequence and of its states."""
    if isinstance(operator, GateProduct):
        return replace(operator, source=states.hidden if operator.is_recurrent else source)
    if isinstance(operator, LstmStart):
        return replace(operator, hidden_zero_point=int(states.hidden.zero_point))
    return replace(operator, grids=states) if isinstance(operator, LstmCell) else operator


def output_grid(operator: Operator, states: StateGrids) -> Quantization:
    """Return the quantization of what an operator of an unrolled LSTM writes."""
    if isinstance(operator, GateProduct):
        return words(PRE_ACTIVATION_SCALE)
    return states.hidden if isinstance(operator, LstmHidden) else states.joint
