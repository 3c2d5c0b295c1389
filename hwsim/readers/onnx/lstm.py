"""The LSTM of an ``.onnx`` file of reals: one direction, standard activations, from zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.lstm_unroll import Lstm
from hwsim.network.operators.moves import Reshape
from hwsim.network.tensor import Shape
from hwsim.readers.onnx.graph import Live, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

GATES = 4
INPUT, OUTPUT, FORGET, CELL = range(GATES)  # the file's order
ORDER = (INPUT, FORGET, CELL, OUTPUT)  # hwsim's
STANDARD = ("Sigmoid", "Tanh", "Tanh")


def lstm(site: Site, reals: Reals) -> None:  # noqa: ARG001
    """Inputs: x, W, R, B; outputs: all hidden states (steps, 1, batch, cells) or the last ones (1, batch, cells).

    Raises:
        UnsupportedError: other directions, activations, outputs or initial states; layout 1.
    """
    _check(site)
    x = site.live(0)
    steps, batch, width = _sizes(site, x.shape)
    weight, recurrent = (np.asarray(site.array(place), np.float64) for place in (1, 2))
    cells = recurrent.shape[-1] if recurrent.ndim == 3 else 0
    if weight.shape != (1, GATES * cells, width) or recurrent.shape != (1, GATES * cells, cells) or not cells:
        raise ConfigError(f"{site.label}: weights of shape {list(weight.shape)} and {list(recurrent.shape)}")
    if batch != 1:
        raise UnsupportedError(f"{site.label}: batch of {batch}; allowed: 1, or an open size")
    graph, layer = site.graph, site.node.name
    constants = (
        graph.add_reals(f"{layer}.input_weight", _gates(weight[0], cells)),
        graph.add_reals(f"{layer}.recurrent_weight", _gates(recurrent[0], cells)),
        graph.add_reals(f"{layer}.bias", _bias(site, cells)),
    )
    rows = input_rows(site, x, (steps, width))
    place = next(number for number, name in enumerate(site.node.outputs) if name)
    is_sequence = place == 0
    inner = (steps, cells) if is_sequence else (cells,)
    hidden = Live(site.graph.internal_name(site.output), inner, plain(inner), None)
    graph.emit(Lstm(layer, (rows.name,), hidden.name, *constants, cells, is_sequence), hidden, internal=True)
    shape = (steps, 1, 1, cells) if is_sequence else (1, 1, cells)
    ends = (hidden.name,), site.output, (hidden.name,)
    graph.emit(Reshape(f"{layer}_shape", *ends, shape), Live(site.output, shape, plain(shape), None))


def foreign_settings(site: Site) -> list[str]:
    """Return what a recurrent operator asks for that none of its kind has here."""
    attributes = site.node.attributes
    problems = []
    if attributes.get("direction", "forward") != "forward":
        problems.append("another direction than forward")
    if any(name in attributes for name in ("activations", "activation_alpha", "activation_beta", "clip")):
        problems.append("other activations than its own, or clip")
    return problems


def _check(site: Site) -> None:
    problems = foreign_settings(site)
    if site.integer("layout", 0) or site.integer("input_forget", 0):
        problems.append("layout or input_forget")
    if site.has(4) or site.has(7) or any(site.has(place) and not _is_zero(site, place) for place in (5, 6)):
        problems.append("sequence lengths, peepholes or initial states other than 0")
    if [place for place, name in enumerate(site.node.outputs) if name] not in ([0], [1]):
        problems.append("other outputs than all hidden states, or the last ones")
    if problems:
        raise UnsupportedError(f"{site.label}: {'; '.join(problems)}")


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


def _bias(site: Site, cells: int) -> Array:
    """Return the sum of both biases, (4 cells,)."""
    if not site.has(3):
        return np.zeros(GATES * cells)
    values = np.asarray(site.array(3), np.float64)
    if values.shape != (1, 2 * GATES * cells):
        raise ConfigError(f"{site.label}: bias of shape {list(values.shape)}; allowed: [1, {2 * GATES * cells}]")
    both = values[0, : GATES * cells] + values[0, GATES * cells :]
    return np.concatenate([both[gate * cells : (gate + 1) * cells] for gate in ORDER])


def input_rows(site: Site, x: Live, shape: Shape) -> Live:
    """Return the input as (steps, inputs): the batch of 1 goes."""
    moved = site.graph.in_order(x, plain(x.shape))
    rows = Live(site.graph.internal_name(x.name), shape, plain(shape), None)
    ends = (moved.name,), rows.name, (moved.name,)
    return site.graph.emit(Reshape(f"{site.node.name}_rows", *ends, shape), rows, internal=True)
