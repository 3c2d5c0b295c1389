"""A picture of a trace: what each unit does when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from hwsim.errors import ConfigError
from hwsim.report.plots.drawing import Drawing, write_drawing
from hwsim.report.style import CYCLE_COLOURS, NEUTRAL, plot_style

LAYERS, CLASSES = "layers", "cycles by class"
_HEIGHT = 0.8
_INCHES_PER_TRACK = 0.34


def write_trace_plot(path: Path) -> tuple[Path, ...]:
    """Draw the slices of a trace file as bars, one row for each track, beside the file.

    Raises:
        ConfigError: the file is no trace, or a picture cannot be written.
    """
    slices = read_slices(path)
    with plot_style():
        return write_drawing(draw_trace(slices), path.parent, path.stem)


def read_slices(path: Path) -> pd.DataFrame:
    """Return one row for each slice: track, name, layer, start and end in cycles.

    Raises:
        ConfigError: the file cannot be read, is no trace, or has no slices.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
        tracks = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
        rows = [_row(one, tracks) for one in events if one["ph"] == "X"]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no trace of a run ({type(error).__name__}: {error})") from None
    if not rows:
        raise ConfigError(f"{path}: a trace without slices")
    return pd.DataFrame(rows)


def _row(event: dict[str, Any], tracks: dict[int, str]) -> dict[str, Any]:
    return {
        "track": tracks[event["tid"]],
        "name": event["name"],
        "layer": event["args"]["layer"],
        "start": event["ts"],
        "end": event["ts"] + event["dur"],
    }


def draw_trace(slices: pd.DataFrame) -> Drawing:
    """Draw the innermost slices; the array's folds stand behind their phases as thin frames."""
    tracks = _ordered(dict.fromkeys(slices["track"]))
    figure = Figure(figsize=(11, 1.6 + _INCHES_PER_TRACK * len(tracks)), layout="constrained")
    panel = figure.subplots()
    for place, track in enumerate(tracks):
        _draw_track(panel, place, slices[slices["track"] == track])
    panel.set_yticks(range(len(tracks)), tracks)
    panel.set_ylim(len(tracks) - 0.4, -0.6)
    panel.set_xlim(0, slices["end"].max())
    panel.set_xlabel("cycle")
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.grid(visible=False, axis="y")
    patches = [Patch(color=colour, label=name) for name, colour in CYCLE_COLOURS.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    figure.suptitle("What each unit does when")
    return Drawing(figure, slices)


def _ordered(tracks: Iterable[str]) -> list[str]:
    """Put the layers and the classes of cycles on top, then the units on the way of data."""
    order = (LAYERS, CLASSES, "DRAM", "activation scratchpad", "weight scratchpad", "array", "requantizer")
    rank = {prefix: place for place, prefix in enumerate(order)}
    return sorted(tracks, key=lambda track: min((rank[one] for one in order if track.startswith(one)), default=99))


def _draw_track(panel: Axes, place: int, slices: pd.DataFrame) -> None:
    is_phase = slices["name"].isin(CYCLE_COLOURS)
    whole, phases = slices[~is_phase], slices[is_phase]
    for number, bar in enumerate(_bars(whole)):
        looks: dict[str, Any] = {"color": NEUTRAL, "alpha": 0.9 if number % 2 else 0.6}
        if len(phases):
            looks = {"facecolor": "none", "edgecolor": NEUTRAL, "linewidth": 0.5}
        panel.broken_barh([bar], (place - _HEIGHT / 2, _HEIGHT), **looks)
    for name, rows in phases.groupby("name"):
        panel.broken_barh(_bars(rows), (place - _HEIGHT / 2, _HEIGHT), color=CYCLE_COLOURS[str(name)], linewidth=0)
    if slices["track"].iloc[0] == LAYERS:
        for name, (start, length) in zip(slices["name"], _bars(slices), strict=True):
            panel.text(start + length / 2, place, name, ha="center", va="center", fontsize=8, color="white")


def _bars(slices: pd.DataFrame) -> list[tuple[int, int]]:
    """Return (start, length) of each slice."""
    starts, ends = slices["start"].tolist(), slices["end"].tolist()
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]
