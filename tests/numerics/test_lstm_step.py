"""A step of the LSTM on a machine's own units, against the same arithmetic written out in Python's integers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.errors import UnsupportedError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lstm import LstmState, StateGrids, build_cell_arithmetic, float_state, gate_values, next_state
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions

CELLS, SAMPLES = 6, 40
ZERO = -3


def grids(exponent: int, *, bits: int = 8, clip: float = 0.0) -> StateGrids:
    hidden = Quantization(np.asarray(2.0 ** (1 - bits)), np.asarray(ZERO), IntFormat(bits))
    return StateGrids(hidden, 2.0**exponent, clip)


def random_step(seed: int) -> tuple[np.ndarray, np.ndarray, LstmState]:
    random = np.random.default_rng(seed)
    parts = random.integers(-20_000, 20_000, (2, SAMPLES, 4 * CELLS))
    state = LstmState(random.integers(-128, 128, (SAMPLES, CELLS)), random.integers(-32768, 32768, (SAMPLES, CELLS)))
    return parts[0], parts[1], state


def half_up(value: int, shift: int) -> int:
    return (value + (1 << (shift - 1))) >> shift


def saturated(value: int, bits: int = 16) -> int:
    return min(max(value, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def nearest_entry(function: str, code: int, fraction_bits: int) -> int:
    """256 entries of 8 bits over [-8, 8), so in steps of 1/16; their values have 7 fraction bits, read as 15."""
    index = min(max(half_up(code << 12, fraction_bits - 4 + 12) + 128, 0), 255)
    real = index / 16 - 8
    exact = 1 / (1 + math.exp(-real)) if function == "sigmoid" else math.tanh(real)
    return saturated(round(exact * 128), 8) << 8


@pytest.mark.parametrize("exponent", [-15, -12, -9])
def test_the_default_units_compute_what_can_be_written_out(exponent: int) -> None:
    arithmetic = build_cell_arithmetic(grids(exponent), RequantizerOptions(), LutOptions())
    first, second, state = random_step(0)
    after = next_state(arithmetic, gate_values(arithmetic, first, second), state)
    for sample in range(SAMPLES):
        for cell in range(CELLS):
            places = [gate * CELLS + cell for gate in range(4)]
            sums = [saturated(int(first[sample, place]) + int(second[sample, place])) for place in places]
            functions = ("sigmoid", "sigmoid", "tanh", "sigmoid")
            i, f, g, o = (nearest_entry(name, code, 12) for name, code in zip(functions, sums, strict=True))
            kept = saturated(half_up(f * int(state.cell[sample, cell]), 15))
            c = saturated(kept + saturated(half_up(i * g, 30 + exponent)))
            h = saturated(half_up(o * nearest_entry("tanh", c, -exponent), 30 - 7) + ZERO, 8)
            assert (int(after.cell[sample, cell]), int(after.hidden[sample, cell])) == (c, h)


@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two", "float"])
def test_fine_units_come_close_to_the_reals(scheme: str) -> None:
    """What is left is the rounding of the cell state and of the hidden state to 2**-12 and 2**-15."""
    fine = LutOptions(65536, -8.0, 8.0, 16, "linear")
    arithmetic = build_cell_arithmetic(grids(-12, bits=16), RequantizerOptions(scheme), fine)
    first, second, state = random_step(1)
    after = next_state(arithmetic, gate_values(arithmetic, first, second), state)
    reals = np.stack([(state.hidden - ZERO) * 2.0**-15, state.cell * 2.0**-12], axis=1)
    total = np.clip(first + second, -32768, 32767) * 2.0**-12
    expected = float_state(total, np.zeros_like(total), reals)
    assert np.abs(after.cell * 2.0**-12 - np.clip(expected[:, 1], -8, 8)).max() < 2.0**-10
    assert np.abs((after.hidden - ZERO) * 2.0**-15 - expected[:, 0]).max() < 2.0**-11


def test_a_clip_bounds_the_cell_state() -> None:
    arithmetic = build_cell_arithmetic(grids(-12, clip=0.5), RequantizerOptions(), LutOptions())
    first, second, state = random_step(2)
    after = next_state(arithmetic, gate_values(arithmetic, first, second), state)
    assert np.abs(after.cell).max() == 2048


def test_a_shift_needs_no_multiplication() -> None:
    schemes = {
        scheme: build_cell_arithmetic(grids(-12), RequantizerOptions(scheme), LutOptions()).multiplications_per_rescale
        for scheme in ("fixed_point", "power_of_two", "float")
    }
    assert schemes == {"fixed_point": 1, "power_of_two": 0, "float": 1}


@pytest.mark.parametrize("scale", [0.001, 2.0**-16, 2.0**-8])
def test_a_cell_scale_that_is_no_such_power_of_two_is_refused(scale: float) -> None:
    hidden = Quantization(np.asarray(1 / 128), np.asarray(0), IntFormat(8))
    with pytest.raises(UnsupportedError, match=r"^LSTM cell scale .*; available: powers of two, 2\*\*-15 to 2\*\*-9$"):
        build_cell_arithmetic(StateGrids(hidden, scale), RequantizerOptions(), LutOptions())
