"""Layers on the functional array: batches, zero points, biases and groups, on random small layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layers import DATAFLOWS, QuantizedLayer, random_array, random_layer

from hwsim.array.params import Dataflow
from hwsim.errors import AccumulatorOverflowError
from hwsim.execute.integer import IntegerRun, run_integer
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.windows import axis
from hwsim.network.steps import MatmulStep

SEEDS = st.integers(0, 1 << 32)
MANY = settings(max_examples=60, deadline=None)
AMPLE = 16  # guard bits with which none of these layers overflows


def run(
    layer: QuantizedLayer,
    step: MatmulStep,
    *,
    dataflow: Dataflow = Dataflow.OUTPUT_STATIONARY,
    guard_bits: int = AMPLE,
    overflow: str = "wrap",
    seed: int = 0,
    codes: np.ndarray | None = None,
) -> IntegerRun:
    params = random_array(seed, step, dataflow, guard_bits=guard_bits, overflow=overflow)
    inputs = layer.codes if codes is None else codes
    return run_integer([step], {step.name: params}, {"x": inputs}, keep=[step.output])


def direct_sums(layer: QuantizedLayer) -> np.ndarray:
    """Return sum((w - Z_w)(x - Z_x)) + b per (sample, row, column, filter), by loops over windows."""
    inputs, weights = layer.quantization("x"), layer.quantization("w")
    operator, shape = layer.operator, layer.tensors["x"].shape
    real_x = (layer.codes - inputs.zero_point).reshape(-1, *shape)
    real_w = np.asarray(layer.tensors["w"].data) - weights.zero_point
    bias = np.asarray(layer.tensors["b"].data)
    if not isinstance(operator, Conv2d):
        return real_x @ real_w + bias
    placed = [axis(shape[i], operator.kernel[i], operator.stride[i], operator.padding) for i in (0, 1)]
    margin = [(one.before, operator.kernel[i] + operator.stride[i]) for i, one in enumerate(placed)]
    padded = np.pad(real_x, ((0, 0), *margin, (0, 0)))
    each, filters = shape[2] // operator.groups, operator.filters // operator.groups
    sums = np.zeros((len(real_x), placed[0].outputs, placed[1].outputs, operator.filters), np.int64)
    for row, col, channel in np.ndindex(*sums.shape[1:]):
        top, left, first = row * operator.stride[0], col * operator.stride[1], channel // filters * each
        window = padded[:, top : top + operator.kernel[0], left : left + operator.kernel[1], first : first + each]
        sums[:, row, col, channel] = (window * real_w[..., channel]).sum(axis=(1, 2, 3)) + bias[channel]
    return sums


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@pytest.mark.parametrize("bias", ["requantizer", "preload"])
@MANY
@given(seed=SEEDS, symmetric=st.booleans(), dataflow=st.sampled_from(DATAFLOWS))
def test_every_way_to_build_the_hardware_computes_the_layer(
    zero_point: str, bias: str, seed: int, symmetric: bool, dataflow: Dataflow
) -> None:
    """Dense, grouped and depthwise layers, with and without weight zero points, while nothing overflows."""
    layer = random_layer(seed, symmetric_weights=symmetric)
    step = layer.lower(zero_point=zero_point, bias=bias)
    found = run(layer, step, dataflow=dataflow, seed=seed)
    assert found.overflows["layer"].events == found.overflows["layer"].preload == 0
    expected = step.requantizer.apply(direct_sums(layer))
    assert np.array_equal(found.values["y"], expected.reshape(len(expected), -1))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@MANY
@given(seed=SEEDS, overflow=st.sampled_from(["wrap", "saturate"]), bias=st.sampled_from(["requantizer", "preload"]))
def test_a_batch_is_its_samples_one_by_one(dataflow: Dataflow, seed: int, overflow: str, bias: str) -> None:
    layer = random_layer(seed, symmetric_weights=seed % 2 == 0)
    step = layer.lower(bias=bias)
    whole, *singles = (
        run(layer, step, dataflow=dataflow, guard_bits=-1, overflow=overflow, seed=seed, codes=codes)
        for codes in (layer.codes, *layer.codes[:, np.newaxis])
    )
    assert np.array_equal(whole.values["y"], np.concatenate([single.values["y"] for single in singles]))
    counts = [single.overflows["layer"] for single in singles]
    assert np.array_equal(whole.overflows["layer"].per_pe, sum(count.per_pe for count in counts))
    assert whole.overflows["layer"].preload == sum(count.preload for count in counts)


def test_layers_of_the_batch_test_do_overflow() -> None:
    layers = [random_layer(seed) for seed in range(40)]
    events = [run(layer, layer.lower(), guard_bits=-1, seed=7).overflows["layer"].events for layer in layers]
    assert np.count_nonzero(events) > 20


def test_where_the_zero_point_is_subtracted_decides_what_overflows() -> None:
    """Raw codes lie on one side of zero where the zero point is at the other end: their sums run away."""
    layers = [random_layer(seed, bits=6) for seed in range(40)]
    counts = [
        sum(
            run(layer, layer.lower(zero_point=mode), guard_bits=0, seed=1).overflows["layer"].events for layer in layers
        )
        for mode in ("folded", "operand")
    ]
    assert counts[0] != counts[1]
    assert min(counts) > 0


def test_chunks_of_samples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = random_layer(5, samples=7)
    whole = run(layer, layer.lower(), guard_bits=-1)
    monkeypatch.setattr("hwsim.execute.integer.CHUNK_ELEMENTS", 1)
    chunked = run(layer, layer.lower(), guard_bits=-1)
    assert np.array_equal(chunked.values["y"], whole.values["y"])
    assert np.array_equal(chunked.overflows["layer"].per_pe, whole.overflows["layer"].per_pe)


def dense_layer_whose_bias_does_not_fit() -> QuantizedLayer:
    layer = next(one for one in map(random_layer, range(100)) if not isinstance(one.operator, Conv2d))
    np.asarray(layer.tensors["b"].data)[:] = 0
    np.asarray(layer.tensors["b"].data)[0] = 1000
    return layer


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_a_preloaded_bias_outside_the_accumulator_overflows_by_itself(overflow: str) -> None:
    """8 bits hold -128 to 127; the bias of one column is 1000, counted once a sample, never as an add's event."""
    layer = dense_layer_whose_bias_does_not_fit()
    found = run(layer, layer.lower(zero_point="operand", bias="preload"), guard_bits=0, overflow=overflow)
    assert found.overflows["layer"].preload == len(layer.codes)


def test_a_preloaded_bias_outside_the_accumulator_is_refused_under_error() -> None:
    layer = dense_layer_whose_bias_does_not_fit()
    with pytest.raises(AccumulatorOverflowError) as stopped:
        run(layer, layer.lower(zero_point="operand", bias="preload"), guard_bits=0, overflow="error")
    assert str(stopped.value) == "layer layer: 1 preloaded biases lie outside an accumulator of 8 bits"
    assert stopped.value.exit_code == 6
