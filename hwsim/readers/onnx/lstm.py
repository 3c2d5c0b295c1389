"""The LSTM of an ``.onnx`` file of reals: one direction or both, standard activations, from zeros."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.lstm_unroll import Lstm
from hwsim.network.operators.moves import Reshape, Slice, Take
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.expressions import Expression
from hwsim.readers.onnx.graph import Graph, Live, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

GATES = 4
INPUT, OUTPUT, FORGET, CELL = range(GATES)  # the file's order
ORDER = (INPUT, FORGET, CELL, OUTPUT)  # hwsim's


DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def lstm(site: Site, reals: Reals) -> None:
    """Inputs: x, W, R, B; outputs: all hidden states (steps, directions, batch, cells), the last ones without steps.

    Raises:
        UnsupportedError: other activations or initial states; the last cell states; layout 1.
    """
    every, last = _check(site, reals)
    x, reversals = site.live(0), DIRECTIONS[str(site.node.attributes.get("direction", "forward"))]
    steps, batch, width = _sizes(site, x.shape)
    weight, recurrent = (np.asarray(site.array(place), np.float64) for place in (1, 2))
    count, cells = len(reversals), recurrent.shape[-1] if recurrent.ndim == 3 else 0
    if weight.shape != (count, GATES * cells, width) or recurrent.shape != (count, GATES * cells, cells) or not cells:
        raise ConfigError(f"{site.label}: weights of shape {list(weight.shape)} and {list(recurrent.shape)}")
    if batch != 1:
        raise UnsupportedError(f"{site.label}: batch of {batch}; allowed: 1, or an open size")
    biases, rows = _biases(site, count, cells), input_rows(site, x, (steps, width))
    directions = []
    for number, is_reversed in enumerate(reversals):
        layer = site.node.name if count == 1 else f"{site.node.name}_{'reverse' if is_reversed else 'forward'}"
        constants = [_gates(weight[number], cells), _gates(recurrent[number], cells), biases[number]]
        directions.append(_direction(site.graph, layer, rows, constants, is_reversed=is_reversed, every=bool(every)))
    if every:
        _join(site, reals, every, [one.every for one in directions], (steps, count, 1, cells))
    if last:
        _join(site, reals, last, [one.last for one in directions], (count, 1, cells))


@dataclass(frozen=True, slots=True, eq=False)
class _Direction:
    """The hidden states of one direction: of every step in the order of time, and after the last one it takes."""

    every: Live
    last: Live


def _direction(
    graph: Graph, layer: str, rows: Live, constants: Sequence[Array], *, is_reversed: bool, every: bool
) -> _Direction:
    steps, cells = rows.shape[0], len(constants[1])
    parts = ("input_weight", "recurrent_weight", "bias")
    names = [graph.add_reals(f"{layer}.{part}", values) for part, values in zip(parts, constants, strict=True)]
    source = _backwards(graph, f"{layer}_backwards", rows) if is_reversed else rows
    shape = (steps, cells) if every else (cells,)
    hidden = Live(graph.internal_name(layer), shape, plain(shape), None)
    input_weight, recurrent_weight, bias = names
    operator = Lstm(layer, (source.name,), hidden.name, input_weight, recurrent_weight, bias, cells, every)
    graph.emit(operator, hidden, internal=True)
    if not every:
        return _Direction(hidden, hidden)
    last = Live(graph.internal_name(layer), (1, cells), (0, 1), None)
    ends = (hidden.name,)
    graph.emit(Slice(f"{layer}_last", ends, last.name, ends, 0, steps - 1, 1), last, internal=True)
    return _Direction(_backwards(graph, f"{layer}_in_time", hidden) if is_reversed else hidden, last)


def _backwards(graph: Graph, layer: str, rows: Live) -> Live:
    """Return rows the other way round."""
    turned = replace(rows, name=graph.internal_name(rows.name))
    ends, places = (rows.name,), tuple(reversed(range(rows.shape[0])))
    return graph.emit(Take(layer, ends, turned.name, ends, 0, places), turned, internal=True)


def _join(site: Site, reals: Reals, name: str, parts: Sequence[Live], shape: Shape) -> None:
    """Write an output from both directions side by side, or from the one that there is."""
    if len(parts) == 1:
        ends = (parts[0].name,)
        layer = f"{site.node.name}_{'shape' if len(shape) == 4 else 'last_shape'}"
        site.graph.emit(Reshape(layer, ends, name, ends, shape), Live(name, shape, plain(shape), None))
        return
    single = (*shape[:-3], 1, *shape[-2:])
    counts = Counts({("vector_unit", "multiply"): int(np.prod(shape))})

    def joined(values: Sequence[Float32Array]) -> Float32Array:
        return np.concatenate([part.reshape(len(part), *single) for part in values], axis=-3)

    reals.put(name, Expression(tuple(parts), joined, shape, plain(shape), counts, pointwise=False))


def foreign_settings(site: Site, directions: Collection[str] = ("forward",)) -> list[str]:
    """Return what a recurrent operator asks for that none of its kind has here."""
    attributes = site.node.attributes
    problems = []
    if attributes.get("direction", "forward") not in directions:
        problems.append(f"another direction than {', '.join(directions)}")
    if any(name in attributes for name in ("activations", "activation_alpha", "activation_beta", "clip")):
        problems.append("other activations than its own, or clip")
    return problems


def _check(site: Site, reals: Reals) -> tuple[str, str]:
    """Return the names of the outputs that somebody reads, "" for others: all hidden states, the last ones.

    Raises:
        UnsupportedError: what `lstm` says.
    """
    problems = foreign_settings(site, DIRECTIONS)
    if site.integer("layout", 0) or site.integer("input_forget", 0):
        problems.append("layout or input_forget")
    if site.has(4) or site.has(7) or any(site.has(place) and not _is_zero(site, place) for place in (5, 6)):
        problems.append("sequence lengths, peepholes or initial states other than 0")
    wanted = [name if reals.readers(name) else "" for name in (*site.node.outputs, "", "", "")]
    if wanted[2]:
        problems.append("other outputs than all hidden states, or the last ones")
    if problems:
        raise UnsupportedError(f"{site.label}: {'; '.join(problems)}")
    return wanted[0], wanted[1]


def _is_zero(site: Site, place: int) -> bool:
    return site.is_constant(place) and not np.any(site.array(place))


def _sizes(site: Site, shape: Shape) -> Sequence[int]:
    if len(shape) != 3:
        raise ConfigError(f"{site.label}: input of shape {list(shape)}; allowed: [steps, batch, inputs]")
    return shape


def _gates(values: Array, cells: int) -> Array:
    """Return (inputs, 4 cells) with the gates in hwsim's order, of (4 cells, inputs) in the file's."""
    parts = [values[gate * cells : (gate + 1) * cells] for gate in ORDER]
    return np.concatenate(parts).T


def _biases(site: Site, count: int, cells: int) -> Array:
    """Return the sum of both biases of each direction, (directions, 4 cells)."""
    if not site.has(3):
        return np.zeros((count, GATES * cells))
    values = np.asarray(site.array(3), np.float64)
    if values.shape != (count, 2 * GATES * cells):
        raise ConfigError(f"{site.label}: bias of shape {list(values.shape)}; allowed: [{count}, {2 * GATES * cells}]")
    both = (values[:, : GATES * cells] + values[:, GATES * cells :]).reshape(count, GATES, cells)
    return both[:, list(ORDER)].reshape(count, GATES * cells)


def input_rows(site: Site, x: Live, shape: Shape) -> Live:
    """Return the input as (steps, inputs): the batch of 1 goes."""
    moved = site.graph.in_order(x, plain(x.shape))
    rows = Live(site.graph.internal_name(x.name), shape, plain(shape), None)
    ends = (moved.name,), rows.name, (moved.name,)
    return site.graph.emit(Reshape(f"{site.node.name}_rows", *ends, shape), rows, internal=True)
