"""``hwsim list formats``."""

from __future__ import annotations

import pytest
from command_line import Hwsim, on_a_terminal

from hwsim.energy.table import EnergyTable


def test_json_has_ranges_and_energies(hwsim: Hwsim) -> None:
    found = {row["name"]: row for row in hwsim("list", "formats", "--json").json}
    assert {"fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "q3.4", "codebook"} <= found.keys()
    assert (found["fp16"]["max"], found["fp16"]["bits"], found["fp16"]["precision_bits"]) == (65504, 16, 11)
    assert found["codebook"]["multiply_pj"] is None


# M. Horowitz, ISSCC 2014, Fig. 1.1.9: multiply and add, pJ at 45 nm
PUBLISHED = {"fp32": (3.7, 0.9), "fp16": (1.1, 0.4), "int32": (3.1, 0.1), "int8": (0.2, 0.03)}


def test_published_energies(hwsim: Hwsim) -> None:
    found = {row["name"]: row for row in hwsim("list", "formats", "--json").json}
    for name, energies in PUBLISHED.items():
        assert (found[name]["multiply_pj"], found[name]["add_pj"]) == pytest.approx(energies, rel=1e-3)
        assert found[name]["energy_is_published"]
    for name in ("bf16", "fp8_e4m3", "fp8_e5m2", "int16"):
        assert not found[name]["energy_is_published"]


def test_the_curve_puts_bf16_where_others_measured_it() -> None:
    """N. P. Jouppi et al., ISCA 2021, Table 2: BF16 to FP16 0.21 to 0.34 pJ a multiply, 0.11 to 0.16 an add (7 nm)."""
    table = EnergyTable.load("horowitz_45nm")
    assert table.float_multiply_pj(8) / table.float_multiply_pj(11) == pytest.approx(0.21 / 0.34, rel=0.15)
    assert table.float_add_pj(8) / table.float_add_pj(11) == pytest.approx(0.11 / 0.16, rel=0.05)


def test_text_marks_what_has_no_figure(hwsim: Hwsim) -> None:
    outcome = hwsim("list", "formats")
    assert (outcome.code, outcome.err) == (0, "")
    cells = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line}
    assert "energies: horowitz_45nm; ~ has no figure in its source" in outcome.out
    assert outcome.out.splitlines()[1].split()[-2:] == ["3.7", "0.9"]
    bf16 = next(line.split() for line in outcome.out.splitlines() if line.startswith("bf16"))
    assert bf16[-2:] == ["~0.77", "~0.28"]
    assert cells["format"][:4] == ["format", "bits", "exponent", "fraction"]


def test_a_narrow_terminal_breaks_no_cell() -> None:
    lines = on_a_terminal(80, "list", "formats")
    assert max(map(len, lines[:14])) <= 80
    assert lines[0].split()[:4] == ["format", "bits", "exponent", "largest"]
    assert sum(line.startswith(("fp32 ", "fp8_e4m3 ", "codebook ")) for line in lines[:14]) == 3
