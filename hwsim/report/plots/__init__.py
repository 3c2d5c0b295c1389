"""The plots of a sweep: one module each, with a function from stored results to a drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwsim.report.frames import SweepFrames
from hwsim.report.plots.accuracy import accuracy_over_bits, accuracy_over_guard_bits
from hwsim.report.plots.accuracy_over_lut import accuracy_over_lut_entries
from hwsim.report.plots.drawing import Drawing, NotApplicableError, remove_drawing, write_drawing
from hwsim.report.plots.energy_per_component import energy_per_component
from hwsim.report.plots.latency_per_layer import latency_per_layer
from hwsim.report.plots.number_formats import number_formats
from hwsim.report.plots.overflow_map import overflow_map
from hwsim.report.plots.overflow_over_guard_bits import overflow_over_guard_bits
from hwsim.report.plots.roofline import roofline
from hwsim.report.plots.sqnr_by_design import sqnr_by_design
from hwsim.report.plots.tradeoffs import energy_against_accuracy, energy_against_latency, latency_against_accuracy
from hwsim.report.style import plot_style

PLOTS_FOLDER = "plots"

PLOTS: dict[str, Callable[[SweepFrames], Drawing]] = {
    "accuracy_over_bits": accuracy_over_bits,
    "accuracy_over_guard_bits": accuracy_over_guard_bits,
    "accuracy_over_lut_entries": accuracy_over_lut_entries,
    "sqnr_by_design": sqnr_by_design,
    "energy_against_accuracy": energy_against_accuracy,
    "latency_against_accuracy": latency_against_accuracy,
    "energy_against_latency": energy_against_latency,
    "number_formats": number_formats,
    "latency_per_layer": latency_per_layer,
    "energy_per_component": energy_per_component,
    "roofline": roofline,
    "overflow_over_guard_bits": overflow_over_guard_bits,
    "overflow_map": overflow_map,
}


@dataclass(frozen=True, slots=True)
class PlotOutcome:
    """One plot of a sweep: the files written, or why there are none."""

    name: str
    paths: tuple[Path, ...] = ()
    skipped_reason: str | None = None


def write_plots(folder: str | Path) -> list[PlotOutcome]:
    """Draw every plot that applies to the sweep in ``folder``, into its folder ``plots``.

    A plot that does not apply is skipped with the reason, and files of it from an earlier sweep are removed.

    Raises:
        ConfigError: the folder holds no store, or a file cannot be written.
    """
    frames = SweepFrames.load(folder)
    if frames.done.empty:
        return [_skip(name, "no point has run to the end", Path(folder) / PLOTS_FOLDER) for name in PLOTS]
    with plot_style():
        return [_write_plot(name, frames, Path(folder) / PLOTS_FOLDER) for name in PLOTS]


def _write_plot(name: str, frames: SweepFrames, folder: Path) -> PlotOutcome:
    try:
        drawing = PLOTS[name](frames)
    except NotApplicableError as reason:
        return _skip(name, str(reason), folder)
    return PlotOutcome(name, write_drawing(drawing, folder, name))


def _skip(name: str, reason: str, folder: Path) -> PlotOutcome:
    remove_drawing(folder, name)
    return PlotOutcome(name, skipped_reason=reason)
