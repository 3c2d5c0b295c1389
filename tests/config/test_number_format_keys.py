"""The array's number formats in a specification."""

from __future__ import annotations

import pytest

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError


def test_sums_are_single_precision_by_default() -> None:
    formats = load_arch("edge16", ["array.number_format=fp8_e4m3"]).array.float_formats
    assert formats is not None
    assert [one.name for one in formats] == ["fp8_e4m3", "fp32"]
    assert load_arch("edge16").array.float_formats is None


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (("accumulator_format=fp32",), "fp32 needs floats in number_format, not integer"),
        (("number_format=fp32", "accumulator_format=bf16"), "bf16 does not hold every number of number_format fp32"),
        (("number_format=bf16", "accumulator_format=fp16"), "fp16 does not hold every number of number_format bf16"),
    ],
)
def test_sums_hold_every_operand(settings: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_arch("edge16", [f"array.{one}" for one in settings])


def test_an_unknown_format() -> None:
    with pytest.raises(ConfigError, match="fp8_e4m3"):
        load_arch("edge16", ["array.number_format=fp8"])
