"""The four terms of a product with zero points against the direct product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.numerics.zero_point import folded_constants, row_sum_term


def product_by_four_terms(x: np.ndarray, w: np.ndarray, zero_x: int, zero_w: np.ndarray) -> np.ndarray:
    return x @ w + folded_constants(w, zero_x, zero_w) + row_sum_term(x.sum(axis=1), zero_w)


@settings(derandomize=True, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 5)),
    zero_x=st.integers(-(2**15), 2**15),
    per_channel=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_four_terms_make_the_direct_product(
    sizes: tuple[int, int, int], zero_x: int, per_channel: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows, depth, cols = sizes
    x, w = random.integers(-(2**15), 2**15, (rows, depth)), random.integers(-(2**15), 2**15, (depth, cols))
    zero_w = random.integers(-(2**15), 2**15, cols if per_channel else ())
    assert np.array_equal(product_by_four_terms(x, w, zero_x, np.asarray(zero_w)), (x - zero_x) @ (w - zero_w))


def test_a_worked_example() -> None:
    """x = [1, 2], w = [3, 4], Z_x = 5, Z_w = 1: (1 - 5)(3 - 1) + (2 - 5)(4 - 1) = -17 = 11 - 35 - 3 + 10."""
    x, w, zero_w = np.array([[1, 2]]), np.array([[3], [4]]), np.asarray(1)
    assert folded_constants(w, 5, zero_w).tolist() == [10 - 35]
    assert row_sum_term(x.sum(axis=1), zero_w).tolist() == [[-3]]
    assert product_by_four_terms(x, w, 5, zero_w).tolist() == [[-17]]


def test_symmetric_weights_need_no_row_sums() -> None:
    assert not row_sum_term(np.arange(6), np.zeros(3, np.int64)).any()


@pytest.mark.parametrize("groups", [1, 3])
def test_groups_are_leading_axes(groups: int) -> None:
    random = np.random.default_rng(groups)
    x, w = random.integers(-9, 9, (groups, 4, 5)), random.integers(-9, 9, (groups, 5, 2))
    zero_w = np.array([2, -3])
    whole = x @ w + folded_constants(w, 7, zero_w)[:, None] + row_sum_term(x.sum(axis=-1), zero_w)
    assert np.array_equal(whole, (x - 7) @ (w - zero_w))
