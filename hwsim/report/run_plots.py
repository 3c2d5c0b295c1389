"""The plots of a single run, from its stored result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwsim.errors import ConfigError
from hwsim.report.frames import SweepFrames
from hwsim.report.plots import PLOTS_FOLDER, PlotOutcome
from hwsim.report.plots.drawing import Drawing, NotApplicableError, remove_drawing, write_drawing
from hwsim.report.plots.energy_per_component import energy_per_component
from hwsim.report.plots.error_per_layer import error_per_layer
from hwsim.report.plots.latency_per_layer import latency_per_layer
from hwsim.report.style import plot_style
from hwsim.results.files import RESULT_NAME
from hwsim.results.run_result import RunResult
from hwsim.results.store import StoredPoint, SweepPoint


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's result, the same as the frames of a sweep with this point alone, and its architecture's name."""

    result: RunResult
    frames: SweepFrames
    architecture: str


def write_run_plots(folder: Path) -> list[PlotOutcome]:
    """Draw what applies to the result in ``folder``, into its folder ``plots``.

    A plot that does not apply is skipped with the reason, and files of it from an earlier run are removed.

    Raises:
        ConfigError: the folder holds no result, or a file cannot be written.
    """
    run, target = read_run(folder), folder / PLOTS_FOLDER
    with plot_style():
        return [_write_plot(name, run, target) for name in _PLOTS]


def _write_plot(name: str, run: StoredRun, folder: Path) -> PlotOutcome:
    try:
        drawing = _PLOTS[name](run)
    except NotApplicableError as reason:
        remove_drawing(folder, name)
        return PlotOutcome(name, skipped_reason=str(reason))
    return PlotOutcome(name, write_drawing(drawing, folder, name))


def _errors(run: StoredRun) -> Drawing:
    if not run.result.tensor_errors:
        raise NotApplicableError("no errors per layer, as analyze error stores them")
    return error_per_layer(run.result)


def _latency(run: StoredRun) -> Drawing:
    return _of_sweep(run, latency_per_layer, "Latency per layer")


def _energy(run: StoredRun) -> Drawing:
    return _of_sweep(run, energy_per_component, "Energy per component and layer")


_PLOTS: dict[str, Callable[[StoredRun], Drawing]] = {
    "error_per_layer": _errors,
    "latency_per_layer": _latency,
    "energy_per_component": _energy,
}


def _of_sweep(run: StoredRun, plot: Callable[[SweepFrames], Drawing], title: str) -> Drawing:
    """Draw a sweep's plot without what tells the points of a sweep apart."""
    if not run.result.layer_results:
        raise NotApplicableError("the workload has no layers")
    drawing = plot(run.frames)
    drawing.figure.suptitle(f"{title} on {run.architecture}")
    for panel in drawing.figure.axes:
        panel.set_xlabel(panel.get_xlabel().splitlines()[0])  # the other lines name the point
    return Drawing(drawing.figure, drawing.data.drop(columns="point"))


def read_run(folder: Path) -> StoredRun:
    """Return the stored result of a run.

    Raises:
        ConfigError: there is none, or the file is no result.
    """
    path = folder / RESULT_NAME
    try:
        result = RunResult.from_json_dict(json.loads(path.read_text(encoding="utf-8")))
        place = SweepPoint(point=0, key="", workload=result.workload, swept={})
        frames = SweepFrames.from_points([StoredPoint(place, result.architecture, "ok", result=result)])
        return StoredRun(result, frames, str(result.architecture["name"]))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ConfigError(f"{path}: is not the result of a run") from error
