"""Affine quantization, real = scale (code - zero point): textbook values, traps, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization, from_range

INT8, UINT8, NARROW8 = IntFormat(8), IntFormat(8, signed=False), IntFormat(8, narrow=True)


def per_tensor(scale: float, zero_point: int, word: IntFormat = INT8) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


def test_symmetric_weights_use_the_narrow_range() -> None:
    weights = from_range(-1.0, 0.5, NARROW8, symmetric=True)
    assert (float(weights.scale), int(weights.zero_point)) == (1 / 127, 0)
    assert weights.quantize(np.array([-1.0, 0.0, 0.5, 1.0])).tolist() == [-127, 0, 64, 127]


def test_asymmetric_activations_use_the_full_range() -> None:
    activations = from_range(-1.0, 3.0, INT8, symmetric=False)
    assert (float(activations.scale), int(activations.zero_point)) == (4 / 255, -64)
    assert activations.quantize(np.array([-1.0, 0.0, 3.0])).tolist() == [-128, -64, 127]


def test_minus_one_to_one_has_its_zero_point_on_a_tie() -> None:
    """Z = round(-128 + 255 / 2) = round(-0.5): 0 to even; ties away from zero would give -1."""
    assert int(from_range(-1.0, 1.0, INT8, symmetric=False).zero_point) == 0


def test_a_range_without_zero_is_widened_to_hold_it() -> None:
    positive = from_range(0.5, 1.5, INT8, symmetric=False)
    assert (float(positive.scale), int(positive.zero_point)) == (1.5 / 255, -128)
    negative = from_range(-1.5, -0.5, UINT8, symmetric=False)
    assert (float(negative.scale), int(negative.zero_point)) == (1.5 / 255, 255)


def test_codes_beyond_the_format_are_clipped() -> None:
    """Without the clip 1.0 would become 128, which eight bits would store as -128."""
    assert per_tensor(1 / 128, 0).quantize(np.array([1.0, -1.0, 100.0, -100.0])).tolist() == [127, -128, 127, -128]


def test_the_zero_point_is_added_after_rounding() -> None:
    """0.5 rounds to the even 0, plus 1 is 1; rounding 0.5 + 1 would give the even 2."""
    assert int(per_tensor(1.0, 1).quantize(np.array(0.5))) == 1


@pytest.mark.parametrize(("rounding", "code"), [("half_even", 2), ("half_away", 3), ("half_up", 3), ("floor", 2)])
def test_the_rounding_of_ties_is_a_choice(rounding: str, code: int) -> None:
    assert int(per_tensor(1.0, 0).quantize(np.array(2.5), rounding)) == code


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_each_channel_of_any_axis_has_its_own_scale(axis: int) -> None:
    real = np.random.default_rng(1).normal(size=(3, 4, 5)) * 10
    others = tuple(place for place in range(3) if place != axis % 3)
    channels = from_range(real.min(axis=others), real.max(axis=others), INT8, symmetric=False, axis=axis)
    codes = channels.quantize(real)
    for channel in range(real.shape[axis]):
        alone = per_tensor(channels.scale[channel], channels.zero_point[channel])
        assert np.array_equal(codes.take(channel, axis), alone.quantize(real.take(channel, axis)))
    assert np.abs(channels.dequantize(codes) - real).max() <= channels.scale.max() / 2 * (1 + 1e-9)


def test_a_range_of_zero_width_gets_scale_one() -> None:
    zeros = from_range(0.0, 0.0, INT8, symmetric=False)
    assert float(zeros.scale) == 1.0
    assert float(zeros.dequantize(zeros.quantize(np.array(0.0)))) == 0.0
    one_dead_channel = from_range(np.zeros(2), np.array([0.0, 2.54]), NARROW8, symmetric=True, axis=0)
    assert one_dead_channel.scale.tolist() == [1.0, 0.02]


def test_a_constant_other_than_zero_is_represented_exactly() -> None:
    constant = from_range(5.0, 5.0, UINT8, symmetric=False)
    assert float(constant.dequantize(constant.quantize(np.array(5.0)))) == pytest.approx(5.0, rel=1e-15)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_largest_and_the_smallest_reals_make_no_nonsense(symmetric: bool) -> None:
    huge = from_range(-1.7e308, 1.7e308, INT8, symmetric=symmetric)
    assert np.isfinite(huge.scale)
    tiny = from_range(0.0, 5e-324, INT8, symmetric=symmetric)
    assert float(tiny.scale) == 1.0
    small = from_range(-1e-300, 1e-300, INT8, symmetric=symmetric)
    assert small.quantize(np.array([1e300, -1e300]), "half_away").tolist() == [127, -128]


@settings(derandomize=True, deadline=None)
@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    ends=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=10),
)
def test_the_round_trip_is_off_by_half_a_step_at_most(
    bits: int, signed: bool, ends: tuple[float, float], places: list[float]
) -> None:
    low, high = min(ends), max(ends)
    quantization = from_range(low, high, IntFormat(bits, signed), symmetric=False)
    real = low + (high - low) * np.array(places)
    codes = quantization.quantize(real)
    assert quantization.format.holds(codes)
    error = np.abs(quantization.dequantize(codes) - real)
    assert np.all(error <= float(quantization.scale) * (0.5 + 1e-9) + 1e-300)


@settings(derandomize=True, deadline=None)
@given(bits=st.integers(2, 16), scale=st.floats(1e-6, 1e6), data=st.data())
def test_every_code_survives_the_round_trip_and_zero_is_exact(bits: int, scale: float, data: st.DataObject) -> None:
    word = IntFormat(bits)
    quantization = per_tensor(scale, data.draw(st.integers(word.min, word.max)), word)
    codes = np.arange(word.min, word.max + 1, max(1, 2**bits // 64))
    assert np.array_equal(quantization.quantize(quantization.dequantize(codes)), codes)
    assert quantization.dequantize(quantization.zero_point) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match=r"^cannot quantize NaN or infinity$"):
        per_tensor(1.0, 0).quantize(np.array([0.0, bad]))
    with pytest.raises(ConfigError, match=r"^quantization range holds NaN or infinity$"):
        from_range(0.0, bad, INT8, symmetric=False)
    with pytest.raises(ConfigError, match=r"^quantization scale is not a positive finite number$"):
        per_tensor(bad, 0)


def test_impossible_quantizations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^quantization range has its low end above its high end$"):
        from_range(1.0, 0.0, INT8, symmetric=False)
    with pytest.raises(ConfigError, match=r"^symmetric unsigned quantization of negative values; allowed: signed, or"):
        from_range(-1.0, 1.0, UINT8, symmetric=True)
    with pytest.raises(ConfigError, match=r"^tensor of 33 bits; allowed: 2 to 32$"):
        per_tensor(1.0, 0, IntFormat(33))
    with pytest.raises(ConfigError, match=r"^scale and zero point need one value per tensor, or one per channel"):
        Quantization(np.ones(3), np.zeros(3, np.int64), INT8)


def test_a_zero_point_outside_its_format_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^zero point outside its format; allowed: -128 to 127$"):
        Quantization(np.asarray(0.1), np.asarray(-200), IntFormat(8))
