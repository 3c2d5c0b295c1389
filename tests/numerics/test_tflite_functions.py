"""gemmlowp's functions and the interpolated table against the real functions."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ConfigError
from hwsim.numerics.tflite import gemmlowp
from hwsim.numerics.tflite.gemmlowp import WORD16, WORD32, Word
from hwsim.numerics.tflite.interpolated import sigmoid_table
from hwsim.numerics.tflite.nonlinear import NonlinearFunction, nonlinear_16

REAL = {"logistic": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}


def raws(word: Word) -> np.ndarray:
    return np.linspace(word.min, word.max, 20001).astype(np.int64)


@pytest.mark.parametrize(("word", "bound"), [(WORD32, 2e-7), (WORD16, 3e-3)])
@pytest.mark.parametrize("integer_bits", [0, 3, 4, 5, 6])
@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_fixed_point_functions_are_close(function: str, integer_bits: int, word: Word, bound: float) -> None:
    raw = raws(word)
    result = getattr(gemmlowp, function)(raw, integer_bits, word)
    assert result.min() >= word.min and result.max() <= word.max
    error = result / 2.0 ** (word.bits - 1) - REAL[function](raw * 2.0 ** -(word.bits - 1 - integer_bits))
    assert np.abs(error).max() < bound


def test_exponential_at_its_ends() -> None:
    ends = np.array([0, -1, -(1 << 31)])
    assert gemmlowp.exp_of_negative(ends, 5)[0] == WORD32.max
    assert gemmlowp.exp_of_negative(ends, 5)[1] / 2.0**31 == pytest.approx(1, abs=1e-6)
    assert gemmlowp.exp_of_negative(ends, 6)[2] == 0  # exp(-64)


def test_narrow_constants_are_rounded() -> None:
    assert WORD16.constant(1515870810) == 23130
    assert WORD32.constant(1515870810) == 1515870810


@pytest.mark.parametrize(("entries", "bits"), [(64, 12), (128, 8), (128, 16), (65536, 17), (256, 16), (1024, 20)])
@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_tables_of_any_length_and_width(function: NonlinearFunction, entries: int, bits: int) -> None:
    """The error is that of the lines (curvature x step**2 / 16), the table's width and the output's."""
    codes = np.arange(-(1 << 15), 1 << 15)
    result = nonlinear_16(function, codes, 2.0**-12, sigmoid_table(entries, bits))
    step = 32 / 3 / entries
    bound = 2 * (0.1 * step**2 / 16 + 2.0**-bits) + 2.0**-15 + 5e-5
    assert np.abs(result / 2.0**15 - REAL[function](codes / 4096)).max() < bound


def test_the_standard_table() -> None:
    """Published entries; plain rounding of the logistic function would give 35492, 38179, 40793, 42063, 42687."""
    table = sigmoid_table().values
    assert table[[0, 1, 4, 8, 12, 14, 15, 255]].tolist() == [32768, 33451, 35493, 38180, 40794, 42064, 42688, 65535]
    assert np.all(np.diff(table) >= 0)


@pytest.mark.parametrize(
    ("entries", "bits", "text"),
    [
        (100, 16, "100 entries; allowed: powers of two from 4 to 65536"),
        (256, 4, "4 bits; allowed: 8 to 24"),
        (256, 8, "256 entries of 8 bits; allowed: fewer than 256"),
    ],
)
def test_other_tables_are_refused(entries: int, bits: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        sigmoid_table(entries, bits)
