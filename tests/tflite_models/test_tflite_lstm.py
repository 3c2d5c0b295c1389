"""The integer LSTM against TensorFlow Lite's interpreters: random layers, and a trained one on real images."""

from __future__ import annotations

import gzip
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from comparison import Question, assert_equal
from lstm_models import LstmModel, random_lstm
from product_models import quantization
from shared_files import shared

from hwsim.errors import UnsupportedError
from hwsim.numerics.lstm import StateGrids, next_state
from hwsim.numerics.requantize import Requantizer, RequantizerOptions
from hwsim.numerics.tflite.lstm import exact_product, lstm_gates, lstm_sequence
from hwsim.numerics.tflite.lstm_build import LstmTensors, build_lstm
from hwsim.numerics.tflite.profiles import PROFILES, Profile
from hwsim.numerics.tflite.schemes import scheme_name
from hwsim.numerics.tflite.softmax import build_softmax
from hwsim.oracles.ask import Case, ask

MODELS = 60
IMAGES = 50


@cache
def models() -> list[LstmModel]:
    random = np.random.default_rng(1)
    return [random_lstm(random) for _ in range(MODELS)]


@pytest.mark.parametrize("profile", PROFILES)
def test_random_layers(profile: Profile) -> None:
    questions = []
    for number, built in enumerate(models()):
        run = lstm_sequence(build_lstm(profile, built.tensors), built.codes, time_major=built.time_major)
        questions.append(Question(built.case, built.output_tensor, run.hidden, f"LSTM {number}: hidden states"))
        questions.append(Question(built.case, built.hidden_tensor, run.state.hidden, f"LSTM {number}: hidden state"))
        questions.append(Question(built.case, built.cell_tensor, run.state.cell, f"LSTM {number}: cell state"))
    assert assert_equal(profile, questions) > 5000


def test_a_sequence_is_its_steps() -> None:
    built = models()[3]
    lstm = build_lstm("tflm", built.tensors)
    codes = np.swapaxes(built.codes, 0, 1) if built.time_major else built.codes
    run = lstm_sequence(lstm, codes, keep_steps=True)
    state = lstm.initial_state(len(codes))
    assert np.all(state.hidden == built.tensors.states.hidden.zero_point)
    for time, step in enumerate(run.steps):
        input_sums = exact_product(codes[:, time], lstm.input_weights)
        gates = lstm_gates(lstm, input_sums, exact_product(state.hidden, lstm.recurrent_weights))
        state = next_state(lstm.arithmetic, gates, state)
        assert np.array_equal(gates.pre_activations, step.gates.pre_activations)
        assert np.array_equal(state.cell, step.state.cell)
        assert np.array_equal(state.hidden, run.hidden[:, time])


def test_the_array_may_compute_the_products() -> None:
    built = models()[3]
    lstm = build_lstm("tflm", built.tensors)
    shapes = []

    def product(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        shapes.append((activations.shape[1], weights.shape[1]))
        return activations @ weights

    run = lstm_sequence(lstm, built.codes, time_major=built.time_major, product=product)
    assert np.array_equal(run.hidden, lstm_sequence(lstm, built.codes, time_major=built.time_major).hidden)
    assert set(shapes) == {(lstm.input_weights.shape[0], 4 * lstm.cells), (lstm.cells, 4 * lstm.cells)}


def test_a_cell_scale_that_is_no_power_of_two_is_refused() -> None:
    tensors = models()[0].tensors
    tensors = replace(tensors, states=replace(tensors.states, cell_scale=0.001))
    text = r"LSTM cell scale 0\.001; available: powers of two, 2\*\*-15 to 2\*\*-9"
    with pytest.raises(UnsupportedError, match=text):
        build_lstm("tflm", tensors)


class TrainedModel:
    """trained_lstm_int8.tflite: LSTM, reshape, fully connected, softmax."""

    def __init__(self, content: bytes) -> None:
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self.graph = self.model.subgraphs[0]
        self.lstm, self.fully_connected = self.graph.operators[0], self.graph.operators[2]

    def codes(self, tensor: int, dtype: type[np.generic]) -> np.ndarray:
        entry = self.graph.tensors[tensor]
        data = np.asarray(self.model.buffers[entry.buffer].data, np.uint8).tobytes()
        return np.frombuffer(data, dtype).reshape(entry.shape).astype(np.int64)

    def scale(self, tensor: int) -> float:
        return float(self.graph.tensors[tensor].quantization.scale[0])

    def zero_point(self, tensor: int) -> int:
        return int(self.graph.tensors[tensor].quantization.zeroPoint[0])

    def lstm_tensors(self) -> LstmTensors:
        operands = self.lstm.inputs
        return LstmTensors(
            input=quantization(self.scale(operands[0]), self.zero_point(operands[0])),
            states=StateGrids(
                quantization(self.scale(operands[18]), self.zero_point(operands[18])),
                self.scale(operands[19]),
                self.lstm.builtinOptions.cellClip,
            ),
            input_weights=[self.codes(number, np.int8) for number in operands[1:5]],
            recurrent_weights=[self.codes(number, np.int8) for number in operands[5:9]],
            biases=[self.codes(number, np.int32) for number in operands[12:16]],
            input_weight_scales=[self.scale(number) for number in operands[1:5]],
            recurrent_weight_scales=[self.scale(number) for number in operands[5:9]],
        )

    def logits(self, hidden: np.ndarray, profile: Profile) -> np.ndarray:
        x, w, b = self.fully_connected.inputs
        y = self.fully_connected.outputs[0]
        name = scheme_name(profile, "fully_connected", per_channel=False)
        rule = entry_points(group="hwsim.requantization_schemes")[name].load()
        scheme = rule.build(self.scale(x), np.asarray(self.scale(w)), self.scale(y), RequantizerOptions())
        sums = (hidden - self.zero_point(x)) @ self.codes(w, np.int8).T + self.codes(b, np.int32)
        return Requantizer(scheme, self.zero_point(y), -128, 127).apply(sums)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_tensor_of_a_trained_model(profile: Profile) -> None:
    content = shared("models/trained_lstm_int8.tflite").read_bytes()
    with gzip.open(shared("models/data/mnist_t10k-images-idx3-ubyte.gz")) as stream:
        images = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:IMAGES]
    codes = images.astype(np.int64) - 128
    trained = TrainedModel(content)
    answer = ask(profile, [Case(content, [codes[:, None].astype(np.int8)])])[0]
    assert not answer.failure
    run = lstm_sequence(build_lstm(profile, trained.lstm_tensors()), codes)
    flat = run.hidden.reshape(IMAGES, -1)
    logits = trained.logits(flat, profile)
    source, result = trained.graph.operators[3].inputs[0], trained.graph.operators[3].outputs[0]
    quantized = [quantization(trained.scale(number), trained.zero_point(number)) for number in (source, result)]
    expected = {
        trained.lstm.inputs[18]: run.state.hidden,
        trained.lstm.inputs[19]: run.state.cell,
        trained.lstm.outputs[0]: run.hidden,
        trained.fully_connected.inputs[0]: flat,
        source: logits,
        result: build_softmax(profile, quantized[0], quantized[1]).apply(logits),
    }
    if profile == "xnnpack":  # what its delegate computes inside cannot be read
        expected = {tensor: expected[tensor] for tensor in (trained.lstm.outputs[0], result)}
    for tensor, values in expected.items():
        assert np.array_equal(answer.tensors[tensor].reshape(values.shape), values), f"tensor {tensor}"
