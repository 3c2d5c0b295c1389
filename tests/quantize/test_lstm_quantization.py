"""Post-training quantization of LSTMs: which grids are chosen, and how close the integer network comes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.config.quantization import (
    ActivationQuantizationSpec,
    LayerActivationsSpec,
    LayerQuantizationSpec,
    QuantizationSpec,
    WeightQuantizationSpec,
)
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.network.network import Network
from hwsim.network.operator import quantization_of
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.lstm import GateProduct, LstmCell, LstmStart
from hwsim.network.operators.lstm_unroll import Lstm
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.quantize.assumed import assume_quantization
from hwsim.quantize.fuse import fuse
from hwsim.quantize.post_training import quantize

STEPS, INPUTS, CELLS = 5, 3, 4


def lstm_network(*, returns_sequences: bool = False, gain: float = 1.0) -> Network:
    random = np.random.default_rng(2)
    shapes = {"lstm.w": (INPUTS, 4 * CELLS), "lstm.r": (CELLS, 4 * CELLS), "lstm.b": (4 * CELLS,), "fc.w": (CELLS, 2)}
    constants = {name: Tensor(name, shape, gain * random.normal(size=shape)) for name, shape in shapes.items()}
    lstm = Lstm("lstm", ("x",), "lstm", "lstm.w", "lstm.r", "lstm.b", CELLS, returns_sequences)
    tensors = constants | {"x": Tensor("x", (STEPS, INPUTS))}
    tensors["lstm"] = Tensor("lstm", lstm.output_shape((STEPS, INPUTS)))
    if returns_sequences:
        return Network("n", tensors, (lstm,), ("x",), ("lstm",))
    tensors["fc"] = Tensor("fc", (2,))
    return Network("n", tensors, (lstm, Dense("fc", ("lstm",), "fc", "fc.w", units=2)), ("x",), ("fc",))


def inputs(samples: int = 40) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (samples, STEPS, INPUTS))


def quantized(network: Network, spec: QuantizationSpec | None = None, *, bits: int = 8) -> Network:
    return quantize(network, inputs(), spec or QuantizationSpec(), weight_bits=bits, activation_bits=bits)


def states_of(network: Network) -> np.ndarray:
    """Return the reals of the states after every step: (samples, steps, hidden and cell, cells)."""
    values = dict(float_values(fuse(network), inputs()))
    return np.stack([values[f"lstm.{step}.state"] for step in range(STEPS)], axis=1)


def test_the_hidden_grid_covers_the_hidden_states_of_all_steps() -> None:
    network = lstm_network()
    hidden = states_of(network)[:, :, 0]
    found = quantization_of(quantized(network).tensors["lstm"])
    assert float(found.scale) == pytest.approx((hidden.max() - hidden.min()) / 255)
    assert found.format == IntFormat(8)


@pytest.mark.parametrize("gain", [0.1, 1.0, 4.0])
def test_the_cell_scale_is_the_least_power_of_two_that_covers_all_steps(gain: float) -> None:
    """At least 2**-15, though: a smaller cell state would gain nothing from it."""
    network = lstm_network(gain=gain)
    largest = np.abs(states_of(network)[:, :, 1]).max()
    cell = next(one for one in quantized(network).operators if isinstance(one, LstmCell))
    assert cell.grids is not None
    exponent = cell.grids.cell_exponent
    assert largest <= 32767 * 2.0**exponent
    assert exponent == -15 or largest > 32767 * 2.0 ** (exponent - 1)


def test_a_cell_state_that_counts_too_far_is_refused() -> None:
    """Saturated gates add 1 in each of 200 steps."""
    steps = 200
    bias = np.full(4, 50.0)
    tensors = {
        "x": Tensor("x", (steps, 1)),
        "lstm": Tensor("lstm", (1,)),
        "w": Tensor("w", (1, 4), np.zeros((1, 4))),
        "r": Tensor("r", (1, 4), np.zeros((1, 4))),
        "b": Tensor("b", (4,), bias),
    }
    network = Network("n", tensors, (Lstm("lstm", ("x",), "lstm", "w", "r", "b", 1),), ("x",), ("lstm",))
    with pytest.raises(ConfigError, match=r"^layer lstm: cell state beyond 63\.998, which its 16 bits cannot hold$"):
        quantize(network, np.ones((1, steps, 1)), QuantizationSpec(), weight_bits=8, activation_bits=8)


def test_the_state_starts_at_the_codes_of_zero() -> None:
    network = quantized(lstm_network())
    (start,) = [one for one in network.operators if isinstance(one, LstmStart)]
    assert start.hidden_zero_point == int(quantization_of(network.tensors["lstm"]).zero_point)


def test_a_states_two_halves_have_their_own_grids() -> None:
    network = quantized(lstm_network())
    state, hidden = (quantization_of(network.tensors[name]) for name in ("lstm.2.state", "lstm"))
    assert state.axis == 0
    assert float(state.scale[0]) == float(hidden.scale)
    assert state.zero_point.tolist() == [int(hidden.zero_point), 0]
    assert state.format == IntFormat(16)


def test_all_steps_share_weights_that_are_quantized_once() -> None:
    network = quantized(lstm_network())
    products = [one for one in network.operators if isinstance(one, GateProduct)]
    assert {one.weight for one in products} == {"lstm.w", "lstm.r"}
    weight = network.tensors["lstm.w"]
    codes, grid = np.asarray(weight.data), quantization_of(weight)
    assert np.abs(codes).max(axis=0).tolist() == [127] * 16
    reals = np.asarray(lstm_network().tensors["lstm.w"].data)
    np.testing.assert_allclose(grid.dequantize(codes), reals, atol=float(grid.scale.max()) / 2)


def test_per_tensor_means_one_scale_for_each_gate() -> None:
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity="per_tensor"))
    grid = quantization_of(quantized(lstm_network(), spec).tensors["lstm.r"])
    reals = np.asarray(lstm_network().tensors["lstm.r"].data).reshape(CELLS, 4, CELLS)
    largest = np.abs(reals).max(axis=(0, 2))
    assert grid.scale == pytest.approx(np.repeat(largest / 127, CELLS))


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel"])
def test_a_bias_too_large_for_32_bits_widens_the_scales_of_its_piece(granularity: str) -> None:
    network = lstm_network()
    tensors = dict(network.tensors)
    bias = np.zeros(4 * CELLS)
    bias[5] = 1e9  # forget gate, second cell
    tensors["lstm.b"] = replace(tensors["lstm.b"], data=bias)
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity=granularity))
    wide, plain = (
        quantization_of(quantized(one, spec).tensors["lstm.w"]).scale
        for one in (replace(network, tensors=tensors), network)
    )
    widened = [4, 5, 6, 7] if granularity == "per_tensor" else [5]
    assert np.flatnonzero(wide > 10 * plain).tolist() == widened


def test_one_layers_settings_go_to_all_its_steps() -> None:
    own = LayerQuantizationSpec(weight_bits=3)
    network = quantized(lstm_network(), QuantizationSpec(layers={"lstm": own}))
    widths = {name: quantization_of(network.tensors[name]).format.bits for name in ("lstm.w", "lstm.r", "fc.w")}
    assert widths == {"lstm.w": 3, "lstm.r": 3, "fc.w": 8}


def test_an_lstm_reads_its_hidden_state_as_the_next_layer_does() -> None:
    own = LayerQuantizationSpec(activations=LayerActivationsSpec(symmetric=True))
    text = r"^tensor lstm\.state: layers lstm, fc read it, and quantization\.layers gives them different activations; "
    with pytest.raises(ConfigError, match=text):
        quantized(lstm_network(), QuantizationSpec(layers={"fc": own}))


def test_settings_of_a_step_alone_are_refused() -> None:
    spec = QuantizationSpec(layers={"lstm_input_0": LayerQuantizationSpec(weight_bits=4)})
    with pytest.raises(ConfigError) as refused:
        quantized(lstm_network(), spec)
    assert str(refused.value).endswith("has no such layer to quantize; allowed: lstm, fc")


def test_unsigned_hidden_states() -> None:
    spec = QuantizationSpec(activations=ActivationQuantizationSpec(signed=False))
    network = quantized(lstm_network(), spec, bits=16)
    assert quantization_of(network.tensors["lstm"]).format == IntFormat(16, signed=False)
    assert quantization_of(network.tensors["lstm.0.state"]).format == IntFormat(17)


def test_outliers_of_shared_weights_are_clipped_once() -> None:
    spec = QuantizationSpec(repairs=({"name": "outlier_clipping", "deviations": 1.0},))
    reals = np.asarray(lstm_network().tensors["lstm.w"].data)
    found = quantized(lstm_network(), spec).tensors["lstm.w"]
    clipped = quantization_of(found).dequantize(np.asarray(found.data))
    reach = reals.std()
    assert np.abs(clipped - np.clip(reals, reals.mean() - reach, reals.mean() + reach)).max() < 0.01


def test_a_bias_that_steps_share_is_not_corrected() -> None:
    spec = QuantizationSpec(repairs=("bias_correction",))
    text = r"^bias_correction of layer lstm: the steps of an LSTM share one bias$"
    with pytest.raises(UnsupportedError, match=text):
        quantized(lstm_network(), spec)


def test_of_an_lstm_of_shapes_alone_the_states_have_grids_too() -> None:
    network = lstm_network()
    shapes = {name: replace(one, data=None) for name, one in network.tensors.items()}
    found = assume_quantization(replace(network, tensors=shapes), QuantizationSpec(), weight_bits=4, activation_bits=6)
    assert quantization_of(found.tensors["lstm"]).format == IntFormat(6)
    assert quantization_of(found.tensors["lstm.r"]).format == IntFormat(4, narrow=True)
    assert quantization_of(found.tensors["lstm.4.state"]).scale[1] == 2.0**-12


def test_all_steps_share_one_object_of_grids_with_the_clip() -> None:
    """Tables of every code are made once for it, not at every step."""
    network = lstm_network()
    lstm, dense = network.operators
    assert isinstance(lstm, Lstm)
    found = quantized(replace(network, operators=(replace(lstm, cell_clip=0.5), dense)))
    (grids,) = {one.grids for one in found.operators if isinstance(one, LstmCell)}
    assert grids is not None
    assert grids.cell_clip == 0.5
