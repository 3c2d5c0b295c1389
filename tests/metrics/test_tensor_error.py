"""Errors of a tensor against floating point, on numbers whose error is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.metrics.tensor_error import CodeTally, FloatTally
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.number_formats import float_format
from hwsim.numerics.quantization import Quantization, from_range
from hwsim.results.tensor_error import TensorError


def errors(grid: Quantization, reals: np.ndarray, codes: np.ndarray | None = None) -> TensorError:
    tally = CodeTally(grid)
    for part in np.array_split(np.arange(reals.size), 3):
        tally.add(reals[part], (grid.quantize(reals) if codes is None else codes)[part])
    return tally.result("layer", "tensor")


@pytest.mark.parametrize("bits", [4, 6, 8, 10, 12])
def test_six_decibels_a_bit(bits: int) -> None:
    """A uniform signal over the whole range: noise step^2 / 12, signal (2^b step)^2 / 12, so 20 log10(2^b) dB."""
    reals = np.random.default_rng(bits).uniform(-1, 1, 200_000)
    found = errors(from_range(-1.0, 1.0, IntFormat(bits), symmetric=False), reals)
    assert found.sqnr_db == pytest.approx(20 * math.log10(2) * bits, abs=0.6)
    assert found.mean_error == pytest.approx(0, abs=2.0**-bits / 10)
    assert found.worst_error == pytest.approx(2.0**-bits, rel=0.1)
    assert (found.bits, found.elements) == (bits, 200_000)


def test_clipped_and_saturated() -> None:
    """Scale 1, codes -8 to 7: 7.4 rounds to 7, 7.6 to 8, which there is not; -20 has no code either."""
    grid = Quantization(np.array(1.0), np.array(0), IntFormat(4))
    found = errors(grid, np.array([0.0, 7.4, 7.6, -20.0]))
    assert found.clipping_rate == 2 / 4
    assert found.saturation_rate == 3 / 4
    assert found.worst_error == 12.0
    assert found.mean_error == pytest.approx((0 - 0.4 - 0.6 + 12) / 4)


def test_a_float_beyond_the_range_whose_code_is_elsewhere_is_clipped_and_not_saturated() -> None:
    grid = Quantization(np.array(1.0), np.array(0), IntFormat(4))
    found = errors(grid, np.array([9.0, 1.0, 1.0]), np.array([5, 1, 7]))
    assert (found.clipping_rate, found.saturation_rate) == (pytest.approx(1 / 3), 0)


def test_no_noise_has_no_ratio() -> None:
    grid = Quantization(np.array(0.5), np.array(3), IntFormat(8))
    assert errors(grid, np.array([0.5, -1.0, 2.5])).sqnr_db is None


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="tensor x has no elements"):
        CodeTally(Quantization(np.array(0.5), np.array(3), IntFormat(8))).result("layer", "x")


def test_infinite_numbers_are_counted_and_leave_the_noise_to_the_others() -> None:
    """E4M3 ends at 448: 500 becomes NaN, and 460 rounds to 448; 1.0625 lies between 1 and 1.125, ties to even."""
    word = float_format("fp8_e4m3")
    exact = np.array([1.0625, 460.0, 500.0, 2.0])
    tally = FloatTally(word)
    tally.add(exact, word.convert(exact))
    found = tally.result("layer", "tensor")
    assert (found.clipping_rate, found.saturation_rate, found.bits) == (0.25, 0.25, 8)
    assert found.worst_error == 12
    signal, noise = 1.0625**2 + 460**2 + 2**2, 0.0625**2 + 12**2
    assert found.sqnr_db == pytest.approx(10 * math.log10(signal / noise))
