"""Logistic, tanh and softmax in each rounding profile, against TensorFlow Lite's interpreters."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from comparison import Question, assert_equal
from operator_models import every_code, model, random_codes, random_quantization

from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.nonlinear import NonlinearFunction, nonlinear_table
from hwsim.numerics.tflite.profiles import PROFILES, Profile
from hwsim.numerics.tflite.softmax import build_softmax

OPERATORS: dict[NonlinearFunction, str] = {"logistic": "LOGISTIC", "tanh": "TANH"}
OUTPUTS_8: dict[NonlinearFunction, tuple[float, int]] = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}
SCALES_16 = (2.0**-12, 2.0**-11, 2.0**-13, 2.0**-15, 0.00017, 0.001, 0.004)


def quantized(scale: float, zero_point: int, bits: int) -> Quantization:
    return Quantization(np.asarray(float(np.float32(scale))), np.asarray(zero_point), IntFormat(bits))


def ask_every_code(
    function: NonlinearFunction, profile: Profile, sources: list[Quantization], output: Quantization
) -> int:
    questions = []
    for source in sources:
        codes = every_code(source.format.bits)
        built = model(OPERATORS[function], [codes], [source], codes.shape, output)
        expected = nonlinear_table(function, profile, source, output).look_up(codes)
        questions.append(Question(built.case, built.tensor, expected, f"{function} at scale {float(source.scale)}"))
    return assert_equal(profile, questions)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("function", list(OPERATORS))
def test_every_8_bit_code(function: NonlinearFunction, profile: Profile) -> None:
    random = np.random.default_rng(1)
    sources = [random_quantization(random, 8, 1e-3, 0.5) for _ in range(60)]
    assert ask_every_code(function, profile, sources, quantized(*OUTPUTS_8[function], 8)) == 60 << 8


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("function", list(OPERATORS))
def test_every_16_bit_code_at_seven_scales(function: NonlinearFunction, profile: Profile) -> None:
    sources = [quantized(scale, 0, 16) for scale in SCALES_16]
    assert ask_every_code(function, profile, sources, quantized(2.0**-15, 0, 16)) == 7 << 16


@pytest.mark.parametrize(
    ("profile", "bits"), [*((profile, 8) for profile in PROFILES), ("tflm", 16), ("litert_reference", 16)]
)
def test_softmax(profile: Profile, bits: int) -> None:
    random = np.random.default_rng(bits)
    output = quantized(1 / 256, -128, 8) if bits == 8 else quantized(2.0**-16, -32768, 16)
    questions = []
    for number in range(80):
        source = random_quantization(random, 8, 1e-3, 1.0)
        options = schema.SoftmaxOptionsT()
        options.beta = float(np.float32(random.choice([1.0, 0.5, 2.3])))
        codes = random_codes(random, random.integers(1, [6, 50]), 8)
        built = model("SOFTMAX", [codes], [source], codes.shape, output, options)
        expected = build_softmax(profile, source, output, options.beta).apply(codes)
        questions.append(Question(built.case, built.tensor, expected, f"softmax {number}"))
    assert assert_equal(profile, questions) > 3000
