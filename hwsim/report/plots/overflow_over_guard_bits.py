"""Overflow events over guard bits."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from hwsim.report.design import BITS, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import panels


def overflow_over_guard_bits(frames: SweepFrames) -> Drawing:
    """One panel per workload, one line per design; the scale is logarithmic above 1 and shows 0 as 0."""
    points = frames.integers
    space = DesignSpace.of(points[points["overflow_events"].notna()].astype({"overflow_events": int}))
    if "guard_bits" not in space.keys:
        raise NotApplicableError("all points have the same guard bits")
    if not (space.points["overflow_events"] > 0).any():
        raise NotApplicableError("no point has an overflow event")
    encoding = Encoding.of(space, "guard_bits", colour_first=(BITS, "overflow"))
    figure, axes = panels(len(space.workloads), share_y=True)
    for panel, workload in zip(axes, space.workloads, strict=True):
        _draw_workload(panel, space.of_workload(workload), encoding, space.points["overflow_events"].max())
        panel.set_title(workload)
    axes[0].set_ylabel("overflow events, all samples")
    encoding.legend(figure)
    figure.suptitle("Overflow events over guard bits")
    return Drawing(figure, _data(space))


def _draw_workload(panel: Axes, points: pd.DataFrame, encoding: Encoding, most_events: float) -> None:
    for line, looks in encoding.lines(points.sort_values("guard_bits", kind="stable")):
        panel.plot(line["guard_bits"], line["overflow_events"], clip_on=False, **looks)
    panel.set_xticks(sorted(points["guard_bits"].unique()))
    panel.set_xlabel("guard bits")
    panel.set_yscale("symlog", linthresh=1, linscale=0.5)
    panel.set_ylim(bottom=0, top=2 * most_events)


def _data(space: DesignSpace) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "overflow_events"]
    return space.points[list(dict.fromkeys(columns))]
