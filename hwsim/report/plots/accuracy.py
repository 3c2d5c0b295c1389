"""Accuracy over the operand width, and over the guard bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hwsim.report.design import BITS, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import NEUTRAL, accuracy_axis, panels

FLOAT_LINE: dict[str, Any] = {"color": NEUTRAL, "linestyle": "--", "linewidth": 1.2}


def accuracy_over_bits(frames: SweepFrames) -> Drawing:
    """One panel per workload, one line per design; the float network's accuracy is a dashed line."""
    space = labelled(frames)
    if space.bits is None:
        raise NotApplicableError("all points have one operand width")
    bits = space.bits
    encoding = Encoding.of(space, BITS if BITS in space.keys else None)

    def set_ticks(panel: Axes, points: pd.DataFrame) -> None:
        ticks = bits.ticks(points)
        panel.set_xticks(list(ticks), list(ticks.values()))
        panel.set_xlabel(bits.label)

    return _drawing(space, encoding, bits.column, set_ticks, "Accuracy over operand width")


def accuracy_over_guard_bits(frames: SweepFrames) -> Drawing:
    """One panel per workload, one line per design; the float network's accuracy is a dashed line."""
    space = labelled(frames)
    if "guard_bits" not in space.keys:
        raise NotApplicableError("all points have the same guard bits")
    encoding = Encoding.of(space, "guard_bits", colour_first=(BITS, "overflow"))

    def set_ticks(panel: Axes, points: pd.DataFrame) -> None:
        panel.set_xticks(sorted(points["guard_bits"].unique()))
        panel.set_xlabel("guard bits")

    return _drawing(space, encoding, "guard_bits", set_ticks, "Accuracy over guard bits")


def labelled(frames: SweepFrames) -> DesignSpace:
    """Return the points of integers that have an accuracy."""
    points = frames.integers
    if points.empty:
        raise NotApplicableError("no point computes with integers")
    space = DesignSpace.of(points[points["accuracy"].notna()])
    if space.points.empty:
        raise NotApplicableError("no point has an accuracy: the workloads have no labels")
    return space


def _drawing(
    space: DesignSpace,
    encoding: Encoding,
    x_column: str,
    set_ticks: Callable[[Axes, pd.DataFrame], None],
    title: str,
) -> Drawing:
    figure, axes = panels(len(space.workloads), share_y=True)
    for panel, workload in zip(axes, space.workloads, strict=True):
        points = space.of_workload(workload)
        for line, looks in encoding.lines(points.sort_values(x_column, kind="stable")):
            panel.plot(line[x_column], line["accuracy"], **looks)
        for float_accuracy in points["float_accuracy"].dropna().unique():
            panel.axhline(float_accuracy, **FLOAT_LINE)
        set_ticks(panel, points)
        panel.set_title(workload)
        accuracy_axis(panel, space.points["accuracy"])
    axes[0].set_ylabel("accuracy")
    has_float = bool(space.points["float_accuracy"].notna().any())
    encoding.legend(figure, [Line2D([], [], label="float network", **FLOAT_LINE)] if has_float else [])
    figure.suptitle(title)
    return Drawing(figure, _data(space))


def _data(space: DesignSpace) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "accuracy", "float_accuracy"]
    return space.points[list(dict.fromkeys(columns))]
