"""Addition, subtraction and multiplication in each rounding profile, against TensorFlow Lite's interpreters."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from comparison import Question, assert_equal
from operator_models import Model, random_binary

from hwsim.numerics.tflite.elementwise import build_add, build_mul
from hwsim.numerics.tflite.profiles import PROFILES, Profile

MODELS = 40


def expected(profile: Profile, name: str, model: Model) -> np.ndarray:
    first, second = model.inputs
    if name == "MUL":
        operator = build_mul(profile, first, second, model.output, model.activation)
    else:
        subtract = name == "SUB"
        operator = build_add(profile, first, second, model.output, model.activation, subtract=subtract)
    return operator.apply(*model.codes)


@cache
def random_models(name: str, bits: int) -> list[Model]:
    random = np.random.default_rng(bits)
    return [random_binary(random, name, bits) for _ in range(MODELS)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_elementwise(name: str, bits: int, profile: Profile) -> None:
    questions = [
        Question(model.case, model.tensor, expected(profile, name, model), f"{name} {number}")
        for number, model in enumerate(random_models(name, bits))
    ]
    assert assert_equal(profile, questions) > 5000
