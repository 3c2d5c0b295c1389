"""The plots of a sweep: which there are, what they show, and that the same results give the same files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pandas as pd
import pytest
from synthetic_sweep import architecture, points, store

from hwsim.errors import ConfigError
from hwsim.metrics.pareto import pareto_front
from hwsim.report.frames import SweepFrames
from hwsim.report.plots import PLOTS, PlotOutcome, write_plots
from hwsim.report.plots.latency_per_layer import cycles_label
from hwsim.report.style import PALETTE, colours, energy_unit
from hwsim.results.run_result import RunResult
from hwsim.results.store import StoredPoint, SweepPoint


def data_of(plots: dict[str, PlotOutcome], name: str) -> pd.DataFrame:
    return pd.read_csv(plots[name].paths[-1])


SPECIAL = ("number_formats", "accuracy_over_lut_entries")
"""Plots that need axes of their own."""


@pytest.mark.parametrize("name", [name for name in PLOTS if name not in SPECIAL])
def test_every_plot_applies_to_a_sweep_of_widths_and_guard_bits(plots, sweep_folder, name) -> None:
    outcome = plots[name]
    assert outcome.skipped_reason is None
    assert [path.name for path in outcome.paths] == [f"{name}.png", f"{name}.svg", f"{name}.csv"]
    assert all(path.parent == sweep_folder / "plots" for path in outcome.paths)
    assert outcome.paths[0].read_bytes().startswith(b"\x89PNG")
    assert ET.parse(outcome.paths[1]).getroot().tag.endswith("svg")  # noqa: S314


def test_a_png_has_150_dots_per_inch(plots) -> None:
    header = plots["accuracy_over_bits"].paths[0].read_bytes()
    start = header.index(b"pHYs") + 4
    dots_per_metre = int.from_bytes(header[start : start + 4], "big")
    assert dots_per_metre * 0.0254 == pytest.approx(150, abs=0.1)


def test_accuracy_over_bits_has_every_point_and_no_averages(plots, frames) -> None:
    data = data_of(plots, "accuracy_over_bits")
    columns = ["point", "workload", "weight_bits", "guard_bits", "dataflow", "accuracy", "float_accuracy"]
    pd.testing.assert_frame_equal(data[columns], frames.done[columns], check_dtype=False)


@pytest.mark.parametrize("cost", ["energy", "latency"])
def test_a_cost_against_accuracy_marks_the_front_of_each_workload(plots, frames, cost) -> None:
    data = data_of(plots, f"{cost}_against_accuracy")
    column = {"energy": "energy_pj", "latency": "latency_ms"}[cost]
    for workload, of_workload in frames.done.groupby("workload"):
        front = pareto_front(of_workload[column].tolist(), of_workload["accuracy"].tolist())
        marked = data[(data["workload"] == workload) & data["pareto_front"]]
        assert set(marked["point"]) == set(of_workload["point"].iloc[front])


def test_energy_against_latency_marks_points_that_no_other_beats_in_both(plots, frames) -> None:
    data = data_of(plots, "energy_against_latency")
    for workload, of_workload in frames.done.groupby("workload"):
        marked = set(data[(data["workload"] == workload) & data["pareto_front"]]["point"])
        assert marked
        for _, point in of_workload.iterrows():
            no_worse = of_workload[["energy_pj", "latency_ms"]] <= point[["energy_pj", "latency_ms"]]
            better = of_workload[["energy_pj", "latency_ms"]] < point[["energy_pj", "latency_ms"]]
            is_beaten = bool((no_worse.all(axis=1) & better.any(axis=1)).any())
            assert (point["point"] in marked) != is_beaten


def test_latency_per_layer_shows_the_layers_of_the_best_points(plots, frames) -> None:
    data = data_of(plots, "latency_per_layer")
    for point, rows in data.groupby("point"):
        layers = frames.of_point(frames.layers, point)
        assert rows["layer"].tolist() == layers["layer"].tolist()
        assert rows["total_cycles"].tolist() == layers["total_cycles"].tolist()
        parts = rows[[name for name in rows if name.endswith("_cycles") and name != "total_cycles"]]
        assert parts.sum(axis="columns").tolist() == rows["total_cycles"].tolist()
    assert data["point"].nunique() == 2


def test_roofline_has_each_product_of_the_best_points_below_both_roofs(plots, frames) -> None:
    data = data_of(plots, "roofline")
    assert data.groupby("workload").size().to_dict() == {"digits_cnn": 4, "digits_mlp": 3}
    layer = data[(data["workload"] == "digits_mlp") & (data["layer"] == "logits")].iloc[0]
    energy = frames.of_point(frames.energy, layer["point"])
    dram = energy[(energy["layer"] == "logits") & (energy["component"] == "dram")]
    assert layer["macs_per_byte"] == pytest.approx(320 / (dram["count"].sum() / 8))
    assert layer["macs_per_cycle"] == pytest.approx(320 / layer["total_cycles"])
    assert (data["macs_per_cycle"] <= data["most_macs_per_cycle"]).all()
    assert set(data["most_macs_per_cycle"]) == {256}
    assert set(data["dram_bytes_per_cycle"]) == {8}


def test_energy_per_component_adds_up_to_designs_that_differ_in_width_only(plots, frames) -> None:
    data = data_of(plots, "energy_per_component")
    shown = frames.done.set_index("point").loc[data["point"].unique()]
    assert shown.groupby("workload")["weight_bits"].apply(list).tolist() == [list(range(2, 9))] * 2
    assert (shown.groupby("workload")[["guard_bits", "dataflow"]].nunique() == 1).all(axis=None)
    sums = data.groupby("point")["energy_pj"].sum()
    assert sums.to_dict() == pytest.approx(shown["energy_pj"].to_dict())


def test_energy_bars_go_from_narrow_to_wide_whatever_the_order_of_the_points(tmp_path) -> None:
    backwards = points({"weight_bits": [8, 4, 2]})
    (outcome,) = [one for one in write_plots(store(tmp_path, backwards)) if one.name == "energy_per_component"]
    data = pd.read_csv(outcome.paths[-1])
    assert data[data["workload"] == "digits_mlp"]["weight_bits"].drop_duplicates().tolist() == [2, 4, 8]


def test_overflow_over_guard_bits_keeps_zeros(plots, frames) -> None:
    data = data_of(plots, "overflow_over_guard_bits")
    assert data["overflow_events"].tolist() == frames.done["overflow_events"].tolist()
    assert (data["overflow_events"] == 0).any()


def test_workloads_without_values_have_no_overflows_to_plot(tmp_path) -> None:
    stored = points({"guard_bits": [0, 4]})
    shapes = [one.place.workload == "digits_cnn" for one in stored]
    mixed = [without_values(one) if bare else one for one, bare in zip(stored, shapes, strict=True)]
    folder = store(tmp_path, mixed)
    assert SweepFrames.load(folder).done["overflow_events"].isna().tolist() == shapes
    outcomes = {one.name: one for one in write_plots(folder)}
    for name in ("overflow_over_guard_bits", "overflow_map"):
        assert set(data_of(outcomes, name)["workload"]) == {"digits_mlp"}
    assert data_of(outcomes, "overflow_over_guard_bits")["overflow_events"].dtype == int
    assert set(data_of(outcomes, "energy_per_component")["workload"]) == {"digits_mlp", "digits_cnn"}


def without_values(stored: StoredPoint) -> StoredPoint:
    assert stored.result is not None
    layers = [replace(layer, overflow_events=0, pe_overflows=()) for layer in stored.result.layer_results]
    timed = replace(stored.result, samples=0, engine="timing", accuracy=None, layer_results=tuple(layers))
    return replace(stored, result=timed)


def test_the_overflow_map_has_every_pe_and_the_accumulators_under_the_array(plots, frames) -> None:
    data = data_of(plots, "overflow_map")
    for workload, rows in data.groupby("workload"):
        assert len(rows) == 17 * 16
        assert (rows.loc[rows["place"] == "accumulator", "row"] == 16).all()
        most = frames.done[frames.done["workload"] == workload]["overflow_events"].max()
        assert rows["overflow_events"].sum() == most


def test_an_output_stationary_array_has_no_accumulators_under_it(tmp_path) -> None:
    outcomes = {one.name: one for one in write_plots(store(tmp_path, points({"guard_bits": [0]})))}
    assert set(data_of(outcomes, "overflow_map")["place"]) == {"pe"}


def reasons(folder: Path) -> dict[str, str | None]:
    return {outcome.name: outcome.skipped_reason for outcome in write_plots(folder)}


def test_one_design_leaves_the_splits_of_latency_and_energy(tmp_path) -> None:
    assert reasons(store(tmp_path, points({"weight_bits": [8]}))) == {
        "accuracy_over_bits": "all points have one operand width",
        "accuracy_over_guard_bits": "all points have the same guard bits",
        "accuracy_over_lut_entries": "all points have the same number of LUT entries",
        "sqnr_by_design": "all points have one operand width",
        "energy_against_accuracy": "each workload has one point only",
        "latency_against_accuracy": "each workload has one point only",
        "energy_against_latency": "each workload has one point only",
        "number_formats": "all points compute with one number format",
        "latency_per_layer": None,
        "energy_per_component": None,
        "roofline": None,
        "overflow_over_guard_bits": "all points have the same guard bits",
        "overflow_map": "no point has an overflow event",
    }


def test_without_labels_there_is_no_accuracy_to_plot(tmp_path) -> None:
    found = reasons(store(tmp_path, points({"weight_bits": [4, 8], "guard_bits": [8, 9]}, labelled=False)))
    assert found["accuracy_over_bits"] == "no point has an accuracy: the workloads have no labels"
    assert found["energy_against_accuracy"] == "no point has an accuracy: the workloads have no labels"
    assert found["energy_against_latency"] is None
    assert found["overflow_over_guard_bits"] == "no point has an overflow event"
    assert found["latency_per_layer"] is None


def test_where_every_point_is_as_accurate_energy_is_held_against_latency(tmp_path) -> None:
    stored = points({"weight_bits": [4, 8]})
    alike = [replace(one, result=one.result and replace(one.result, accuracy=0.5)) for one in stored]
    found = reasons(store(tmp_path, alike))
    assert found["energy_against_accuracy"] == "all points of a workload have the same accuracy"
    assert found["energy_against_latency"] is None


def test_energy_of_a_batch_is_shown_for_one_inference(tmp_path) -> None:
    stored = points({"weight_bits": [4, 8]})
    batched = [replace(one, result=replace(one.result, architecture=with_batch(one.result, 4))) for one in stored]
    (one, four) = (SweepFrames.from_points(some) for some in (stored, batched))
    assert four.energy_per_inference["energy_pj"].sum() == pytest.approx(one.energy["energy_pj"].sum() / 4)
    assert four.done["energy_pj"].sum() == pytest.approx(one.done["energy_pj"].sum() / 4)


def with_batch(result: RunResult, batch: int) -> dict[str, Any]:
    return result.architecture | {"mapping": {"batch": batch}}


def test_a_sweep_of_failures_has_no_plots_and_loses_old_ones(tmp_path) -> None:
    write_plots(store(tmp_path, points({"weight_bits": [8]})))
    for number in range(2):
        place = SweepPoint(number, f"key{number}", "digits_mlp", {})
        store(tmp_path, [StoredPoint(place, architecture(), "failed", error="broken")])
    assert set(reasons(tmp_path).values()) == {"no point has run to the end"}
    assert list((tmp_path / "plots").iterdir()) == []


def test_layers_without_energy_or_cycles_are_no_obstacle(tmp_path) -> None:
    (first, *_) = points({"weight_bits": [8]})
    assert first.result is not None
    bare = replace(first, result=replace(first.result, layer_results=()))
    found = reasons(store(tmp_path, [bare]))
    assert found["latency_per_layer"] == "the workloads have no layers"
    assert found["energy_per_component"] == "no point has an account of its energy"


def test_more_keys_than_looks_are_said_in_the_legend(tmp_path) -> None:
    axes = {"weight_bits": [4, 8], "guard_bits": [0, 4], "rows": [8, 16], "overflow": ["wrap", "saturate"]}
    frames = SweepFrames.from_points(points(axes))
    figure = PLOTS["accuracy_over_bits"](frames).figure
    (legend,) = figure.legends
    assert "not told apart:\noverflow" in [text.get_text() for text in legend.get_texts()]
    assert len(figure.axes[0].lines) == 2 * 2 * 2 + 1  # and the float network's


def test_a_folder_without_a_store_is_an_error(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        write_plots(tmp_path)


def test_the_same_results_give_the_same_bytes_in_another_process_with_other_settings(
    plots, sweep_folder, tmp_path
) -> None:
    script = """
