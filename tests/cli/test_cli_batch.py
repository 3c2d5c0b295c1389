"""Several samples at once on the command line."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY_SWEEP, Hwsim

NET = "schema_version: 1\nname: net\ninput_shape: [20]\nlayers: [{name: fc, type: dense, units: 5}]\n"


def test_a_run_says_how_many_samples_run_at_once(hwsim: Hwsim) -> None:
    outcome = hwsim("run", "edge16", "digits_lstm", "--samples", "6", "--set", "mapping.batch=3")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == (
        "digits_lstm on edge16, 6 samples, 3 at a time: layers and latency are a batch's"
    )


BATCHED = ("run", "edge16", "digits_mlp", "--samples", "10", "--set", "mapping.batch=4")


def test_the_row_of_totals_is_a_batchs_and_json_says_what_is_whose(hwsim: Hwsim) -> None:
    result = hwsim(*BATCHED, "--json").json
    macs = 64 * 64 + 64 * 10  # of one inference
    assert (result["batch"], result["samples"], result["totals"]["macs"]) == (4, 10, macs)
    assert sum(layer["macs"] for layer in result["layers"]) == 4 * macs
    energy_pj = sum(layer["energy_pj"] for layer in result["layers"])
    assert result["totals"]["energy_pj"] == pytest.approx(energy_pj / 4)
    header, *_, total = (line for line in hwsim(*BATCHED).out.splitlines() if line.startswith(("layer", "total")))
    assert header.endswith("  overflow events, all samples")
    assert total.split("  ")[0] == "total, batch of 4"
    assert total.split()[4] == f"{4 * macs:,}"


def test_one_sample_at_a_time_is_a_batch_of_one_and_its_total_needs_no_name(hwsim: Hwsim) -> None:
    one = ("run", "edge16", "digits_mlp", "--samples", "2")
    assert hwsim(*one, "--json").json["batch"] == 1
    assert [line.split("  ")[0] for line in hwsim(*one).out.splitlines() if line.startswith("total")] == ["total"]


@pytest.mark.parametrize(("batch", "whose"), [(1, "sample"), (4, "batch")])
def test_events_that_are_listed_are_said_to_be_the_first_samples_or_batchs(
    hwsim: Hwsim, batch: int, whose: str
) -> None:
    overflowing = (*BATCHED, "--set", f"mapping.batch={batch}", "--set", "array.guard_bits=0")
    result = hwsim(*overflowing, "--json").json
    first = hwsim(*overflowing, "--samples", str(batch), "--json").json["totals"]["overflow_events"]
    events = result["totals"]["overflow_events"]
    assert len(result["events"]) == first < events
    assert hwsim(*overflowing).out.splitlines()[-1] == (
        f"overflow    {events:,} events in 10 samples; listed one by one: only the first {whose}'s, {first:,}"
    )


def test_a_list_of_all_events_needs_no_remark(hwsim: Hwsim) -> None:
    last = hwsim(*BATCHED, "--samples", "4", "--set", "array.guard_bits=0").out.splitlines()[-1]
    assert last.endswith(" events in 4 samples")


def test_floats_that_overflow_are_counted_and_not_said_to_be_listed(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "large.npy", np.full((3, 64), 1e6))  # fp16 ends at 65,504
    outcome = hwsim("run", "edge16", "digits_mlp", "--inputs", "large.npy", "--set", "array.number_format=fp16")
    last = outcome.out.splitlines()[-1]
    assert re.fullmatch(r"overflow    [1-9][\d,]* events in 3 samples", last)


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
        assert float(row["inferences_per_second"]) == pytest.approx(batch * 500e6 / int(row["total_cycles"]))
    energies = [float(row["energy_pj"]) for row in rows[:3]]
    assert energies == sorted(energies, reverse=True)
    (header,) = [line for line in outcome.out.splitlines() if line.startswith("point ")]
    assert "latency ms  inferences/s  energy" in header


def test_engines_are_compared_on_whole_batches(hwsim: Hwsim) -> None:
    arguments = ("check", "edge16", "digits_mlp", "--engines", "--set", "mapping.batch=2")
    found = hwsim(*arguments)
    assert found.code == 0
    assert "agree on 2 samples" in found.out
    assert "2 samples at a time: the layers below are a batch's" in found.out
    refused = hwsim(*arguments, "--samples", "3")
    assert (refused.code, refused.err) == (2, "hwsim: --samples 3 with mapping.batch 2; allowed: multiples of it\n")
