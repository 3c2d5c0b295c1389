"""YAML text becomes plain data with positions; whatever else the text is becomes one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.config.yaml_build import Position
from hwsim.config.yaml_source import parse_document, parse_value, read_document
from hwsim.errors import ConfigError


def problem_with(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "chip.yaml")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500e6", 500e6),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("'16'", "16"),
        ("~", None),
        ("", None),
        ("[-8, 8]", [-8, 8]),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_value(text, "value")
    assert (parsed, type(parsed)) == (value, type(value))


def test_every_key_and_value_has_a_line_and_a_column() -> None:
    document = parse_document("name: x\narray:\n  rows: 4\n  range: [1, 22]\n", "chip.yaml")
    assert document.keys[("array", "rows")] == Position(3, 3)
    assert document.values[("array", "rows")] == Position(3, 9)
    assert document.values[("array", "range", 1)] == Position(4, 14)


def test_what_the_file_lacks_stands_where_its_nearest_parent_does() -> None:
    document = parse_document("name: x\narray: {rows: 4}\n", "chip.yaml")
    assert document.position(("array", "cols")) == Position(2, 8)
    assert document.position(("dram", "type")) == Position(1, 1)


def test_aliases_repeat_what_they_name() -> None:
    document = parse_document("a: &pad {size: 3}\nb: *pad\n", "chip.yaml")
    assert document.data == {"a": {"size": 3}, "b": {"size": 3}}


def test_all_duplicate_keys_and_odd_keys_are_found_and_the_first_value_stays() -> None:
    document = parse_document("a: 1\na: 2\n3: x\n? [b]\n: y\nc: !!python/name:os.system\n", "chip.yaml")
    assert document.data == {"a": 1, "c": None}
    assert [f"{position}: {problem}" for position, problem in document.problems] == [
        "2:1: duplicate key 'a'; it stands at 1:1 already",
        "3:1: a key must be text, not 3",
        "4:3: a key must be text, not a list or a mapping",
        "6:4: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed",
    ]


BILLION_LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "chip.yaml: the file is empty"),
        ("# only a comment\n", "chip.yaml: the file is empty"),
        ("- a\n", "chip.yaml:1:1: the top level must be a mapping of keys to values"),
        ("a:\n\tb: 1\n", "chip.yaml:2:1: not valid YAML: a tab cannot indent; use spaces"),
        ("a: b: c", "chip.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        (
            "a: [1, 2",
            "chip.yaml:1:9: not valid YAML: expected ',' or ']', but got '<stream end>' "
            "(while parsing a flow sequence that starts at line 1, column 4)",
        ),
        ("a: *b", "chip.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "chip.yaml:2:1: not valid YAML: a file holds one document; remove what follows '---'"),
        ("a: b\x01", "chip.yaml:1:5: not valid YAML: a character that cannot be printed"),
        ('a: "\\UFFFFFFFF"', "chip.yaml:1:7: not valid YAML: a number in an escape or a directive is too large"),
        ("a: &a [*a]", "chip.yaml:1:4: nested deeper than 64 levels"),
        ("[" * 1000, "chip.yaml:1:1001: not valid YAML: nested deeper than 64 levels"),
        (BILLION_LAUGHS, "chip.yaml:1:26: more than 100,000 values, counting each alias"),
    ],
)
def test_text_that_is_no_specification_is_one_line(text: str, problem: str) -> None:
    assert problem_with(text) == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe\x00", "not a text file in UTF-8 (byte 0)"),
        (b"a: 1\n" * 200_001, "larger than 1,000,000 bytes; not a specification"),
    ],
)
def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "chip.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: no such file$"):
        read_document(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match=f"^{tmp_path}: is a folder, not a YAML file$"):
        read_document(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_document(path).data == {"name": "x"}


yaml_like = st.text(alphabet=st.sampled_from("ab1.:-,[]{}&*!|>'\"#%@?~ \n\t\\xU0e_<"), max_size=40)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first text() builds a table
@given(st.one_of(st.text(), yaml_like))
def test_any_text_is_data_or_a_configuration_error(text: str) -> None:
    try:
        document = parse_document(text, "chip.yaml")
    except ConfigError as error:
        assert all("\n" not in problem for problem in error.problems)
    else:
        assert isinstance(document.data, dict)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_data_or_a_configuration_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "chip.yaml"
    path.write_bytes(content)
    try:
        read_document(path)
    except ConfigError as error:
        assert len(error.problems) == 1
