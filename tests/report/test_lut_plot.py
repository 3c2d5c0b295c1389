"""Accuracy over the entries of the activation LUT: which panels and lines there are, and when there is no such plot."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from synthetic_sweep import points

from hwsim.report.design import SETTINGS, DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots import PLOTS
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.results.store import StoredPoint

TABLES: dict[str, list[Any]] = {
    "activation_lut.output_bits": [8, 16],
    "activation_lut.interpolation": ["none", "linear"],
    "activation_lut.input_range": [[-1, 1], [-8, 8]],
    "activation_lut.entries": [64, 8],
}


def tables(**fewer: list[Any]) -> SweepFrames:
    """Points of one workload over the tables; accuracy falls with the point's number."""
    axes = TABLES | {f"activation_lut.{key}": values for key, values in fewer.items()}
    stored = next(one for one in points({"weight_bits": [8]}) if one.place.workload == "digits_mlp")
    made = [
        _point(stored, number, dict(zip(axes, values, strict=True)))
        for number, values in enumerate(product(*axes.values()))
    ]
    return SweepFrames.from_points(made)


def _point(stored: StoredPoint, number: int, swept: dict[str, Any]) -> StoredPoint:
    place = replace(stored.place, point=number, key=f"key{number}", swept=swept)
    assert stored.result is not None
    return replace(stored, place=place, result=replace(stored.result, accuracy=0.9 - number / 100))


def drawn(frames: SweepFrames) -> Drawing:
    return PLOTS["accuracy_over_lut_entries"](frames)


def test_a_panel_for_each_kind_of_table_and_a_line_for_each_range() -> None:
    panels = drawn(tables()).figure.axes
    assert [panel.get_title() for panel in panels] == [
        "output bits 8, interpolation none",
        "output bits 8, interpolation linear",
        "output bits 16, interpolation none",
        "output bits 16, interpolation linear",
    ]
    assert [len(panel.lines) for panel in panels] == [2 + 1] * 4  # and the float network's


def test_lines_go_from_few_to_many_entries() -> None:
    line, *_ = drawn(tables()).figure.axes[0].lines
    assert list(line.get_xdata()) == [8, 64]
    assert list(line.get_ydata()) == [0.89, 0.9]


def test_entries_stand_on_a_scale_of_doublings() -> None:
    panel = drawn(tables()).figure.axes[0]
    assert panel.get_xscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["8", "64"]


def test_the_legend_names_the_ranges() -> None:
    (legend,) = drawn(tables()).figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["activation LUT input range", "-1 to 1", "-8 to 8", "float network"]


def test_the_data_are_every_point_with_its_table() -> None:
    data = drawn(tables()).data
    assert len(data) == 16
    assert set(TABLES) <= set(data.columns)


def test_without_other_differences_the_workload_is_the_title() -> None:
    frames = tables(output_bits=[8], interpolation=["none"], input_range=[[-8, 8]])
    (panel,) = drawn(frames).figure.axes
    assert panel.get_title() == "digits_mlp"
    assert len(panel.lines) == 1 + 1


def test_one_number_of_entries_is_nothing_to_draw() -> None:
    with pytest.raises(NotApplicableError, match=r"^all points have the same number of LUT entries$"):
        drawn(tables(entries=[256]))


def test_crossed_keys_are_no_settings_however_many_they_are() -> None:
    space = DesignSpace.of(tables().done)
    assert set(space.keys) == set(TABLES)
    assert SETTINGS not in space.points


def test_equal_energies_are_nothing_to_draw_against_accuracy() -> None:
    with pytest.raises(NotApplicableError, match=r"^all points of a workload take the same energy, within a thousan"):
        PLOTS["energy_against_accuracy"](tables())
