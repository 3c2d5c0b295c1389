"""Unrolls a quantized LSTM into the operators of its time steps, and the tensors between them."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.lstm import PARTS, GateProduct, LstmCell, LstmHidden, LstmStart
from hwsim.network.operators.moves import Index
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.lstm import GATES, PRE_ACTIVATION_SCALE, StateGrids, words
from hwsim.numerics.quantization import Quantization

MAX_STEPS = 4096
HIDDEN, CELL = range(PARTS)


@dataclass(frozen=True, eq=False)
class QuantizedLstm:
    """An LSTM whose weights are codes.

    ``sequence`` names its input, of ``steps`` times ``inputs`` elements of the quantization ``source``; ``prefix``
    begins the names of the tensors between its steps. ``input_weights`` names a constant (inputs, 4 cells),
    ``recurrent_weights`` one (cells, 4 cells), ``bias`` one (4 cells,); gates side by side: input, forget, cell,
    output.
    """

    name: str
    prefix: str
    sequence: str
    source: Quantization
    states: StateGrids
    steps: int
    inputs: int
    cells: int
    input_weights: str
    recurrent_weights: str
    bias: str


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Operators in order, tensors between them, and the names of the states after each step."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    states: tuple[str, ...]


def unroll(lstm: QuantizedLstm) -> Unrolled:
    """Return the start of the states and, for each step, two products and the cell update.

    Raises:
        UnsupportedError: more steps than can be written out one by one.
    """
    if lstm.steps > MAX_STEPS:
        raise UnsupportedError(f"layer {lstm.name}: LSTM over {lstm.steps} time steps; allowed: {MAX_STEPS}")
    state, zero_point = f"{lstm.prefix}.state", int(lstm.states.hidden.zero_point)
    read = (lstm.sequence,)
    operators: list[Operator] = [LstmStart(f"{lstm.name}_start", read, state, read, lstm.cells, zero_point)]
    tensors, states = [_state(lstm, state)], []
    for step in range(lstm.steps):
        before, state = state, f"{lstm.prefix}.{step}.state"
        products = _products(lstm, step, before)
        operands = (*(product.output for product in products), before)
        operators += [*products, LstmCell(f"{lstm.name}_cell_{step}", operands, state, operands, lstm.states)]
        tensors += [*(_pre_activations(product) for product in products), _state(lstm, state)]
        states.append(state)
    return Unrolled(tuple(operators), tuple(tensors), tuple(states))


def all_hidden(lstm: QuantizedLstm, states: tuple[str, ...], output: str, shape: Shape) -> LstmHidden:
    """Return the operator that gathers the hidden states of all steps."""
    return LstmHidden(f"{lstm.name}_hidden", states, output, states, shape)


def last_state(lstm: QuantizedLstm, states: tuple[str, ...], part: int, output: str) -> Index:
    """Return the operator that takes a part, hidden or cell, of the last state."""
    name = f"{lstm.name}_last_{'hidden' if part == HIDDEN else 'cell'}"
    return Index(name, states[-1:], output, states[-1:], 0, part)


def _products(lstm: QuantizedLstm, step: int, state: str) -> tuple[GateProduct, GateProduct]:
    at, columns = f"{lstm.prefix}.{step}", len(GATES) * lstm.cells
    first = GateProduct(
        f"{lstm.name}_input_{step}", (lstm.sequence,), f"{at}.input_part", lstm.input_weights, lstm.bias,
        first=step * lstm.inputs, depth=lstm.inputs, columns=columns, source=lstm.source,
    )  # fmt: skip
    second = GateProduct(
        f"{lstm.name}_recurrent_{step}", (state,), f"{at}.recurrent_part", lstm.recurrent_weights,
        depth=lstm.cells, columns=columns, source=lstm.states.hidden, is_recurrent=True,
    )  # fmt: skip
    return first, second


def _pre_activations(product: GateProduct) -> Tensor:
    return Tensor(product.output, (product.columns,), quantization=words(PRE_ACTIVATION_SCALE), is_internal=True)


def _state(lstm: QuantizedLstm, name: str) -> Tensor:
    """A state is as wide as its wider part, the cell state."""
    grid = words(lstm.states.cell_scale)
    return Tensor(name, (PARTS, lstm.cells), quantization=grid, is_internal=True)
