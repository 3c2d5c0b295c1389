"""Layer normalization in integers, against float64, by hand, and its square root against the exact one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.layer_norm import build_layer_norm
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.square_root import integer_square_root

LARGEST = (1 << 63) - 1
MANY = settings(max_examples=150, deadline=None)


def grid(scale: float, zero_point: int, word: IntFormat) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


def roots(values: list[int]) -> list[int]:
    return [int(one) for one in integer_square_root(np.array(values, np.int64))]


def test_the_root_is_exact_round_every_square_and_power_of_two() -> None:
    squares = [root * root for root in (1, 2, 3, 181, 46_340, 46_341, 3_037_000_498, math.isqrt(LARGEST))]
    powers = [1 << bit for bit in range(63)]
    values = sorted({0, LARGEST, *(one + step for one in squares + powers for step in (-1, 0, 1))})
    assert roots(values) == [math.isqrt(one) for one in values]


@settings(max_examples=300, deadline=None)
@given(values=st.lists(st.integers(0, LARGEST), min_size=1, max_size=50))
def test_the_root_of_any_number_is_that_of_the_standard_library(values: list[int]) -> None:
    assert roots(values) == [math.isqrt(one) for one in values]


def test_a_row_by_hand() -> None:
    """q = 1, 2, 3, 6: sum 12, sum of squares 50, 4 * 50 - 144 = 56; 4 q - 12 = -8, -4, 0, 12, over sqrt(56) = 7.4833.

    Times 64 steps of the output: -68.42, -34.21, 0, 102.63; factor 2 and shift 3 / 64 make 8.26 of the last but one.
    """
    source = grid(0.5, 77, IntFormat(8))
    output = grid(1 / 64, 0, IntFormat(8))
    plain = build_layer_norm(source, output, np.ones(4), np.zeros(4), 1e-12)
    assert plain.apply(np.array([[1, 2, 3, 6]])).tolist() == [[-68, -34, 0, 103]]
    scaled = build_layer_norm(source, output, np.array([1, -1, 2, 0.5]), np.array([0, 0, 3 / 64, -0.25]), 1e-12)
    assert scaled.apply(np.array([[1, 2, 3, 6]])).tolist() == [[-68, 34, 3, 35]]  # 51.31 - 16 = 35.31


def test_a_row_of_one_code_is_the_shift() -> None:
    rule = build_layer_norm(
        grid(0.1, 3, IntFormat(8)), grid(0.1, -5, IntFormat(8)), np.full(6, 2.0), np.full(6, 0.7), 1e-5
    )
    assert rule.apply(np.full((2, 6), 9)).tolist() == [[2] * 6] * 2


@pytest.mark.parametrize(("bits", "bound"), [(4, 0.501), (8, 0.501), (16, 0.6)])
@MANY
@given(seed=st.integers(0, 1 << 32), length=st.integers(2, 1024))
def test_codes_are_those_of_float64_but_next_to_a_tie(bits: int, bound: float, seed: int, length: int) -> None:
    """The distance to the real result, in codes: half a code is rounding, the rest the error before it."""
    random = np.random.default_rng(seed)
    word, out = IntFormat(int(random.choice([2, 4, 8, 16])), bool(random.random() < 0.5)), IntFormat(bits)
    codes = random.integers(word.min, word.max + 1, (20, length))
    if random.random() < 0.3:  # rows that hardly vary
        codes = np.clip(random.integers(-1, 2, codes.shape) + (word.min + word.max) // 2, word.min, word.max)
    scale, zero_point = float(10.0 ** random.uniform(-4, 1)), int(random.integers(word.min, word.max + 1))
    gamma, beta = random.normal(1, 0.5, length), random.normal(0, 0.5, length)
    reals = scale * (codes - zero_point).astype(np.float64)
    normal = (reals - reals.mean(axis=1, keepdims=True)) / np.sqrt(reals.var(axis=1, keepdims=True) + 1e-5)
    values = normal * gamma + beta
    output = grid(max(float(np.abs(values).max()), 1e-3) / out.max, int(random.integers(-3, 4)), out)
    rule = build_layer_norm(grid(scale, zero_point, word), output, gamma, beta, 1e-5)
    exact = np.clip(values / output.scale + output.zero_point, out.min, out.max)
    assert np.abs(rule.apply(codes) - exact).max() <= bound


def test_what_needs_more_than_63_bits_is_refused() -> None:
    source, output = grid(1.0, 0, IntFormat(16)), grid(1e-9, 0, IntFormat(8))
    with pytest.raises(ConfigError, match="65536 codes of 16 bits with epsilon 1e-05: the variance needs more than 60"):
        build_layer_norm(source, output, np.ones(1 << 16), np.zeros(1 << 16), 1e-5)
    with pytest.raises(ConfigError, match=r"factors up to 1e\+09 and shifts up to 0 steps of the output"):
        build_layer_norm(source, output, np.ones(4), np.zeros(4), 1e-5)
