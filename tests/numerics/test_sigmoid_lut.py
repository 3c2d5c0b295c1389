"""Functions of the LUT unit from one table of the sigmoid, held against TensorFlow Lite's and against the reals."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lstm import VALUE_SCALE, WORD, words
from hwsim.numerics.lut import FUNCTIONS, Lut, LutOptions, every_code
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.sigmoid_lut import build_function_lut
from hwsim.numerics.tflite.nonlinear import NonlinearFunction, nonlinear_16, table_function_16

CODES = every_code(WORD)
TFLITE = LutOptions(256, output_bits=16, interpolation="tflite_int16")
NAMES: dict[str, NonlinearFunction] = {"sigmoid": "logistic", "tanh": "tanh"}


def quantization(scale: float, zero_point: int, bits: int = 8) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), IntFormat(bits))


@pytest.mark.parametrize("function", NAMES)
def test_256_entries_of_16_bits_are_tensorflow_lites_int16_function(function: str) -> None:
    """`nonlinear_16` is held against TensorFlow Lite for Microcontrollers in tests/tflite_models."""
    ours = build_function_lut(function, words(2.0**-12), words(VALUE_SCALE), TFLITE).look_up(CODES)
    assert np.array_equal(ours, nonlinear_16(NAMES[function], CODES, 2.0**-12))


@pytest.mark.parametrize("exponent", range(-15, -8))
def test_tanh_of_a_cell_state_is_that_of_the_profile_tflm(exponent: int) -> None:
    """There the argument is 3 x shifted by 12 + k, half up where that is to the right."""
    ours = build_function_lut("tanh", words(2.0**exponent), words(VALUE_SCALE), TFLITE).look_up(CODES)
    shift = 12 + exponent
    argument = 3 * CODES << shift if shift >= 0 else (3 * CODES + (1 << (-shift - 1))) >> -shift
    assert np.array_equal(ours, table_function_16("tanh", argument))


@pytest.mark.parametrize("function", NAMES)
@pytest.mark.parametrize(("entries", "error"), [(16, 3e-2), (64, 2e-3), (256, 2e-4), (1024, 8e-5)])
def test_more_entries_come_closer_to_the_function(function: str, entries: int, error: float) -> None:
    options = LutOptions(entries, output_bits=16, interpolation="tflite_int16")
    ours = build_function_lut(function, words(2.0**-12), words(VALUE_SCALE), options).look_up(CODES)
    reals = FUNCTIONS[function](CODES * 2.0**-12)
    assert np.abs(ours * VALUE_SCALE - reals).max() < error


@pytest.mark.parametrize(("function", "scale", "zero_point"), [("sigmoid", 1 / 256, -128), ("tanh", 1 / 127, 0)])
def test_8_bit_codes_are_within_one_step_of_the_function(function: str, scale: float, zero_point: int) -> None:
    inputs, output = quantization(0.07, -12), quantization(scale, zero_point)
    codes = every_code(IntFormat(8))
    ours = build_function_lut(function, inputs, output, TFLITE).look_up(codes)
    expected = output.quantize(FUNCTIONS[function](inputs.dequantize(codes)))
    assert np.abs(ours - expected).max() <= 1


def test_a_line_reads_two_entries() -> None:
    grids = words(2.0**-12), words(VALUE_SCALE)
    reads = {
        interpolation: build_function_lut("tanh", *grids, LutOptions(64, output_bits=16, interpolation=interpolation))
        for interpolation in ("none", "linear", "tflite_int16")
    }
    assert {name: table.reads_per_lookup for name, table in reads.items()} == {
        "none": 1, "linear": 2, "tflite_int16": 2,
    }  # fmt: skip
    assert isinstance(reads["linear"], Lut)


def test_what_cannot_be_made_from_a_sigmoid_is_refused() -> None:
    grids = words(2.0**-12), words(VALUE_SCALE)
    with pytest.raises(UnsupportedError, match=r"exp by interpolation tflite_int16; available: sigmoid, tanh"):
        build_function_lut("exp", *grids, TFLITE)
    with pytest.raises(ConfigError, match=r"interpolated table of 256 entries of 8 bits; allowed: fewer than 256"):
        build_function_lut("tanh", *grids, LutOptions(256, output_bits=8, interpolation="tflite_int16"))
