"""The architecture's specification as Python users meet it."""

from __future__ import annotations

import pytest
from config_problems import Write, problems_of
from pydantic import ValidationError

from hwsim.config import ArchSpec, ArraySpec, apply_overrides, load_arch


def test_every_key_but_the_version_has_a_default_and_the_defaults_are_edge16() -> None:
    edge16 = load_arch("edge16")
    default = ArchSpec(schema_version=1)
    assert default.model_copy(update={"name": "edge16", "description": edge16.description}) == edge16


def test_the_accumulator_is_as_wide_as_the_product_and_the_guard_bits() -> None:
    assert ArraySpec(weight_bits=4, activation_bits=8, guard_bits=-2).accumulator_bits == 10


def test_a_specification_does_not_change_and_can_be_a_key() -> None:
    spec = load_arch("edge16")
    with pytest.raises(ValidationError, match="frozen"):
        spec.clock_hz = 1.0
    assert {spec: 1}[load_arch("edge16")] == 1


def test_a_specification_built_in_python_obeys_the_same_rules() -> None:
    with pytest.raises(ValidationError, match="drain needs dataflow output_stationary, not weight_stationary"):
        ArraySpec(fold_overlap="drain", dataflow="weight_stationary")


def test_a_stored_specification_loads_again() -> None:
    spec = apply_overrides(load_arch("edge16"), {"quantization.weights.symmetric": False})
    assert ArchSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_whole_number_may_stand_for_a_number_with_a_fraction(chip: Write) -> None:
    spec = load_arch(chip("schema_version: 1\nclock_hz: 500000000\n"))
    assert spec.clock_hz == 500e6
    assert isinstance(spec.clock_hz, float)


def test_the_narrow_range_belongs_to_symmetric_signed_weights_unless_told() -> None:
    edge16 = load_arch("edge16")
    assert edge16.quantization.weights.is_narrow
    for key in ("symmetric", "signed"):
        weights = apply_overrides(edge16, {f"quantization.weights.{key}": False}).quantization.weights
        assert not weights.is_narrow
    told = apply_overrides(edge16, {"quantization.weights.narrow_range": False}).quantization.weights
    assert not told.is_narrow


def test_overrides_by_name_give_a_new_validated_specification() -> None:
    spec = apply_overrides(load_arch("edge16"), {"array.rows": 32, "dram.type": "hbm2"})
    assert (spec.array.rows, spec.array.cols, spec.dram.type) == (32, 16, "hbm2")
    assert load_arch("edge16").array.rows == 16


def test_all_wrong_overrides_are_named_by_key() -> None:
    edge16 = load_arch("edge16")
    assert problems_of(apply_overrides, edge16, {"array.rows": 0, "array.cols": "x"}) == [
        "array.rows: 0 is out of range; allowed: 1 to 1024",
        "array.cols: must be a whole number, got the text 'x'",
    ]
    assert problems_of(apply_overrides, edge16, {"array.row": 1, "dram": 3}) == [
        "array.row: unknown key; did you mean 'array.rows'?",
        "dram: a group of keys, not a value; allowed: dram.type, dram.bytes_per_cycle, dram.latency_cycles, "
        "dram.channels, dram.interleave_bytes, dram.burst_bytes, dram.banks, dram.row_bytes, dram.row_miss_cycles, "
        "dram.capacity_bytes",
    ]


def test_settings_have_values_as_in_yaml() -> None:
    spec = load_arch("edge16", ["array.rows=32", "clock_hz=1e9", "activation_lut.input_range=[-4, 4]"])
    assert (spec.array.rows, spec.clock_hz, spec.activation_lut.input_range) == (32, 1e9, (-4.0, 4.0))


def test_the_last_setting_of_a_key_counts() -> None:
    assert load_arch("edge16", ["array.rows=32", "array.rows=8"]).array.rows == 8


def test_a_setting_may_correct_a_file(chip: Write) -> None:
    assert load_arch(chip("schema_version: 1\narray: {rows: 0}\n"), ["array.rows=4"]).array.rows == 4


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("array.rows=x", "array.rows: must be a whole number, got the text 'x'"),
        ("array.rows=", "array.rows: must be a whole number, got nothing"),
        ("array.rows=99999", "array.rows: 99999 is out of range; allowed: 1 to 1024"),
        ("array.rows", "must be KEY=VALUE, such as array.rows=32"),
        ("arry.rows=3", "arry.rows: unknown key; did you mean 'array.rows'?"),
        (
            "dram=3",
            "dram: a group of keys, not a value; allowed: dram.type, dram.bytes_per_cycle, dram.latency_cycles, "
            "dram.channels, dram.interleave_bytes, dram.burst_bytes, dram.banks, dram.row_bytes, dram.row_miss_cycles, "
            "dram.capacity_bytes",
        ),
        (
            "dram.type=[",
            "not valid YAML: expected the node content, but found '<stream end>' "
            "(while parsing a flow node that starts at line 1, column 2)",
        ),
    ],
)
def test_a_wrong_setting_is_named_as_it_was_written(setting: str, problem: str) -> None:
    assert problems_of(load_arch, "edge16", [setting]) == [f"--set {setting}: {problem}"]


def test_wrong_settings_are_reported_with_the_errors_of_the_file(chip: Write) -> None:
    path = chip("schema_version: 1\nclock_hz: 0\n")
    assert problems_of(load_arch, path, ["array.rows=0", "rows=4"]) == [
        "chip.yaml:2:11: clock_hz: 0 is out of range; allowed: more than 0 and at most 1e+12",
        "--set array.rows=0: array.rows: 0 is out of range; allowed: 1 to 1024",
        "--set rows=4: rows: unknown key; did you mean 'array.rows'?",
    ]


def test_a_setting_that_breaks_a_rule_of_the_file_is_to_blame(chip: Write) -> None:
    path = chip("schema_version: 1\narray: {fold_overlap: drain}\n")
    assert problems_of(load_arch, path, ["array.dataflow=weight_stationary"]) == [
        "--set array.dataflow=weight_stationary: array.fold_overlap: drain needs dataflow output_stationary, "
        "not weight_stationary"
    ]


def test_a_setting_does_not_hide_an_error_of_the_file(chip: Write) -> None:
    assert problems_of(load_arch, chip("schema_version: 1\narray: 3\n"), ["array.rows=4"]) == [
        "chip.yaml:2:8: array: must be a mapping of keys to values, got 3"
    ]
