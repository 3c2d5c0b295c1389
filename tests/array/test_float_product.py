"""Products of floats in the array's order, element for element against scalars of NumPy and ml_dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.array.float_product import FloatArray, float_product
from hwsim.array.params import Dataflow
from hwsim.errors import ConfigError
from hwsim.numerics.number_formats import FLOAT_FORMATS

DATAFLOWS = list(Dataflow)
FORMATS = [
    ("fp32", "fp32"),
    ("fp16", "fp32"),
    ("fp16", "fp16"),
    ("bf16", "fp32"),
    ("bf16", "bf16"),
    ("fp8_e4m3", "fp32"),
    ("fp8_e4m3", "fp16"),
    ("fp8_e5m2", "fp32"),
]
Floats = np.ndarray[Any, Any]


def array(dataflow: Dataflow, operand: str, accumulator: str, rows: int = 3, cols: int = 4) -> FloatArray:
    return FloatArray(rows, cols, dataflow, FLOAT_FORMATS[operand], FLOAT_FORMATS[accumulator])


def operands(operand: str, out_rows: int = 5, depth: int = 11, out_cols: int = 6) -> tuple[Floats, Floats]:
    random, word = np.random.default_rng(4), FLOAT_FORMATS[operand]
    return tuple(
        word.convert(random.standard_normal(shape) * np.exp2(random.integers(-4, 4, shape)))
        for shape in ((2, out_rows, depth), (depth, out_cols))
    )  # type: ignore[return-value]


def chain(scalar: Any, left: Floats, right: Floats) -> Any:
    total = scalar(0)
    for one, other in zip(left, right, strict=True):
        total = scalar(total + scalar(scalar(one) * scalar(other)))
    return total


def by_scalars(one: FloatArray, left: Floats, right: Floats) -> Any:
    """Output stationary: one chain. Else a chain for each depth tile of three terms, and the tiles' sums in order."""
    scalar = one.accumulator.dtype.type
    if one.dataflow is Dataflow.OUTPUT_STATIONARY:
        return chain(scalar, left, right)
    first, *others = [
        chain(scalar, left[start : start + one.rows], right[start : start + one.rows])
        for start in range(0, len(left), one.rows)
    ]
    for other in others:
        first = scalar(first + other)
    return first


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize(("operand", "accumulator"), FORMATS)
def test_element_for_element(dataflow: Dataflow, operand: str, accumulator: str) -> None:
    one, (left, right) = array(dataflow, operand, accumulator), operands(operand)
    found = float_product(one, left, right)
    assert found.sums.dtype == one.accumulator.dtype
    assert not found.per_pe.any()
    for sample, row, col in np.ndindex(*found.sums.shape):
        assert found.sums[sample, row, col] == by_scalars(one, left[sample, row], right[:, col])


@pytest.mark.parametrize(("operand", "accumulator"), FORMATS)
def test_each_operation_is_rounded_to_nearest(operand: str, accumulator: str) -> None:
    """In float64, in which products are exact and sums wide enough that a second rounding changes nothing."""
    one, (left, right) = array(Dataflow.OUTPUT_STATIONARY, operand, accumulator), operands(operand)
    exact_left, exact_right = left.astype(np.float64), right.astype(np.float64)
    total, rounded = np.zeros((2, 5, 6)), one.accumulator.convert
    for term in range(11):
        product = rounded(exact_left[:, :, term, None] * exact_right[term]).astype(np.float64)
        total = rounded(total + product).astype(np.float64)
    assert np.array_equal(float_product(one, left, right).sums.astype(np.float64), total)


