"""Energy tables: the shipped figures, the models between them, and what a broken table says."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_files import shared

from hwsim.energy.table import EnergyTable, shipped_tables
from hwsim.errors import ConfigError

KILOBYTE = 1024


@pytest.fixture(scope="module")
def horowitz() -> EnergyTable:
    return EnergyTable.load("horowitz_45nm")


def write_table(folder: Path, actions: str, name: str = "mine") -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"schema_version: 1\nname: {name}\nnode_nm: 22\nactions: {actions}\n")
    return path


def test_the_shipped_tables_are_listed_and_load() -> None:
    assert shipped_tables() == ["horowitz_45nm"]
    for name in shipped_tables():
        assert EnergyTable.load(name).name == name


@pytest.mark.parametrize(("bits", "published_pj"), [(8, 0.2), (32, 3.1)])
def test_multiplication_meets_the_figures_of_horowitz_isscc_2014(horowitz, bits, published_pj) -> None:
    assert horowitz.int_multiply_pj(bits, bits) == pytest.approx(published_pj, rel=1e-4)


@pytest.mark.parametrize(("bits", "published_pj"), [(8, 0.03), (32, 0.1)])
def test_addition_meets_the_figures_of_horowitz_isscc_2014(horowitz, bits, published_pj) -> None:
    assert horowitz.int_add_pj(bits) == pytest.approx(published_pj, rel=1e-4)


@pytest.mark.parametrize(("kilobytes", "published_pj"), [(8, 10), (32, 20), (1024, 100)])
def test_sram_meets_the_figures_of_horowitz_isscc_2014(horowitz, kilobytes, published_pj) -> None:
    assert horowitz.sram_access_pj(kilobytes * KILOBYTE, bits=64) == pytest.approx(published_pj)


def test_sram_between_two_points_is_linear_in_logarithms(horowitz) -> None:
    # 16 KB is half-way from 8 to 32 KB in log capacity, so the energy is the geometric mean of 10 and 20 pJ
    assert horowitz.sram_access_pj(16 * KILOBYTE, bits=64) == pytest.approx(200**0.5)


def test_sram_outside_the_points_extends_the_end_segments(horowitz) -> None:
    assert horowitz.sram_access_pj(2 * KILOBYTE, bits=64) == pytest.approx(5)
    assert horowitz.sram_access_pj(32 * 1024 * KILOBYTE, bits=64) == pytest.approx(500)


def test_dram_registers_shift_and_compare(horowitz) -> None:
    assert horowitz.dram_access_pj(bits=64) == pytest.approx(1300, rel=1e-3)
    assert horowitz.register_write_pj(16) == pytest.approx(16 * 0.009)
    assert horowitz.shift_pj(32) == pytest.approx(0.417)
    assert horowitz.compare_pj(32) == pytest.approx(0.02947)


def test_the_table_meets_a_collection_of_published_figures(horowitz) -> None:
    with shared("reference", "energy", "published_energy.csv").open(newline="") as file:
        published = {row["quantity"]: row["value"] for row in csv.DictReader(file)}
    figures = {
        "int add 8b": horowitz.int_add_pj(8),
        "int add 32b": horowitz.int_add_pj(32),
        "int mult 8b": horowitz.int_multiply_pj(8, 8),
        "int mult 32b": horowitz.int_multiply_pj(32, 32),
        "8 KB 64-bit access": horowitz.sram_access_pj(8 * KILOBYTE, bits=64),
        "32 KB 64-bit access": horowitz.sram_access_pj(32 * KILOBYTE, bits=64),
        "1 MB 64-bit access": horowitz.sram_access_pj(1024 * KILOBYTE, bits=64),
        "aladdin register 1b": horowitz.register_write_pj(1),
        "aladdin comparator 32b": horowitz.compare_pj(32),
        "aladdin shifter 32b": horowitz.shift_pj(32),
    }
    assert figures == pytest.approx({name: float(published[name]) for name in figures}, rel=1e-4)


def test_wider_operands_cost_more(horowitz) -> None:
    for narrow, wide in pairwise(range(2, 64)):
        assert horowitz.int_multiply_pj(narrow, 8) < horowitz.int_multiply_pj(wide, 8)
        assert horowitz.int_multiply_pj(8, narrow) == horowitz.int_multiply_pj(narrow, 8)
        assert horowitz.int_add_pj(narrow) < horowitz.int_add_pj(wide)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_larger_sram_costs_more(one: int, other: int) -> None:
    table = EnergyTable.load("horowitz_45nm")
    small, large = sorted([one, other])
    assert table.sram_access_pj(small, bits=1) <= table.sram_access_pj(large, bits=1) * (1 + 1e-12)


def test_a_table_is_loaded_from_a_path(tmp_path: Path) -> None:
    table = EnergyTable.load(write_table(tmp_path, "{dram_access: {pj_per_bit: 8}}"))
    assert (table.name, table.node_nm) == ("mine", 22)
    assert table.dram_access_pj(bits=10) == 80


def test_an_unknown_name_lists_the_shipped_tables() -> None:
    with pytest.raises(ConfigError) as caught:
        EnergyTable.load("horowitz_45")
    assert str(caught.value) == (
        "unknown energy table 'horowitz_45'; allowed: a path of a YAML file, or one of horowitz_45nm"
        "; did you mean 'horowitz_45nm'?"
    )


def test_an_action_without_an_entry_is_an_error_and_never_0(tmp_path: Path) -> None:
    table = EnergyTable.load(write_table(tmp_path, "{dram_access: {pj_per_bit: 8}}"))
    with pytest.raises(ConfigError) as caught:
        table.int_add_pj(8)
    assert str(caught.value) == "energy table 'mine' has no entry 'int_add'; it has: dram_access"


def test_a_memory_without_capacity_cannot_be_accessed(horowitz) -> None:
    with pytest.raises(ConfigError, match="a memory of 0 bytes cannot be accessed"):
        horowitz.sram_access_pj(0, bits=8)


def problems_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        EnergyTable.load(path)
    return caught.value.problems


def test_every_problem_of_a_broken_table_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    actions = "{dram_access: {pj_per_bit: -1}, shft: {pj_per_bit: 1}, int_add: {pj_per_bit: 1}}"
    path = write_table(tmp_path, actions)
    known = "int_multiply, int_add, float_multiply, float_add, sram_access, dram_access, register_write, shift, compare"
    assert problems_of(path) == (
        f"{path}:4:37: actions.dram_access.pj_per_bit: -1 is out of range; allowed: at least 0",
        f"{path}:4:42: actions.shft: unknown key; allowed: {known}; did you mean 'shift'?",
        f"{path}:4:74: actions.int_add.pj_constant: this required key is missing",
    )


def test_sram_points_must_ascend(tmp_path: Path) -> None:
    points = "[{capacity_bytes: 64, energy_pj: 1}, {capacity_bytes: 64, energy_pj: 2}]"
    path = write_table(tmp_path, f"{{sram_access: {{access_bits: 64, points: {points}}}}}")
    (problem,) = problems_of(path)
    assert problem.endswith(
        "actions.sram_access.points[1].capacity_bytes: 64; allowed: more than the 64 of the point before"
    )


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path, "{}")
    path.write_text(path.read_text().replace("schema_version: 1", "schema_version: 2"))
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path}:1:17: schema_version: ")


def test_a_file_that_is_no_yaml_or_no_file_is_one_problem(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("actions: [")
    assert len(problems_of(broken)) == 1
    (missing,) = problems_of(tmp_path / "absent.yaml")
    assert missing.startswith(f"{tmp_path / 'absent.yaml'}: ")
