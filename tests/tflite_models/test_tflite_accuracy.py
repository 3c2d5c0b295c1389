"""Accuracy of whole files on 761 real images, to the image; run by hand: half a minute each."""

from __future__ import annotations

import numpy as np
import pytest
from real_samples import digits, model, real_images, wide_images

from hwsim.config.load import load_arch
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples, with_calibration
from hwsim.simulate import simulate

pytestmark = pytest.mark.benchmark


def test_16_bit_activations() -> None:
    """88.30 %, as LiteRT."""
    inputs, labels = wide_images(761)
    chosen = choose_samples(read_workload(model("resnet8_static_wi8_ai16")), inputs=inputs, labels=labels)
    spec = load_arch("edge16", ["array.activation_bits=16"])
    result = simulate(spec, chosen, engine="functional", with_data=False)
    assert result.accuracy == 672 / 761
    assert result.totals["overflow_events"] == 0


@pytest.mark.parametrize(
    ("name", "profile", "right"),
    [
        ("resnet8_dynamic_wi8_afp32", "xnnpack", 672),  # 88.30 %, LiteRT's default
        ("resnet8_dynamic_wi8_afp32", "litert_reference", 673),
        ("resnet8_weight_only_wi8_afp32", "litert_reference", 674),  # 88.57 %
    ],
)
def test_real_activations(name: str, profile: str, right: int) -> None:
    inputs, labels = real_images(761)
    chosen = choose_samples(read_workload(model(name)), inputs=inputs, labels=labels)
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}", "scratchpads.outputs.capacity_bytes=262144"])
    result = simulate(spec, chosen, engine="functional", with_data=False)
    assert result.accuracy == right / 761


def test_reals_and_what_they_are_quantized_to() -> None:
    """88.44 % in floating point, as LiteRT; in 8 bits, calibrated on 100 of the images."""
    inputs, labels = real_images(761)
    workload = with_calibration(read_workload(model("pretrainedResnet")), inputs[:100])
    chosen = choose_samples(workload, inputs=inputs, labels=labels)
    result = simulate(load_arch("edge16", []), chosen, engine="functional", with_data=False)
    assert result.float_accuracy == 673 / 761
    assert result.accuracy is not None
    assert result.accuracy > 0.85


def test_an_lstm_of_reals() -> None:
    """98.53 % of 10,000 digits in floating point, as LiteRT."""
    codes, labels = digits(10_000)
    pixels = (codes.astype(np.float32) + 128) / 255
    chosen = choose_samples(read_workload(model("trained_lstm")), inputs=pixels)
    assert chosen.float_outputs is not None
    assert int(np.sum(chosen.float_outputs.reshape(-1, 10).argmax(axis=1) == labels)) == 9853
