"""``hwsim run``: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Hwsim, mlp_samples

import hwsim as library
from hwsim.results.layer_result import CYCLE_PARTS

RUN = ("run", "edge16", "digits_mlp", "--samples", "4")
LAYER_KEYS = {
    "layer",
    "out_rows",
    "depth",
    "out_cols",
    "macs",
    "array_cycles",
    "total_cycles",
    *CYCLE_PARTS,
    "utilization",
    "energy_pj",
    "overflow_events",
    "weight_bits",
    "activation_bits",
    "accumulator_bits",
}


def test_json_is_one_object_with_the_result_of_the_library(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json == library.run("edge16", "digits_mlp", samples=4).to_json_dict()


def test_json_has_every_figure_of_every_layer(hwsim: Hwsim) -> None:
    result = hwsim(*RUN, "--json").json
    assert {"layers", "totals", "accuracy", "architecture", "version"} <= result.keys()
    assert [layer["layer"] for layer in result["layers"]] == ["hidden", "logits"]
    assert all(layer.keys() >= LAYER_KEYS for layer in result["layers"])


def test_parts_of_the_cycles_sum_to_the_total(hwsim: Hwsim) -> None:
    result = hwsim(*RUN, "--json").json
    for one in [*result["layers"], result["totals"]]:
        assert sum(one[part] for part in CYCLE_PARTS) == one["total_cycles"]
    assert sum(layer["total_cycles"] for layer in result["layers"]) == result["totals"]["total_cycles"]


def test_text_has_a_row_for_each_layer_and_the_totals(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN)
    totals = hwsim(*RUN, "--json").json["totals"]
    assert (outcome.code, outcome.err) == (0, "")
    head, array, _, header, hidden, logits, total, _, latency, *facts = outcome.out.splitlines()
    assert head == "digits_mlp on edge16, 4 samples"
    assert array == "16 × 16 output_stationary, 8×8-bit operands, 24-bit accumulators, saturate"
    assert header.split()[:1] == ["layer"]
    assert hidden.split()[:7] == ["hidden", "1", "×", "64", "×", "64", "4,096"]
    assert logits.split()[:7] == ["logits", "1", "×", "64", "×", "10", "640"]
    assert total.split()[:3] == ["total", f"{totals['macs']:,}", f"{totals['total_cycles']:,}"]
    assert latency.endswith(f" ms: {totals['total_cycles']:,} cycles at 500 MHz")
    assert [fact.split()[0] for fact in facts if not fact.startswith(" ")] == [
        "throughput",
        "energy",
        "accuracy",
        "SQNR",
        "overflow",
    ]


def test_engines_print_the_same(hwsim: Hwsim) -> None:
    overflowing = (*RUN, "--set", "array.guard_bits=-4")
    assert hwsim(*overflowing, "--engine", "functional").out == hwsim(*overflowing, "--engine", "stepped").out


def test_the_last_setting_of_a_key_counts(hwsim: Hwsim) -> None:
    result = hwsim(*RUN, "--json", "--set", "array.rows=8", "--set", "array.cols=4", "--set", "array.rows=2").json
    assert (result["architecture"]["array"]["rows"], result["architecture"]["array"]["cols"]) == (2, 4)


def test_overflow_events_that_are_not_listed_are_counted(hwsim: Hwsim) -> None:
    settings = ("--set", "array.guard_bits=-4", "--set", "array.overflow=wrap")
    outcome = hwsim("run", "edge16", "digits_cnn", "--samples", "1", *settings)
    result = hwsim("run", "edge16", "digits_cnn", "--samples", "1", *settings, "--json").json
    events = result["totals"]["overflow_events"]
    assert outcome.out.splitlines()[-1] == (
        f"overflow    {events:,} events in 1 sample; listed one by one: 10,000 of the first sample's, "
        f"the next {events - 10_000:,} are left out"
    )


def test_files_hold_what_json_prints(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim(*RUN, "--out", "made/out")
    assert outcome.out.splitlines()[-3:] == [
        f"wrote {Path('made/out', name)}" for name in ("result.json", "layers.csv", "energy.csv")
    ]
    printed = hwsim(*RUN, "--json").json
    assert json.loads((here / "made/out/result.json").read_text()) == printed
    assert pd.read_csv(here / "made/out/layers.csv")["total_cycles"].tolist() == [
        layer["total_cycles"] for layer in printed["layers"]
    ]
    assert len(pd.read_csv(here / "made/out/energy.csv")) == len(printed["energy"])


def test_files_of_overflows_are_there_only_if_there_are_some(hwsim: Hwsim, here: Path) -> None:
    folder = here / "out"
    printed = hwsim(*RUN, "--set", "array.guard_bits=-4", "--out", "out", "--json").json
    assert len(pd.read_csv(folder / "overflows.csv")) == len(printed["overflows"])
    assert len(pd.read_csv(folder / "events.csv")) == len(printed["events"])
    hwsim(*RUN, "--out", "out")
    assert sorted(path.name for path in folder.iterdir()) == ["energy.csv", "layers.csv", "result.json"]


def test_dumped_tensors_are_integers_in_the_tensors_shapes(hwsim: Hwsim, here: Path) -> None:
    assert hwsim(*RUN, "--dump-tensors", "t.npz").out.splitlines()[-1] == "wrote t.npz"
    with np.load(here / "t.npz", allow_pickle=False) as tensors:
        assert {name: tensors[name].shape for name in tensors.files} == {
            "input": (4, 64),
            "relu1": (4, 64),
            "logits": (4, 10),
        }
        assert all(np.issubdtype(tensors[name].dtype, np.integer) for name in tensors.files)
    first = (here / "t.npz").read_bytes()
    hwsim(*RUN, "--dump-tensors", "t.npz")
    assert (here / "t.npz").read_bytes() == first


@pytest.mark.parametrize("name", ["inputs.npy", "inputs.npz", "named.npz"])
def test_own_inputs_take_the_place_of_the_workloads(hwsim: Hwsim, here: Path, name: str) -> None:
    inputs, labels = mlp_samples(6)
    np.save(here / "inputs.npy", inputs)
    np.savez(here / "inputs.npz", some=inputs)
    np.savez(here / "named.npz", input=inputs, other=labels)
    np.save(here / "labels.npy", labels)
    own = hwsim("run", "edge16", "digits_mlp", "--inputs", name, "--labels", "labels.npy", "--json").json
    assert own == hwsim("run", "edge16", "digits_mlp", "--samples", "6", "--json").json


def test_without_labels_there_is_no_accuracy(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "inputs.npy", mlp_samples(2)[0])
    run = ("run", "edge16", "digits_mlp", "--inputs", "inputs.npy")
    assert hwsim(*run, "--json").json["accuracy"] is None
    assert "accuracy    not known: no labels\n" in hwsim(*run).out
