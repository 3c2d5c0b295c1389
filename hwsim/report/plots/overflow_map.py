"""Where in the array adds overflow."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hwsim.report.design import DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import NOTHING, SEQUENTIAL_MAP, panels

_MOST_TICKS = 8


def overflow_map(frames: SweepFrames) -> Drawing:
    """One panel per workload: its point with the most events, all layers together.

    Where sums are added up in an accumulator under the array, that accumulator is the row below the last.
    """
    space = DesignSpace.of(frames.done)
    worst = [point for workload in space.workloads if (point := _worst(space, workload)) is not None]
    if not worst:
        raise NotApplicableError("no point has an overflow event")
    figure, axes = panels(len(worst), width_inches=4.5, height_inches=4.4)
    maps = []
    for panel, point in zip(axes, worst, strict=True):
        events = _events_per_place(frames, point)
        _draw_map(figure, panel, events, int(point["rows"]))
        panel.set_title(f"{point['workload']}: {events.sum():,} events")
        panel.set_xlabel(f"column\n{space.caption(point)}")
        maps.append(_data(events, point))
    figure.suptitle("Overflow events per PE of the design with the most")
    return Drawing(figure, pd.concat(maps))


def _worst(space: DesignSpace, workload: str) -> pd.Series[Any] | None:
    points = space.of_workload(workload)
    point = points.sort_values("overflow_events", ascending=False, kind="stable").iloc[0]
    return point if point["overflow_events"] > 0 else None


def _events_per_place(frames: SweepFrames, point: pd.Series[Any]) -> NDArray[np.int64]:
    """Return events by row and column; a row more than the array's when its accumulator is under it."""
    rows, cols = int(point["rows"]), int(point["cols"])
    under_array = point["dataflow"] != "output_stationary"
    events = np.zeros((rows + under_array, cols), dtype=np.int64)
    places = frames.of_point(frames.overflows, point["point"])
    indices = (places["row"].to_numpy(), places["col"].to_numpy())
    np.add.at(events, indices, places["overflow_events"].to_numpy())
    return events


def _draw_map(figure: Figure, panel: Axes, events: NDArray[np.int64], rows: int) -> None:
    scale = mpl.colormaps[SEQUENTIAL_MAP].with_extremes(bad=NOTHING)
    norm = LogNorm(vmin=1, vmax=max(2, int(events.max())))
    image = panel.imshow(np.ma.masked_equal(events, 0), cmap=scale, norm=norm, interpolation="nearest")
    bar = figure.colorbar(image, ax=panel, shrink=0.8)
    bar.set_label("overflow events, all samples (grey: none)")
    panel.grid(visible=False)
    panel.set_ylabel("row")
    panel.set_xticks(_ticks(events.shape[1]))
    names = {row: str(row) for row in _ticks(rows)}
    if len(events) > rows:
        panel.axhline(rows - 0.5, color="white", linewidth=3)
        names = {row: name for row, name in names.items() if row < rows - 1} | {rows: "accum."}
    panel.set_yticks(list(names), list(names.values()))


def _ticks(count: int) -> list[int]:
    step = max(1, -(-count // _MOST_TICKS))
    return list(range(0, count, step))


def _data(events: NDArray[np.int64], point: pd.Series[Any]) -> pd.DataFrame:
    row, col = (index.ravel() for index in np.indices(events.shape))
    place = np.where(row < point["rows"], "pe", "accumulator")
    places = {"point": point["point"], "workload": point["workload"], "row": row, "col": col, "place": place}
    return pd.DataFrame(places | {"overflow_events": events.ravel()})
