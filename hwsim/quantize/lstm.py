"""Quantization of unrolled LSTMs: grids of hidden and cell states from the values of all steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hwsim.errors import ConfigError
from hwsim.execute.floating import Reals, float_values
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.lstm import GateProduct, LstmCell, LstmHidden, LstmStart
from hwsim.network.operators.lstm_unroll import CELL, HIDDEN, output_grid, with_grids
from hwsim.numerics.lstm import CELL_EXPONENTS, WORD, StateGrids
from hwsim.numerics.quantization import GridRule, Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.schemes import ActivationScheme

CELL_RULE = GridRule(WORD, symmetric=True, power_of_two=True)


def state_homes(network: Network) -> dict[str, str]:
    """Return the tensor of the states before the first step, by the name of the LSTM."""
    return {operator.layer: operator.output for operator in network.operators if isinstance(operator, LstmStart)}


def has_fixed_grid(operator: Operator | None) -> bool:
    """Tell whether calibration has no say in what an operator writes: pre-activations of gates."""
    return isinstance(operator, GateProduct)


def state_schemes(network: Network, schemes: Mapping[str, ActivationScheme]) -> dict[str, ActivationScheme]:
    """Return how the hidden states and the cell states of every LSTM are calibrated, by `hidden_name`, `cell_name`."""
    found: dict[str, ActivationScheme] = {}
    for layer, home in state_homes(network).items():
        found[hidden_name(layer)] = schemes[home]
        found[cell_name(layer)] = ActivationScheme(CELL_RULE, schemes[home].calibrator)
    return found


def hidden_name(layer: str) -> str:
    """Return what the hidden states of all steps are called together."""
    return f"{layer}.hidden"


def cell_name(layer: str) -> str:
    """Return what the cell states of all steps are called together."""
    return f"{layer}.cell"


def calibration_values(network: Network, inputs: Reals) -> Iterator[tuple[str, FloatArray]]:
    """Yield what `float_values` yields, and the states after each step of an LSTM by their common names."""
    cells = {operator.output: operator.layer for operator in network.operators if isinstance(operator, LstmCell)}
    for name, values in float_values(network, inputs):
        yield name, values
        if name in cells:
            yield hidden_name(cells[name]), values[:, HIDDEN]
            yield cell_name(cells[name]), values[:, CELL]


def state_grids(layer: str, hidden: Quantization, cell: Quantization) -> StateGrids:
    """Return the grids of an LSTM's states; ``cell`` has the least power of two that covers its range.

    Raises:
        ConfigError: a cell state too large for 16 bits at the largest scale.
    """
    low, high = (2.0**exponent for exponent in CELL_EXPONENTS)
    scale = float(cell.scale)
    if scale > high:
        raise ConfigError(f"layer {layer}: cell state beyond {WORD.max * high:.3f}, which its 16 bits cannot hold")
    return StateGrids(hidden, max(scale, low))


def bind_lstms(
    network: Network, states: Mapping[str, StateGrids], grids: dict[str, Quantization]
) -> tuple[Operator, ...]:
    """Return the operators of the network, those of LSTMs with their grids; enter these into ``grids`` too.

    All steps of an LSTM share one object of grids, which its clip of the cell state belongs to.
    """
    clips = {operator.layer: operator.cell_clip for operator in network.operators if isinstance(operator, LstmCell)}
    states = {layer: replace(one, cell_clip=clips[layer]) for layer, one in states.items()}
    bound: list[Operator] = []
    for operator in network.operators:
        found = operator
        if isinstance(operator, GateProduct | LstmStart | LstmCell | LstmHidden):
            found = with_grids(operator, grids[operator.input], states[operator.layer])
            grids[operator.output] = output_grid(operator, states[operator.layer])
        bound.append(found)
    return tuple(bound)
