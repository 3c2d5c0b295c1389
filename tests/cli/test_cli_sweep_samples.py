"""Sweeps over workloads that bring their samples along."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import Hwsim, mlp_samples

BUILDERS = Path(__file__).parent.parent / "readers"

SWEEP = """\
schema_version: 1
name: guards
architecture: edge16
workloads:
  - {workload: dense.tflite, inputs: x.npy, labels: y.npy}
axes:
  - array.guard_bits: [0, 8]
"""


@pytest.fixture
def sweep(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of weights [[1, 2, 3], [4, 5, 6]] with two samples, in a folder of their own."""
    monkeypatch.syspath_prepend(str(BUILDERS))
    from tflite_files import dense_file

    folder = here / "study"
    folder.mkdir()
    (folder / "dense.tflite").write_bytes(dense_file())
    np.save(folder / "x.npy", np.array([[13, -7, 3], [3, 3, 3]], np.int8))
    np.save(folder / "y.npy", np.array([0, 1]))
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder


def run(hwsim: Hwsim) -> list[dict[str, str]]:
    outcome = hwsim("sweep", "study/sweep.yaml", "--out", "out", "--jobs", "1", "--no-plots")
    assert outcome.code == 0
    with Path("out/points.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_runs_at_every_point_on_its_samples(hwsim: Hwsim, sweep: Path) -> None:
    rows = run(hwsim)
    assert [(row["workload"], row["guard_bits"], row["accuracy"]) for row in rows] == [
        ("dense.tflite", "0", "0.5"),
        ("dense.tflite", "8", "0.5"),
    ]


@pytest.mark.parametrize("changed", ["x.npy", "y.npy"])
def test_other_samples_are_other_points(hwsim: Hwsim, sweep: Path, changed: str) -> None:
    run(hwsim)
    resumed = hwsim("sweep", "study/sweep.yaml", "--out", "out", "--no-plots", "--json").json
    assert (resumed["ran"], resumed["already_done"]) == (0, 2)
    values = np.load(sweep / changed)
    np.save(sweep / changed, values[::-1].copy())
    again = hwsim("sweep", "study/sweep.yaml", "--out", "out", "--jobs", "1", "--no-plots", "--json").json
    assert (again["ran"], again["already_done"]) == (2, 0)


def test_samples_of_a_wrong_shape_are_refused_before_anything_runs(hwsim: Hwsim, sweep: Path) -> None:
    np.save(sweep / "x.npy", np.zeros((2, 4), np.int8))
    outcome = hwsim("sweep", "study/sweep.yaml", "--out", "out")
    assert outcome.code == 2
    assert outcome.err == (
        "hwsim: study/sweep.yaml:5:5: workloads[0]: input 0 of shape [2, 4]; "
        "allowed: [samples, 3], one sample or more\n"
    )
    assert not Path("out").exists()


def test_labels_that_are_no_classes_are_refused_with_the_place(hwsim: Hwsim, sweep: Path) -> None:
    np.save(sweep / "y.npy", np.array([0, 2]))
    assert hwsim("sweep", "study/sweep.yaml", "--dry-run").err == (
        "hwsim: study/sweep.yaml:5:5: workloads[0]: study/y.npy: holds other labels than class numbers; "
        "allowed: 0 to 1\n"
    )


def test_a_file_without_samples_is_refused(hwsim: Hwsim, sweep: Path) -> None:
    (sweep / "sweep.yaml").write_text(
        SWEEP.replace("{workload: dense.tflite, inputs: x.npy, labels: y.npy}", "dense.tflite")
    )
    assert hwsim("sweep", "study/sweep.yaml", "--dry-run").err == (
        "hwsim: study/sweep.yaml:5:5: workloads[0]: study/dense.tflite has no samples of its own; "
        "allowed: a mapping with workload and inputs\n"
    )


def test_a_shipped_workload_may_run_on_other_samples(hwsim: Hwsim, sweep: Path) -> None:
    images, labels = mlp_samples(8)
    np.save(sweep / "x.npy", images)
    np.save(sweep / "y.npy", (labels + 1) % 10)
    (sweep / "sweep.yaml").write_text(SWEEP.replace("dense.tflite", "digits_mlp"))
    assert run(hwsim)[1]["accuracy"] == "0.0"
