"""``hwsim analyze error``: table, JSON, CSV and plot."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from command_line import Hwsim

ANALYZE = ("analyze", "error", "edge16", "digits_mlp", "--samples", "50")


def test_a_row_for_each_layer_beside_the_accuracy(hwsim: Hwsim) -> None:
    outcome = hwsim(*ANALYZE)
    assert (outcome.code, outcome.err) == (0, "")
    head, _, header, *rows = outcome.out.splitlines()
    assert head == "digits_mlp on edge16, 50 samples: each layer against the float network"
    assert header.split("  ")[0] == "layer"
    assert [row.split()[0] for row in rows[:3]] == ["input", "hidden", "logits"]
    assert rows[4].startswith("accuracy  ")
    assert rows[5].startswith("SQNR ")


def test_json_is_the_result_of_the_run_with_its_errors(hwsim: Hwsim) -> None:
    found, run = hwsim(*ANALYZE, "--json").json, hwsim("run", *ANALYZE[2:], "--engine", "functional", "--json").json
    assert [row["layer"] for row in found["errors"]] == ["input", "hidden", "logits"]
    assert found | {"errors": []} == run


def test_files_and_a_plot_from_the_stored_result(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim(*ANALYZE, "--out", "study")
    stored = json.loads((here / "study/result.json").read_text())["errors"]
    table, behind_plot = (pd.read_csv(here / "study" / name) for name in ("errors.csv", "plots/error_per_layer.csv"))
    assert table["sqnr_db"].tolist() == behind_plot["sqnr_db"].tolist() == [row["sqnr_db"] for row in stored]
    for suffix in ("png", "svg"):
        assert (here / f"study/plots/error_per_layer.{suffix}").stat().st_size > 5000
        assert f"wrote study/plots/error_per_layer.{suffix}" in outcome.out


def test_a_file_in_the_way(hwsim: Hwsim, here: Path) -> None:
    (here / "study").write_text("")
    outcome = hwsim(*ANALYZE, "--out", "study")
    assert (outcome.code, outcome.err) == (2, "hwsim: study: a file; allowed: a folder to write to\n")


def test_plot_draws_the_stored_result_again(hwsim: Hwsim, here: Path) -> None:
    hwsim(*ANALYZE, "--out", "study")
    plot = here / "study/plots/error_per_layer.png"
    drawn = plot.read_bytes()
    plot.unlink()
    outcome = hwsim("plot", "study")
    names = ("error_per_layer", "latency_per_layer", "energy_per_component")
    assert (outcome.code, outcome.out.splitlines()) == (
        0,
        [f"plot  study/plots/{name}.png (also .svg, .csv)" for name in names],
    )
    assert plot.read_bytes() == drawn
