"""What is wrong with an architecture's file: where it stands, what is allowed, the closest name, all at once."""

from __future__ import annotations

import pytest
from config_problems import Write, problems_of
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.config import ArchSpec, load_arch
from hwsim.config.places import leaf_paths
from hwsim.config.problems import InvalidSpecError, validated

ARRAY_KEYS = (
    "rows, cols, dataflow, fold_overlap, number_format, accumulator_format, weight_bits, activation_bits, guard_bits, "
    "overflow, zero_point"
)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("array: {row: 3}", f"2:9: array.row: unknown key; allowed: {ARRAY_KEYS}; did you mean 'rows'?"),
        ("array: {rows: '16'}", "2:15: array.rows: must be a whole number, got the text '16'"),
        ("array: {rows: 16.0}", "2:15: array.rows: must be a whole number, got 16.0"),
        ("array: {rows: true}", "2:15: array.rows: must be a whole number, got true"),
        ("array: {rows: }", "2:14: array.rows: must be a whole number, got nothing"),
        ("array: {rows: 0}", "2:15: array.rows: 0 is out of range; allowed: 1 to 1024"),
        ("array: {guard_bits: -5}", "2:21: array.guard_bits: -5 is out of range; allowed: -4 to 47"),
        ("array: 16", "2:8: array: must be a mapping of keys to values, got 16"),
        (
            "array: {dataflow: output_stationry}",
            "2:19: array.dataflow: unknown value 'output_stationry'; allowed: output_stationary, "
            "weight_stationary, input_stationary; did you mean 'output_stationary'?",
        ),
        (
            "array: {overflow: 1}",
            "2:19: array.overflow: unknown value 1; allowed: wrap, saturate, error",
        ),
        ("clock_hz: .nan", "2:11: clock_hz: must be a finite number, got nan"),
        ("clock_hz: 1e999", "2:11: clock_hz: must be a finite number, got inf"),
        ("clock_hz: fast", "2:11: clock_hz: must be a number, got the text 'fast'"),
        ("clock_hz: -1", "2:11: clock_hz: -1 is out of range; allowed: more than 0 and at most 1e+12"),
        ("clock_hz: true", "2:11: clock_hz: must be a number, got true"),
        ("name: 16", "2:7: name: must be text, got 16"),
        ("name: ''", "2:7: name: must be text that is not empty, got the text ''"),
        (
            "scratchpads: {weights: {double_buffered: yes}}",
            "2:42: scratchpads.weights.double_buffered: must be true or false, got the text 'yes'",
        ),
        ("activation_lut: {input_range: 8}", "2:31: activation_lut.input_range: must be a list, got 8"),
        ("activation_lut: {input_range: [8]}", "2:31: activation_lut.input_range: needs 2 values, got 1"),
        (
            "activation_lut: {input_range: [1, 2, 3]}",
            "2:31: activation_lut.input_range: needs 2 values, got 3",
        ),
        (
            "activation_lut: {input_range: [1, x]}",
            "2:35: activation_lut.input_range[1]: must be a number, got the text 'x'",
        ),
        ("array: {rows: 1, rows: 2}", "2:18: duplicate key 'rows'; it stands at 2:9 already"),
        ("array: {rows: !!int x}", "2:15: 'x' is no int"),
    ],
)
def test_one_wrong_key(chip: Write, line: str, problem: str) -> None:
    assert problems_of(load_arch, chip(f"schema_version: 1\n{line}\n")) == [f"chip.yaml:{problem}"]


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("2", "unknown value 2; allowed: 1"),
        ("'1'", "must be a whole number, got the text '1'"),
        ("true", "must be a whole number, got true"),
        ("1.0", "must be a whole number, got 1.0"),
    ],
)
def test_only_version_1_of_the_format_is_known(chip: Write, version: str, problem: str) -> None:
    path = chip(f"schema_version: {version}\n")
    assert problems_of(load_arch, path) == [f"chip.yaml:1:17: schema_version: {problem}"]


