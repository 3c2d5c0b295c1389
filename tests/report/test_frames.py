"""Stored results as frames, and what sets their points apart."""

from __future__ import annotations

import pandas as pd
import pytest
from synthetic_sweep import architecture, points, store

from hwsim.report.design import DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.results.points import write_points_csv
from hwsim.results.store import StoredPoint, SweepPoint


def test_points_are_those_of_points_csv(frames, sweep_folder) -> None:
    written = pd.read_csv(write_points_csv(sweep_folder), keep_default_na=False)
    pd.testing.assert_frame_equal(frames.points, written, check_dtype=False)
    assert len(frames.points) == 112


def test_layers_energy_and_overflows_add_up_to_their_point(frames) -> None:
    point = frames.points.iloc[100]
    for frame, column in (
        (frames.layers, "total_cycles"),
        (frames.energy, "energy_pj"),
        (frames.overflows, "overflow_events"),
    ):
        assert frames.of_point(frame, point["point"])[column].sum() == pytest.approx(point[column])


def test_every_frame_is_keyed_by_point(frames) -> None:
    for frame in (frames.points, frames.layers, frames.energy, frames.overflows):
        assert frame.columns[0] == "point"


def failed(number: int) -> StoredPoint:
    place = SweepPoint(number, f"failed{number}", "digits_mlp", {"array.guard_bits": 1})
    return StoredPoint(place, architecture(guard_bits=1), "failed", error="overflow at dense_1")


def test_failed_points_are_listed_but_not_done(tmp_path) -> None:
    frames = SweepFrames.load(store(tmp_path, [*points({"guard_bits": [0]}), failed(9)]))
    assert frames.points["status"].tolist() == ["ok", "ok", "failed"]
    assert frames.points["energy_pj"].isna().tolist() == [False, False, True]
    assert len(frames.done) == 2


def space_of(**axes) -> DesignSpace:
    zipped = axes.pop("zipped_bits", True)
    return DesignSpace.of(SweepFrames.from_points(points(axes, zipped_bits=zipped)).done)


def test_widths_that_go_together_are_one_axis(frames) -> None:
    space = DesignSpace.of(frames.done)
    assert space.keys == ("bits", "dataflow", "guard_bits")
    assert space.bits is not None
    assert space.bits.label == "weight bits / activation bits"
    assert space.bits.ticks(space.points) == {bits: f"{bits}/{bits}" for bits in range(2, 9)}


def test_widths_that_vary_on_their_own_are_two_keys() -> None:
    space = space_of(weight_bits=[2, 4], activation_bits=[4, 8], zipped_bits=False)
    assert space.keys == ("bits", "activation_bits")
    assert space.bits is not None
    assert space.bits.label == "weight bits"


def test_only_activations_may_vary() -> None:
    space = space_of(activation_bits=[4, 8])
    assert space.bits is not None
    assert (space.bits.column, space.bits.label) == ("activation_bits", "activation bits")


def test_one_width_is_no_axis() -> None:
    assert space_of(guard_bits=[0, 4]).bits is None


def test_the_best_point_is_the_most_accurate_then_the_one_of_least_energy(frames) -> None:
    space = DesignSpace.of(frames.done)
    best = space.best("digits_mlp")
    rivals = space.of_workload("digits_mlp")
    rivals = rivals[rivals["accuracy"] == rivals["accuracy"].max()]
    assert len(rivals) > 1
    assert best["accuracy"] == rivals["accuracy"].max()
    assert best["energy_pj"] == rivals["energy_pj"].min()
    assert space.describe(best) == "8/8 bits, output stationary, guard bits 4"
    assert space.caption(best) == "point 52: 8/8 bits, output stationary, guard bits 4"


def test_a_swept_key_that_some_points_lack_has_a_name_for_it() -> None:
    stored = points({"guard_bits": [0, 4]})
    stored[0].place.swept["quantization.calibrator"] = "percentile"
    space = DesignSpace.of(SweepFrames.from_points(stored).done)
    assert "quantization.calibrator" in space.keys
    assert set(space.points["quantization.calibrator"]) == {"percentile", "none"}
