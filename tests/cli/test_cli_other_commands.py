"""``hwsim check``, ``list``, ``schema``, ``init``, ``--version``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from command_line import Hwsim

from hwsim import __version__
from hwsim.config.shipped import ARCHITECTURE, SWEEP, WORKLOAD
from hwsim.config.yaml_source import read_document


def test_check_of_an_architecture_says_what_is_ok(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "--set", "array.guard_bits=-1")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "ok  array         edge16: 16 × 16 output_stationary at 500 MHz",
        "ok  accumulator   8 + 8 + -1 = 15 bits, saturate; a single product may overflow",
        "ok  energy table  horowitz_45nm, 45 nm",
    ]


def test_check_of_a_workload_shows_how_each_layer_fits(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "digits_mlp")
    lines = outcome.out.splitlines()
    assert lines[3:5] == [
        "ok  workload      digits_mlp: 3 operators, 540 inputs with labels",
        "ok  scratchpads   all 2 layers fit",
    ]
    name, *product, folds, array_cycles, _, bits, activations, weights = lines[7].split()
    assert (name, " ".join(product)) == ("hidden", "1 × 64 × 64")
    assert (folds, array_cycles) == ("4", f"{4 * (2 * 16 + 16 + 64 - 2)}")
    assert (bits, activations, weights) == ("21", "stay", "stay")


def test_check_finds_the_cycles_that_a_run_takes(hwsim: Hwsim) -> None:
    checked = hwsim("check", "edge16", "digits_cnn", "--json").json
    ran = hwsim("run", "edge16", "digits_cnn", "--samples", "1", "--json").json
    assert checked["engines"] is None
    for key in ("layer", "out_rows", "depth", "out_cols", "array_cycles", "total_cycles"):
        assert [layer[key] for layer in checked["layers"]] == [layer[key] for layer in ran["layers"]]


def test_check_compares_the_engines(hwsim: Hwsim) -> None:
    args = ("check", "edge16", "digits_mlp", "--engines", "--samples", "2", "--set", "array.guard_bits=-4")
    engines = hwsim(*args, "--json").json["engines"]
    assert (engines["samples"], engines["layers"], engines["outputs"]) == (2, 2, 2 * (64 + 10))
    assert engines["overflow_events"] > 0
    assert f"agree on 2 samples: 2 layers, {engines['cycles']:,} cycles, 148 outputs, " in hwsim(*args).out


def test_check_refuses_options_without_effect(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "--engines")
    assert (outcome.code, outcome.err) == (2, "hwsim: --engines without WORKLOAD; allowed: both\n")
    outcome = hwsim("check", "edge16", "digits_mlp", "--samples", "3")
    assert (outcome.code, outcome.err) == (2, "hwsim: --samples without --engines or --against; allowed: both\n")


def test_check_names_a_layer_that_does_not_fit(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "digits_mlp", "--set", "scratchpads.weights.capacity_bytes=30")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("hwsim: layer hidden: the smallest tile's weights need 16 bytes; ")


def test_check_refuses_an_unknown_energy_table(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "--set", "energy_table=horowitz_45")
    assert outcome.code == 2
    assert "did you mean 'horowitz_45nm'?" in outcome.err


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("architectures", list(ARCHITECTURE.shipped())),
        ("sweeps", list(SWEEP.shipped())),
        ("workloads", list(WORKLOAD.shipped())),
        ("dataflows", ["output_stationary", "weight_stationary", "input_stationary"]),
        ("energy-tables", ["horowitz_45nm"]),
        ("calibrators", ["min_max", "percentile", "mse", "kl", "moving_average"]),
        ("repairs", ["outlier_clipping", "equalization", "bias_correction"]),
        ("requantization-schemes", ["fixed_point", "float", "power_of_two"]),
    ],
)
def test_list_names_each_with_a_line(hwsim: Hwsim, kind: str, names: list[str]) -> None:
    listed = hwsim("list", kind, "--json").json
    assert {*names} <= {entry["name"] for entry in listed}
    assert all(entry["description"] for entry in listed)
    lines = hwsim("list", kind).out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[entry["name"], entry["description"]] for entry in listed]


@pytest.mark.parametrize("kind", ["arch", "sweep", "workload"])
def test_templates_fit_the_printed_schemas(hwsim: Hwsim, here: Path, kind: str) -> None:
    outcome = hwsim("init", kind, "made/new")
    written = here / "made/new" / ("workload.yaml" if kind == "workload" else "")
    assert outcome.out.splitlines()[0] == f"wrote {written.relative_to(here)}"
    schema = json.loads(hwsim("schema", kind).out)
    jsonschema.Draft202012Validator(schema).validate(read_document(written).data)


def test_the_next_step_after_init_works(hwsim: Hwsim) -> None:
    for kind in ("arch", "sweep"):
        next_step = hwsim("init", kind, f"{kind}.yaml").out.splitlines()[1].removeprefix("next: hwsim ")
        assert hwsim(*next_step.split(" ")).code == 0


def test_init_overwrites_only_when_told(hwsim: Hwsim, here: Path) -> None:
    (here / "chip.yaml").write_text("mine")
    outcome = hwsim("init", "arch", "chip.yaml")
    assert outcome.code == 2
    assert outcome.err == "hwsim: chip.yaml: exists already; allowed: another path, or --force to overwrite it\n"
    assert (here / "chip.yaml").read_text() == "mine"
    assert hwsim("init", "arch", "chip.yaml", "--force").code == 0
    assert (here / "chip.yaml").read_text() != "mine"
    assert hwsim("init", "arch", ".").err == "hwsim: .: a folder; allowed: the name of a file to write\n"


def test_init_of_a_workload_says_what_is_to_be_added(hwsim: Hwsim) -> None:
    assert hwsim("init", "workload", "net").out.splitlines()[1:] == [
        "next: add net/arrays.npz with the layers' parameters and the samples that workload.yaml names",
        "then: hwsim check edge16 net",
    ]


def test_version(hwsim: Hwsim) -> None:
    assert hwsim("--version").out == f"hwsim {__version__}\n"


def test_help_names_commands_and_exit_codes(hwsim: Hwsim) -> None:
    text = hwsim("--help").out
    for word in ("run", "sweep", "plot", "check", "schema", "list", "init", "Exit codes:", "130"):
        assert word in text