import shutil, sys
from pathlib import Path
import matplotlib as mpl
from hwsim.report.plots import write_plots
mpl.rcParams.update({"font.size": 33, "axes.facecolor": "red"})
shutil.copy(Path(sys.argv[1]) / "results.sqlite", sys.argv[2])
write_plots(sys.argv[2])
assert mpl.rcParams["font.size"] == 33
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, sweep_folder, tmp_path], check=True)
    for outcome in plots.values():
        for path in outcome.paths:
            assert (tmp_path / "plots" / path.name).read_bytes() == path.read_bytes(), path.name


def test_plots_carry_no_date(plots) -> None:
    assert all(b"dc:date" not in outcome.paths[1].read_bytes() for outcome in plots.values() if outcome.paths)


def test_settings_are_back_after_drawing(plots) -> None:
    assert mpl.rcParams["svg.hashsalt"] is None


def test_few_values_have_the_palette_and_many_a_scale() -> None:
    assert colours(4) == list(PALETTE[:4])
    assert colours(7, ordered=True)[0] == "#440154"  # the dark end of viridis
    assert len(set(colours(40))) == 40


@pytest.mark.parametrize(
    ("largest_pj", "unit"), [(0.5, (1.0, "pJ")), (1e3, (1e3, "nJ")), (5e6, (1e6, "µJ")), (2e9, (1e9, "mJ"))]
)
def test_energy_has_a_readable_unit(largest_pj, unit) -> None:
    assert energy_unit(largest_pj) == unit


def test_cycles_of_a_batch_are_not_called_those_of_an_inference() -> None:
    assert [cycles_label(batch) for batch in (1, 4)] == ["cycles per inference", "cycles for 4 inferences at once"]
