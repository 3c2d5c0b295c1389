"""The GRU of an ``.onnx`` file of reals, unrolled: two products on the array, and a cell in float32 for each step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.moves import Reshape, Slice
from hwsim.network.operators.real_function import RealFunction
from hwsim.numerics.onnxruntime import functions
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.graph import Graph, Live, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.lstm import foreign_settings, input_rows
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

GATES = 3  # update, reset, hidden
MAX_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Cell:
    """``(1 - z) tanh(x_h + r h_h) + z h`` with z, r = sigmoid(x + h); reads x's gates, h's and h."""

    cells: int

    def __call__(self, values: Sequence[Float32Array]) -> Float32Array:
        """Evaluate."""
        given, recurrent = (np.split(part, GATES, axis=-1) for part in values[:2])
        update = functions.sigmoid(given[0] + recurrent[0])
        reset = functions.sigmoid(given[1] + recurrent[1])
        hidden = functions.tanh(given[2] + reset * recurrent[2])
        return (np.float32(1) - update) * hidden + update * values[2]

    @property
    def work(self) -> Counts:
        """One step's actions."""
        return Counts(
            {
                ("vector_unit", "add"): 5 * self.cells,
                ("vector_unit", "multiply"): 3 * self.cells,
                ("activation_lut", "lookup"): 3 * self.cells,
            }
        )


@dataclass(frozen=True, slots=True)
class Reset:
    """``r h`` with r = sigmoid(x + h): what a hidden gate multiplies that resets first; reads as `Cell`."""

    cells: int

    def __call__(self, values: Sequence[Float32Array]) -> Float32Array:
        """Evaluate."""
        given, recurrent = np.split(values[0], GATES, axis=-1), np.split(values[1], GATES - 1, axis=-1)
        return functions.sigmoid(given[1] + recurrent[1]) * values[2]

    @property
    def work(self) -> Counts:
        """One step's actions."""
        vector = {("vector_unit", action): self.cells for action in ("add", "multiply")}
        return Counts({**vector, ("activation_lut", "lookup"): self.cells})


@dataclass(frozen=True, slots=True)
class ResetCell:
    """``(1 - z) tanh(x_h + p) + z h`` with z = sigmoid(x + h); reads x's gates, h's, h, and p of `Reset`."""

    cells: int

    def __call__(self, values: Sequence[Float32Array]) -> Float32Array:
        """Evaluate."""
        given, recurrent = np.split(values[0], GATES, axis=-1), np.split(values[1], GATES - 1, axis=-1)
        update = functions.sigmoid(given[0] + recurrent[0])
        hidden = functions.tanh(given[2] + values[3])
        return (np.float32(1) - update) * hidden + update * values[2]

    @property
    def work(self) -> Counts:
        """One step's actions."""
        return Counts(
            {
                ("vector_unit", "add"): 4 * self.cells,
                ("vector_unit", "multiply"): 2 * self.cells,
                ("activation_lut", "lookup"): 2 * self.cells,
            }
        )


class Recurrence(ABC):
    """How a step's products and cell follow each other; ``cells`` of them."""

    @abstractmethod
    def step(self, graph: Graph, layer: str, given: Live, before: Live) -> Live:
        """Return the state after a step, from x's gates and the state before."""


@dataclass(frozen=True, slots=True)
class ResetAfter(Recurrence):
    """The reset gate multiplies the product of the state: one product a step."""

    cells: int
    gates: tuple[str, str]

    def step(self, graph: Graph, layer: str, given: Live, before: Live) -> Live:
        """A product, the cell."""
        products = _dense(graph, f"{layer}_recurrent", before, *self.gates)
        return _in_float32(graph, layer, [given, products, before], Cell(self.cells))


@dataclass(frozen=True, slots=True)
class ResetBefore(Recurrence):
    """The reset gate multiplies the state before the hidden gate's product: two products a step."""

    cells: int
    gates: tuple[str, str]
    hidden: tuple[str, str]

    def step(self, graph: Graph, layer: str, given: Live, before: Live) -> Live:
        """The gates' product, the reset, the hidden gate's product, the cell."""
        gates = _dense(graph, f"{layer}_gates", before, *self.gates)
        kept = _in_float32(graph, f"{layer}_reset", [given, gates, before], Reset(self.cells))
        product = _dense(graph, f"{layer}_recurrent", kept, *self.hidden)
        return _in_float32(graph, layer, [given, gates, before, product], ResetCell(self.cells))


