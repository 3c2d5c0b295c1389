"""Several samples at once on the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import TINY_SWEEP, Hwsim

NET = "schema_version: 1\nname: net\ninput_shape: [20]\nlayers: [{name: fc, type: dense, units: 5}]\n"


def test_a_run_says_how_many_samples_run_at_once(hwsim: Hwsim) -> None:
    outcome = hwsim("run", "edge16", "digits_lstm", "--samples", "6", "--set", "mapping.batch=3")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == (
        "digits_lstm on edge16, 6 samples, 3 at a time: layers and latency are a batch's"
    )


def test_random_values_fill_a_batch(hwsim: Hwsim, here: Path) -> None:
    (here / "net.yaml").write_text(NET)
    arguments = ("run", "edge16", "net.yaml", "--random-values", "1", "--set", "mapping.batch=3", "--json")
    outcome = hwsim(*arguments)
    assert (outcome.code, outcome.json["samples"], outcome.json["engine"]) == (0, 3, "stepped")


def test_a_batch_can_be_swept(hwsim: Hwsim, here: Path) -> None:
    (here / "batches.yaml").write_text(TINY_SWEEP.replace("array.rows: [8, 16]", "mapping.batch: [1, 2, 3, 8]"))
    outcome = hwsim("sweep", "batches.yaml", "--out", "out")
    assert outcome.code == 5
    with (here / "out" / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mapping.batch"] for row in rows] == ["1", "2", "3", "8"]
    assert rows[3]["error"] == "mapping.batch 8: 4 samples; allowed: a batch of them or more"
    assert len({row["accuracy"] for row in rows[:3]}) == 1
    for batch, row in enumerate(rows[:3], start=1):  # edge16 runs at 500 MHz
        assert float(row["inferences_per_s"]) == pytest.approx(batch * 500e6 / int(row["total_cycles"]))
    energies = [float(row["energy_pj"]) for row in rows[:3]]
    assert energies == sorted(energies, reverse=True)


def test_engines_are_compared_on_whole_batches(hwsim: Hwsim) -> None:
    arguments = ("check", "edge16", "digits_mlp", "--engines", "--set", "mapping.batch=2")
    found = hwsim(*arguments)
    assert found.code == 0
    assert "agree on 2 samples" in found.out
    assert "2 samples at a time: the layers below are a batch's" in found.out
    refused = hwsim(*arguments, "--samples", "3")
    assert (refused.code, refused.err) == (2, "hwsim: --samples 3 with mapping.batch 2; allowed: multiples of it\n")
