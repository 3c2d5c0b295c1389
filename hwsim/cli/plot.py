"""``hwsim plot``."""

from __future__ import annotations

from pathlib import Path

from hwsim.cli.output import print_json, print_paths
from hwsim.cli.plot_text import plot_facts, plots_json
from hwsim.report.plots import PlotOutcome, write_plots
from hwsim.report.run_plots import write_run_plots
from hwsim.report.trace_plot import write_trace_plot
from hwsim.results.files import RESULT_NAME
from hwsim.results.store import STORE_NAME

TRACE_SUFFIX = ".json"


def draw_plots(path: Path, *, as_json: bool) -> None:
    """Draw the plots of the sweep, or of the single run, in a folder, or a trace's picture, and print their paths.

    Raises:
        ConfigError: the folder holds no results, the file is no trace, or a file cannot be written.
    """
    holds_run = (path / RESULT_NAME).is_file() and not (path / STORE_NAME).is_file()
    if path.suffix == TRACE_SUFFIX and not path.is_dir():
        outcomes = [PlotOutcome(path.stem, write_trace_plot(path))]
    else:
        outcomes = write_run_plots(path) if holds_run else write_plots(path)
    if as_json:
        print_json({"plots": plots_json(outcomes)})
    else:
        print_paths(plot_facts(outcomes))
