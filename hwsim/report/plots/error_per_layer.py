"""Errors of each layer of one run against the float network."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from hwsim.report.plots.drawing import Drawing
from hwsim.report.style import NEUTRAL, PALETTE, panels
from hwsim.results.run_result import RunResult

_BAR = 0.38
_EXACT, _UNKNOWN = "exact", "none"


def error_per_layer(result: RunResult) -> Drawing:
    """Left the signal-to-quantization-noise ratio of each layer's output, right how much was clipped."""
    errors = result.errors
    height = 1.5 + 0.4 * len(errors)
    figure, (noise, ends) = panels(2, width_inches=4.6, height_inches=height)
    _draw_noise(noise, errors)
    _draw_ends(ends, errors)
    for panel in (noise, ends):
        panel.set_yticks(range(len(errors)), errors["layer"])
        panel.set_ylim(len(errors) - 0.4, -0.6)
        panel.grid(visible=False, axis="y")
    figure.legend(*ends.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    known = "" if result.accuracy is None else f", accuracy {100 * result.accuracy:.1f} %"
    if result.float_accuracy is not None:
        known += f" ({100 * result.float_accuracy:.1f} % in floating point)"
    figure.suptitle(f"{result.workload} on {result.architecture['name']}: errors against floating point{known}")
    return Drawing(figure, errors.assign(workload=result.workload))


def _draw_noise(panel: Axes, errors: pd.DataFrame) -> None:
    figures = errors["sqnr_db"].astype(float)
    panel.barh(range(len(errors)), figures.fillna(0.0), color=PALETTE[0], height=0.7)
    is_exact = (errors["worst_error"] == 0) & (errors["saturation_rate"] == 0)
    for place, figure in enumerate(figures):
        text = f"{figure:.1f}" if not pd.isna(figure) else _EXACT if is_exact[place] else _UNKNOWN
        at = 0.0 if pd.isna(figure) else max(figure, 0.0)
        panel.annotate(text, (at, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=9)
    panel.axvline(0, color=NEUTRAL, linewidth=0.8)
    known = figures.fillna(0.0)
    panel.set_xlim(min(0.0, 1.1 * known.min()), 1.18 * max(known.max(), 1.0))
    panel.set(title="signal to quantization noise", xlabel="SQNR (dB)")


def _draw_ends(panel: Axes, errors: pd.DataFrame) -> None:
    places = pd.Series(range(len(errors)))
    for name, label, shift, colour in (
        ("clipping_rate", "clipped: no code for the float value", -_BAR / 2, PALETTE[1]),
        ("saturation_rate", "saturated: code at an end, float value beyond it", _BAR / 2, PALETTE[2]),
    ):
        panel.barh(places + shift, errors[name], color=colour, height=_BAR, label=label)
    panel.set_xlim(0, 1.1 * max(errors["clipping_rate"].max(), errors["saturation_rate"].max(), 1e-3))
    panel.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    panel.set(title="at the ends of the range", xlabel="elements")
