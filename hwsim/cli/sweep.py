"""``hwsim sweep``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hwsim.cli.inputs import Problems
from hwsim.cli.output import shortened
from hwsim.cli.progress import SweepProgress, check_progress, sweep_progress
from hwsim.cli.sweep_text import SweepSummary, print_dry_run, print_summary
from hwsim.cli.wording import counted
from hwsim.config.load import LoadedSweep, WorkloadFiles, load_sweep
from hwsim.errors import EXIT_INTERRUPTED, ConfigError, HwsimError, PointsFailedError
from hwsim.results.points import point_row
from hwsim.results.store import ResultStore, StoredPoint
from hwsim.sweep.runner import SweepOutcome, SweepStart, check_sweep, run_sweep
from hwsim.sweep.worker import check_files

_RESULTS = Path("results")


class SweepInterruptedError(HwsimError):
    """The user stopped a sweep; what had finished is stored."""

    exit_code = EXIT_INTERRUPTED


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The arguments of ``hwsim sweep``."""

    file: str
    out: Path | None
    jobs: int | None
    samples: int | None
    calibration: Path | None
    dry_run: bool
    fresh: bool
    plots: bool
    as_json: bool


def sweep_points(request: SweepRequest) -> None:
    """Run the points that are missing and print what the sweep has shown.

    Raises:
        HwsimError: ConfigError before any point runs; PointsFailedError and SweepInterruptedError when all that
            could be stored is, and PointsFailedError where a dry run finds that points would fail.
    """
    loaded = _loaded(request)
    folder = request.out or _RESULTS / _folder_name(loaded)
    jobs = _job_count(request.jobs)
    if request.dry_run:
        _dry_run(loaded, folder, jobs, request)
        return
    failed: list[StoredPoint] = []
    outcome = _run(loaded, folder, jobs, request, failed)
    print_summary(_summary(outcome, request), as_json=request.as_json)
    if failed:
        head = f"{outcome.failed:,} of {counted(outcome.total, 'point')} failed; they are run again next time"
        raise PointsFailedError(_failure_lines(head, failed))


def _dry_run(loaded: LoadedSweep, folder: Path, jobs: int, request: SweepRequest) -> None:
    """Plan every point and print the list of them.

    Raises:
        PointsFailedError: some would be refused; one line for each.
    """
    with check_progress() as progress:
        refused = check_sweep(
            loaded,
            jobs=jobs,
            on_start=lambda start: progress.start(start.total, start.already_done),
            on_point=lambda outcome: progress.advance(failed=bool(outcome.error)),
        )
    print_dry_run(loaded, folder, {one.place.point: one.error for one in refused}, as_json=request.as_json)
    if refused:
        head = f"{len(refused):,} of {counted(loaded.spec.point_count, 'point')} would fail"
        raise PointsFailedError(_failure_lines(head, refused))


def _loaded(request: SweepRequest) -> LoadedSweep:
    """Return the sweep with all that it names looked into.

    Raises:
        ConfigError: with the problems of the file, or else of all workloads.
    """
    if request.samples is not None and request.samples < 1:
        raise ConfigError(f"--samples {request.samples}; allowed: 1 or more")
    loaded = _with_calibration(load_sweep(request.file), request.calibration)
    problems = Problems()
    for files in loaded.workloads.values():
        problems.attempt(_reader(files))
    problems.refuse()
    if request.samples is None:
        return loaded
    return replace(loaded, spec=loaded.spec.model_copy(update={"samples": request.samples}))


def _with_calibration(loaded: LoadedSweep, file: Path | None) -> LoadedSweep:
    """Give calibration samples to the workloads that name none."""
    if file is None:
        return loaded
    if not file.is_file():
        raise ConfigError(f"--calibration {file}: no such file")
    workloads = {
        name: replace(files, calibration=files.calibration or file) for name, files in loaded.workloads.items()
    }
    return replace(loaded, workloads=workloads)


def _reader(files: WorkloadFiles) -> Callable[[], object]:
    return lambda: check_files(files)


def _folder_name(loaded: LoadedSweep) -> str:
    """Return the sweep's name, or its file's if it has none, fit for a folder."""
    name = loaded.spec.name if "name" in loaded.spec.model_fields_set else loaded.path.stem
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "sweep"


def _job_count(wanted: int | None) -> int:
    if wanted is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted < 1:
        raise ConfigError(f"--jobs {wanted}; allowed: 1 or more")
    return wanted


def _run(
    loaded: LoadedSweep, folder: Path, jobs: int, request: SweepRequest, failed: list[StoredPoint]
) -> SweepOutcome:
    with sweep_progress() as progress:
        try:
            outcome = run_sweep(
                loaded,
                folder,
                jobs=jobs,
                fresh=request.fresh,
                on_start=lambda start: _started(progress, start),
                on_point=lambda point: _stored(progress, point, failed),
            )
        except KeyboardInterrupt:
            progress.close()
            raise SweepInterruptedError(_interruption(loaded, folder, fresh=request.fresh)) from None
        for _ in range(outcome.total - outcome.already_done - outcome.ran):
            progress.advance(failed=False)  # points equal to others, which need no run of their own
        return outcome


def _started(progress: SweepProgress, start: SweepStart) -> None:
    progress.start(start.total, start.already_done)


def _stored(progress: SweepProgress, point: StoredPoint, failed: list[StoredPoint]) -> None:
    if point.status == "failed":
        failed.append(point)
    progress.advance(failed=point.status == "failed")


def _interruption(loaded: LoadedSweep, folder: Path, *, fresh: bool) -> str:
    stored = _stored_count(folder)
    again = "the same command without --fresh resumes" if fresh else "the same command resumes"
    return f"interrupted: {stored:,} of {counted(loaded.spec.point_count, 'point')} are stored in {folder}; {again}"


def _stored_count(folder: Path) -> int:
    try:
        with ResultStore(folder) as store:
            return sum(point.status == "ok" for point in store.rows())
    except ConfigError:  # interrupted before there was a store
        return 0


def _summary(outcome: SweepOutcome, request: SweepRequest) -> SweepSummary:
    with ResultStore(outcome.folder) as store:
        rows = [point_row(stored) for stored in store.rows()]
    if not request.plots:
        return SweepSummary(outcome, rows, [])
    from hwsim.report.plots import write_plots  # matplotlib, which --no-plots does without

    return SweepSummary(outcome, rows, write_plots(outcome.folder))


def _failure_lines(head: str, failed: list[StoredPoint]) -> str:
    ordered = sorted(failed, key=lambda point: point.place.point)
    return "\n".join([head, *shortened([_failure(point) for point in ordered])])


def _failure(point: StoredPoint) -> str:
    swept = "".join(f", {key}={value}" for key, value in point.place.swept.items())
    return f"point {point.place.point} ({point.place.workload}{swept}): {'; '.join(point.error.splitlines())}"