def test_the_order_of_adds_is_the_dataflows() -> None:
    """2048 + 1 is 2048 in FP16: one by one six ones are lost; a tile of three of them is not."""
    left, right = np.ones((1, 1, 9), np.float16), np.ones((9, 1), np.float16)
    right[:3] = [[2048], [0], [0]]
    sums = [float(float_product(array(one, "fp16", "fp16"), left, right).sums[0, 0, 0]) for one in DATAFLOWS]
    assert dict(zip(DATAFLOWS, sums, strict=True)) == {
        Dataflow.OUTPUT_STATIONARY: 2048,
        Dataflow.WEIGHT_STATIONARY: 2056,  # 2048 + 3 = 2052 (even), 2052 + 3 = 2056 (even)
        Dataflow.INPUT_STATIONARY: 2056,
    }


def test_a_wide_accumulator_loses_none_of_them() -> None:
    left, right = np.ones((1, 1, 9), np.float16), np.ones((9, 1), np.float16)
    right[:3] = [[2048], [0], [0]]
    assert float_product(array(Dataflow.OUTPUT_STATIONARY, "fp16", "fp32"), left, right).sums.item() == 2054


def test_product_and_add_are_rounded_one_after_the_other() -> None:
    """(1 + 2^-10)^2 = 1 + 2^-9 + 2^-20 rounds to 1 + 2^-9; less 1 + 2^-9 that is 0, where a fused MAC leaves 2^-20."""
    one, word = array(Dataflow.OUTPUT_STATIONARY, "fp16", "fp16"), np.float16
    almost = 1 + 2.0**-10
    left = np.array([[[-1, almost]]], word)
    right = np.array([[1 + 2.0**-9], [almost]], word)
    assert float_product(one, left, right).sums.item() == 0
    wide = array(Dataflow.OUTPUT_STATIONARY, "fp16", "fp32")  # here the product is exact, and so is a fused MAC
    assert float_product(wide, left, right).sums.item() == 2.0**-20


@pytest.mark.parametrize(
    ("dataflow", "row", "col"),
    [
        (Dataflow.OUTPUT_STATIONARY, 4 % 3, 5 % 4),
        (Dataflow.WEIGHT_STATIONARY, 7 % 3, 5 % 4),
        (Dataflow.INPUT_STATIONARY, 7 % 3, 4 % 4),
    ],
)
def test_a_product_beyond_the_range_is_counted_once_where_it_happens(dataflow: Dataflow, row: int, col: int) -> None:
    """300 times 300 is more than 65504; what is added to infinity later is no event of its own."""
    left, right = np.ones((2, 5, 11), np.float16), np.ones((11, 6), np.float16)
    left[1, 4, 7], right[7, 5] = 300, 300
    found = float_product(array(dataflow, "fp16", "fp16"), left, right)
    assert np.isinf(found.sums[1, 4, 5])
    assert np.count_nonzero(~np.isfinite(found.sums)) == 1
    assert {place: count for place, count in np.ndenumerate(found.per_pe) if count} == {(row, col): 1}


@pytest.mark.parametrize("dataflow", [Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY])
def test_an_add_under_the_array(dataflow: Dataflow) -> None:
    """Two tiles of 60000 each: their sum is infinite, in the accumulator, which is row 3."""
    left, right = np.zeros((1, 1, 6), np.float16), np.ones((6, 1), np.float16)
    left[0, 0, [0, 3]] = 60000
    found = float_product(array(dataflow, "fp16", "fp16"), left, right)
    assert np.isinf(found.sums).all()
    assert {place: count for place, count in np.ndenumerate(found.per_pe) if count} == {(3, 0): 1}


def test_infinities_that_come_in_are_no_events() -> None:
    left, right = np.full((1, 1, 2), np.inf, np.float16), np.array([[1], [-1]], np.float16)
    found = float_product(array(Dataflow.OUTPUT_STATIONARY, "fp16", "fp16"), left, right)
    assert np.isnan(found.sums).all()
    assert not found.per_pe.any()


def test_drain_overlap_is_output_stationarys() -> None:
    word = FLOAT_FORMATS["fp16"]
    with pytest.raises(ConfigError, match="fold_overlap drain with weight_stationary; allowed: output_stationary"):
        FloatArray(2, 2, Dataflow.WEIGHT_STATIONARY, word, word, fold_overlap="drain")
