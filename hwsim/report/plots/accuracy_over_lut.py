"""Accuracy over the number of entries of the activation lookup table."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from hwsim.report.design import BITS, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.accuracy import FLOAT_LINE, labelled
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import accuracy_axis, panels

ENTRIES = "activation_lut.entries"
RANGE = "activation_lut.input_range"
MOST_PANELS = 9
TITLE_CHARACTERS = 40


def accuracy_over_lut_entries(frames: SweepFrames) -> Drawing:
    """One line per input range; one panel per workload and whatever else differs, unless these are too many."""
    space = _with_named_ranges(labelled(frames))
    if ENTRIES not in space.keys:
        raise NotApplicableError("all points have the same number of LUT entries")
    split = _split(space)
    shown = replace(space, keys=tuple(key for key in space.keys if key not in split))
    encoding = Encoding.of(shown, ENTRIES, colour_first=(RANGE,))
    groups = [points for _, points in space.points.groupby(["workload", *split], sort=False)]
    figure, axes = panels(len(groups), share_y=True, columns=2 if len(groups) == 4 else 3)
    for panel, points in zip(axes, groups, strict=True):
        _draw(panel, points, encoding)
        panel.set_title(_title(space, points.iloc[0], split))
        accuracy_axis(panel, space.points["accuracy"])
    axes[0].set_ylabel("accuracy")
    has_float = bool(space.points["float_accuracy"].notna().any())
    encoding.legend(figure, [Line2D([], [], label="float network", **FLOAT_LINE)] if has_float else [])
    figure.suptitle("Accuracy over entries of the activation LUT")
    return Drawing(figure, _data(space))


def _with_named_ranges(space: DesignSpace) -> DesignSpace:
    """Return the points with ``-8 to 8`` for the range ``[-8, 8]``."""
    if RANGE not in space.keys:
        return space
    names = {text: "{:g} to {:g}".format(*json.loads(text)) for text in space.points[RANGE].unique()}
    return replace(space, points=space.points.assign(**{RANGE: space.points[RANGE].map(names)}))


def _split(space: DesignSpace) -> list[str]:
    """Return the keys whose values get panels of their own."""
    split = [key for key in space.keys if key not in (ENTRIES, RANGE)]
    count = len(space.points[["workload", *split]].drop_duplicates())
    return split if count <= MOST_PANELS else []


def _draw(panel: Axes, points: pd.DataFrame, encoding: Encoding) -> None:
    for line, looks in encoding.lines(points.sort_values(ENTRIES, kind="stable")):
        panel.plot(line[ENTRIES], line["accuracy"], **looks)
    for float_accuracy in points["float_accuracy"].dropna().unique():
        panel.axhline(float_accuracy, **FLOAT_LINE)
    ticks = sorted(points[ENTRIES].unique())
    panel.set_xscale("log", base=2)
    panel.set_xticks(ticks, [str(int(tick)) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("entries")


def _title(space: DesignSpace, point: pd.Series[str], split: list[str]) -> str:
    others = tuple(key for key in space.keys if key not in split)
    settings = space.describe(point, without=others).replace("activation LUT ", "")
    parts = [point["workload"]] if len(space.workloads) > 1 or not settings else []
    return fill(": ".join([*parts, settings]).strip(": "), TITLE_CHARACTERS)


def _data(space: DesignSpace) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "accuracy", "float_accuracy", "sqnr_db"]
    return space.points[list(dict.fromkeys(columns))]
