"""Integer formats against Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat, accumulator_format

FIXED = settings(derandomize=True, deadline=None)

formats = st.builds(IntFormat, st.integers(2, 63), st.booleans())
words = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8)


def int64(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("word", "low", "high"),
    [
        (IntFormat(8), -128, 127),
        (IntFormat(8, narrow=True), -127, 127),
        (IntFormat(8, signed=False), 0, 255),
        (IntFormat(2), -2, 1),
        (IntFormat(63), -(2**62), 2**62 - 1),
        (IntFormat(63, signed=False), 0, 2**63 - 1),
    ],
)
def test_a_format_knows_its_range(word: IntFormat, low: int, high: int) -> None:
    assert (word.min, word.max) == (low, high)


@FIXED
@given(formats, words)
def test_wrapping_keeps_the_value_modulo_two_to_the_bits(word: IntFormat, values: list[int]) -> None:
    expected = [(value - word.min) % 2**word.bits + word.min for value in values]
    assert word.wrap(int64(values)).tolist() == expected


@FIXED
@given(formats, words)
def test_saturating_takes_the_nearest_value_of_the_range(word: IntFormat, values: list[int]) -> None:
    expected = [min(max(value, word.min), word.max) for value in values]
    assert word.saturate(int64(values)).tolist() == expected


@FIXED
@given(formats, words)
def test_a_format_holds_exactly_the_values_that_wrapping_leaves_alone(word: IntFormat, values: list[int]) -> None:
    array = int64(values)
    assert word.holds(array) == (word.wrap(array).tolist() == values)


def test_the_overflow_policies_of_an_8_bit_register() -> None:
    word, values = IntFormat(8), int64([127, 128, -129, 300])
    assert word.fit(values, "wrap").tolist() == [127, -128, 127, 44]
    assert word.fit(values, "saturate").tolist() == [127, 127, -128, 127]
    assert word.fit(values, "error").tolist() == [127, -128, 127, 44]


def test_an_empty_array_fits_everything() -> None:
    assert IntFormat(2).holds(int64([]))


def test_the_accumulator_is_the_product_plus_guard_bits() -> None:
    assert accumulator_format(8, 8, 8) == IntFormat(24)
    assert accumulator_format(4, 16, -4) == IntFormat(16)


def test_impossible_formats_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^integer format of 1 bits; allowed: 2 to 63$"):
        IntFormat(1)
    with pytest.raises(ConfigError, match=r"^integer format of 64 bits; allowed: 2 to 63$"):
        IntFormat(64)
    with pytest.raises(ConfigError, match=r"^accumulator of 16 \+ 16 \+ 40 = 72 bits; allowed: 2 to 63$"):
        accumulator_format(16, 16, 40)
    with pytest.raises(ConfigError, match=r"^accumulator of 2 \+ 2 \+ -4 = 0 bits; allowed: 2 to 63$"):
        accumulator_format(2, 2, -4)
