"""The shipped digits networks over bit widths and guard bits, on all 540 test images."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.execute.floating import float_output
from hwsim.execute.integer import run_integer
from hwsim.metrics.sqnr import accuracy, sqnr_db
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload

NETWORKS = ("digits_mlp", "digits_cnn")


@pytest.fixture(scope="module", params=NETWORKS)
def digits(request: pytest.FixtureRequest) -> Workload:
    return read_workload(request.param)


def outputs(workload: Workload, bits: int, guard_bits: int = 16, overflow: str = "saturate") -> np.ndarray:
    settings = {"weight_bits": bits, "activation_bits": bits, "guard_bits": guard_bits, "overflow": overflow}
    spec = load_arch("edge16", [f"array.{key}={value}" for key, value in settings.items()])
    compiled = compile_workload(spec, workload)
    assert workload.inputs is not None
    codes = compiled.codes({compiled.input: workload.inputs})[compiled.input]
    found = run_integer(compiled.steps, compiled.params, {compiled.input: codes}, keep=[compiled.output])
    return compiled.reals(found.values[compiled.output])


def accuracy_of(workload: Workload, logits: np.ndarray) -> float:
    assert workload.labels is not None
    return accuracy(logits, workload.labels)


def reference(workload: Workload) -> np.ndarray:
    assert workload.inputs is not None
    return float_output(workload.network, workload.inputs)


def test_eight_bits_lose_less_than_a_point_of_accuracy(digits: Workload) -> None:
    lost = accuracy_of(digits, reference(digits)) - accuracy_of(digits, outputs(digits, 8))
    assert abs(lost) <= 0.01


def test_every_bit_is_worth_six_decibels(digits: Workload) -> None:
    """An ideal quantizer's noise falls by 20 log10(2) = 6.02 dB a bit."""
    real = reference(digits)
    ratios = [sqnr_db(real, outputs(digits, bits)) for bits in range(3, 9)]
    assert np.mean(np.diff(ratios)) == pytest.approx(6.0, abs=1.5)
    assert ratios == sorted(ratios)


def test_wrapping_without_guard_bits_destroys_the_network(digits: Workload) -> None:
    """Ten classes: what is left is a guess."""
    assert accuracy_of(digits, outputs(digits, 8, guard_bits=0, overflow="wrap")) < 0.2


def test_at_the_edge_of_the_cliff_saturation_keeps_what_wrapping_loses(digits: Workload) -> None:
    wrapped, saturated = (accuracy_of(digits, outputs(digits, 8, 2, overflow)) for overflow in ("wrap", "saturate"))
    assert wrapped < 0.95
    assert saturated > wrapped + 0.09
    assert saturated > accuracy_of(digits, reference(digits)) - 0.06


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_enough_guard_bits_lose_nothing(digits: Workload, overflow: str) -> None:
    assert np.array_equal(outputs(digits, 8, 5, overflow), outputs(digits, 8, 16))
