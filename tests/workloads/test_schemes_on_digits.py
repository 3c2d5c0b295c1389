"""What quantization schemes do to the shipped digits networks, on all 540 test images.

Symmetric weights per channel, min-max, unless said. SQNR of the logits in dB, accuracy as a fraction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest

from hwsim.compilation import compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.execute.floating import float_output
from hwsim.execute.integer import run_integer
from hwsim.metrics.sqnr import accuracy, sqnr_db
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload

PER_TENSOR = {"quantization.weights.granularity": "per_tensor"}
POWERS_OF_TWO: tuple[dict[str, Any], ...] = (
    {},
    {
        "quantization.weights.scale": "power_of_two",
        "quantization.activations.scale": "power_of_two",
        "requantizer.scheme": "power_of_two",
    },
    {"requantizer.scheme": "power_of_two"},
)
"""Multipliers; powers of two at calibration, so that shifts lose nothing; multipliers rounded to them afterwards."""
CALIBRATORS = ("min_max", "moving_average", "percentile", "mse", "kl")


@dataclass(frozen=True)
class Outcome:
    sqnr_db: float
    accuracy: float


@lru_cache
def workload(name: str) -> tuple[Workload, Any]:
    read = read_workload(name)
    assert read.inputs is not None
    return read, float_output(read.network, read.inputs)


@lru_cache
def measured(name: str, weight_bits: int, activation_bits: int, settings: str) -> Outcome:
    read, reference = workload(name)
    assert read.inputs is not None
    assert read.labels is not None
    widths = {"array.weight_bits": weight_bits, "array.activation_bits": activation_bits, "array.guard_bits": 16}
    overrides = widths | json.loads(settings)
    compiled = compile_workload(apply_overrides(load_arch("edge16"), overrides), read)
    codes = compiled.codes({compiled.input: read.inputs})
    run = run_integer(compiled.steps, compiled.params, codes, keep=[compiled.output])
    outputs = compiled.reals(run.values[compiled.output])
    return Outcome(sqnr_db(reference, outputs), accuracy(outputs, read.labels))


def measure(name: str, weight_bits: int, activation_bits: int, settings: dict[str, Any] | None = None) -> Outcome:
    return measured(name, weight_bits, activation_bits, json.dumps(settings or {}))


def calibrated(name: str, weights: bool = True) -> dict[str, Any]:
    return {"quantization.calibrator": name} | ({"quantization.weights.calibrator": name} if weights else {})


@pytest.fixture(params=["digits_mlp", "digits_cnn"])
def digits(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_at_3_bits_a_scale_for_each_channel_beats_one_for_all(digits: str) -> None:
    each, one = measure(digits, 3, 3), measure(digits, 3, 3, PER_TENSOR)
    assert each.sqnr_db > one.sqnr_db + 1.5
    assert each.accuracy > one.accuracy


def test_at_2_bits_so_it_does_in_accuracy_while_neither_leaves_a_signal(digits: str) -> None:
    """With codes -1, 0, 1 for the range of a whole tensor nearly all weights are 0, and logits of 0 have 0 dB."""
    each, one = measure(digits, 2, 2), measure(digits, 2, 2, PER_TENSOR)
    assert each.accuracy > one.accuracy
    assert one.accuracy == pytest.approx(0.1, abs=0.01)
    assert each.sqnr_db < one.sqnr_db == pytest.approx(0.0, abs=0.1)


def test_at_2_bits_the_least_squared_error_is_the_best_range(digits: str) -> None:
    accuracies = {name: measure(digits, 2, 2, calibrated(name)).accuracy for name in CALIBRATORS}
    others = [found for name, found in accuracies.items() if name != "mse"]
    assert accuracies["mse"] > 1.5 * max(others)


def test_at_8_bits_clipping_by_percentile_costs_more_than_it_gains(digits: str) -> None:
    assert measure(digits, 8, 8, calibrated("percentile", weights=False)).sqnr_db < measure(digits, 8, 8).sqnr_db - 0.5


def test_at_2_bit_weights_with_their_mean_error_taken_back_it_does_in_signal_too(digits: str) -> None:
    corrected = {"quantization.repairs": ["bias_correction"]}
    each, one = measure(digits, 2, 8, corrected), measure(digits, 2, 8, PER_TENSOR | corrected)
    assert each.sqnr_db > one.sqnr_db + 0.1
    assert each.accuracy > one.accuracy + 0.1


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_signed_activations_after_relu_cost_about_a_bit(bits: int) -> None:
    """Half the codes are negative and never used: weights of 16 bits leave the activations' noise alone."""
    symmetric = {"quantization.activations.symmetric": True}
    lost = measure("digits_cnn", 16, bits).sqnr_db - measure("digits_cnn", 16, bits, symmetric).sqnr_db
    assert lost == pytest.approx(6.02, abs=1.2)


