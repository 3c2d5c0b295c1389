"""Accuracy over the operand width."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hwsim.report.design import BITS, BitsAxis, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import NEUTRAL, accuracy_axis, panels

_FLOAT_LINE: dict[str, Any] = {"color": NEUTRAL, "linestyle": "--", "linewidth": 1.2}


def accuracy_over_bits(frames: SweepFrames) -> Drawing:
    """One panel per workload, one line per design; the float network's accuracy is a dashed line."""
    done = frames.done
    space = DesignSpace.of(done[done["accuracy"].notna()])
    if space.points.empty:
        raise NotApplicableError("no point has an accuracy: the workloads have no labels")
    if space.bits is None:
        raise NotApplicableError("all points have one operand width")
    x_key = BITS if BITS in space.keys else None
    encoding = Encoding.of(space, x_key)
    figure, axes = panels(len(space.workloads), share_y=True)
    for panel, workload in zip(axes, space.workloads, strict=True):
        _draw_workload(panel, space.of_workload(workload), encoding, space.bits)
        panel.set_title(workload)
        accuracy_axis(panel, space.points["accuracy"])
    axes[0].set_ylabel("accuracy")
    has_float = bool(space.points["float_accuracy"].notna().any())
    encoding.legend(figure, [Line2D([], [], label="float network", **_FLOAT_LINE)] if has_float else [])
    figure.suptitle("Accuracy over operand width")
    return Drawing(figure, _data(space))


def _draw_workload(panel: Axes, points: pd.DataFrame, encoding: Encoding, bits: BitsAxis) -> None:
    for line, looks in encoding.lines(points.sort_values(bits.column, kind="stable")):
        panel.plot(line[bits.column], line["accuracy"], **looks)
    for float_accuracy in points["float_accuracy"].dropna().unique():
        panel.axhline(float_accuracy, **_FLOAT_LINE)
    ticks = bits.ticks(points)
    panel.set_xticks(list(ticks), list(ticks.values()))
    panel.set_xlabel(bits.label)


def _data(space: DesignSpace) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "accuracy", "float_accuracy"]
    return space.points[list(dict.fromkeys(columns))]
