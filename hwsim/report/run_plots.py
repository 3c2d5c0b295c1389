"""The plots of a single run, from its stored result."""

from __future__ import annotations

import json
from pathlib import Path

from hwsim.errors import ConfigError
from hwsim.report.plots import PLOTS_FOLDER, PlotOutcome
from hwsim.report.plots.drawing import remove_drawing, write_drawing
from hwsim.report.plots.error_per_layer import error_per_layer
from hwsim.report.style import plot_style
from hwsim.results.files import RESULT_NAME
from hwsim.results.run_result import RunResult


def write_run_plots(folder: Path) -> list[PlotOutcome]:
    """Draw what applies to the result in ``folder``, into its folder ``plots``.

    A plot that does not apply is skipped with the reason, and files of it from an earlier run are removed.

    Raises:
        ConfigError: the folder holds no result, or a file cannot be written.
    """
    result, name, target = read_result(folder), "error_per_layer", folder / PLOTS_FOLDER
    if not result.tensor_errors:
        remove_drawing(target, name)
        return [PlotOutcome(name, skipped_reason="no errors per layer, as analyze error stores them")]
    with plot_style():
        return [PlotOutcome(name, write_drawing(error_per_layer(result), target, name))]


def read_result(folder: Path) -> RunResult:
    """Return the stored result of a run.

    Raises:
        ConfigError: there is none, or the file is no result.
    """
    path = folder / RESULT_NAME
    try:
        return RunResult.from_json_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: is not the result of a run") from error
