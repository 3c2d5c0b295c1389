"""Traces of runs: well-formed events, no overlaps on a track but nested ones, sums that are the reported figures."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.machine.tracing import Level, Slice, Tracer
from hwsim.readers.read import read_workload
from hwsim.results.layer_result import CYCLE_PARTS
from hwsim.results.run_result import RunResult
from hwsim.results.trace_file import trace_file
from hwsim.samples import choose_samples
from hwsim.simulate import simulate

Event = dict[str, Any]
DESIGNS = [
    ("output_stationary", "none"),
    ("output_stationary", "drain"),
    ("output_stationary", "full"),
    ("output_stationary", "none", "scratchpads.weights.capacity_bytes=256"),  # folds in pieces of depth
    ("output_stationary", "full", "scratchpads.weights.capacity_bytes=256"),
    ("weight_stationary", "none"),
    ("weight_stationary", "full"),
    ("input_stationary", "full"),
]
SETTINGS = ["array.rows=8", "array.cols=4", "scratchpads.weights.capacity_bytes=2048", "mapping.keep_on_chip=false"]


def traced(path: Path, *settings: str) -> tuple[list[Event], RunResult]:
    spec = load_arch("edge16", [*SETTINGS, *settings])
    chosen = choose_samples(read_workload("digits_cnn"), samples=1)
    with trace_file(path, {"workload": "digits_cnn"}) as trace:
        result = simulate(spec, chosen, engine="functional", with_data=True, trace=trace)
    return json.loads(path.read_text())["traceEvents"], result


def slices_by_track(events: list[Event]) -> dict[str, list[Event]]:
    names = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
    tracks: dict[str, list[Event]] = defaultdict(list)
    for one in events:
        if one["ph"] == "X":
            tracks[names[one["tid"]]].append(one)
    return tracks


@pytest.fixture(scope="module", params=DESIGNS, ids=" ".join)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], RunResult]:
    dataflow, overlap, *sizes = request.param
    path = tmp_path_factory.mktemp("trace") / "t.json"
    return traced(path, f"array.dataflow={dataflow}", f"array.fold_overlap={overlap}", *sizes)


Run = tuple[list[Event], RunResult]


def test_every_event_has_what_its_phase_needs(run: Run) -> None:
    """Google's Trace Event Format: M has args.name or args.sort_index, X has ts and dur, C numbers in args."""
    events, _ = run
    needed = {"M": {"args"}, "X": {"ts", "dur", "tid", "args"}, "C": {"ts", "args"}}
    for one in events:
        assert one.keys() >= {"pid", "ph", "name"} | needed[one["ph"]]
        assert type(one.get("ts", 0)) is int
        assert one.get("ts", 0) >= 0
        assert one.get("dur", 1) >= 1
        if one["ph"] == "C":
            assert all(isinstance(value, int | float) and value >= 0 for value in one["args"].values())
    assert {one["ph"] for one in events} == {"M", "X", "C"}


def test_every_track_has_a_name_before_its_first_slice(run: Run) -> None:
    events, _ = run
    named: set[int] = set()
    for one in events:
        if one["name"] == "thread_name":
            named.add(one["tid"])
        assert one["ph"] != "X" or one["tid"] in named


def test_slices_of_a_track_are_nested_or_apart(run: Run) -> None:
    for track, slices in slices_by_track(run[0]).items():
        open_ends: list[int] = []
        for one in sorted(slices, key=lambda one: (one["ts"], -one["dur"])):
            while open_ends and open_ends[-1] <= one["ts"]:
                open_ends.pop()
            end = one["ts"] + one["dur"]
            assert not open_ends or end <= open_ends[-1], (track, one)
            open_ends.append(end)


def test_layers_take_the_reported_cycles_one_after_the_other(run: Run) -> None:
    events, result = run
    layers = slices_by_track(events)["layers"]
    assert [(one["name"], one["dur"]) for one in layers] == [
        (layer.layer, layer.total_cycles) for layer in result.layer_results
    ]
    starts = [one["ts"] for one in layers]
    assert starts == [0, *(one["ts"] + one["dur"] for one in layers[:-1])]


