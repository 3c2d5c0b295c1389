"""Quantize, requantize, dequantize and rectifiers in each rounding profile, against TensorFlow Lite's interpreters."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from comparison import Question, assert_equal
from model_builder import Graph, Operator, Tensor
from operator_models import Model, every_code, model, random_codes, random_quantization, random_unary, tensor

from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.convert import dequantize, quantize, requantize
from hwsim.numerics.tflite.profiles import PROFILES, Profile
from hwsim.numerics.tflite.rectify import leaky_rectify, rectify
from hwsim.numerics.tflite.scales import TfliteActivation
from hwsim.oracles.ask import Case

MODELS = 30
MODELS_16 = 3  # each is asked about 65,536 codes
NAMES: dict[TfliteActivation, str] = {"relu": "RELU", "relu6": "RELU6", "relu_n1_to_1": "RELU_N1_TO_1"}


def question(built: Model, expected: np.ndarray, name: str) -> Question:
    return Question(built.case, built.tensor, expected, name)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("bits", "out_bits"), [(8, 8), (8, 16), (16, 8), (16, 16)])
def test_requantize_every_code(bits: int, out_bits: int, profile: Profile) -> None:
    random = np.random.default_rng(1)
    models = [random_unary(random, "QUANTIZE", bits, None, out_bits) for _ in range(MODELS if bits == 8 else MODELS_16)]
    questions = [
        question(built, requantize(profile, built.codes[0], built.inputs[0], built.output), f"{number}")
        for number, built in enumerate(models)
    ]
    assert assert_equal(profile, questions) == len(models) << bits


@pytest.mark.parametrize("profile", PROFILES)
def test_requantize_of_any_size(profile: Profile) -> None:
    """A vectorized kernel may round what its vectors leave over in another way; ties are frequent here."""
    random = np.random.default_rng(2)
    models = []
    for size in range(1, 60):
        source = random_quantization(random, 8)
        ratio = 2.0 ** int(random.integers(1, 5))
        output = Quantization(source.scale * ratio, np.asarray(int(random.integers(-100, 100))), source.format)
        codes = random_codes(random, (1, size), 8)
        models.append(model("QUANTIZE", [codes], [source], codes.shape, output))
    questions = [
        question(built, requantize(profile, built.codes[0], built.inputs[0], built.output), f"size {number + 1}")
        for number, built in enumerate(models)
    ]
    assert assert_equal(profile, questions) == sum(range(1, 60))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
def test_quantize_real_numbers(bits: int, profile: Profile) -> None:
    random = np.random.default_rng(3)
    questions = []
    for number in range(MODELS):
        output = random_quantization(random, bits)
        scale = float(output.scale)
        size = int(random.integers(300, 800))
        ties = (np.arange(200) - 99.5) * scale
        real = np.concatenate([ties, random.normal(size=size) * scale * 80]).astype(np.float32).reshape(1, -1)
        graph = Graph()
        x, y = graph.add(Tensor(real.shape, "float32")), graph.add(tensor(real.shape, output))
        graph.operators, graph.inputs, graph.outputs = [Operator("QUANTIZE", [x], [y])], [x], [y]
        case = Case(graph.build(), [real[None]])
        questions.append(Question(case, y, quantize(profile, real, output), f"{number}"))
    assert assert_equal(profile, questions) > 15000


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
def test_dequantize_every_code(bits: int, profile: Profile) -> None:
    random = np.random.default_rng(4)
    questions = []
    for number in range(MODELS if bits == 8 else MODELS_16):
        source, codes = random_quantization(random, bits), every_code(bits)[..., number:]
        graph = Graph()
        x, y = graph.add(tensor(codes.shape, source)), graph.add(Tensor(codes.shape, "float32"))
        graph.operators, graph.inputs, graph.outputs = [Operator("DEQUANTIZE", [x], [y])], [x], [y]
        case = Case(graph.build(), [codes.astype(np.int8 if bits == 8 else np.int16)[None]])
        questions.append(Question(case, y, dequantize(profile, codes, source), f"{number}"))
    assert assert_equal(profile, questions) > 7000


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
def test_rectifiers_of_every_code(bits: int, profile: Profile) -> None:
    random = np.random.default_rng(5)
    questions = []
    for activation, name in NAMES.items():
        if activation == "relu_n1_to_1" and (bits == 16 or profile == "tflm"):
            continue  # no kernel for it
        for _ in range(MODELS if bits == 8 else MODELS_16):
            built = random_unary(random, name, bits)
            expected = rectify(profile, activation, built.codes[0], built.inputs[0], built.output)
            questions.append(question(built, expected, activation))
    assert assert_equal(profile, questions) == len(questions) << bits


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
def test_leaky_rectifier_of_every_code(bits: int, profile: Profile) -> None:
    random = np.random.default_rng(6)
    questions = []
    for slope in (0.1, 0.01, 1.5, -0.3, 0.0):
        options = schema.LeakyReluOptionsT()
        options.alpha = slope
        for _ in range(MODELS if bits == 8 else MODELS_16):
            built = random_unary(random, "LEAKY_RELU", bits, options)
            expected = leaky_rectify(profile, slope, built.codes[0], built.inputs[0], built.output)
            questions.append(question(built, expected, f"slope {slope}"))
    assert assert_equal(profile, questions) == len(questions) << bits
