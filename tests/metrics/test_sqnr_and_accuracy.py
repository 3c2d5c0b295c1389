"""SQNR and accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.metrics.sqnr import accuracy, sqnr_db


def test_a_noise_of_a_tenth_of_the_signal_is_20_db() -> None:
    assert sqnr_db([3.0, -4.0], [3.3, -4.4]) == pytest.approx(20)


def test_more_noise_than_signal_is_negative() -> None:
    assert sqnr_db([1.0], [11.0]) == pytest.approx(-20)


def test_equal_values_have_infinite_sqnr() -> None:
    assert sqnr_db([1, 2], [1, 2]) == math.inf
    assert sqnr_db([0, 0], [0, 0]) == math.inf


def test_noise_on_a_zero_reference_is_minus_infinity() -> None:
    assert sqnr_db([0, 0], [0, 1]) == -math.inf


def test_large_integers_are_squared_without_overflow() -> None:
    large = np.full(4, 2**40, dtype=np.int64)
    assert sqnr_db(large, large + 2**30) == pytest.approx(20 * math.log10(2**10))


@pytest.mark.parametrize(("reference", "approximation"), [([1, 2], [1]), ([], [])])
def test_sqnr_needs_values_of_one_shape(reference, approximation) -> None:
    with pytest.raises(ValueError, match="must have one shape with values"):
        sqnr_db(reference, approximation)


def test_accuracy_is_the_fraction_of_right_labels() -> None:
    assert accuracy([[0, 5, 1], [9, 2, 3], [1, 2, 3], [4, 0, 0]], [1, 0, 0, 0]) == 0.75


def test_of_equal_logits_the_first_counts() -> None:
    assert accuracy([[7, 7]], [0]) == 1
    assert accuracy([[7, 7]], [1]) == 0


def test_logits_may_be_images_of_one_pixel() -> None:
    assert accuracy(np.array([[[[0, 1]]], [[[1, 0]]]]), [1, 0]) == 1


def test_accuracy_refuses_what_has_no_answer() -> None:
    with pytest.raises(ValueError, match="must have one row for each of 1 labels"):
        accuracy([[1, 2], [3, 4]], [1])
    with pytest.raises(ValueError, match="at least one"):
        accuracy(np.empty((0, 3)), [])
    with pytest.raises(ValueError, match="NaN"):
        accuracy([[math.nan, 0.0]], [0])
