"""Sweeps: what is run, stored, skipped, recorded as failed, and lost when a run is cut short."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hwsim.config import load_sweep
from hwsim.config.load import WorkloadFiles
from hwsim.errors import ConfigError
from hwsim.results.store import ResultStore, StoredPoint
from hwsim.sweep import runner
from hwsim.sweep.runner import SweepStart, check_sweep, run_sweep
from hwsim.sweep.worker import Outcome, Task, run_task

SMALL_SWEEP = """
schema_version: 1
name: small
architecture: edge16
workloads: [digits_mlp]
samples: 20
axes:
  - array.weight_bits: [3, 8]
  - array.guard_bits: [0, 8]
"""


def write_sweep(folder: Path, text: str = SMALL_SWEEP) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def rows(csv_file: Path) -> list[dict[str, str]]:
    with csv_file.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_point_is_run_stored_and_exported(tmp_path: Path) -> None:
    starts: list[SweepStart] = []
    stored: list[StoredPoint] = []
    outcome = run_sweep(
        load_sweep(write_sweep(tmp_path)), tmp_path / "out", jobs=1, on_start=starts.append, on_point=stored.append
    )
    assert (outcome.total, outcome.already_done, outcome.ran, outcome.failed) == (4, 0, 4, 0)
    assert starts == [SweepStart(total=4, already_done=0)]
    assert [point.place.point for point in stored] == [0, 1, 2, 3]
    table = rows(outcome.points_csv)
    assert [(row["weight_bits"], row["guard_bits"]) for row in table] == [
        ("3", "0"),
        ("3", "8"),
        ("8", "0"),
        ("8", "8"),
    ]
    assert all(row["status"] == "ok" for row in table)
    assert float(table[3]["accuracy"]) > float(table[2]["accuracy"])
    assert int(table[2]["overflow_events"]) > 0 == int(table[3]["overflow_events"])


def test_overlap_of_layers_is_swept_like_any_key(tmp_path: Path) -> None:
    axis = "\n  - mapping.layer_overlap: [none, weights]\n"
    text = SMALL_SWEEP[: SMALL_SWEEP.index("axes:")] + "axes:" + axis
    table = rows(run_sweep(load_sweep(write_sweep(tmp_path, text)), tmp_path / "out", jobs=1).points_csv)
    assert [row["mapping.layer_overlap"] for row in table] == ["none", "weights"]
    without, ahead = (int(row["total_cycles"]) for row in table)
    assert ahead < without
    assert table[0]["energy_pj"] == table[1]["energy_pj"]  # everything is moved and computed as often


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    sweep = load_sweep(write_sweep(tmp_path))
    alone = run_sweep(sweep, tmp_path / "alone", jobs=1)
    together = run_sweep(sweep, tmp_path / "together", jobs=2)
    assert together.points_csv.read_bytes() == alone.points_csv.read_bytes()


def test_a_check_plans_every_point_in_one_process_or_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SMALL_SWEEP.replace("[0, 8]", "[8]") + "  - scratchpads.weights.capacity_bytes: [65536, 3]\n"
    sweep = load_sweep(write_sweep(tmp_path, text))
    starts: list[SweepStart] = []
    checked: list[Outcome] = []
    refused = check_sweep(sweep, jobs=1, on_start=starts.append, on_point=checked.append)
    assert [point.place.point for point in refused] == [1, 3]
    assert all("the scratchpad for weights has 1 of its 3" in point.error for point in refused)
    assert (starts, [bool(one.error) for one in checked]) == ([SweepStart(4, 0)], [False, True, False, True])
    monkeypatch.setattr(runner, "_FEW_POINTS", 1)
    assert check_sweep(sweep, jobs=2) == refused


def test_points_of_one_configuration_are_checked_once_and_all_named(tmp_path: Path) -> None:
    twice = SMALL_SWEEP.replace("  - array.guard_bits: [0, 8]\n", "  - zip: {mapping.batch: [50, 50], name: [a, b]}\n")
    checked: list[Outcome] = []
    refused = check_sweep(load_sweep(write_sweep(tmp_path, twice)), jobs=1, on_point=checked.append)
    assert len(checked) == 2
    assert [point.place.point for point in refused] == [0, 1, 2, 3]


def test_a_second_run_skips_what_is_done(tmp_path: Path) -> None:
    sweep = load_sweep(write_sweep(tmp_path))
    run_sweep(sweep, tmp_path / "out", jobs=1)
    again = run_sweep(sweep, tmp_path / "out", jobs=1)
    assert (again.already_done, again.ran) == (4, 0)
    fresh = run_sweep(sweep, tmp_path / "out", jobs=1, fresh=True)
    assert (fresh.already_done, fresh.ran) == (0, 4)


def test_a_changed_sweep_runs_only_its_new_points(tmp_path: Path) -> None:
    run_sweep(load_sweep(write_sweep(tmp_path)), tmp_path / "out", jobs=1)
    wider = write_sweep(tmp_path, SMALL_SWEEP.replace("[0, 8]", "[0, 4, 8]"))
    outcome = run_sweep(load_sweep(wider), tmp_path / "out", jobs=1)
    assert (outcome.total, outcome.already_done, outcome.ran) == (6, 4, 2)
    assert [int(row["guard_bits"]) for row in rows(outcome.points_csv)] == [0, 4, 8, 0, 4, 8]


def test_points_that_resolve_to_one_configuration_run_once(tmp_path: Path) -> None:
    twice = SMALL_SWEEP.replace("  - array.guard_bits: [0, 8]\n", "  - zip: {array.guard_bits: [8, 8], name: [a, b]}\n")
    outcome = run_sweep(load_sweep(write_sweep(tmp_path, twice)), tmp_path / "out", jobs=1)
    assert (outcome.total, outcome.ran) == (4, 2)
    assert len(rows(outcome.points_csv)) == 4


def test_a_failed_point_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = SMALL_SWEEP.replace("[0, 8]", "[8]") + "  - scratchpads.weights.capacity_bytes: [65536, 3]\n"
    outcome = run_sweep(load_sweep(write_sweep(tmp_path, text)), tmp_path / "out", jobs=1)
    assert (outcome.total, outcome.ran, outcome.failed) == (4, 4, 2)
    table = rows(outcome.points_csv)
    assert [row["status"] for row in table] == ["ok", "failed", "ok", "failed"]
    assert "the scratchpad for weights has 1 of its 3" in table[1]["error"]
    again = run_sweep(load_sweep(tmp_path / "small.yaml"), tmp_path / "out", jobs=1)
    assert (again.already_done, again.ran) == (2, 2)  # failed points are run again


def test_an_overflow_under_error_fails_its_point_with_the_place(tmp_path: Path) -> None:
    text = SMALL_SWEEP.replace("[0, 8]", "[0]") + "  - array.overflow: [error]\n"
    outcome = run_sweep(load_sweep(write_sweep(tmp_path, text)), tmp_path / "out", jobs=1)
    assert outcome.failed == outcome.total == 2
    assert "layer hidden: accumulator of 16 bits overflows in cycle" in rows(outcome.points_csv)[1]["error"]


def test_a_defect_becomes_the_points_error() -> None:
    nowhere = WorkloadFiles(Path("nowhere"), None, None, "sweep.yaml:1:1")
    outcome = run_task(Task(point=7, architecture={"schema_version": 2}, workload=nowhere, digest="", samples=None))
    assert outcome.result is None
    assert outcome.error.startswith("internal error: ValidationError")


def test_a_dead_worker_fails_its_points_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_task", die_on_the_first_point)
    outcome = run_sweep(load_sweep(write_sweep(tmp_path)), tmp_path / "out", jobs=2)
    table = rows(outcome.points_csv)
    assert table[0]["status"] == "failed"
    assert outcome.total == outcome.ran == 4
    errors = {row["error"] for row in table if row["status"] == "failed"}
    assert errors == {"the worker process died (out of memory, or killed)"}


def die_on_the_first_point(task: Task) -> Outcome:
    if task.point == 0:
        os._exit(9)
    return run_task(task)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_text("not a database, but long enough to be looked at" * 10)
    with pytest.raises(ConfigError, match=r"results\.sqlite: "):
        run_sweep(load_sweep("bitwidths"), tmp_path, jobs=1)


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes the POSIX way")
def test_kill_9_loses_at_most_the_points_under_way(tmp_path: Path) -> None:
    many = SMALL_SWEEP.replace("[3, 8]", "[2, 3, 4, 5, 6, 7, 8, 9, 10]").replace("[0, 8]", "[4, 5, 6, 7, 8, 9, 10]")
    write_sweep(tmp_path, many)
    script = tmp_path / "go.py"
    script.write_text(
        textwrap.dedent(
            """
            from pathlib import Path
            from hwsim.config import load_sweep
            from hwsim.sweep.runner import run_sweep

            if __name__ == "__main__":
                here = Path(__file__).parent
                run_sweep(load_sweep(here / "small.yaml"), here / "out", jobs=2,
                          on_point=lambda stored: print(stored.place.point, flush=True))
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    reported = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    reported += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    with ResultStore(tmp_path / "out") as store:
        kept = len(store.rows())
    assert kept >= len([line for line in reported if line.endswith("\n")]) >= 5
    time.sleep(0.1)
    outcome = run_sweep(load_sweep(tmp_path / "small.yaml"), tmp_path / "out", jobs=2)
    assert outcome.already_done >= kept
    assert outcome.already_done + outcome.ran == outcome.total == 63
    assert all(row["status"] == "ok" for row in rows(outcome.points_csv))
