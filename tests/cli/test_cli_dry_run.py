"""A dry run says which points a sweep would refuse, and runs none."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import TINY_SWEEP, Hwsim

AXES = "  - mapping.batch: [1, 4, 5]\n  - scratchpads.weights.capacity_bytes: [65536, 3]\n"
NET = "schema_version: 1\nname: net\ninput_shape: [20]\nlayers: [{name: fc, type: dense, units: 5}]\n"
OF_FOUR = "mapping.batch 5: 4 samples; allowed: a batch of them or more"


def test_it_finds_what_the_run_would_refuse_point_by_point(hwsim: Hwsim, here: Path) -> None:
    (here / "some.yaml").write_text(TINY_SWEEP.replace("  - array.rows: [8, 16]\n", AXES))
    dry = hwsim("sweep", "some.yaml", "--dry-run", "--json")
    assert [path.name for path in here.iterdir()] == ["some.yaml"]
    real = hwsim("sweep", "some.yaml", "--jobs", "1", "--no-plots", "--json")
    assert dry.code == real.code == 5
    errors = [point["error"] for point in dry.json["points"]]
    assert errors == [point["error"] for point in real.json["points"]]
    assert [bool(error) for error in errors] == [False, True, False, True, True, True]
    assert errors[4] == OF_FOUR
    said, happened = (outcome.err.splitlines()[-5:] for outcome in (dry, real))
    assert said[0] == "hwsim: 4 of 6 points would fail"
    assert said[1:] == happened[1:]


def test_text_lists_the_points_and_stderr_those_that_would_fail(hwsim: Hwsim, here: Path) -> None:
    (here / "some.yaml").write_text(TINY_SWEEP.replace("array.rows: [8, 16]", "mapping.batch: [4, 5]"))
    outcome = hwsim("sweep", "some.yaml", "--dry-run")
    assert outcome.code == 5
    assert outcome.out.splitlines()[-3:] == ["    0  digits_mlp      4", "    1  digits_mlp      5", ""]
    assert outcome.err == (
        f"hwsim: 1 of 2 points would fail\nhwsim: point 1 (digits_mlp, mapping.batch=5): {OF_FOUR}\n"
    )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("samples: 4", "samples: 541"), "some.yaml:4:13: workloads[0]: 541 samples; allowed: 1 to 540"),
        (("array.rows: [8, 16]", "energy_table: [nowhere]"), "unknown energy table 'nowhere'; allowed: "),
        (("array.rows: [8, 16]", "zip: {array.number_format: [fp16], mapping.batch: [5]}"), OF_FOUR),
        (
            ("workloads: [digits_mlp]", "workloads: [net.yaml]"),
            "some.yaml:4:13: workloads[0]: samples: workload net has shapes alone and no values to compute with; ",
        ),
    ],
)
def test_samples_tables_and_floats_are_looked_into(
    hwsim: Hwsim, here: Path, change: tuple[str, str], error: str
) -> None:
    (here / "net.yaml").write_text(NET)
    (here / "some.yaml").write_text(TINY_SWEEP.replace(*change))
    outcome = hwsim("sweep", "some.yaml", "--dry-run", "--json")
    assert outcome.code == 5
    assert all(point["error"].startswith(error) for point in outcome.json["points"])
