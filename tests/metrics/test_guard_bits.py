"""Guard bits that suffice: closed forms against extreme operands, the exact bound against any order."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.metrics.guard_bits import (
    accumulator_bits_needed,
    guard_bits_that_suffice,
    largest_safe_depth,
    safe_depth_signed_signed,
    safe_depth_unsigned_signed,
    safe_depth_unsigned_unsigned,
)

WIDTHS = range(2, 6)
GUARD_BITS = range(-4, 5)


def extremes(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def fits(value: int, accumulator_bits: int) -> bool:
    low, high = extremes(accumulator_bits, signed=True)
    return low <= value <= high


def never_overflows(products: set[int], depth: int, accumulator_bits: int) -> bool:
    """The furthest that any order of ``depth`` adds can get is ``depth`` times one extreme product."""
    return accumulator_bits >= 1 and all(fits(depth * value, accumulator_bits) for value in products)


@pytest.mark.parametrize("weights_signed", [True, False])
@pytest.mark.parametrize("activations_signed", [True, False])
def test_the_largest_safe_depth_is_the_last_that_extreme_operands_survive(
    weights_signed: bool, activations_signed: bool
) -> None:
    for weight_bits, activation_bits, guard_bits in product(WIDTHS, WIDTHS, GUARD_BITS):
        weights, activations = (
            extremes(weight_bits, weights_signed),
            extremes(activation_bits, activations_signed),
        )
        products = {weight * activation for weight, activation in product(weights, activations)}
        accumulator_bits = weight_bits + activation_bits + guard_bits
        depth = largest_safe_depth(
            weight_bits,
            activation_bits,
            guard_bits,
            weights_signed=weights_signed,
            activations_signed=activations_signed,
        )
        assert depth == 0 or never_overflows(products, depth, accumulator_bits)
        assert not never_overflows(products, depth + 1, accumulator_bits)


def test_signed_operands() -> None:
    assert [safe_depth_signed_signed(guard_bits) for guard_bits in (-2, -1, 0, 4, 8)] == [0, 0, 1, 31, 511]


def test_one_unsigned_operand() -> None:
    assert safe_depth_unsigned_signed(8, 8) == 65536 // 255 == 257
    assert safe_depth_unsigned_signed(8, 0) == 1
    assert safe_depth_unsigned_signed(8, -1) == 0
    assert safe_depth_unsigned_signed(2, -4) == 0


def test_two_unsigned_operands() -> None:
    assert safe_depth_unsigned_unsigned(8, 8, 0) == 0
    assert safe_depth_unsigned_unsigned(8, 8, 1) == 1
    assert safe_depth_unsigned_unsigned(8, 8, 8) == (2**23 - 1) // 65025
    assert safe_depth_unsigned_unsigned(2, 2, -4) == 0


@pytest.mark.parametrize("weights_signed", [True, False])
@pytest.mark.parametrize("activations_signed", [True, False])
def test_guard_bits_that_suffice_are_the_fewest(weights_signed: bool, activations_signed: bool) -> None:
    signs = {"weights_signed": weights_signed, "activations_signed": activations_signed}
    for weight_bits, activation_bits, depth in product(WIDTHS, WIDTHS, (1, 2, 3, 4, 9, 64, 1000)):
        guard_bits = guard_bits_that_suffice(depth, weight_bits, activation_bits, **signs)
        assert largest_safe_depth(weight_bits, activation_bits, guard_bits, **signs) >= depth
        assert largest_safe_depth(weight_bits, activation_bits, guard_bits - 1, **signs) < depth


def test_a_layer_of_depth_576_in_int8_needs_9_guard_bits() -> None:
    assert guard_bits_that_suffice(576, 8, 8) == 9


def test_known_weights_need_a_bound_per_column() -> None:
    weights = np.array([[1, 0, -128], [1, 0, -128]])
    # column 0: sums in [0, 510] need 10 bits; column 1: nothing but 0; column 2: down to -65280, 17 bits
    assert accumulator_bits_needed(weights, 0, 255).tolist() == [10, 1, 17]


def test_the_negative_end_of_the_range_has_one_more_value() -> None:
    assert accumulator_bits_needed(np.array([[-1]]), 0, 128).tolist() == [8]
    assert accumulator_bits_needed(np.array([[1]]), 0, 128).tolist() == [9]


def test_known_weights_refuse_what_has_no_answer() -> None:
    with pytest.raises(ValueError, match=r"the operand range \[1, 0\] is empty"):
        accumulator_bits_needed(np.array([[1]]), 1, 0)
    with pytest.raises(ValueError, match="might not fit 64 bits"):
        accumulator_bits_needed(np.array([[2**40]]), 0, 2**30)


operand_ranges = st.tuples(st.integers(-300, 300), st.integers(-300, 300)).map(sorted)


@given(st.lists(st.integers(-130, 130), min_size=1, max_size=12), operand_ranges, st.data())
def test_with_known_weights_every_order_of_adds_stays_inside(weights, operand_range, data) -> None:
    x_min, x_max = operand_range
    (bits,) = accumulator_bits_needed(np.array(weights).reshape(-1, 1), x_min, x_max).tolist()
    accumulator = 0
    for weight in data.draw(st.permutations(weights)):
        accumulator += weight * data.draw(st.integers(x_min, x_max))
        assert fits(accumulator, bits)


@given(st.lists(st.integers(-130, 130), min_size=1, max_size=12), operand_ranges)
def test_with_known_weights_one_bit_less_is_too_few(weights, operand_range) -> None:
    (bits,) = accumulator_bits_needed(np.array(weights).reshape(-1, 1), *operand_range).tolist()
    extreme_products = [[weight * x for x in operand_range] for weight in weights]
    highest = sum(max(products) for products in extreme_products if max(products) > 0)  # these first
    lowest = sum(min(products) for products in extreme_products if min(products) < 0)
    assert bits == 1 or not (fits(highest, bits - 1) and fits(lowest, bits - 1))
