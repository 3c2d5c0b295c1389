"""The plots of a single run, from its stored result."""

from __future__ import annotations

import json
from pathlib import Path

from hwsim.errors import ConfigError
from hwsim.report.plots.drawing import write_drawing
from hwsim.report.plots.error_per_layer import error_per_layer
from hwsim.report.style import plot_style
from hwsim.results.files import RESULT_NAME
from hwsim.results.run_result import RunResult

PLOTS_FOLDER = "plots"


def write_error_plot(folder: Path) -> tuple[Path, ...]:
    """Draw the errors per layer of the result in ``folder``, into its folder ``plots``.

    Raises:
        ConfigError: the folder holds no result with errors, or a file cannot be written.
    """
    result = read_result(folder)
    if not result.tensor_errors:
        raise ConfigError(f"{folder / RESULT_NAME}: has no errors per layer; allowed: what analyze error has written")
    with plot_style():
        return write_drawing(error_per_layer(result), folder / PLOTS_FOLDER, "error_per_layer")


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
