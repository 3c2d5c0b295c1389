"""The roofline: what each layer of the best design reaches of what the array and DRAM allow."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from hwsim.report.design import DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import PALETTE, panels

MOST_LABELS = 12
BITS_PER_BYTE = 8
_ROOM = 4.0  # factor between the ridge and the edge of the panel, at least
_COMPUTE, _MEMORY, _LAYERS = PALETTE[1], PALETTE[2], PALETTE[0]


def roofline(frames: SweepFrames) -> Drawing:
    """One panel per workload: its best design, a dot for each layer with a matrix product that DRAM takes part in.

    Across: multiply-accumulates for each byte to or from DRAM; up: multiply-accumulates for each cycle of the layer.
    No layer lies above the number of PEs, nor above what DRAM's bandwidth feeds, unless its weights have come while
    another one ran (``mapping.layer_overlap``). Both scales are logarithmic.
    """
    space = DesignSpace.of(frames.done)
    layers = {name: _layers(frames, space.best(name)) for name in space.workloads}
    shown = {name: rows for name, rows in layers.items() if len(rows)}
    if not shown:
        raise NotApplicableError("no layer has both a matrix product and traffic to or from DRAM")
    figure, axes = panels(len(shown), width_inches=5.0, height_inches=4.4)
    for panel, (workload, rows) in zip(axes, shown.items(), strict=True):
        _draw_workload(panel, rows)
        panel.set_title(workload)
        panel.set_xlabel(f"MACs per byte of DRAM\n{space.caption(space.best(workload))}")
    axes[0].set_ylabel("MACs per cycle")
    figure.suptitle(f"Roofline of {space.best_name}")
    return Drawing(figure, pd.concat([rows.assign(workload=workload) for workload, rows in shown.items()]))


def _layers(frames: SweepFrames, point: pd.Series[Any]) -> pd.DataFrame:
    """Return the layers of a point with their place in the plot, and the point's two roofs."""
    number = point["point"]
    energy = frames.of_point(frames.energy, number)
    bits = energy[energy["component"] == "dram"].groupby("layer")["count"].sum()
    rows = frames.of_point(frames.layers, number)[["point", "layer", "macs", "total_cycles"]]
    rows = rows.assign(dram_bytes=rows["layer"].map(bits).fillna(0) / BITS_PER_BYTE)
    rows = rows[(rows["macs"] > 0) & (rows["dram_bytes"] > 0)]
    return rows.assign(
        macs_per_byte=rows["macs"] / rows["dram_bytes"],
        macs_per_cycle=rows["macs"] / rows["total_cycles"],
        most_macs_per_cycle=frames.pes[number],
        dram_bytes_per_cycle=frames.dram_bytes_per_cycle[number],
    )


def _draw_workload(panel: Axes, rows: pd.DataFrame) -> None:
    most, bandwidth = (int(rows[name].iloc[0]) for name in ("most_macs_per_cycle", "dram_bytes_per_cycle"))
    ridge = most / bandwidth
    low, high = _decades([*rows["macs_per_byte"], ridge / _ROOM, ridge * _ROOM])
    bottom, top = _decades([*rows["macs_per_cycle"], low * bandwidth, _ROOM * most])
    panel.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top))
    panel.plot([low, ridge], [low * bandwidth, most], color=_MEMORY)
    panel.plot([ridge, high], [most, most], color=_COMPUTE)
    for text, place, colour in (
        (f"{bandwidth:,} bytes per cycle", ridge, _MEMORY),
        (f"{most:,} PEs", high, _COMPUTE),
    ):
        panel.annotate(text, (place, most), (-4, 4), textcoords="offset points", ha="right", color=colour)
    panel.plot(rows["macs_per_byte"], rows["macs_per_cycle"], "o", color=_LAYERS, alpha=0.8)
    if len(rows) <= MOST_LABELS:
        _label(panel, rows)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _decades(values: Iterable[float]) -> tuple[float, float]:
    """Return the powers of ten round the values."""
    logarithms = [log10(value) for value in values]
    return 10.0 ** floor(min(logarithms)), 10.0 ** ceil(max(logarithms))


def _label(panel: Axes, rows: pd.DataFrame) -> None:
    """Name the layers; those whose dots cover each other share a label."""
    names: dict[tuple[float, float], list[str]] = {}
    places: dict[tuple[float, float], tuple[float, float]] = {}
    for name, across, up in zip(rows["layer"], rows["macs_per_byte"], rows["macs_per_cycle"], strict=True):
        near = (round(log10(across), 1), round(log10(up), 1))
        names.setdefault(near, []).append(str(name))
        places.setdefault(near, (across, up))
    for near, together in names.items():
        text = ", ".join(together)
        panel.annotate(text, places[near], (6, 0), textcoords="offset points", va="center", fontsize=8)
