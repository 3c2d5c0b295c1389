"""The shipped LSTM as hwsim quantizes it, written as a ``.tflite`` file: TensorFlow Lite's interpreters agree."""

from __future__ import annotations

import numpy as np
import pytest
from lstm_models import lstm_graph

from hwsim.compilation import Compiled, compile_workload
from hwsim.config.load import load_arch
from hwsim.execute.integer import run_integer
from hwsim.network.operator import quantization_of
from hwsim.network.operators.lstm import LstmCell
from hwsim.numerics.formats import IntArray
from hwsim.numerics.tflite.lstm_build import LstmTensors
from hwsim.numerics.tflite.profiles import Profile
from hwsim.oracles.ask import Case, ask
from hwsim.readers.read import read_workload

STEPS, CELLS = 8, 32


def compiled_digits(*settings: str) -> Compiled:
    return compile_workload(load_arch("edge16", settings), read_workload("digits_lstm"))


def lstm_tensors(compiled: Compiled) -> LstmTensors:
    """Return what a file says of the quantized layer: one matrix, bias and scale for each gate."""
    tensors = compiled.network.tensors
    (grids,) = {one.grids for one in compiled.network.operators if isinstance(one, LstmCell)}
    assert grids is not None
    parts = {}
    for name in ("input_weight", "recurrent_weight", "bias"):
        found = tensors[f"lstm.{name}"]
        grid = quantization_of(found)
        parts[name] = np.split(np.asarray(found.data, np.int64), 4, axis=-1)
        parts[f"{name}_scales"] = [float(scales[0]) for scales in np.split(grid.scale, 4)]
    return LstmTensors(
        quantization_of(tensors["input"]),
        grids,
        [matrix.T for matrix in parts["input_weight"]],
        [matrix.T for matrix in parts["recurrent_weight"]],
        parts["bias"],
        parts["input_weight_scales"],
        parts["recurrent_weight_scales"],
    )


def hidden_states(compiled: Compiled, codes: IntArray) -> IntArray:
    """Return the hidden states as the array computes them, (samples, steps, cells)."""
    states = [f"lstm.{step}.state" for step in range(STEPS)]
    flat = {compiled.input: codes.reshape(len(codes), -1)}
    found = run_integer(compiled.steps, compiled.params, flat, keep=states).values
    return np.stack([found[name].reshape(-1, 2, CELLS)[:, 0] for name in states], axis=1)


@pytest.mark.parametrize("profile", ["tflm", "litert_reference"])
def test_every_hidden_state_of_all_digits_is_the_interpreters(profile: Profile) -> None:
    per_gate = "quantization.weights.granularity=per_tensor"
    compiled = compiled_digits(f"requantizer.rounding_profile={profile}", per_gate)
    images = read_workload("digits_lstm").inputs
    assert images is not None
    codes = compiled.codes({compiled.input: images})[compiled.input].reshape(images.shape)
    graph = lstm_graph(lstm_tensors(compiled), (1, STEPS, 8), 1, time_major=False)
    case = Case(graph.build(), [codes.astype(np.int8)[:, np.newaxis]])
    (answer,) = ask(profile, [case])
    assert not answer.failure
    theirs = answer.tensors[graph.outputs[0]].reshape(-1, STEPS, CELLS)
    assert theirs.shape == (540, STEPS, CELLS)
    assert np.count_nonzero(hidden_states(compiled, codes) != theirs) == 0


def test_the_interpolated_table_of_the_lut_unit_is_the_profiles_but_for_roundings() -> None:
    """hwsim's own requantizer with ``double`` rounding and the int16 table computes what ``tflm`` does."""
    per_gate = "quantization.weights.granularity=per_tensor"
    profile = compiled_digits("requantizer.rounding_profile=tflm", per_gate)
    table = [f"activation_lut.{key}" for key in ("interpolation=tflite_int16", "output_bits=16")]
    own = compiled_digits("requantizer.rounding=double", per_gate, *table)
    images = read_workload("digits_lstm").inputs
    assert images is not None
    codes = own.codes({own.input: images})[own.input]
    apart = hidden_states(own, codes) - hidden_states(profile, codes)
    assert np.abs(apart).max() <= 1
    assert np.mean(apart != 0) < 0.01
