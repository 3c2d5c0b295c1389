"""The LSTM in floating point, as one layer and step by step, against ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from onnx_operators import run_onnx

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.lstm_unroll import Lstm, LstmLayer, unroll
from hwsim.network.tensor import Tensor
from hwsim.quantize.fuse import fuse

SAMPLES = 3


@dataclass
class Case:
    """A random LSTM; arrays have hwsim's layout and order of gates: input, forget, cell, output."""

    values: np.ndarray
    input_weight: np.ndarray
    recurrent_weight: np.ndarray
    bias: np.ndarray

    @property
    def cells(self) -> int:
        return len(self.recurrent_weight)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        constants = {"w": self.input_weight, "r": self.recurrent_weight, "b": self.bias}
        return {name: Tensor(name, data.shape, data) for name, data in constants.items()}

    def layer(self, *, returns_sequences: bool) -> Lstm:
        return Lstm("lstm", ("x",), "y", "w", "r", "b", self.cells, returns_sequences)

    def onnx_hidden(self) -> np.ndarray:
        """Hidden states (samples, steps, cells); ONNX wants (steps, samples, inputs) and gates in the order iofc."""
        weights = [_onnx_gates(matrix).T[np.newaxis] for matrix in (self.input_weight, self.recurrent_weight)]
        bias = np.concatenate([_onnx_gates(self.bias), np.zeros_like(self.bias)])[np.newaxis]
        found = run_onnx("LSTM", self.values.swapaxes(0, 1), *weights, bias, hidden_size=self.cells)
        return found[:, 0].swapaxes(0, 1)


def _onnx_gates(array: np.ndarray) -> np.ndarray:
    input_gate, forget, cell, output = np.split(array, 4, axis=-1)
    return np.concatenate([input_gate, output, forget, cell], axis=-1)


def random_case(seed: int) -> Case:
    random = np.random.default_rng(seed)
    steps, inputs, cells = (int(size) for size in random.integers(1, 9, 3))
    shapes = (SAMPLES, steps, inputs), (inputs, 4 * cells), (cells, 4 * cells), (4 * cells,)
    return Case(*(random.normal(size=shape) for shape in shapes))


def as_network(case: Case, *, returns_sequences: bool) -> Network:
    layer = case.layer(returns_sequences=returns_sequences)
    shape = case.values.shape[1:]
    ends = {"x": Tensor("x", shape), "y": Tensor("y", layer.output_shape(shape))}
    return Network("n", {**case.tensors, **ends}, (layer,), ("x",), ("y",))


@pytest.mark.parametrize("seed", range(8))
def test_hidden_states_are_onnx_runtimes(seed: int) -> None:
    case = random_case(seed)
    ours = case.layer(returns_sequences=True).float_values([case.values], case.tensors)
    np.testing.assert_allclose(ours, case.onnx_hidden(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_without_sequences_the_last_hidden_state_is_the_output(seed: int) -> None:
    case = random_case(seed)
    ours = case.layer(returns_sequences=False).float_values([case.values], case.tensors)
    np.testing.assert_allclose(ours, case.onnx_hidden()[:, -1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("returns_sequences", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_unrolled_network_computes_the_same_reals(seed: int, returns_sequences: bool) -> None:
    case = random_case(seed)
    network = as_network(case, returns_sequences=returns_sequences)
    whole = dict(float_values(network, case.values))["y"]
    steps = dict(float_values(fuse(network), case.values))["y"]
    np.testing.assert_allclose(steps, whole, rtol=0, atol=1e-12)


def test_inputs_of_all_steps_are_one_product_and_a_step_is_another_and_a_cell_update() -> None:
    case = random_case(0)
    steps = case.values.shape[1]
    names = [operator.name for operator in fuse(as_network(case, returns_sequences=False)).operators]
    assert names[:4] == ["lstm_input", "lstm_start", "lstm_recurrent_0", "lstm_cell_0"]
    assert len(names) == 2 + 2 * steps + 1
    assert names[-1] == "lstm_hidden"


def test_every_part_belongs_to_the_layer() -> None:
    operators = fuse(as_network(random_case(0), returns_sequences=True)).operators
    assert {operator.layer for operator in operators} == {"lstm"}


@pytest.mark.parametrize("shape", [(8,), (8, 8, 1)])
def test_an_input_that_is_no_sequence_is_refused(shape: tuple[int, ...]) -> None:
    text = rf"layer lstm: lstm layer on an input of shape \[{', '.join(map(str, shape))}\]; allowed: \[steps, inputs\]"
    with pytest.raises(ConfigError, match=text):
        Lstm("lstm", ("x",), "y", cells=3).output_shape(shape)


def test_a_sequence_too_long_to_be_written_out_is_refused() -> None:
    layer = LstmLayer("lstm", "lstm", "x", 5000, 2, 2, ("w", "r", "b"))
    with pytest.raises(UnsupportedError, match=r"^layer lstm: LSTM over 5000 time steps; allowed: 4096$"):
        unroll(layer)


def test_only_the_steps_have_an_integer_form() -> None:
    text = r"^layer lstm: an lstm layer that is not unrolled has no integer form$"
    with pytest.raises(UnsupportedError, match=text):
        random_case(0).layer(returns_sequences=True).lower({}, LoweringOptions())
