"""``hwsim sweep`` and ``hwsim plot``: points, resuming, failures, interruption."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from command_line import COMMAND, TINY_SWEEP, Hwsim, in_a_process

from hwsim.results.points import ARRAY_COLUMNS, OUTCOME_COLUMNS, PLACE_COLUMNS

FAILING_SWEEP = """\
schema_version: 1
name: failing
architecture: edge16
workloads: [digits_mlp]
samples: 2
axes:
  - {array.guard_bits: [-4, 8], array.overflow: [error]}
"""
LONG_SWEEP = """\
schema_version: 1
name: long
architecture: edge16
workloads: [digits_cnn]
axes:
  - array.rows: [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
  - array.cols: [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
"""


@pytest.fixture
def sweep(here: Path) -> str:
    (here / "tiny.yaml").write_text(TINY_SWEEP)
    return "tiny.yaml"


def test_a_sweep_stores_its_points_and_resumes(hwsim: Hwsim, here: Path, sweep: str) -> None:
    first = hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--json")
    assert first.code == 0
    counts = ("total", "already_done", "ran", "failed")
    assert [first.json[name] for name in counts] == [2, 0, 2, 0]
    assert first.json["points_csv"] == str(Path("results/tiny/points.csv"))
    columns = [*PLACE_COLUMNS, "array.rows", *ARRAY_COLUMNS, *OUTCOME_COLUMNS]
    assert list(pd.read_csv(here / first.json["points_csv"])) == list(first.json["points"][0]) == columns
    second = hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--json")
    assert [second.json[name] for name in counts] == [2, 2, 0, 0]
    assert second.json["points"] == first.json["points"]
    assert second.err == "2 points, 2 of them stored already\n"
    third = hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--json", "--fresh")
    assert [third.json[name] for name in counts] == [2, 0, 2, 0]


def test_text_shows_the_best_points_and_the_files(hwsim: Hwsim, here: Path, sweep: str) -> None:
    outcome = hwsim("sweep", sweep, "--jobs", "1", "--out", "o")
    assert outcome.code == 0
    title, _, header, *_ = outcome.out.splitlines()
    assert title.startswith("digits_mlp: ")
    assert header.split()[:3] == ["point", "rows", "accuracy"]
    written = [line.split()[1] for line in outcome.out.splitlines() if line.startswith(("points", "plot"))]
    assert written[0] == str(Path("o/points.csv"))
    assert all((here / path).is_file() for path in written)
    assert len(written) > 1


def test_progress_goes_to_stderr_in_lines(hwsim: Hwsim, sweep: str) -> None:
    outcome = hwsim("sweep", sweep, "--jobs", "1", "--no-plots")
    start, half, end = outcome.err.splitlines()
    assert start == "2 points, 0 of them stored already"
    assert half.startswith("1 of 2 points, ")
    assert end.startswith("2 of 2 points, ")
    assert "of 2 points," not in outcome.out


def test_plot_draws_what_is_stored(hwsim: Hwsim, here: Path, sweep: str) -> None:
    hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--out", "o")
    assert not (here / "o/plots").exists()
    outcome = hwsim("plot", "o")
    assert outcome.code == 0
    assert "plot     o/plots/latency_per_layer.png (also .svg, .csv)" in outcome.out.splitlines()
    assert "skipped  accuracy_over_bits: all points have one operand width" in outcome.out.splitlines()
    plots = {plot["name"]: plot for plot in hwsim("plot", "o", "--json").json["plots"]}
    assert plots["accuracy_over_bits"]["paths"] == []
    assert all((here / path).is_file() for path in plots["latency_per_layer"]["paths"])


PLOTTABLE = "allowed: the folder of a sweep's or a run's results, or the trace of a run (.json)"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none", "does not exist"),
        ("none.json", "does not exist"),
        ("empty", "holds no results"),
        ("some.txt", "neither a folder nor a trace"),
        (300 * "a", "cannot be read: File name too long"),
    ],
)
def test_plot_of_what_holds_no_results_is_refused(hwsim: Hwsim, here: Path, name: str, problem: str) -> None:
    (here / "empty").mkdir()
    (here / "some.txt").write_text("text")
    outcome = hwsim("plot", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"hwsim: {name}: {problem}; {PLOTTABLE}\n"


def test_a_dry_run_lists_the_points_and_writes_nothing(hwsim: Hwsim, here: Path, sweep: str) -> None:
    outcome = hwsim("sweep", sweep, "--dry-run")
    assert outcome.out == (
        "tiny: 2 points; results would go to results/tiny\n"
        "\n"
        "point  workload    rows\n"
        "    0  digits_mlp     8\n"
        "    1  digits_mlp    16\n"
        "\n"
    )
    listed = hwsim("sweep", sweep, "--dry-run", "--json").json
    assert listed["total"] == 2
    assert listed["points"][1] == {"point": 1, "workload": "digits_mlp", "swept": {"array.rows": 16}, "error": ""}
    assert [path.name for path in here.iterdir()] == [sweep]


def test_samples_take_the_place_of_the_files(hwsim: Hwsim, sweep: str) -> None:
    of_two = hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--json", "--samples", "2").json
    assert of_two["ran"] == 2
    assert hwsim("sweep", sweep, "--jobs", "1", "--no-plots", "--json").json["ran"] == 2
    assert hwsim("sweep", sweep, "--samples", "0").err == "hwsim: --samples 0; allowed: 1 or more\n"
    assert hwsim("sweep", sweep, "--jobs", "0").err == "hwsim: --jobs 0; allowed: 1 or more\n"


def test_a_failing_point_exits_5_after_the_others_have_run(hwsim: Hwsim, here: Path) -> None:
    (here / "failing.yaml").write_text(FAILING_SWEEP)
    outcome = hwsim("sweep", "failing.yaml", "--jobs", "1", "--no-plots", "--json")
    assert outcome.code == 5
    assert [point["status"] for point in outcome.json["points"]] == ["failed", "ok"]
    assert outcome.err.splitlines()[-2:] == [
        "hwsim: 1 of 2 points failed; they are run again next time",
        "hwsim: point 0 (digits_mlp, array.guard_bits=-4, array.overflow=error): layer hidden: accumulator of 12 bits "
        "overflows in cycle 0, row 0, column 0",
    ]


def test_a_wrong_sweep_is_refused_before_any_point(hwsim: Hwsim, here: Path) -> None:
    (here / "bad.yaml").write_text(TINY_SWEEP.replace("array.rows: [8, 16]", "array.rowz: [8, 0]"))
    outcome = hwsim("sweep", "bad.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("hwsim: bad.yaml:7:5: ")
    assert "did you mean 'array.rows'?" in outcome.err
    assert not (here / "results").exists()


def test_a_sweep_without_a_name_goes_to_a_folder_of_its_files_name(hwsim: Hwsim, here: Path) -> None:
    (here / "some file.yaml").write_text(TINY_SWEEP.replace("name: tiny\n", ""))
    assert hwsim("sweep", "some file.yaml", "--dry-run", "--json").json["folder"] == str(Path("results/some_file"))
    (here / "up.yaml").write_text(TINY_SWEEP.replace("name: tiny\n", "name: ../../up\n"))
    assert hwsim("sweep", "up.yaml", "--dry-run", "--json").json["folder"] == str(Path("results/_.._up"))


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Children listen to Ctrl-C, also where the tests run in the background of a shell and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_what_is_stored_and_the_same_command_resumes(here: Path, hears_ctrl_c: None) -> None:
    (here / "long.yaml").write_text(LONG_SWEEP)
    command = [*COMMAND, "sweep", "long.yaml", "--no-plots", "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            done = re.match(r"(\d+) of 144 points", line)
            if done and int(done[1]) >= 15:
                os.killpg(process.pid, signal.SIGINT)
                break
        last = process.stderr.read().splitlines()[-1]
    assert process.returncode == 130
    stored = int(last.split()[2])
    assert stored >= 15
    assert last == f"hwsim: interrupted: {stored} of 144 points are stored in results/long; the same command resumes"
    resumed = in_a_process("sweep", "long.yaml", "--no-plots", "--jobs", "2", "--json")
    assert resumed.code == 0
    assert (resumed.json["already_done"], resumed.json["ran"]) == (stored, 144 - stored)
