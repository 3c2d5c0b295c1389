"""A picture of a trace: what each unit does when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from hwsim.errors import ConfigError
from hwsim.report.plots.drawing import Drawing, write_drawing
from hwsim.report.style import CYCLE_COLOURS, NEUTRAL, plot_style

LAYERS, CLASSES = "layers", "cycles by class"
_HEIGHT = 0.8
_INCHES_PER_TRACK = 0.34
_PIXELS_ACROSS = 1300
"""About as many columns of pixels as the panel has; a track with more slices is drawn by pixels."""
_CHARACTERS_ACROSS = 125
"""As many characters of a layer's name fit side by side into the panel."""
_GREY_OPACITIES = (0.6, 0.9)
"""Of neighbouring slices that have no colour of their own."""


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
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ConfigError(f"{path}: no trace of a run, as hwsim run --trace writes it") from None
    if not rows:
        raise ConfigError(f"{path}: a trace without slices")
    return pd.DataFrame(rows)


def _row(event: dict[str, Any], tracks: dict[int, str]) -> dict[str, Any]:
    """Return a slice's row; whatever is wrong with it is a ValueError, KeyError, TypeError or OverflowError."""
    track, name, layer = tracks[event["tid"]], event["name"], event["args"]["layer"]
    start, end = event["ts"], event["ts"] + event["dur"]
    if not all(isinstance(text, str) for text in (track, name, layer)):
        raise TypeError("a name that is no text")
    if not (isfinite(end) and 0 <= start <= end):
        raise ValueError("no span of cycles")
    return {"track": track, "name": name, "layer": layer, "start": start, "end": end}


def draw_trace(slices: pd.DataFrame) -> Drawing:
    """Draw the innermost slices; the array's folds stand behind their phases as thin frames."""
    tracks = _ordered(dict.fromkeys(slices["track"]))
    figure = Figure(figsize=(11, 1.6 + _INCHES_PER_TRACK * len(tracks)), layout="constrained")
    panel = figure.subplots()
    last_cycle = max(1, slices["end"].max())
    for place, track in enumerate(tracks):
        _draw_track(panel, place, slices[slices["track"] == track], last_cycle)
    panel.set_yticks(range(len(tracks)), tracks)
    panel.set_ylim(len(tracks) - 0.4, -0.6)
    panel.set_xlim(0, last_cycle)
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


def _draw_track(panel: Axes, place: int, slices: pd.DataFrame, last_cycle: float) -> None:
    is_phase = slices["name"].isin(CYCLE_COLOURS)
    whole, phases = slices[~is_phase], slices[is_phase]
    is_crowded = len(slices) > _PIXELS_ACROSS
    if is_crowded:
        whole = by_pixels(whole.assign(name=""), last_cycle / _PIXELS_ACROSS)
        phases = by_pixels(phases, last_cycle / _PIXELS_ACROSS)
    height = (place - _HEIGHT / 2, _HEIGHT)
    if phases.empty:
        greys = [to_rgba(NEUTRAL, _GREY_OPACITIES[number % 2]) for number in range(len(whole))]
        panel.broken_barh(_bars(whole), height, color=greys, linewidth=0 if is_crowded else 1)
    elif not is_crowded:
        panel.broken_barh(_bars(whole), height, facecolor="none", edgecolor=NEUTRAL, linewidth=0.5)
    for name, rows in phases.groupby("name"):
        panel.broken_barh(_bars(rows), height, color=CYCLE_COLOURS[str(name)], linewidth=0)
    if slices["track"].iloc[0] == LAYERS:
        _name_layers(panel, place, slices, last_cycle / _CHARACTERS_ACROSS)


def _name_layers(panel: Axes, place: int, slices: pd.DataFrame, cycles_per_character: float) -> None:
    """Write the layers' names into their slices where they fit."""
    for name, (start, length) in zip(slices["name"], _bars(slices), strict=True):
        if length >= len(name) * cycles_per_character:
            panel.text(start + length / 2, place, name, ha="center", va="center", fontsize=8, color="white")


def by_pixels(slices: pd.DataFrame, cycles_per_pixel: float) -> pd.DataFrame:
    """Return name, start and end of a track's slices, those narrower than a pixel put together.

    A pixel that narrow slices begin in goes to the name that has the most cycles of them; neighbouring pixels of one
    name are one slice.
    """
    cycles = slices["end"] - slices["start"]
    wide, narrow = slices[cycles >= cycles_per_pixel], slices[cycles < cycles_per_pixel]
    pixel = (narrow["start"] // cycles_per_pixel).rename("pixel")
    shares = cycles[narrow.index].groupby([pixel, narrow["name"]]).sum().rename("cycles").reset_index()
    largest = shares.sort_values(["pixel", "cycles"], ascending=[True, False]).drop_duplicates("pixel")
    begins = largest["pixel"].diff().ne(1) | largest["name"].ne(largest["name"].shift())
    runs = largest.groupby(begins.cumsum()).agg(name=("name", "first"), start=("pixel", "min"), end=("pixel", "max"))
    runs = runs.assign(start=runs["start"] * cycles_per_pixel, end=(runs["end"] + 1) * cycles_per_pixel)
    return pd.concat([wide[["name", "start", "end"]], runs]).sort_values("start", ignore_index=True)


def _bars(slices: pd.DataFrame) -> list[tuple[int, int]]:
    """Return (start, length) of each slice."""
    starts, ends = slices["start"].tolist(), slices["end"].tolist()
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]
