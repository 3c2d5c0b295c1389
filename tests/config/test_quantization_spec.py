"""The quantization section: parts with options, settings of single layers, sweeps over both."""

from __future__ import annotations

import pytest
from config_problems import Write, problems_of

from hwsim.config import ArchSpec, apply_overrides, expand, load_arch, load_sweep

HEAD = "schema_version: 1\nquantization: "


def test_a_calibrator_is_a_name_or_a_mapping_with_options(chip: Write) -> None:
    assert load_arch(chip(HEAD + "{calibrator: percentile}\n")).quantization.calibrator == "percentile"
    options = {"name": "percentile", "percentile": 99.5}
    with_options = load_arch(chip(HEAD + "{calibrator: {name: percentile, percentile: 99.5}}\n"))
    assert with_options.quantization.calibrator == options
    assert ArchSpec.model_validate(with_options.model_dump(mode="json")) == with_options


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "{calibrator: {name: percentile, percentil: 99}}",
            "2:28: quantization.calibrator: percentile: unknown option 'percentil'; allowed: percentile; "
            "did you mean 'percentile'?",
        ),
        (
            "{calibrator: {name: percentile, percentile: 30}}",
            "2:28: quantization.calibrator: percentile: percentile 30; allowed: 50 to 100",
        ),
        (
            "{weights: {calibrator: {name: mse, steps: many}}}",
            "2:38: quantization.weights.calibrator: mse: steps must be a whole number, got 'many'",
        ),
        ("{calibrator: {percentile: 99}}", "2:28: quantization.calibrator: needs a name beside its options"),
        ("{calibrator: 3}", "2:28: quantization.calibrator: must be a name or a mapping with a name, got 3"),
        (
            "{layers: {conv1: {weight_bits: 1}}}",
            "2:46: quantization.layers.conv1.weight_bits: 1 is out of range; allowed: 2 to 16",
        ),
        (
            "{layers: {conv1: {activation_bits: 17}}}",
            "2:50: quantization.layers.conv1.activation_bits: 17 is out of range; allowed: 2 to 16",
        ),
        (
            "{layers: {conv1: {weights: {symetric: true}}}}",
            "2:43: quantization.layers.conv1.weights.symetric: unknown key; allowed: symmetric, granularity, "
            "group_size, signed, narrow_range, scale, calibrator, codebook_entries; did you mean 'symmetric'?",
        ),
        (
            "{weights: {group_size: 16}}",
            "2:38: quantization.weights.group_size: 16 needs granularity per_group, not per_channel",
        ),
        (
            "{weights: {granularity: per_group}, layers: {fc: {weights: {granularity: per_tensor, group_size: 16}}}}",
            "2:112: quantization.layers.fc.weights.group_size: 16 needs granularity per_group, not per_tensor",
        ),
        (
            "{layers: {conv1: {weights: {calibrator: mean}}}}",
            "2:55: quantization.layers.conv1.weights.calibrator: unknown calibrator 'mean'; allowed: kl, min_max, "
            "moving_average, mse, percentile",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_place(chip: Write, line: str, problem: str) -> None:
    assert problems_of(load_arch, chip(f"{HEAD}{line}\n")) == [f"chip.yaml:{problem}"]


@pytest.mark.parametrize(
    "line",
    [
        "{weights: {granularity: per_channel, group_size: 32}}",  # the default, as the template writes it
        "{weights: {group_size: 16}, layers: {conv1: {weights: {granularity: per_group}}}}",
        "{weights: {granularity: per_group}, layers: {conv1: {weights: {group_size: 16}}}}",
    ],
)
def test_a_size_of_groups_may_stand_where_a_layer_has_groups_and_the_default_anywhere(chip: Write, line: str) -> None:
    load_arch(chip(f"{HEAD}{line}\n"))


@pytest.mark.parametrize("bits", [1, 17])
def test_an_array_of_1_or_17_bits_is_refused(bits: int) -> None:
    (problem,) = problems_of(load_arch, "edge16", [f"array.weight_bits={bits}"])
    assert problem.endswith(f"array.weight_bits: {bits} is out of range; allowed: 2 to 16")


def test_a_layer_has_what_it_says_and_the_rest_from_all_layers() -> None:
    spec = apply_overrides(
        load_arch("edge16"),
        {"quantization.layers.conv1.weights.symmetric": False, "quantization.weights.granularity": "per_tensor"},
    ).quantization
    assert (spec.weights_of("conv1").symmetric, spec.weights_of("conv1").granularity) == (False, "per_tensor")
    assert not spec.weights_of("conv1").is_narrow
    assert spec.weights_of("conv2") == spec.weights
    assert spec.activations_of("conv1") == spec.activations


def test_settings_of_one_layer_can_be_swept(sweep: Write) -> None:
    loaded = load_sweep(
        sweep(
            "schema_version: 1\narchitecture: edge16\nworkloads: [digits_cnn]\naxes:\n"
            "  - quantization.layers.conv1.weight_bits: [2, 4]\n"
            "  - quantization.calibrator: [min_max, {name: percentile, percentile: 99.9}]\n"
        )
    )
    assert [list(point.overrides.values())[1] for point in expand(loaded.spec)] == [
        "min_max",
        {"name": "percentile", "percentile": 99.9},
    ] * 2


def test_an_unknown_key_of_a_layer_is_answered_with_the_closest(sweep: Write) -> None:
    path = sweep(
        "schema_version: 1\narchitecture: edge16\nworkloads: [digits_cnn]\naxes:\n"
        "  - quantization.layers.conv1.weight_bit: [2, 4]\n"
    )
    (problem,) = problems_of(load_sweep, path)
    assert problem.endswith("unknown key; did you mean 'quantization.layers.conv1.weight_bits'?")
