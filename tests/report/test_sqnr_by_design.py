"""Sweeps that vary one of many things at a time, and the map of SQNR by design and width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic_sweep import points

from hwsim.report.design import SETTINGS, DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots import PLOTS
from hwsim.report.plots.drawing import NotApplicableError
from hwsim.results.store import StoredPoint

SCHEMES: tuple[dict[str, Any], ...] = (
    {},
    {"quantization.weights.granularity": "per_tensor"},
    {"quantization.calibrator": {"name": "percentile", "percentile": 99.9}},
    {"quantization.repairs": ["equalization", "bias_correction"]},
    {"quantization.activations.symmetric": True, "quantization.calibrator": "mse"},
)
FIRST = {
    "quantization.weights.granularity": "per_channel",
    "quantization.calibrator": "min_max",
    "quantization.repairs": [],
    "quantization.activations.symmetric": False,
}


def of_schemes() -> list[StoredPoint]:
    """Two workloads, three widths, five schemes."""
    made = [
        replace(stored, place=replace(stored.place, swept={**stored.place.swept, **FIRST, **scheme}))
        for stored in points({"weight_bits": [2, 4, 8]})
        for scheme in SCHEMES
    ]
    return [
        replace(stored, place=replace(stored.place, point=number, key=f"key{number}"))
        for number, stored in enumerate(made)
    ]


def test_points_that_differ_in_many_keys_are_named_by_what_departs_from_the_first() -> None:
    space = DesignSpace.of(SweepFrames.from_points(of_schemes()).done)
    assert space.keys == ("bits", SETTINGS)
    assert list(dict.fromkeys(space.points[SETTINGS])) == [
        "reference",
        "weights granularity per tensor",
        'calibrator {"name": "percentile", "percentile": 99.9}',
        "repairs equalization, bias correction",
        "calibrator mse, activations symmetric",
    ]
    assert space.describe(space.points.iloc[1]) == "2/2 bits, weights granularity per tensor"


def test_points_that_differ_in_two_keys_are_named_by_both() -> None:
    two = ("quantization.weights.granularity", "quantization.activations.symmetric")
    stored = [
        replace(one, place=replace(one.place, swept={key: one.place.swept[key] for key in two})) for one in of_schemes()
    ]
    assert DesignSpace.of(SweepFrames.from_points(stored).done).keys == ("bits", *two)


def test_the_map_has_a_row_for_each_design_and_a_column_for_each_width() -> None:
    frames = SweepFrames.from_points(of_schemes())
    drawing = PLOTS["sqnr_by_design"](frames)
    first, second = drawing.figure.axes
    assert [label.get_text() for label in first.get_xticklabels()] == ["2/2", "4/4", "8/8"]
    assert len(first.get_yticklabels()) == len(SCHEMES)
    figures = [text.get_text() for text in second.texts]
    shown = frames.done[frames.done["workload"] == second.get_title()].sort_values(["weight_bits", "point"])
    by_design = np.array(shown["sqnr_db"]).reshape(3, len(SCHEMES)).T
    assert figures == [f"{value:.1f}" for value in by_design.ravel()]
    assert drawing.data["sqnr_db"].tolist() == frames.done["sqnr_db"].tolist()


def test_a_map_needs_widths_designs_and_figures() -> None:
    widths_alone = SweepFrames.from_points(points({"weight_bits": [2, 8]}))
    with pytest.raises(NotApplicableError, match=r"^1 designs of each width; drawn from 2 to 40$"):
        PLOTS["sqnr_by_design"](widths_alone)
    stored = [replace(one, result=one.result and replace(one.result, sqnr_db=None)) for one in of_schemes()]
    with pytest.raises(NotApplicableError, match=r"^no point has an SQNR: "):
        PLOTS["sqnr_by_design"](SweepFrames.from_points(stored))