def gru(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Inputs: x, W, R, B; outputs: all hidden states (steps, 1, batch, cells) or the last one (1, batch, cells).

    Raises:
        UnsupportedError: other directions, activations or initial states.
    """
    _check(site)
    x = site.live(0)
    weight, recurrent = (np.asarray(site.array(place), np.float64) for place in (1, 2))
    cells = recurrent.shape[-1] if recurrent.ndim == 3 else 0
    if len(x.shape) != 3 or not cells or weight.shape != (1, GATES * cells, x.shape[2]):
        raise ConfigError(f"{site.label}: {list(x.shape)} by weights {list(weight.shape)}, {list(recurrent.shape)}")
    if recurrent.shape != (1, GATES * cells, cells):
        raise ConfigError(f"{site.label}: recurrent weights of shape {list(recurrent.shape)}")
    if x.shape[1] != 1 or x.shape[0] > MAX_STEPS:
        raise UnsupportedError(f"{site.label}: {x.shape[0]} steps, batch of {x.shape[1]}; allowed: {MAX_STEPS}, 1")
    biases = _biases(site, cells)
    graph, layer = site.graph, site.node.name
    rows = input_rows(site, x, (x.shape[0], x.shape[2]))
    of_input = _constants(graph, f"{layer}_input", weight[0].T, biases[0])
    given = _dense(graph, f"{layer}_input", rows, *of_input)
    states = _unrolled(graph, layer, given, cells, _recurrence(site, recurrent[0].T, biases[1]))
    _outputs(site, states, cells)


def _check(site: Site) -> None:
    problems = foreign_settings(site)
    if site.integer("layout", 0):
        problems.append("layout")
    if site.has(4) or (site.has(5) and not (site.is_constant(5) and not np.any(site.array(5)))):
        problems.append("sequence lengths or an initial state other than 0")
    if problems:
        raise UnsupportedError(f"{site.label}: {'; '.join(problems)}")


def _biases(site: Site, cells: int) -> tuple[Array, Array]:
    size = GATES * cells
    if not site.has(3):
        return np.zeros(size), np.zeros(size)
    values = np.asarray(site.array(3), np.float64)
    if values.shape != (1, 2 * size):
        raise ConfigError(f"{site.label}: bias of shape {list(values.shape)}; allowed: [1, {2 * size}]")
    return values[0, :size], values[0, size:]


def _recurrence(site: Site, weight: Array, bias: Array) -> Recurrence:
    graph, layer, cells = site.graph, f"{site.node.name}_recurrent", len(weight)
    if site.integer("linear_before_reset", 0):
        return ResetAfter(cells, _constants(graph, layer, weight, bias))
    first = (GATES - 1) * cells
    gates = _constants(graph, f"{site.node.name}_gates", weight[:, :first], bias[:first])
    return ResetBefore(cells, gates, _constants(graph, layer, weight[:, first:], bias[first:]))


def _constants(graph: Graph, product: str, weight: Array, bias: Array) -> tuple[str, str]:
    """Enter a product's weight and bias; return their names."""
    return graph.add_reals(f"{product}.weight", weight), graph.add_reals(f"{product}.bias", bias)


def _dense(graph: Graph, layer: str, rows: Live, weight: str, bias: str) -> Live:
    """Return ``rows weight + bias``."""
    depth, units = graph.tensors[weight].shape
    shape = (rows.shape[0], units)
    output = Live(graph.internal_name(layer), shape, plain(shape), None)
    operator = RowsDense(layer, (rows.name,), output.name, weight, bias, units=units, depth=depth)
    return graph.emit(operator, output, internal=True)


def _unrolled(graph: Graph, layer: str, given: Live, cells: int, recurrence: Recurrence) -> list[Live]:
    """Return the hidden state after each step, (1, cells); the first step's products meet a state of zeros.

    All steps read the same weights and biases.
    """
    states = list[Live]()
    for step in range(given.shape[0]):
        part = _made(graph, f"{layer}.{step}.given", (1, GATES * cells))
        ends = (given.name,)
        graph.emit(Slice(f"{layer}_{step}_given", ends, part.name, ends, 0, step, 1), part, internal=True)
        before = states[-1] if states else _zero_state(graph, layer, part, cells)
        states.append(recurrence.step(graph, f"{layer}_{step}", part, before))
    return states


def _made(graph: Graph, base: str, shape: tuple[int, ...]) -> Live:
    return Live(graph.internal_name(base), shape, plain(shape), None)


def _zero_state(graph: Graph, layer: str, like: Live, cells: int) -> Live:
    """Return the state that the first step starts from."""
    state = _made(graph, f"{layer}.start", (1, cells))
    counts = Counts({("vector_unit", "move"): cells})

    def zeros(values: Sequence[Float32Array]) -> Float32Array:
        return np.zeros((len(values[0]), 1, cells), np.float32)

    operator = RealFunction(f"{layer}_start", (like.name,), state.name, (like.shape,), state.shape, zeros, counts)
    return graph.emit(operator, state, internal=True)


def _in_float32(graph: Graph, layer: str, parts: Sequence[Live], body: Cell | Reset | ResetCell) -> Live:
    """Return what a step makes of its parts: (1, cells)."""
    state = _made(graph, f"{layer}.state", (1, body.cells))
    names, shapes = tuple(one.name for one in parts), tuple(one.shape for one in parts)
    return graph.emit(
        RealFunction(layer, names, state.name, shapes, state.shape, body, body.work), state, internal=True
    )


def _outputs(site: Site, states: Sequence[Live], cells: int) -> None:
    """Write all hidden states, the last one, or both."""
    graph, layer = site.graph, site.node.name
    every, last = (*site.node.outputs, "")[:2]
    if last:
        _reshaped(graph, f"{layer}_last", states[-1], last, (1, 1, cells))
    if every:
        shape = (len(states), cells)
        joined = _made(graph, f"{layer}.states", shape)
        names, shapes = tuple(one.name for one in states), tuple(one.shape for one in states)
        counts = Counts({("vector_unit", "multiply"): len(states) * cells})
        join = RealFunction(f"{layer}_states", names, joined.name, shapes, shape, _joined, counts)
        graph.emit(join, joined, internal=True)
        _reshaped(graph, f"{layer}_every", joined, every, (len(states), 1, 1, cells))


def _joined(values: Sequence[Float32Array]) -> Float32Array:
    return np.concatenate(list(values), axis=1)


def _reshaped(graph: Graph, layer: str, source: Live, name: str, shape: tuple[int, ...]) -> None:
    ends = (source.name,)
    graph.emit(Reshape(layer, ends, name, ends, shape), Live(name, shape, plain(shape), None))