def test_classes_of_cycles_sum_to_the_reported_parts(run: Run) -> None:
    events, result = run
    found: dict[tuple[str, str], int] = defaultdict(int)
    for one in slices_by_track(events)["cycles by class"]:
        found[one["args"]["layer"], one["name"].replace(" ", "_") + "_cycles"] += one["dur"]
    reported = {(layer.layer, part): layer.figures()[part] for layer in result.layer_results for part in CYCLE_PARTS}
    assert found == {key: cycles for key, cycles in reported.items() if cycles}


def test_every_fold_is_there_with_its_phases(run: Run) -> None:
    events, result = run
    array = [one for track, slices in slices_by_track(events).items() if track.startswith("array") for one in slices]
    macs: dict[str, int] = defaultdict(int)
    computing: dict[str, int] = defaultdict(int)
    for one in array:
        details = one["args"]
        if "out_rows" in details:
            macs[details["layer"]] += details["out_rows"] * details["depth"] * details["out_cols"]
        if one["name"] == "compute":
            computing[details["layer"]] += one["dur"]
    products = [layer for layer in result.layer_results if layer.macs]
    assert macs == {layer.layer: layer.macs for layer in products}
    assert all(computing[layer.layer] >= layer.compute_cycles for layer in products)


def test_dram_moves_the_counted_bytes(run: Run) -> None:
    events, result = run
    moved = sum(one["args"]["bytes"] for one in slices_by_track(events)["DRAM"])
    energy = result.energy
    assert moved == energy[energy["component"] == "dram"]["count"].sum() / 8


def test_levels_are_those_of_what_comes_and_goes(run: Run) -> None:
    events, _ = run
    for name in ("weight scratchpad bytes", "DRAM bytes per cycle"):
        levels = [(one["ts"], one["args"]["value"]) for one in events if one["ph"] == "C" and one["name"] == name]
        assert levels == sorted(levels, key=lambda level: level[0])
        assert max(value for _, value in levels) <= {"w": 2048, "D": 8}[name[0]]
        assert min(value for _, value in levels) == 0


def test_weights_that_come_ahead_are_named_by_the_layer_that_reads_them(tmp_path: Path) -> None:
    """Weights pass the DRAM once; those of every layer but the first begin to come before it starts."""
    settings = ("mapping.layer_overlap=weights", "scratchpads.weights.capacity_bytes=65536")
    events, result = traced(tmp_path / "t.json", *settings)
    test_slices_of_a_track_are_nested_or_apart((events, result))
    tracks = slices_by_track(events)
    starts = {one["name"]: one["ts"] for one in tracks["layers"]}
    brought: dict[str, int] = defaultdict(int)
    ahead = set()
    for one in tracks["DRAM"]:
        if one["name"] == "weight scratchpad":
            brought[one["args"]["layer"]] += one["args"]["bytes"]
            if one["ts"] < starts[one["args"]["layer"]]:
                ahead.add(one["args"]["layer"])
    products = [layer for layer in result.layer_results if layer.macs]
    assert brought == {layer.layer: layer.depth * layer.out_cols for layer in products}
    assert ahead == {layer.layer for layer in products[1:]}


def test_channels_have_a_track_each(tmp_path: Path) -> None:
    events, _ = traced(tmp_path / "t.json", "dram.channels=2", "dram.interleave_bytes=64")
    assert {"DRAM channel 0", "DRAM channel 1"} <= slices_by_track(events).keys()


def test_a_trace_changes_no_result(tmp_path: Path) -> None:
    _, with_trace = traced(tmp_path / "t.json")
    chosen = choose_samples(read_workload("digits_cnn"), samples=1)
    without = simulate(load_arch("edge16", SETTINGS), chosen, engine="functional", with_data=True)
    assert with_trace.to_json_dict() == without.to_json_dict()


def test_slices_that_overlap_get_tracks_next_to_each_other() -> None:
    tracer = Tracer(lambda _: None)
    assert [tracer.lane("array", *times) for times in ((0, 10), (4, 14), (10, 20), (12, 22), (14, 15))] == [
        "array",
        "array (2)",
        "array",
        "array (3)",
        "array (2)",
    ]


def test_a_run_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("old")

    def fail() -> None:
        with trace_file(path, {}) as trace:
            trace(Slice("array", "fold", 0, 3))
            trace(Level("bytes", 0, 1.5))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["t.json"]
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def write() -> None:
        with trace_file(tmp_path / "file" / "t.json", {}):
            pass

    with pytest.raises(ConfigError, match="cannot be written"):
        write()