def test_a_missing_key_is_located_at_its_parent(chip: Write) -> None:
    path = chip("# a chip\nname: chip\n")
    assert problems_of(load_arch, path) == ["chip.yaml:2:1: schema_version: this required key is missing"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "array: {fold_overlap: drain, dataflow: weight_stationary}",
            "2:23: array.fold_overlap: drain needs dataflow output_stationary, not weight_stationary",
        ),
        (
            "array: {weight_bits: 16, activation_bits: 16, guard_bits: 32}",
            "2:59: array.guard_bits: weight_bits 16 + activation_bits 16 + guard_bits 32 make an accumulator of "
            "64 bits; allowed: 2 to 63",
        ),
        (
            "array: {weight_bits: 2, activation_bits: 3, guard_bits: -4}",
            "2:57: array.guard_bits: weight_bits 2 + activation_bits 3 + guard_bits -4 make an accumulator of 1 bits; "
            "allowed: 2 to 63",
        ),
        (
            "requantizer: {rounding: double, scheme: float}",
            "2:25: requantizer.rounding: double needs scheme fixed_point or power_of_two, not float",
        ),
        (
            "requantizer: {rounding: double, multiplier_bits: 16}",
            "2:50: requantizer.multiplier_bits: rounding double needs 31 bits, not 16",
        ),
        (
            "array: {guard_bits: 17}\nrequantizer: {rounding: double}",
            "3:25: requantizer.rounding: double needs an accumulator of at most 32 bits, and array.weight_bits + "
            "array.activation_bits + array.guard_bits make 33",
        ),
        (
            "activation_lut: {input_range: [2, -2]}",
            "2:31: activation_lut.input_range: the lower end 2 must be below the upper end -2",
        ),
        (
            "array: {weight_bits: 4}\nquantization: {layers: {conv1: {weight_bits: 5}}}",
            "3:46: quantization.layers.conv1.weight_bits: 5 bits do not fit array.weight_bits 4; allowed: 2 to 4",
        ),
        (
            "activation_lut: {interpolation: tflite_int16}",
            "2:17: activation_lut.entries: 256 with interpolation tflite_int16 and output_bits 8; allowed: powers of "
            "two from 4 to 128",
        ),
        (
            "activation_lut: {interpolation: tflite_int16, entries: 100, output_bits: 16}",
            "2:56: activation_lut.entries: 100 with interpolation tflite_int16 and output_bits 16; allowed: powers of "
            "two from 4 to 32768",
        ),
        (
            "activation_lut: {interpolation: tflite_int16, entries: 4, output_bits: 7}",
            "2:72: activation_lut.output_bits: 7 with interpolation tflite_int16; allowed: 8 to 16",
        ),
        (
            "activation_lut: {interpolation: tflite_int16, entries: 16, input_range: [-4, 4]}",
            "2:73: activation_lut.input_range: [-4, 4] with interpolation tflite_int16, whose range is fixed; "
            "allowed: [-8, 8]",
        ),
    ],
)
def test_rules_between_keys_are_located_at_the_key_to_blame(chip: Write, line: str, problem: str) -> None:
    assert problems_of(load_arch, chip(f"schema_version: 1\n{line}\n")) == [f"chip.yaml:{problem}"]


def test_every_error_of_a_file_is_reported_at_once_in_the_order_of_the_file(chip: Write) -> None:
    path = chip(
        "schema_version: 1\n"
        "name: a\n"
        "name: b\n"
        "array:\n"
        "  rows: 99999\n"
        "  colls: 16\n"
        "  dataflow: weight_stationary\n"
        "  fold_overlap: drain\n"
        "dram: {type: lpddr4, latency_cycles: none}\n"
    )
    assert problems_of(load_arch, path) == [
        "chip.yaml:3:1: duplicate key 'name'; it stands at 2:1 already",
        "chip.yaml:5:9: array.rows: 99999 is out of range; allowed: 1 to 1024",
        f"chip.yaml:6:3: array.colls: unknown key; allowed: {ARRAY_KEYS}; did you mean 'cols'?",
        "chip.yaml:8:17: array.fold_overlap: drain needs dataflow output_stationary, not weight_stationary",
        "chip.yaml:9:38: dram.latency_cycles: must be a whole number, got the text 'none'",
    ]


def test_a_rule_with_a_key_that_is_wrong_in_itself_is_not_judged(chip: Write) -> None:
    path = chip("schema_version: 1\narray: {fold_overlap: drain, dataflow: 1}\n")
    (problem,) = problems_of(load_arch, path)
    assert problem.startswith("chip.yaml:2:40: array.dataflow: unknown value 1;")


def test_the_calibrator_is_a_registered_name(chip: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.config.parts.names", lambda _: ["min_max", "percentile"])
    path = chip("schema_version: 1\nquantization: {calibrator: minmax}\n")
    assert problems_of(load_arch, path) == [
        "chip.yaml:2:28: quantization.calibrator: unknown calibrator 'minmax'; allowed: min_max, percentile; "
        "did you mean 'min_max'?"
    ]


def test_long_and_unprintable_text_is_shown_on_one_short_line(chip: Write) -> None:
    path = chip(f'schema_version: 1\nclock_hz: "{"x" * 100}"\n"a\\nb": 1\n')
    long, odd = problems_of(load_arch, path)
    assert long == f"chip.yaml:2:11: clock_hz: must be a number, got the text '{'x' * 40}'…"
    assert odd.startswith("chip.yaml:3:1: 'a\\nb': unknown key; allowed: schema_version, name,")


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text("a1 .\n", max_size=5))
keys = st.sampled_from([key for path in leaf_paths(ArchSpec) for key in path.split(".")])


def _mappings(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(keys, values, max_size=4)


values = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | _mappings(below), max_leaves=12)


@settings(deadline=None)  # the first example waits for the names of calibrators
@given(_mappings(values))
def test_any_data_is_a_specification_or_a_list_of_problems_of_one_line_each(data: dict[str, object]) -> None:
    try:
        spec = validated(ArchSpec, data)
    except InvalidSpecError as error:
        assert error.problems
        assert all("\n" not in str(problem) for problem in error.problems)
    else:
        assert spec.schema_version == 1
