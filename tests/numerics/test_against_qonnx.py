"""The quantizer against QONNX's IntQuant: widths 2 to 16, signs, narrow or full, all of its rounding modes.

IntQuant adds the zero point before it rounds, hwsim after (as ONNX's QuantizeLinear does). Both are equal where the
zero point is 0, and where a rule rounds x + 1 to one more than x: floor and ceil everywhere, the others but on ties
or beside 0.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.custom_op.general.quant import max_int, min_int, quant

from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import RealRounding

MODES: dict[str, RealRounding] = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "CEIL": "ceil",
    "FLOOR": "floor",
    "UP": "away_from_zero",
    "DOWN": "toward_zero",
    "HALF_UP": "half_away",
    "HALF_DOWN": "half_toward_zero",
}
formats = st.builds(IntFormat, st.integers(2, 16), signed=st.booleans(), narrow=st.booleans())
scales = st.floats(1e-6, 1e3)
steps = st.lists(st.integers(-(2**19), 2**19), min_size=1, max_size=40)  # eighths of a step: ties among them


def qonnx(reals: np.ndarray, scale: float, zero_point: int, word: IntFormat, mode: str) -> np.ndarray:
    bits = np.float64(word.bits)
    return np.asarray(quant(reals, np.float64(scale), np.float64(zero_point), bits, word.signed, word.narrow, mode))


@pytest.mark.parametrize("mode", MODES)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(formats, scales, steps)
def test_symmetric_quantization_equals_intquant(mode: str, word: IntFormat, scale: float, eighths: list[int]) -> None:
    reals = np.array(eighths) / 8 * scale
    grid = Quantization(np.asarray(scale), np.asarray(0), word)
    ours = grid.dequantize(grid.quantize(reals, MODES[mode]))
    np.testing.assert_array_equal(ours, qonnx(reals, scale, 0, word, mode))


@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "ROUND", "HALF_UP", "HALF_DOWN"])
@settings(derandomize=True, deadline=None, max_examples=60)
@given(formats, st.integers(-6, 6), steps, st.data())
def test_asymmetric_quantization_equals_intquant_off_the_ties(
    mode: str, word: IntFormat, exponent: int, eighths: list[int], data: st.DataObject
) -> None:
    """A scale that is a power of two keeps the quotients exact, so that a tie is one on both sides."""
    scale, zero_point = 2.0**exponent, data.draw(st.integers(word.min, word.max))
    reals = np.array([eighth for eighth in eighths if eighth % 8 != 4], np.float64) / 8 * scale
    grid = Quantization(np.asarray(scale), np.asarray(zero_point), word)
    ours = grid.dequantize(grid.quantize(reals, MODES[mode]))
    np.testing.assert_array_equal(ours, qonnx(reals, scale, zero_point, word, mode))


def test_on_a_tie_an_odd_zero_point_tells_the_two_apart() -> None:
    """round(0.5) + 1 = 1 here, round(0.5 + 1) = 2 there."""
    grid, half = Quantization(np.asarray(1.0), np.asarray(1), IntFormat(8)), np.array([0.5])
    assert grid.dequantize(grid.quantize(half)).tolist() == [0.0]
    assert qonnx(half, 1.0, 1, IntFormat(8), "ROUND").tolist() == [1.0]


@given(formats)
def test_the_ends_of_every_format_are_qonnxs(word: IntFormat) -> None:
    assert word.min == min_int(word.signed, word.narrow, word.bits)
    assert word.max == max_int(word.signed, word.narrow, word.bits)
