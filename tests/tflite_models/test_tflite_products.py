"""Requantization of matrix products in each rounding profile, against TensorFlow Lite's interpreters."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

import numpy as np
import pytest
from comparison import Question, assert_equal
from product_models import NAMES, Product, beyond_32_bits, near_ties, random_convolution, random_fully_connected

from hwsim.numerics.requantize import Requantizer, RequantizerOptions
from hwsim.numerics.tflite.profiles import PROFILES, Profile
from hwsim.numerics.tflite.scales import activation_clamp
from hwsim.numerics.tflite.schemes import scheme_name

MODELS = 40


def requantize(product: Product, profile: Profile) -> np.ndarray:
    wide = product.output.format.bits == 16
    name = scheme_name(profile, product.operator, per_channel=product.per_channel, accumulator_bits=64 if wide else 32)
    scheme = entry_points(group="hwsim.requantization_schemes")[name].load()
    built = scheme.build(
        product.input_scale, product.weight_scale, float(product.output.scale), RequantizerOptions(name)
    )
    low, high = activation_clamp(product.output, product.activation)
    return Requantizer(built, int(product.output.zero_point), low, high).apply(product.accumulators)


def questions(products: list[Product], profile: Profile) -> list[Question]:
    return [
        Question(product.case, product.output_tensor, requantize(product, profile), f"{product.operator} {number}")
        for number, product in enumerate(products)
    ]


@cache
def convolutions(depthwise: bool) -> list[Product]:
    random = np.random.default_rng(1)
    return [random_convolution(random, depthwise=depthwise) for _ in range(MODELS)]


@cache
def fully_connected(per_channel: bool) -> list[Product]:
    random = np.random.default_rng(2)
    return [random_fully_connected(random, per_channel=per_channel) for _ in range(MODELS)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("depthwise", [False, True], ids=["convolution", "depthwise"])
def test_convolution(profile: Profile, depthwise: bool) -> None:
    assert assert_equal(profile, questions(convolutions(depthwise), profile)) > 2500


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("per_channel", [False, True], ids=["per_tensor", "per_channel"])
def test_fully_connected(profile: Profile, per_channel: bool) -> None:
    assert assert_equal(profile, questions(fully_connected(per_channel), profile)) > 1000


@pytest.mark.parametrize("profile", PROFILES)
def test_16_bit_activations(profile: Profile) -> None:
    random = np.random.default_rng(3)
    products = [random_convolution(random, depthwise=bool(n % 2), bits=16) for n in range(MODELS)]
    products += [random_fully_connected(random, per_channel=False, bits=16) for _ in range(MODELS)]
    assert assert_equal(profile, questions(products, profile)) > 3000


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("operator", NAMES)
def test_sums_next_to_ties(profile: Profile, operator: str) -> None:
    """Here each other rounding, or a multiplier of another precision, is wrong in a tenth of the codes or more."""
    random = np.random.default_rng(4)
    products = [near_ties(random, operator, outputs=2 * int(random.integers(1, 350))) for _ in range(20)]
    assert assert_equal(profile, questions(products, profile)) > 4000


@pytest.mark.parametrize("profile", PROFILES)
def test_sums_next_to_ties_with_one_scale(profile: Profile) -> None:
    random = np.random.default_rng(5)
    products = [near_ties(random, "fully_connected", per_channel=False) for _ in range(20)]
    assert assert_equal(profile, questions(products, profile)) == 12000


@pytest.mark.parametrize("profile", PROFILES)
def test_sums_beyond_32_bits_wrap(profile: Profile) -> None:
    random = np.random.default_rng(6)
    products = [beyond_32_bits(random, name) for name in NAMES if name != "grouped_convolution"]
    assert all(np.abs(product.accumulators).max() >= 1 << 31 for product in products)
    assert assert_equal(profile, questions(products, profile)) == 192
