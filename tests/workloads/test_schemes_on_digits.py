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


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_lstm"])
def test_at_3_bits_a_scale_for_each_channel_beats_one_for_all(name: str) -> None:
    each, one = measure(name, 3, 3), measure(name, 3, 3, PER_TENSOR)
    assert each.sqnr_db > one.sqnr_db + 2
    assert each.accuracy > one.accuracy + 0.1


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_lstm"])
@pytest.mark.parametrize("activation_bits", [2, 8])
def test_at_2_bits_it_leaves_a_signal_where_one_for_all_leaves_none(name: str, activation_bits: int) -> None:
    """With codes -1, 0, 1 for the range of a whole tensor nearly all weights are 0, and logits of 0 have 0 dB."""
    each, one = measure(name, 2, activation_bits), measure(name, 2, activation_bits, PER_TENSOR)
    assert each.sqnr_db > one.sqnr_db + 0.2
    assert each.accuracy > one.accuracy + 0.04
    assert one.sqnr_db == pytest.approx(0.0, abs=0.4)


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_lstm"])
def test_at_2_bits_the_least_squared_error_is_the_best_range(name: str) -> None:
    found = {calibrator: measure(name, 2, 2, calibrated(calibrator)) for calibrator in CALIBRATORS}
    best = found.pop("mse")
    assert best.sqnr_db > max(other.sqnr_db for other in found.values()) + 1.5
    assert best.accuracy > 1.5 * max(other.accuracy for other in found.values())


def test_at_8_bits_clipping_by_percentile_costs_more_than_it_gains(digits: str) -> None:
    assert measure(digits, 8, 8, calibrated("percentile", weights=False)).sqnr_db < measure(digits, 8, 8).sqnr_db - 0.5


@pytest.mark.parametrize("bits", [4, 5, 6])
@pytest.mark.parametrize(
    ("name", "rectified"), [("digits_mlp", ["hidden"]), ("digits_cnn", ["conv1", "conv2", "conv3", "fc1"])]
)
def test_signed_activations_after_relu_cost_about_a_bit(name: str, rectified: list[str], bits: int) -> None:
    """Half the codes are negative and never used; everything but the rectified activations has 16 bits."""

    def sqnr(symmetric: bool) -> float:
        chosen = {"activation_bits": bits, "activations": {"symmetric": symmetric}}
        return measure(name, 16, 16, {"quantization.layers": dict.fromkeys(rectified, chosen)}).sqnr_db

    assert sqnr(symmetric=False) - sqnr(symmetric=True) == pytest.approx(6.02, abs=1.7)


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_signed_activations_everywhere_cost_at_least_half_a_bit(name: str) -> None:
    """Logits have both signs already and lose nothing; what is lost behind each rectifier is diluted by theirs."""
    symmetric = {"quantization.activations.symmetric": True}
    assert 3 < measure(name, 16, 5).sqnr_db - measure(name, 16, 5, symmetric).sqnr_db < 6


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_lstm"])
def test_narrow_weights_hurt_more_than_narrow_activations(name: str) -> None:
    assert measure(name, 2, 8).accuracy < measure(name, 8, 2).accuracy - 0.35


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
    assert calibrated_so.sqnr_db > 36


def test_multipliers_rounded_to_powers_of_two_afterwards_drown_the_logits_in_noise(digits: str) -> None:
    """Each channel is wrong by a factor of up to the square root of 2."""
    exact, _, rounded = (measure(digits, 8, 8, kind) for kind in POWERS_OF_TWO)
    assert rounded.sqnr_db < 10 < 37 < exact.sqnr_db
    assert rounded.accuracy < exact.accuracy - 0.01


@pytest.mark.parametrize("name", ["digits_cnn", "digits_lstm"])
def test_deep_and_recurrent_networks_then_lose_seven_points(name: str) -> None:
    exact, calibrated_so, rounded = (measure(name, 8, 8, kind) for kind in POWERS_OF_TWO)
    assert calibrated_so.accuracy > exact.accuracy - 0.005
    assert exact.sqnr_db - 3 < calibrated_so.sqnr_db
    assert rounded.accuracy < exact.accuracy - 0.07


def test_a_transformer_loses_one_point() -> None:
    exact, calibrated_so, rounded = (measure("digits_transformer", 8, 8, kind) for kind in POWERS_OF_TWO)
    assert abs(calibrated_so.accuracy - exact.accuracy) < 0.005
    assert exact.sqnr_db - 3 < calibrated_so.sqnr_db
    assert 0.005 < exact.accuracy - rounded.accuracy < 0.02


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_lstm"])
def test_where_all_channels_are_wrong_by_one_factor_accuracy_suffers_less(name: str) -> None:
    """With one scale a tensor (an LSTM: a gate) rounding cannot change which logit of a layer is the largest."""
    exact, _, rounded = (measure(name, 8, 8, PER_TENSOR | kind) for kind in POWERS_OF_TWO)
    assert rounded.accuracy > exact.accuracy - 0.02
    assert rounded.sqnr_db < exact.sqnr_db - 6


def test_at_4_bits_a_scale_for_each_group_of_terms_keeps_more_than_one_for_each_channel(digits: str) -> None:
    groups = measure(digits, 4, 8, {"quantization.weights.granularity": "per_group"})
    assert groups.sqnr_db > measure(digits, 4, 8).sqnr_db + 1


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_ranges_found_at_run_time_fit_better_than_calibrated_ones(digits: str, bits: int) -> None:
    dynamic = measure(digits, bits, bits, {"quantization.mode": "dynamic"})
    assert dynamic.sqnr_db > measure(digits, bits, bits).sqnr_db + 0.4
