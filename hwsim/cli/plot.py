"""``hwsim plot``."""

from __future__ import annotations

from pathlib import Path

from hwsim.cli.output import print_json, print_paths
from hwsim.cli.plot_text import plot_facts, plots_json
from hwsim.report.plots import write_plots


def draw_plots(folder: Path, *, as_json: bool) -> None:
    """Draw the plots of the sweep in ``folder`` and print their paths.

    Raises:
        ConfigError: the folder holds no results, or a file cannot be written.
    """
    outcomes = write_plots(folder)
    if as_json:
        print_json({"plots": plots_json(outcomes)})
    else:
        print_paths(plot_facts(outcomes))
