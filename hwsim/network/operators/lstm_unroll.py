"""An LSTM as one layer of a float network, and unrolled into the operators of its time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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

    ``sequence`` names its input, of ``steps`` times ``inputs`` elements; ``prefix`` begins the names of the tensors
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
    first: int = 0
    """The element of the input where the first step begins."""
    stride: int | None = None
    """Elements from one step to the next where other sequences lie between."""

    def start_of(self, step: int) -> int:
        """Return the element of the input where a step begins."""
        return self.first + step * (self.inputs if self.stride is None else self.stride)


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Operators in order, tensors between them, and the names of the states after each step."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    states: tuple[str, ...]


def unroll(lstm: LstmLayer) -> Unrolled:
    """Return the start of the states and, for each step, two products and the cell update; without quantization.

    Raises:
        UnsupportedError: more steps than can be written out one by one.
    """
    if lstm.steps > MAX_STEPS:
        raise UnsupportedError(f"layer {lstm.name}: LSTM over {lstm.steps} time steps; allowed: {MAX_STEPS}")
    state, read = f"{lstm.prefix}.state", (lstm.sequence,)
    operators: list[Operator] = [LstmStart(f"{lstm.name}_start", read, state, read, lstm.name, lstm.cells)]
    tensors, states = [_state(lstm, state)], []
    for step in range(lstm.steps):
        before, state = state, f"{lstm.prefix}.{step}.state"
        products = _products(lstm, step, before)
        operands = (*(product.output for product in products), before)
        operators += [
            *products,
            LstmCell(f"{lstm.name}_cell_{step}", operands, state, operands, lstm.name, cell_clip=lstm.cell_clip),
        ]
        parts = [Tensor(product.output, (product.columns,), is_internal=True) for product in products]
        tensors += [*parts, _state(lstm, state)]
        states.append(state)
    return Unrolled(tuple(operators), tuple(tensors), tuple(states))


def _state(lstm: LstmLayer, name: str) -> Tensor:
    return Tensor(name, (PARTS, lstm.cells), is_internal=True)


def hidden_of(lstm: LstmLayer, states: tuple[str, ...], output: str, shape: Shape) -> LstmHidden:
    """Return the operator that gathers the hidden states of steps."""
    return LstmHidden(f"{lstm.name}_hidden", states, output, states, lstm.name, shape)


def last_state(lstm: LstmLayer, states: tuple[str, ...], part: int, output: str) -> Index:
    """Return the operator that takes a part, hidden or cell, of the last state."""
    name = f"{lstm.name}_last_{'hidden' if part == HIDDEN else 'cell'}"
    return Index(name, states[-1:], output, states[-1:], 0, part)


def _products(lstm: LstmLayer, step: int, state: str) -> tuple[GateProduct, GateProduct]:
    at, columns = f"{lstm.prefix}.{step}", len(GATES) * lstm.cells
    input_weight, recurrent_weight, bias = lstm.constants
    first = GateProduct(
        f"{lstm.name}_input_{step}", (lstm.sequence,), f"{at}.input_part", input_weight, bias,
        part_of=lstm.name, first=lstm.start_of(step), depth=lstm.inputs, columns=columns,
    )  # fmt: skip
    second = GateProduct(
        f"{lstm.name}_recurrent_{step}", (state,), f"{at}.recurrent_part", recurrent_weight,
        part_of=lstm.name, depth=lstm.cells, columns=columns, is_recurrent=True,
    )  # fmt: skip
    return first, second


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
