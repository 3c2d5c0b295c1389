"""How all plots look: one style, one palette, no global state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil, floor
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MultipleLocator, PercentFormatter

PNG_DOTS_PER_INCH = 150

# Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers; yellow, weak on white, last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
CYCLE_COLOURS = {
    "compute": PALETTE[0],
    "fill": PALETTE[5],
    "drain": PALETTE[2],
    "load stall": PALETTE[1],
    "write stall": PALETTE[4],
    "requantize": PALETTE[3],
    "vector": PALETTE[6],
}
"""Of the classes that every cycle belongs to one of."""
NEUTRAL = "#707070"
BROWN = "#7A4A1E"
NOTHING = "#E8E8E8"
SEQUENTIAL_MAP = "viridis"

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINE_STYLES: tuple[Any, ...] = ("-", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "figure.titlesize": 13,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "svg.hashsalt": "hwsim",  # the same identifiers in every file written from the same data
}

_PANELS_A_ROW = 3


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw and save in this style, whatever the user's own settings; they are back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def panels(
    count: int,
    *,
    width_inches: float = 4.2,
    height_inches: float = 3.6,
    share_y: bool = False,
    columns: int = _PANELS_A_ROW,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels, ``columns`` or fewer side by side, and room for a legend at the right."""
    columns = min(count, columns)
    rows = ceil(count / columns)
    figure = Figure(figsize=(columns * width_inches + 1.8, rows * height_inches + 0.4), layout="constrained")
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(h_pad=0.1, hspace=0.03)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def accuracy_axis(panel: Axes, accuracies: Iterable[float]) -> None:
    """Show accuracy in percent, from the ten below the lowest up to 100 with room for a label."""
    lowest = floor(10 * min(accuracies) - 0.2) / 10
    panel.set_ylim(max(0.0, lowest), 1 + 0.08 * (1 - max(0.0, lowest)))
    panel.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    panel.yaxis.set_major_locator(MultipleLocator(0.1 if lowest > 0.3 else 0.2))


def colours(count: int, *, ordered: bool = False) -> list[str]:
    """Return ``count`` colours: the palette while it lasts, steps of one scale for many or many ordered values."""
    if count > len(PALETTE) - 1 or (ordered and count > len(PALETTE) // 2):
        scale = mpl.colormaps[SEQUENTIAL_MAP]
        return [to_hex(scale(0.93 * step / (count - 1))) for step in range(count)]
    return list(PALETTE[:count])


def energy_unit(largest_pj: float) -> tuple[float, str]:
    """Return picojoules per unit and the unit's sign, so that ``largest_pj`` is at least 1 of it."""
    for pj_per_unit, sign in ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if largest_pj >= pj_per_unit:
            return pj_per_unit, sign
    return 1.0, "pJ"


def latency_unit(largest_ms: float) -> tuple[float, str]:
    """Return milliseconds per unit and the unit's sign, so that ``largest_ms`` is at least 1 of it."""
    for ms_per_unit, sign in ((1e3, "s"), (1.0, "ms"), (1e-3, "µs")):
        if largest_ms >= ms_per_unit:
            return ms_per_unit, sign
    return 1e-6, "ns"
