"""A worked example's parts on hand-made numbers: rescaling by every scheme, adds in the order of the dataflows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import registry
from hwsim.analysis.dot_product import adds_in_order
from hwsim.analysis.requantization import rescaling
from hwsim.array.params import ArrayParams, array_params
from hwsim.numerics.fixed_point import Multiplier
from hwsim.numerics.formats import Overflow
from hwsim.numerics.requantize import FixedPoint, FloatScale, PowerOfTwo, RequantizerOptions, Rounding, Scheme

ROUNDINGS: list[Rounding] = ["single", "double", "floor", "half_even"]


def fixed_point(mantissa: int, shift: int, rounding: Rounding) -> FixedPoint:
    return FixedPoint(Multiplier(np.array(mantissa), np.array(shift), 31), rounding)


@pytest.mark.parametrize(("rounding", "expected"), [("single", 11), ("double", 12)])
def test_where_one_rounding_and_two_differ(rounding: Rounding, expected: int) -> None:
    """7984 · 1583594044 / 2^31 / 2^9 = 11.4990…; rounding to 5888 first makes it 11.5."""
    assert math.isclose(7984 * 1583594044 / 2**40, 11.499, abs_tol=1e-3)
    assert rescaling(fixed_point(1583594044, 9, rounding), 7984).result == expected


def test_the_stages_of_two_roundings() -> None:
    stages = rescaling(fixed_point(1583594044, 9, "double"), 7984).stages
    assert [(stage.name, stage.value) for stage in stages] == [
        ("times M0", 7984 * 1583594044),
        ("divided by 2^31, rounded half up", 5888),
        ("divided by 2^9, rounded half away from zero", 12),
    ]


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_a_value_on_which_both_agree(rounding: Rounding) -> None:
    assert rescaling(fixed_point(1527099593, 6, rounding), 585).result == 7


def test_m_of_a_hundredth() -> None:
    """The textbook's example: 0.01 = 2^-6 · 0.64, M0 = 1374389535; 1234 M = 12.34."""
    scheme = FixedPoint.build(0.01, np.array(1.0), 1.0, RequantizerOptions())
    found = rescaling(scheme, 1234)
    assert found.constants == {"M0": 1374389535, "n": 6, "multiplier_bits": 31}
    assert found.multiplier == pytest.approx(0.01, rel=1e-9)
    assert found.result == 12


@pytest.mark.parametrize(("rounding", "expected"), [("floor", 9), ("single", 10)])
def test_a_hundredth_as_a_power_of_two(rounding: Rounding, expected: int) -> None:
    """0.01 is nearest to 2^-7 on a log scale: 1234 / 128 = 9.64."""
    scheme = PowerOfTwo.build(0.01, np.array(1.0), 1.0, RequantizerOptions(rounding=rounding))
    assert rescaling(scheme, 1234).constants == {"n": 7}
    assert rescaling(scheme, 1234).result == expected


@pytest.mark.parametrize(("scale", "expected"), [(11930465, 6), (11930466, 7)])
def test_float32_rounds_half_to_even(scale: int, expected: int) -> None:
    scheme = FloatScale(np.array(scale * 2.0**-30, np.float32))
    assert rescaling(scheme, 585).result == expected


SCHEMES = [
    *(("fixed_point", rounding) for rounding in ROUNDINGS),
    *(("power_of_two", rounding) for rounding in ROUNDINGS),
    ("float", "single"),
    *((name, "single") for name in ("tflm", "litert_optimized", "litert_reference_fully_connected", "xnnpack")),
    *((name, "single") for name in ("tflite_single", "tflite_wide", "litert_wide_fully_connected")),
]


@pytest.mark.parametrize(("name", "rounding"), SCHEMES)
@given(accumulator=st.integers(-(2**31), 2**31 - 1), real=st.floats(2.0**-24, 4.0))
def test_by_hand_and_by_the_kernels(name: str, rounding: Rounding, accumulator: int, real: float) -> None:
    cls: type[Scheme] = registry.load(registry.REQUANTIZATION_SCHEMES, name)
    scheme = cls.build(real, np.array(1.0), 1.0, RequantizerOptions(name, rounding))
    kernels = int(scheme.scale(np.array([accumulator]))[0])
    assert rescaling(scheme, accumulator).result == kernels


def array(dataflow: str, overflow: Overflow = "saturate") -> ArrayParams:
    """4-bit operands, an accumulator of 8 bits, three rows."""
    return array_params(3, 2, dataflow, weight_bits=4, activation_bits=4, guard_bits=0, overflow=overflow)


def test_output_stationary_is_one_chain() -> None:
    adds = adds_in_order(array("output_stationary"), [49, 49, 49, -49], 0)
    assert [(add.exact, add.stored) for add in adds] == [(49, 49), (98, 98), (147, 127), (78, 78)]
    assert [add.overflows for add in adds] == [False, False, True, False]


def test_a_wrapped_sum_overflows_again_on_its_way_back() -> None:
    adds = adds_in_order(array("output_stationary", "wrap"), [49, 49, 49, -49], 0)
    assert [(add.exact, add.stored) for add in adds] == [(49, 49), (98, 98), (147, -109), (-158, 98)]


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary"])
def test_depth_tiles_are_chains_of_their_own(dataflow: str) -> None:
    """Three rows: terms 0 to 2 after the start of 5, terms 3 and 4 from 0, then their sum under the array."""
    adds = adds_in_order(array(dataflow), [1, 2, 3, 40, 49], 5)
    assert [(add.term, add.stored) for add in adds] == [(0, 6), (1, 8), (2, 11), (3, 40), (4, 89), (None, 100)]


def test_a_scheme_without_stages_is_one_stage() -> None:
    scheme = registry.load(registry.REQUANTIZATION_SCHEMES, "litert_optimized_depthwise_convolution").build(
        0.5, np.array([0.25]), 1.0, RequantizerOptions()
    )
    found = rescaling(scheme, 100)
    assert [(stage.name, stage.value) for stage in found.stages] == [("by DepthwiseHalfUp", 13)]
    assert math.isnan(found.multiplier)
