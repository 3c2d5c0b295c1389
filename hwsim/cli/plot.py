"""``hwsim plot``."""

from __future__ import annotations

from pathlib import Path

from hwsim.cli.output import print_json, print_paths
from hwsim.cli.plot_text import plot_facts, plots_json
from hwsim.report.plots import write_plots
from hwsim.report.run_plots import write_run_plots
from hwsim.results.files import RESULT_NAME
from hwsim.results.store import STORE_NAME


def draw_plots(folder: Path, *, as_json: bool) -> None:
    """Draw the plots of the sweep, or of the single run, whose results are in ``folder`` and print their paths.

    Raises:
        ConfigError: the folder holds no results, or a file cannot be written.
    """
    holds_run = (folder / RESULT_NAME).is_file() and not (folder / STORE_NAME).is_file()
    outcomes = write_run_plots(folder) if holds_run else write_plots(folder)
    if as_json:
        print_json({"plots": plots_json(outcomes)})
    else:
        print_paths(plot_facts(outcomes))
