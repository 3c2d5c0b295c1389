"""Lookup tables: exact where the table has an entry for every code, and how far off elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lut import FUNCTIONS, LutOptions, build_lut, sigmoid
from hwsim.numerics.quantization import Quantization, from_range

INT8 = IntFormat(8)
CODES = np.arange(-128, 128)


def quantization(scale: float, zero_point: int, word: IntFormat = INT8) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


SIGMOID_OUTPUT = quantization(1 / 256, -128)
TANH_OUTPUT = quantization(1 / 128, 0)
GELU_OUTPUT = quantization(0.03, -122)


@pytest.mark.parametrize("inputs", [quantization(16 / 256, 0), quantization(0.05, 37), quantization(0.0123, -128)])
@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("sigmoid", SIGMOID_OUTPUT),
        ("tanh", TANH_OUTPUT),
        ("gelu", GELU_OUTPUT),
        ("gelu_by_tanh", GELU_OUTPUT),
    ],
)
def test_a_table_as_long_as_the_input_has_codes_is_exact(inputs: Quantization, name: str, output: Quantization) -> None:
    low = float(inputs.dequantize(np.asarray(-128)))
    options = LutOptions(entries=256, low=low, high=low + 256 * float(inputs.scale))
    codes = build_lut(FUNCTIONS[name], inputs, output, options).look_up(CODES)
    assert np.array_equal(codes, output.quantize(FUNCTIONS[name](inputs.dequantize(CODES))))


@pytest.mark.parametrize("interpolation", ["none", "linear"])
def test_inputs_beyond_the_range_take_the_end_entries(interpolation: str) -> None:
    inputs = quantization(1.0, 0)
    options = LutOptions(entries=64, low=-4.0, high=4.0, interpolation=interpolation)
    table = build_lut(np.tanh, inputs, TANH_OUTPUT, options)
    assert set(table.look_up(np.arange(-128, -4)).tolist()) == {int(table.table[0])}
    assert set(table.look_up(np.arange(5, 128)).tolist()) == {int(table.table[-1])}


def test_interpolation_is_closer_than_the_nearest_entry() -> None:
    inputs, output = quantization(2.0**-12, 0, IntFormat(16)), quantization(2.0**-15, 0, IntFormat(16))
    codes = np.arange(-(2**15), 2**15)
    exact = np.tanh(inputs.dequantize(codes))
    worst = {
        interpolation: np.abs(
            output.dequantize(
                build_lut(
                    np.tanh, inputs, output, LutOptions(256, -8.0, 8.0, output_bits=16, interpolation=interpolation)
                ).look_up(codes)
            )
            - exact
        ).max()
        for interpolation in ("none", "linear")
    }
    # half a step of 1/16 times the steepest slope, 1; and step**2 / 8 times the largest curvature, 0.77
    assert worst["none"] == pytest.approx(1 / 32, rel=0.01)
    assert worst["linear"] < (1 / 16) ** 2 / 8 * 0.77 + 2 * 2.0**-15


def test_linear_interpolation_meets_both_ends() -> None:
    inputs = quantization(1.0, 0)
    table = build_lut(lambda x: x, inputs, inputs, LutOptions(entries=3, low=-10, high=10, interpolation="linear"))
    assert table.table.tolist() == [-10, 0, 10]
    assert table.look_up(np.array([-11, -10, -7, 0, 3, 10, 11])).tolist() == [-10, -10, -7, 0, 3, 10, 10]


def test_narrow_entries_are_multiples_of_a_coarser_step() -> None:
    """6-bit words in an 8-bit output: four codes apart, and no entry beyond the output's range."""
    table = build_lut(sigmoid, quantization(16 / 256, 0), SIGMOID_OUTPUT, LutOptions(output_bits=6)).table
    assert np.all((table + 128) % 4 == 0)
    assert (table.min(), table.max()) == (-128, 124)
    assert len(np.unique(table)) == 64


def test_wide_entries_do_not_exceed_the_output_format() -> None:
    inputs = quantization(16 / 256, 0)
    wide = build_lut(sigmoid, inputs, SIGMOID_OUTPUT, LutOptions(output_bits=16)).table
    assert np.array_equal(wide, build_lut(sigmoid, inputs, SIGMOID_OUTPUT, LutOptions(output_bits=8)).table)


def test_a_range_of_one_is_too_short_for_a_sigmoid() -> None:
    """Outside +-1 such a table stays at sigmoid(1) = 0.73: the default of +-8 covers what 8 bits can show."""
    inputs = quantization(16 / 256, 0)
    exact = sigmoid(inputs.dequantize(CODES))

    def worst(options: LutOptions) -> float:
        codes = build_lut(sigmoid, inputs, SIGMOID_OUTPUT, options).look_up(CODES)
        return float(np.abs(SIGMOID_OUTPUT.dequantize(codes) - exact).max())

    assert worst(LutOptions(low=-8, high=8)) <= 1 / 256
    assert worst(LutOptions(low=-1, high=1)) == pytest.approx(1 - sigmoid(np.float64(1.0)), abs=0.01)


def test_entries_beyond_the_output_saturate_however_large() -> None:
    """exp(100) fits no 64-bit integer; the entry is the greatest code all the same."""
    inputs, output = from_range(0, 100, INT8, symmetric=False), from_range(0, 1, INT8, symmetric=False)
    table = build_lut(np.exp, inputs, output, LutOptions(low=0.0, high=100.0)).table
    assert set(table.tolist()) == {127}


def test_any_function_of_an_array_can_be_tabulated() -> None:
    inputs = quantization(1.0, 0)
    square = build_lut(np.square, inputs, inputs, LutOptions(entries=16, low=-8, high=8))
    assert square.look_up(np.arange(-3, 4)).tolist() == [9, 4, 1, 0, 1, 4, 9]


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


def test_impossible_tables_are_refused() -> None:
    inputs = quantization(1.0, 0)
    with pytest.raises(ConfigError, match=r"^table range \[1, 1\] is empty$"):
        build_lut(sigmoid, inputs, inputs, LutOptions(low=1, high=1))
    with pytest.raises(ConfigError, match=r"^table function is not finite on \[0, 8\]$"):
        build_lut(FUNCTIONS["reciprocal_sqrt"], inputs, inputs, LutOptions(low=0, high=8))
    with pytest.raises(ConfigError, match=r"^table of 1 entries; allowed: 2 or more$"):
        build_lut(sigmoid, inputs, inputs, LutOptions(entries=1, interpolation="linear"))
