"""Workloads of shapes alone on the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import Hwsim

NET = "schema_version: 1\nname: net\ninput_shape: [20]\nlayers: [{name: fc, type: dense, units: 5}]\n"


@pytest.fixture
def net(here: Path) -> str:
    (here / "net.yaml").write_text(NET)
    return "net.yaml"


def test_a_run_says_that_there_are_no_values(hwsim: Hwsim, net: str) -> None:
    outcome = hwsim("run", "edge16", net)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "net on edge16, time, traffic and energy of shapes alone"
    assert [line.split()[-1] for line in lines[4:6]] == ["-", "-"]  # overflow events
    assert lines[-1] == "values      none: the workload has shapes alone, so accuracy and overflows are not known"


def test_json_has_no_accuracy_and_no_samples(hwsim: Hwsim, net: str) -> None:
    result = hwsim("run", "edge16", net, "--json").json
    assert (result["samples"], result["accuracy"], result["sqnr_db"], result["engine"]) == (0, None, None, "timing")
    assert result["totals"]["macs"] == 100


def test_all_that_wants_values_is_refused_before_anything_runs(hwsim: Hwsim, net: str, here: Path) -> None:
    outcome = hwsim(
        "run", "edge16", net, "--samples", "1", "--engine", "stepped", "--dump-tensors", "t.npz", "--vcd", "w.vcd"
    )
    assert outcome.code == 2
    assert outcome.err == "".join(
        f"hwsim: {option}: workload net has shapes alone and no values to compute with; "
        "allowed: time, traffic and energy\n"
        for option in ("--samples", "--engine", "--dump-tensors", "--vcd")
    )
    assert [path.name for path in here.iterdir()] == ["net.yaml"]


def test_check_shows_the_plan_but_no_bound_for_unknown_weights(hwsim: Hwsim, net: str) -> None:
    outcome = hwsim("check", "edge16", net)
    assert outcome.code == 0
    assert "net: 1 operator, shapes alone" in outcome.out
    assert hwsim("check", "edge16", net, "--json").json["layers"][0]["accumulator_bits_needed"] is None


@pytest.mark.parametrize("check", ["--engines", "--rtl"])
def test_engines_and_rtl_have_nothing_to_compare(hwsim: Hwsim, net: str, check: str) -> None:
    outcome = hwsim("check", "edge16", net, check)
    assert outcome.code == 2
    assert "net has shapes alone and no values to compute with" in outcome.err


def test_a_sweep_runs_over_shapes(hwsim: Hwsim, net: str, here: Path) -> None:
    (here / "sweep.yaml").write_text(
        "schema_version: 1\nname: s\narchitecture: edge16\nworkloads: [net.yaml]\naxes: [{array.rows: [4, 8]}]\n"
    )
    outcome = hwsim("sweep", "sweep.yaml", "--out", "out", "--jobs", "1")
    assert outcome.code == 0
    with (here / "out" / "points.csv").open() as file:
        points = list(csv.DictReader(file))
    assert [point["status"] for point in points] == ["ok", "ok"]
    assert {(point["accuracy"], point["overflow_events"]) for point in points} == {("", "")}
    assert "overflow events" not in outcome.out


def test_random_values_make_a_run_of_it(hwsim: Hwsim, net: str, here: Path) -> None:
    outcome = hwsim("run", "edge16", net, "--random-values", "7", "--dump-tensors", "t.npz")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "net on edge16, 1 sample"
    assert (here / "t.npz").exists()


@pytest.mark.parametrize("command", [["analyze", "guard-bits"], ["export", "qdq"], ["export", "qonnx"]])
def test_what_wants_values_says_so_before_any_look_at_a_scratchpad(
    hwsim: Hwsim, net: str, here: Path, command: list[str]
) -> None:
    target = ["net.onnx"] if command[0] == "export" else []
    too_small = ["--set", "scratchpads.weights.capacity_bytes=1"]
    outcome = hwsim(*command, "edge16", net, *target, *too_small)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "hwsim: workload net has shapes alone and no values to compute with; allowed: time, traffic and energy\n"
    )
    assert [path.name for path in here.iterdir()] == ["net.yaml"]