def test_narrow_weights_hurt_more_than_narrow_activations(digits: str) -> None:
    assert measure(digits, 2, 8).accuracy < measure(digits, 8, 2).accuracy - 0.5


def test_bias_correction_lifts_the_3_bit_network_with_one_scale(digits: str) -> None:
    plain = measure(digits, 3, 3, PER_TENSOR)
    corrected = measure(digits, 3, 3, PER_TENSOR | {"quantization.repairs": ["bias_correction"]})
    assert corrected.sqnr_db > plain.sqnr_db + 2
    assert corrected.accuracy > plain.accuracy + 0.1


def test_equalization_gives_one_scale_some_of_what_a_scale_for_each_channel_has() -> None:
    plain = measure("digits_cnn", 4, 4, PER_TENSOR).sqnr_db
    equalized = measure("digits_cnn", 4, 4, PER_TENSOR | {"quantization.repairs": ["equalization"]}).sqnr_db
    assert plain + 1 < equalized < measure("digits_cnn", 4, 4).sqnr_db


def test_powers_of_two_found_at_calibration_cost_less_than_half_a_point_at_8_bits(digits: str) -> None:
    exact, calibrated_so, _ = (measure(digits, 8, 8, kind) for kind in POWERS_OF_TWO)
    assert calibrated_so.accuracy > exact.accuracy - 0.005
    assert calibrated_so.sqnr_db > 32


def test_multipliers_rounded_to_powers_of_two_afterwards_drown_the_logits_in_noise(digits: str) -> None:
    """Each channel is wrong by a factor of up to the square root of 2.

    Accuracy falls by 1.3 points on this CNN; trained from the seeds 1 to 10, of which it is the seventh, by 0.4 to
    13.7 points, 5.0 on average.
    """
    exact, _, rounded = (measure(digits, 8, 8, kind) for kind in POWERS_OF_TWO)
    assert rounded.sqnr_db < 10 < 34 < exact.sqnr_db
    assert 0.005 < exact.accuracy - rounded.accuracy < 0.02


def test_a_transformer_loses_three_points() -> None:
    exact, calibrated_so, rounded = (measure("digits_transformer", 8, 8, kind) for kind in POWERS_OF_TWO)
    assert abs(calibrated_so.accuracy - exact.accuracy) < 0.005
    assert exact.sqnr_db - 3 < calibrated_so.sqnr_db
    assert 0.02 < exact.accuracy - rounded.accuracy < 0.05


def test_an_lstm_whose_gates_are_all_wrong_by_one_factor_keeps_its_accuracy() -> None:
    """With one scale a gate rounded multipliers cost 9 dB and no accuracy: a sigmoid forgives 1.4 times its input."""
    exact, calibrated_so, rounded = (measure("digits_lstm", 8, 8, PER_TENSOR | kind) for kind in POWERS_OF_TWO)
    assert abs(calibrated_so.accuracy - exact.accuracy) < 0.005
    assert rounded.accuracy > exact.accuracy - 0.005
    assert exact.sqnr_db - 3 < calibrated_so.sqnr_db
    assert rounded.sqnr_db < exact.sqnr_db - 8


def test_an_lstm_whose_cells_are_each_wrong_by_another_factor_loses_ten_points() -> None:
    exact, calibrated_so, rounded = (measure("digits_lstm", 8, 8, kind) for kind in POWERS_OF_TWO)
    assert abs(calibrated_so.accuracy - exact.accuracy) < 0.005
    assert exact.sqnr_db - 3 < calibrated_so.sqnr_db
    assert rounded.accuracy < exact.accuracy - 0.08
    assert rounded.sqnr_db < exact.sqnr_db - 15


def test_at_3_bits_a_scale_for_each_group_of_terms_keeps_more_than_one_for_each_channel(digits: str) -> None:
    groups = measure(digits, 3, 3, {"quantization.weights.granularity": "per_group"})
    assert groups.sqnr_db > measure(digits, 3, 3).sqnr_db + 0.5


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_ranges_found_at_run_time_fit_better_than_calibrated_ones(digits: str, bits: int) -> None:
    dynamic = measure(digits, bits, bits, {"quantization.mode": "dynamic"})
    assert dynamic.sqnr_db > measure(digits, bits, bits).sqnr_db + 0.4
