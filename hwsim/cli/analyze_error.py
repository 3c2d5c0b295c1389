"""``hwsim analyze error``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwsim.analysis.error import run_with_errors
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.output import Column, print_facts, print_json, print_lines, print_table
from hwsim.cli.run_files import check_targets, write_result
from hwsim.cli.run_text import print_written, quality_facts
from hwsim.cli.wording import counted, significant
from hwsim.results.run_result import RunResult
from hwsim.results.tensor_error import TensorError
from hwsim.samples import choose_samples


@dataclass(frozen=True, slots=True)
class ErrorRequest:
    """The arguments of ``hwsim analyze error``."""

    architecture: str
    workload: str
    inputs: Path | None
    labels: Path | None
    calibration: Path | None
    samples: int | None
    overrides: tuple[str, ...]
    out: Path | None
    as_json: bool


def analyze_error(request: ErrorRequest) -> None:
    """Compare every layer with the float network, write what was asked for, and print the table.

    Raises:
        HwsimError: as ``hwsim.run``; also where there is no float network.
    """
    check_targets(request.out)
    spec, workload = read_spec_and_workload(
        request.architecture, request.overrides, request.workload, request.calibration
    )
    values, labels = read_samples(workload, request.inputs, request.labels)
    result = run_with_errors(spec, choose_samples(workload, inputs=values, labels=labels, samples=request.samples))
    written = _written(result, request.out) if request.out else []
    if request.as_json:
        print_json(result.to_json_dict())
        return
    _print(result)
    print_written(written)


def _written(result: RunResult, folder: Path) -> list[Path]:
    from hwsim.report.run_plots import write_run_plots

    written = write_result(result, folder)
    return [*written, *(path for outcome in write_run_plots(folder) for path in outcome.paths)]


def _print(result: RunResult) -> None:
    ran = f"{result.workload} on {result.architecture['name']}"
    print_lines(f"{ran}, {counted(result.samples, 'sample')}: each layer against the float network", "")
    columns = [
        Column("layer", numeric=False),
        Column("tensor", numeric=False, optional=True),
        *map(Column, ("bits", "SQNR dB", "mean error", "worst error", "saturated", "clipped")),
    ]
    print_table(columns, [_row(error) for error in result.tensor_errors])
    print_facts(quality_facts(result))


def _row(error: TensorError) -> list[str]:
    return [
        error.layer,
        error.tensor,
        str(error.bits),
        significant(error.sqnr_db),
        f"{error.mean_error:+.3g}",
        f"{error.worst_error:.3g}",
        f"{100 * error.saturation_rate:.3g}%",
        f"{100 * error.clipping_rate:.3g}%",
    ]
