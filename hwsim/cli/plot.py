"""``hwsim plot``."""

from __future__ import annotations

from pathlib import Path

from hwsim.cli.output import print_json, print_paths
from hwsim.cli.plot_text import plot_facts, plots_json
from hwsim.errors import ConfigError
from hwsim.report.plots import PlotOutcome, write_plots
from hwsim.report.run_plots import write_run_plots
from hwsim.report.trace_plot import write_trace_plot
from hwsim.results.files import RESULT_NAME
from hwsim.results.store import STORE_NAME

TRACE_SUFFIX = ".json"
_ALLOWED = "allowed: the folder of a sweep's or a run's results, or the trace of a run (.json)"


def draw_plots(path: Path, *, as_json: bool) -> None:
    """Draw the plots of the sweep, or of the single run, in a folder, or a trace's picture, and print their paths.

    Raises:
        ConfigError: the folder holds no results, the file is no trace, or a file cannot be written.
    """
    try:
        outcomes = _draw_folder(path) if path.is_dir() else _draw_file(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}; {_ALLOWED}") from None
    if as_json:
        print_json({"plots": plots_json(outcomes)})
    else:
        print_paths(plot_facts(outcomes))


def _draw_folder(folder: Path) -> list[PlotOutcome]:
    if (folder / STORE_NAME).is_file():
        return write_plots(folder)
    if (folder / RESULT_NAME).is_file():
        return write_run_plots(folder)
    raise ConfigError(f"{folder}: holds no results; {_ALLOWED}")


def _draw_file(path: Path) -> list[PlotOutcome]:
    if not path.exists():
        raise ConfigError(f"{path}: does not exist; {_ALLOWED}")
    if path.suffix != TRACE_SUFFIX:
        raise ConfigError(f"{path}: neither a folder nor a trace; {_ALLOWED}")
    return [PlotOutcome(path.stem, write_trace_plot(path))]
