"""Pooling and mean in each rounding profile, against TensorFlow Lite's interpreters."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from comparison import Question, assert_equal
from operator_models import Model, random_mean, random_pool

from hwsim.numerics.tflite.pooling import average_pool, max_pool, mean
from hwsim.numerics.tflite.profiles import PROFILES, Profile
from hwsim.numerics.tflite.scales import activation_clamp

MODELS = 40


def pooled(name: str, model: Model) -> np.ndarray:
    assert model.window is not None
    pool = average_pool if name == "AVERAGE_POOL_2D" else max_pool
    return pool(model.codes[0], model.window, *activation_clamp(model.output, model.activation))


@cache
def random_pools(name: str, bits: int) -> list[Model]:
    random = np.random.default_rng(bits)
    return [random_pool(random, name, bits) for _ in range(MODELS)]


@cache
def random_means(bits: int) -> list[Model]:
    random = np.random.default_rng(bits)
    return [random_mean(random, bits) for _ in range(100)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_pooling(name: str, bits: int, profile: Profile) -> None:
    questions = [
        Question(model.case, model.tensor, pooled(name, model), f"{name} {number}")
        for number, model in enumerate(random_pools(name, bits))
    ]
    assert assert_equal(profile, questions) > 5000


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", [8, 16])
def test_mean(bits: int, profile: Profile) -> None:
    questions = [
        Question(
            model.case,
            model.tensor,
            mean(profile, model.codes[0], model.axes, model.inputs[0], model.output),
            f"mean {number} over {model.axes}",
        )
        for number, model in enumerate(random_means(bits))
    ]
    assert assert_equal(profile, questions) > 1500
