"""``hwsim import scalesim``."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Hwsim

from hwsim.config.load import load_arch

# as SCALE-Sim's own configs/scale.cfg
CONFIG = """\
[general]
run_name = scale_example_run_32x32_os

[architecture_presets]
ArrayHeight:    32
ArrayWidth:     16
IfmapSramSzkB:   64
FilterSramSzkB:  128
OfmapSramSzkB:   32
IfmapOffset:    0
Bandwidth : 10
Dataflow : os

[run_presets]
InterfaceBandwidth: USER
"""
TOPOLOGY = "Layer,M,N,K,\nfc, 5, 7, 11,\n"


@pytest.fixture
def config(here: Path) -> Path:
    path = here / "scale.cfg"
    path.write_text(CONFIG)
    (here / "net.csv").write_text(TOPOLOGY)
    return path


def test_the_architecture_is_written_and_what_is_left_out_is_said(hwsim: Hwsim, config: Path) -> None:
    outcome = hwsim("import", "scalesim", "scale.cfg", "out")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "note: operands have 8 bits, accumulators 24; SCALE-Sim computes no values",
        "note: requantization and the scratchpads' ports take no time, as in SCALE-Sim",
        "note: DRAM's bandwidth is the sum of the links' to the three scratchpads; SCALE-Sim has a link for each",
        "note: architecture_presets.IfmapOffset = 0: no counterpart, left out",
        "wrote out/arch.yaml",
        "next: hwsim run out/arch.yaml WORKLOAD",
    ]
    spec = load_arch("out/arch.yaml")
    assert spec.name == "scale_example_run_32x32_os"
    assert (spec.array.rows, spec.array.cols) == (32, 16)
    assert (spec.array.dataflow, spec.array.fold_overlap) == ("output_stationary", "drain")
    pads = spec.scratchpads
    sizes = [pad.capacity_bytes // 1024 for pad in (pads.activations, pads.weights, pads.outputs)]
    assert sizes == [64, 128, 32]
    assert spec.dram.bytes_per_cycle == 30


def test_a_topology_is_copied_and_runs(hwsim: Hwsim, config: Path, here: Path) -> None:
    outcome = hwsim("import", "scalesim", "scale.cfg", "net.csv", "out")
    assert outcome.out.splitlines()[-1] == "next: hwsim run out/arch.yaml out/net.csv"
    assert (here / "out" / "net.csv").read_text() == TOPOLOGY
    result = hwsim("run", "out/arch.yaml", "out/net.csv", "--json").json
    assert [layer["array_cycles"] for layer in result["layers"]] == [32 + 16 + 11 - 2 + 32]


@pytest.mark.parametrize(
    ("wrong", "right", "problem"),
    [
        ("Dataflow : sw", "Dataflow : os", "scale.cfg:12: Dataflow: 'sw'; allowed: os, ws, is"),
        ("ArrayWidth: 1e3", "ArrayWidth:     16", "scale.cfg:6: ArrayWidth: '1e3'; allowed: a whole number from 1"),
        ("", "ArrayHeight:    32\n", "scale.cfg: arrayheight: missing from [architecture_presets]"),
        ("Bandwidth : 1,2", "Bandwidth : 10", "scale.cfg:11: Bandwidth: 2 values; allowed: 1, or 3"),
        ("ArrayWidth: 5000", "ArrayWidth:     16", "scale.cfg: array.cols: 5000 is out of range; allowed: 1 to 1024"),
    ],
)
def test_a_wrong_value_is_located(hwsim: Hwsim, config: Path, wrong: str, right: str, problem: str) -> None:
    config.write_text(CONFIG.replace(right, wrong))
    outcome = hwsim("import", "scalesim", "scale.cfg", "out")
    assert (outcome.code, outcome.err) == (2, f"hwsim: {problem}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ArrayHeight: 3\n", "1: a key before the first [section]"),
        ("[general]\na: 1\nA: 2\n", "3: a twice in [general]"),
        ("[general]\n[general]\n", "2: a second [general]"),
        ("[general]\n\nnothing\n", "3: neither a [section] nor KEY = VALUE"),
    ],
)
def test_a_file_that_is_no_configuration(hwsim: Hwsim, config: Path, text: str, problem: str) -> None:
    config.write_text(text)
    outcome = hwsim("import", "scalesim", "scale.cfg", "out")
    assert (outcome.code, outcome.err) == (2, f"hwsim: scale.cfg:{problem}\n")


def test_nothing_is_overwritten_unasked(hwsim: Hwsim, config: Path) -> None:
    assert hwsim("import", "scalesim", "scale.cfg", "out").code == 0
    outcome = hwsim("import", "scalesim", "scale.cfg", "out")
    assert outcome.code == 2
    assert outcome.err == (
        "hwsim: out/arch.yaml: exists already; allowed: another folder, or --force to overwrite it\n"
    )
    assert hwsim("import", "scalesim", "scale.cfg", "out", "--force").code == 0
