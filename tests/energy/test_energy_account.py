"""Accounts: counts of actions become energy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.counts import Counts
from hwsim.energy.account import ACTION_ENERGIES, Account, EnergyContext, EnergyEntry, total_energy_pj
from hwsim.energy.table import EnergyTable
from hwsim.errors import ConfigError

KILOBYTE = 1024
CONTEXT = EnergyContext(
    weight_bits=8,
    activation_bits=8,
    accumulator_bits=32,
    multiplier_bits=32,
    activation_scratchpad_bytes=32 * KILOBYTE,
    weight_scratchpad_bytes=8 * KILOBYTE,
    output_scratchpad_bytes=1024 * KILOBYTE,
    lut_entries=8 * KILOBYTE,
    lut_output_bits=8,
    decoder_entries=16,
)


def account(**changes: int) -> Account:
    return Account(EnergyTable.load("horowitz_45nm"), replace(CONTEXT, **changes))


@pytest.mark.parametrize(
    ("component", "action", "published_pj"),
    [
        ("pe", "multiply", 0.2),  # Horowitz: 8 b multiply
        ("pe", "accumulate", 0.1),  # Horowitz: 32 b add
        ("pe", "activation_register_write", 8 * 0.009),  # Aladdin: 1 b register
        ("pe", "weight_register_write", 8 * 0.009),
        ("pe", "partial_sum_register_write", 32 * 0.009),
        ("accumulator_buffer", "add", 0.1),
        ("accumulator_buffer", "write", 32 * 0.009),
        ("accumulator_buffer", "read", 32 * 0.009),
        ("activation_scratchpad", "read_bits", 20 / 64),  # Horowitz: 64 b of 32 KB
        ("activation_scratchpad", "write_bits", 20 / 64),
        ("weight_scratchpad", "read_bits", 10 / 64),
        ("weight_scratchpad", "write_bits", 10 / 64),
        ("output_scratchpad", "read_bits", 100 / 64),
        ("output_scratchpad", "write_bits", 100 / 64),
        ("dram", "read_bits", 20.3),  # Horowitz: 1300 pJ for 64 b
        ("dram", "write_bits", 20.3),
        ("requantizer", "multiply", 3.1),  # Horowitz: 32 b multiply
        ("requantizer", "add", 0.1),
        ("requantizer", "shift", 2 * 0.417),  # Aladdin: 32 b shifter, here 64 b
        ("requantizer", "row_sum_add", 0.1),
        ("activation_lut", "lookup", 10 / 8),  # 8 of 64 b of 8 KB
        ("vector_unit", "compare", 0.02947 / 4),  # Aladdin: 32 b comparator, here 8 b
        ("vector_unit", "add", 0.1),
    ],
)
def test_every_action_meets_its_published_figure(component, action, published_pj) -> None:
    assert account().action_energy_pj(component, action) == pytest.approx(published_pj, rel=1e-4)


def test_the_energy_of_an_entry_is_its_count_times_one_action() -> None:
    entries = account().entries(Counts({("dram", "read_bits"): 100, ("pe", "multiply"): 1000}))
    assert entries == [
        EnergyEntry("pe", "multiply", 1000, 1000 * account().action_energy_pj("pe", "multiply")),
        EnergyEntry("dram", "read_bits", 100, pytest.approx(2030)),
    ]
    assert total_energy_pj(entries) == pytest.approx(200 + 2030, rel=1e-4)


def test_nothing_counted_costs_nothing() -> None:
    assert account().entries(Counts()) == []
    assert total_energy_pj([]) == 0


def test_mean_counts_over_samples_may_be_fractions() -> None:
    (entry,) = account().entries({("pe", "multiply"): 2.5})
    assert entry.energy_pj == pytest.approx(0.5, rel=1e-4)


def test_wider_operands_cost_more_in_every_part_that_has_their_width() -> None:
    counts = dict.fromkeys(ACTION_ENERGIES, 1)
    narrow = account(weight_bits=4, activation_bits=4, accumulator_bits=16).entries(counts)
    wide = account(weight_bits=8, activation_bits=8, accumulator_bits=24).entries(counts)
    pairs = list(zip(narrow, wide, strict=True))
    assert all(one.energy_pj <= other.energy_pj for one, other in pairs)
    pairs = [(one, other) for one, other in pairs if not one.action.startswith("float_")]  # always float32
    unaffected = {one.component for one, other in pairs if one.energy_pj == other.energy_pj}
    scratchpads = {"activation_scratchpad", "weight_scratchpad", "output_scratchpad"}
    assert unaffected == scratchpads | {"dram", "activation_lut"}


def test_an_unknown_action_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        account().entries({("pe", "multipy"): 0})
    text = str(caught.value)
    assert text.startswith("pe.multipy: no energy model; allowed: pe.multiply, pe.accumulate, ")
    assert text.endswith("; did you mean 'pe.multiply'?")


def test_an_action_that_the_table_does_not_know_names_component_action_and_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{schema_version: 1, name: mine, node_nm: 22, actions: {dram_access: {pj_per_bit: 8}}}")
    with pytest.raises(ConfigError) as caught:
        Account(EnergyTable.load(path), CONTEXT).entries({("vector_unit", "compare"): 3})
    assert str(caught.value) == "vector_unit.compare: energy table 'mine' has no entry 'compare'; it has: dram_access"


def test_a_lookup_in_a_machine_without_a_lut_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^activation_lut\.lookup: a memory of 0\.0 bytes"):
        account(lut_entries=0, lut_output_bits=0).action_energy_pj("activation_lut", "lookup")


def test_a_context_refuses_widths_that_no_machine_has() -> None:
    with pytest.raises(ValueError, match="accumulator_bits is 0; allowed: 1 or more"):
        replace(CONTEXT, accumulator_bits=0)
