"""Run results: totals, frames, and the way to JSON and back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from small_result import layer, small_result

from hwsim.results.layer_result import CYCLE_PARTS, PeOverflow, sparse_overflows
from hwsim.results.plain import plain
from hwsim.results.run_result import RunResult


def test_totals_are_sums_and_what_follows_from_clock_and_array() -> None:
    totals = small_result().totals
    assert totals["macs"] == 320
    assert totals["total_cycles"] == 200
    assert sum(totals[part] for part in CYCLE_PARTS) == 200
    assert totals["utilization"] == 320 / (2 * 2 * 200)
    assert totals["latency_ms"] == pytest.approx(0.2)  # 200 cycles at 1 MHz
    assert totals["inferences_per_second"] == pytest.approx(5000)
    assert totals["energy_pj"] == 180
    assert totals["energy_per_mac_pj"] == 180 / 320
    assert totals["overflow_events"] == 5
    assert totals["preload_overflow_events"] == 2


def test_a_result_without_layers_has_no_latency() -> None:
    totals = small_result(layer_results=()).totals
    assert totals["utilization"] == 0
    assert totals["inferences_per_second"] == math.inf
    assert math.isnan(totals["energy_per_mac_pj"])


def test_layers_are_a_frame_with_one_row_per_layer() -> None:
    layers = small_result().layers
    assert layers["layer"].tolist() == ["dense1", "dense2"]
    assert list(layers.columns[:8]) == [
        "layer",
        "out_rows",
        "depth",
        "out_cols",
        "groups",
        "macs",
        "array_cycles",
        "total_cycles",
    ]
    assert "energy" not in layers
    assert "pe_overflows" not in layers


def test_energy_is_a_frame_with_one_row_per_layer_component_and_action() -> None:
    energy = small_result().energy
    assert list(energy.columns) == ["layer", "component", "action", "count", "energy_pj"]
    assert len(energy) == 4
    assert energy["energy_pj"].sum() == 180


def test_overflows_are_a_frame_of_the_pes_that_had_some() -> None:
    overflows = small_result().overflows
    assert overflows.to_dict("records") == [
        {"layer": "dense1", "row": 0, "col": 1, "overflow_events": 3},
        {"layer": "dense1", "row": 2, "col": 0, "overflow_events": 2},
    ]


def test_events_are_a_frame_of_the_first_sample() -> None:
    assert small_result().events.to_dict("records") == [{"layer": "dense1", "cycle": 7, "row": 0, "col": 1}]


def test_frames_without_rows_keep_their_columns() -> None:
    empty = small_result(layer_results=(), events_kept=())
    assert list(empty.overflows.columns) == ["layer", "row", "col", "overflow_events"]
    assert list(empty.events.columns) == ["layer", "cycle", "row", "col"]


def test_json_is_what_comes_back() -> None:
    result = small_result()
    text = json.dumps(result.to_json_dict(), allow_nan=False)
    assert RunResult.from_json_dict(json.loads(text)) == result


def test_results_stored_before_layers_named_their_cores_are_still_read() -> None:
    stored = small_result().to_json_dict()
    for one in stored["layers"]:
        del one["cores"], one["split"]
    assert RunResult.from_json_dict(stored) == small_result()


def test_json_has_the_documented_keys() -> None:
    stored = small_result().to_json_dict()
    assert {"layers", "totals", "accuracy", "architecture", "version"} <= stored.keys()
    assert [one["layer"] for one in stored["layers"]] == ["dense1", "dense2"]
    assert stored["totals"]["latency_ms"] == pytest.approx(0.2)


def test_what_json_cannot_say_is_null() -> None:
    stored = small_result(sqnr_db=math.inf, layer_results=()).to_json_dict()
    assert stored["sqnr_db"] is None
    assert stored["totals"]["inferences_per_second"] is None
    assert stored["totals"]["energy_per_mac_pj"] is None


def test_two_layers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="layer names must differ; more than once: conv"):
        small_result(layer_results=(layer("conv"), layer("dense"), layer("conv")))


def test_overflow_counts_of_the_array_become_the_pes_that_had_some() -> None:
    assert sparse_overflows(np.array([[0, 3], [0, 0], [2, 0]])) == (PeOverflow(0, 1, 3), PeOverflow(2, 0, 2))


def test_plain_values() -> None:
    class Colour(Enum):
        RED = "red"

    made = {"a": np.int64(3), "b": np.array([1.5, np.nan]), "c": (True, None), "d": Path("x"), 1: Colour.RED}
    assert plain(made) == {"a": 3, "b": [1.5, None], "c": [True, None], "d": "x", "1": "red"}
    with pytest.raises(TypeError, match="object has no plain JSON form"):
        plain(object())


def test_a_result_costs_no_import_of_pandas() -> None:
    check = "import sys, hwsim.results.store, hwsim.results.points; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_results_do_not_change() -> None:
    result = small_result()
    with pytest.raises(AttributeError):
        result.samples = 5  # type: ignore[misc]
    assert replace(result, samples=5).samples == 5
