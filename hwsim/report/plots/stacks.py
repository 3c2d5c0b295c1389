"""Stacked bars: how a total is made up."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hwsim.report.design import key_name


def draw_rows(
    panel: Axes, parts: pd.DataFrame, part_colours: dict[str, str], *, total_format: str, room_for: int
) -> None:
    """Draw one horizontal bar for each row of ``parts``, first row on top, with its total at the end.

    ``room_for`` is the number of bars in the fullest panel: all bars of a figure are equally thick.
    """
    places = range(len(parts))
    start = pd.Series(0.0, index=parts.index)
    for part in parts.columns:
        panel.barh(places, parts[part], left=start, color=part_colours[part], height=0.7)
        start = start + parts[part]
    for place, total in zip(places, start, strict=True):
        panel.annotate(
            total_format.format(total),
            (total, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    panel.set_yticks(list(places), [str(name) for name in parts.index])
    panel.set_ylim(room_for - 0.4, -0.6)
    panel.set_xlim(0, 1.18 * (start.max() or 1))
    panel.grid(visible=False, axis="y")


def draw_columns(panel: Axes, parts: pd.DataFrame, part_colours: dict[str, str]) -> None:
    """Draw one upright bar for each row of ``parts``."""
    places = range(len(parts))
    start = pd.Series(0.0, index=parts.index)
    for part in parts.columns:
        panel.bar(places, parts[part], bottom=start, color=part_colours[part], width=0.75)
        start = start + parts[part]
    panel.set_xticks(list(places), [str(name) for name in parts.index])
    panel.set_ylim(0, 1.06 * (start.max() or 1))  # automatic limits stop at the top of the highest bar
    panel.grid(visible=False, axis="x")


def part_legend(figure: Figure, part_colours: dict[str, str], title: str, *, top_down: bool) -> None:
    """Put the parts' names at the right, in the order in which upright bars show them if ``top_down``."""
    patches = [Patch(color=colour, label=key_name(part)) for part, colour in part_colours.items()]
    ordered = patches[::-1] if top_down else patches
    figure.legend(
        handles=ordered,
        title=title,
        title_fontproperties={"weight": "bold", "size": 9},
        loc="outside right center",
        alignment="left",
    )
