"""Signal-to-quantization-noise ratio of every design at every operand width."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from hwsim.report.design import BITS, DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import NOTHING, panels

MOST_DESIGNS = 40
_GAIN_MAP = "RdBu"
_FULL_COLOUR_DB = 6.0  # a bit's worth
_DARK_DB = 4.5  # a gain whose colour is too dark for black figures
_LABEL_CHARACTERS = 40


def sqnr_by_design(frames: SweepFrames) -> Drawing:
    """One panel per workload: designs down, operand widths across, the SQNR of the network's output in each cell.

    Colour is the gain over the first design at the same width, full at 6 dB: what one bit more is worth.
    """
    done = frames.done
    space = DesignSpace.of(done[done["sqnr_db"].notna()])
    if space.points.empty:
        raise NotApplicableError("no point has an SQNR: the workloads have no float outputs to compare with")
    if space.bits is None:
        raise NotApplicableError("all points have one operand width")
    designs = [space.describe(point, without=(BITS,)) for _, point in space.points.iterrows()]
    points = space.points.assign(design=designs)
    names = list(dict.fromkeys(designs))
    if not 2 <= len(names) <= MOST_DESIGNS:
        raise NotApplicableError(f"{len(names)} designs of each width; drawn from 2 to {MOST_DESIGNS}")
    widths = list(space.bits.ticks(space.points).values())
    figure, axes = panels(
        len(space.workloads),
        share_y=True,
        width_inches=2.2 + 0.5 * len(widths),
        height_inches=1.2 + 0.32 * len(names),
    )
    for panel, workload in zip(axes, space.workloads, strict=True):
        _draw_workload(panel, _table(points[points["workload"] == workload], names, widths))
        panel.set_title(workload)
        panel.set_xlabel(space.bits.label)
    axes[0].set_yticks(range(len(names)), [fill(name, _LABEL_CHARACTERS) for name in names], fontsize=8)
    figure.suptitle(f"SQNR of the outputs, dB (colour: gain over “{names[0]}”, full at {_FULL_COLOUR_DB:g} dB)")
    return Drawing(figure, _data(space, points))


def _table(points: pd.DataFrame, names: list[str], widths: list[str]) -> pd.DataFrame:
    """Return SQNR in dB, one row per design, one column per width; NaN where a point is missing."""
    cells = points.drop_duplicates(["design", BITS]).pivot_table(index="design", columns=BITS, values="sqnr_db")
    return cells.reindex(index=names, columns=widths)


def _draw_workload(panel: Axes, table: pd.DataFrame) -> None:
    gains = table - table.iloc[0]
    shown = np.ma.masked_invalid(gains.clip(-_FULL_COLOUR_DB, _FULL_COLOUR_DB).to_numpy())
    panel.imshow(
        shown, cmap=_GAIN_MAP, norm=TwoSlopeNorm(0.0, -_FULL_COLOUR_DB, _FULL_COLOUR_DB), aspect="auto", alpha=0.75
    )
    panel.set_facecolor(NOTHING)
    panel.grid(visible=False)
    panel.set_xticks(range(table.shape[1]), list(table.columns))
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        if not np.isnan(value):
            colour = "white" if abs(shown[row, column]) > _DARK_DB else "black"
            panel.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color=colour)


def _data(space: DesignSpace, points: pd.DataFrame) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "design", "sqnr_db"]
    return points[list(dict.fromkeys(columns))]
