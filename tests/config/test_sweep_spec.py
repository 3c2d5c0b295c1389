"""A sweep's file: which points it stands for, and what is wrong with it before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_problems import Write, problems_of
from hypothesis import given
from hypothesis import strategies as st

from hwsim.config import SweepPoint, SweepSpec, apply_overrides, expand, load_sweep

HEAD = "schema_version: 1\narchitecture: edge16\nworkloads: [digits_mlp]\naxes:\n"


def test_points_run_over_workloads_first_and_over_the_last_axis_fastest(sweep: Write) -> None:
    loaded = load_sweep(
        sweep(
            "schema_version: 1\n"
            "architecture: edge16\n"
            "workloads: [digits_mlp, digits_cnn]\n"
            "axes:\n"
            "  - zip: {array.weight_bits: [2, 4], array.activation_bits: [3, 5]}\n"
            "  - array.overflow: [wrap, saturate]\n"
        )
    )
    points = expand(loaded.spec)
    assert points[0] == SweepPoint(
        0, "digits_mlp", {"array.weight_bits": 2, "array.activation_bits": 3, "array.overflow": "wrap"}
    )
    assert [(point.workload, *point.overrides.values()) for point in points] == [
        ("digits_mlp", 2, 3, "wrap"),
        ("digits_mlp", 2, 3, "saturate"),
        ("digits_mlp", 4, 5, "wrap"),
        ("digits_mlp", 4, 5, "saturate"),
        ("digits_cnn", 2, 3, "wrap"),
        ("digits_cnn", 2, 3, "saturate"),
        ("digits_cnn", 4, 5, "wrap"),
        ("digits_cnn", 4, 5, "saturate"),
    ]


def test_keys_of_one_axis_are_crossed_the_last_one_fastest(sweep: Write) -> None:
    loaded = load_sweep(sweep(HEAD + "  - array.rows: [4, 8]\n    array.cols: [2, 3]\n"))
    assert loaded.spec.keys == ("array.rows", "array.cols")
    assert [tuple(point.overrides.values()) for point in expand(loaded.spec)] == [(4, 2), (4, 3), (8, 2), (8, 3)]


def test_a_sweep_without_axes_runs_each_workload_once(sweep: Write) -> None:
    loaded = load_sweep(sweep("schema_version: 1\narchitecture: edge16\nworkloads: [digits_mlp]\n"))
    assert expand(loaded.spec) == [SweepPoint(0, "digits_mlp", {})]


axes = st.lists(st.lists(st.integers(1, 1024), min_size=1, max_size=4, unique=True), max_size=4)
KEYS = ("array.rows", "array.cols", "vector_unit.lanes", "requantizer.lanes")


@given(axes)
def test_the_number_of_points_is_known_without_making_them(lists: list[list[int]]) -> None:
    spec = SweepSpec(
        schema_version=1,
        architecture="edge16",
        workloads=("a", "b"),
        axes=tuple({key: values} for key, values in zip(KEYS, lists, strict=False)),
    )
    points = expand(spec)
    assert [point.index for point in points] == list(range(spec.point_count))


@pytest.mark.parametrize(
    ("axis", "problem"),
    [
        ("array.row: [2]", "5:5: axes[0].array.row: unknown key; did you mean 'array.rows'?"),
        ("array.rows: [16, 0]", "5:22: axes[0].array.rows[1]: 0 is out of range; allowed: 1 to 1024"),
        ("array.rows: [x]", "5:18: axes[0].array.rows[0]: must be a whole number, got the text 'x'"),
        ("array.rows: 16", "5:17: axes[0].array.rows: must be a list of values, got 16"),
        ("array.rows: []", "5:17: axes[0].array.rows: needs at least one value"),
        ("array.rows: [8, 4, 8]", "5:24: axes[0].array.rows[2]: 8 is listed twice"),
        ("{}", "5:5: axes[0]: an axis needs at least one key"),
        ("array.rows", "5:5: axes[0]: must be a mapping of keys to lists of values, got the text 'array.rows'"),
        (
            "dram: [3]",
            "5:5: axes[0].dram: a group of keys, not a value; allowed: dram.type, dram.bytes_per_cycle, "
            "dram.latency_cycles, dram.channels, dram.interleave_bytes, dram.burst_bytes, dram.banks, dram.row_bytes, "
            "dram.row_miss_cycles, dram.capacity_bytes",
        ),
        (
            "array.overflow: [warp]",
            "5:22: axes[0].array.overflow[0]: unknown value 'warp'; allowed: wrap, saturate, error; "
            "did you mean 'wrap'?",
        ),
        (
            "activation_lut.input_range: [[-8, 8], [1, x]]",
            "5:47: axes[0].activation_lut.input_range[1][1]: must be a number, got the text 'x'",
        ),
        (
            "zip: {array.weight_bits: [2, 3], array.activation_bits: [2]}",
            "5:10: axes[0].zip: zipped lists must have the same length: array.weight_bits has 2, "
            "array.activation_bits has 1",
        ),
        ("zip: [2]", "5:10: axes[0].zip: must be a mapping of keys to lists of values, got a list"),
        ("zip: {}", "5:10: axes[0].zip: zip needs at least one key"),
        (
            "{zip: {array.rows: [4]}, array.cols: [4]}",
            "5:30: axes[0].array.cols: zip stands alone in its axis; give this key an axis of its own",
        ),
    ],
)
def test_a_wrong_axis_is_located(sweep: Write, axis: str, problem: str) -> None:
    assert problems_of(load_sweep, sweep(f"{HEAD}  - {axis}\n")) == [f"sweep.yaml:{problem}"]


def test_a_key_belongs_to_one_axis(sweep: Write) -> None:
    path = sweep(HEAD + "  - array.rows: [4]\n  - zip: {array.cols: [4], array.rows: [8]}\n")
    assert problems_of(load_sweep, path) == ["sweep.yaml:6:28: axes[1].zip.array.rows: swept already, in axes[0]"]


def test_a_combination_that_makes_no_architecture_is_found_before_anything_runs(sweep: Write) -> None:
    path = sweep(
        HEAD
        + "  - array.fold_overlap: [none, drain]\n"
        + "  - array.rows: [4, 8]\n"
        + "  - array.dataflow: [output_stationary, weight_stationary]\n"
        + "  - dram.latency_cycles: [10]\n"
    )
    assert problems_of(load_sweep, path) == [
        "sweep.yaml:7:5: axes[2]: the point array.fold_overlap=drain, array.rows=4, array.dataflow=weight_stationary, "
        "dram.latency_cycles=10: array.fold_overlap: drain needs dataflow output_stationary, not weight_stationary "
        "(and 1 more point)"
    ]


def test_values_that_suit_only_one_another_may_be_zipped(sweep: Write) -> None:
    axis = "{array.dataflow: [output_stationary, weight_stationary], array.fold_overlap: [drain, full]}"
    loaded = load_sweep(sweep(f"{HEAD}  - zip: {axis}\n"))
    shapes = [apply_overrides(loaded.base, point.overrides).array for point in expand(loaded.spec)]
    assert [shape.fold_overlap for shape in shapes] == ["drain", "full"]


def test_too_many_points_are_refused(sweep: Write) -> None:
    many = list(range(1, 1025))
    path = sweep(f"{HEAD}  - array.rows: {many}\n    array.cols: {many}\n")
    assert problems_of(load_sweep, path) == [
        "sweep.yaml:5:3: axes: the sweep has 1,048,576 points; allowed: at most 1,000,000"
    ]


def test_unknown_names_are_reported_with_all_other_errors(sweep: Write) -> None:
    path = sweep("schema_version: 1\narchitecture: edg16\nworkloads: [digits_mlp, digits_mlp]\naxis: []\nsamples: 0\n")
    assert problems_of(load_sweep, path) == [
        "sweep.yaml:2:15: architecture: no architecture 'edg16': neither a path nor a shipped name; "
        "shipped: datacenter64, edge16, edge8_ws; did you mean 'edge16'?",
        "sweep.yaml:3:25: workloads[1]: 'digits_mlp' is listed twice",
        "sweep.yaml:4:1: axis: unknown key; allowed: schema_version, name, description, architecture, workloads, "
        "axes, samples; did you mean 'axes'?",
        "sweep.yaml:5:10: samples: 0 is out of range; allowed: at least 1",
    ]


def test_an_unknown_workload_is_located(sweep: Write) -> None:
    path = sweep("schema_version: 1\narchitecture: edge16\nworkloads: [digits_mlp, digits_mpl]\n")
    (problem,) = problems_of(load_sweep, path)
    assert problem.startswith("sweep.yaml:3:25: workloads[1]: no workload 'digits_mpl': neither a path nor a shipped")


def test_errors_of_the_architecture_follow_those_of_the_sweep(sweep: Write, chip: Write) -> None:
    chip("schema_version: 1\nclock_hz: -1\n")
    path = sweep("schema_version: 1\narchitecture: chip.yaml\nworkloads: [digits_mlp]\naxes: [{array.rows: [0]}]\n")
    assert problems_of(load_sweep, path) == [
        "sweep.yaml:4:22: axes[0].array.rows[0]: 0 is out of range; allowed: 1 to 1024",
        "chip.yaml:2:11: clock_hz: -1 is out of range; allowed: more than 0 and at most 1e+12",
    ]


def test_names_are_looked_up_beside_the_sweep_then_here_then_among_the_shipped(here: Path) -> None:
    study = here / "study"
    (study / "net").mkdir(parents=True)
    (study / "net" / "workload.yaml").write_text("")
    (study / "chip.yaml").write_text("schema_version: 1\nname: beside\n")
    (here / "chip.yaml").write_text("schema_version: 1\nname: here\n")
    (here / "other.tflite").write_text("")
    path = study / "sweep.yaml"
    path.write_text("schema_version: 1\narchitecture: chip.yaml\nworkloads: [net, other.tflite, digits_cnn]\n")
    loaded = load_sweep("study/sweep.yaml")
    assert loaded.base.name == "beside"
    assert loaded.workloads["net"].path == Path("study/net")
    assert loaded.workloads["other.tflite"].path == Path("other.tflite")
    assert loaded.workloads["digits_cnn"].path.parent.name == "workloads"


SAMPLED = "schema_version: 1\narchitecture: edge16\nworkloads:\n"


def test_a_workload_may_bring_samples_from_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    for name in ("net.tflite", "x.npy", "y.npy"):
        (tmp_path / "study" / name).touch()
    path = tmp_path / "study" / "sweep.yaml"
    path.write_text(SAMPLED + "  - digits_mlp\n  - {workload: net.tflite, inputs: x.npy, labels: y.npy}\n")
    loaded = load_sweep("study/sweep.yaml")
    assert [point.workload for point in expand(loaded.spec)] == ["digits_mlp", "net.tflite"]
    files = loaded.workloads["net.tflite"]
    assert (files.path, files.inputs, files.labels) == tuple(Path("study", n) for n in ("net.tflite", "x.npy", "y.npy"))
    assert files.place == "study/sweep.yaml:5:5: workloads[1]"
    assert loaded.workloads["digits_mlp"].inputs is None


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{workload: digits_mlp, input: x.npy}", "4:28: workloads[0].input: unknown key; allowed: workload, inputs, "
         "labels, calibration; did you mean 'inputs'?"),
        ("{workload: digits_mlp, inputs: no.npy}", "4:36: workloads[0].inputs: no.npy: no such file"),
        ("{workload: digits_mlp, inputs: x.npy, labels: no.npy}", "4:51: workloads[0].labels: no.npy: no such file"),
        ("{workload: digits_mlp, labels: x.npy}", "4:28: workloads[0].labels: needs inputs beside it"),
        ("{workload: digits_mlp, inputs: 3}", "4:36: workloads[0].inputs: must be text, got 3"),
        ("{inputs: x.npy}", "4:5: workloads[0].workload: this required key is missing"),
        ("{workload: digits_mpl, inputs: x.npy}", "4:16: workloads[0].workload: no workload 'digits_mpl': neither a "
         "path nor a shipped name; shipped: "),
        ("7", "4:5: workloads[0]: must be a name, or a mapping with workload, inputs, labels and calibration, got 7"),
        ("", "4:4: workloads[0]: must be a name, or a mapping with workload, inputs, labels and "
         "calibration, got nothing"),
        ("[]", "4:5: workloads[0]: must be a name, or a mapping with workload, inputs, labels and "
         "calibration, got a list"),
    ],
)  # fmt: skip
def test_a_wrong_workload_is_located(here: Path, sweep: Write, entry: str, problem: str) -> None:
    Path("x.npy").touch()
    (found,) = problems_of(load_sweep, sweep(f"{SAMPLED}  - {entry}\n"))
    assert found.startswith(f"sweep.yaml:{problem}")


def test_a_workload_is_listed_once_whatever_its_samples(here: Path, sweep: Write) -> None:
    path = sweep(f"{SAMPLED}  - digits_mlp\n  - {{workload: digits_mlp, inputs: x.npy}}\n")
    Path("x.npy").touch()
    assert problems_of(load_sweep, path) == ["sweep.yaml:5:5: workloads[1]: 'digits_mlp' is listed twice"]
