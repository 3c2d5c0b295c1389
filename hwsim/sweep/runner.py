"""Runs a sweep: points in parallel processes, results stored one by one, done points skipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hwsim import __version__
from hwsim.array.gemm import compile_functional_kernels
from hwsim.config.load import LoadedSweep, WorkloadFiles
from hwsim.config.overrides import apply_overrides
from hwsim.config.sweep import expand
from hwsim.readers.read import read_workload
from hwsim.results.points import write_points_csv
from hwsim.results.run_result import RunResult
from hwsim.results.store import ResultStore, StoredPoint, SweepPoint
from hwsim.sweep.worker import Outcome, Task, check_task, one_thread_each, run_task, start_worker

_FEW_POINTS = 16
"""So many points are checked sooner than processes start."""
WORKER_DIED = "the worker process died (out of memory, or killed)"


@dataclass(frozen=True, slots=True)
class SweepStart:
    """What there is to do: all points, and how many of them are stored already."""

    total: int
    already_done: int


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What was done: points stored before, run now, and failed among these."""

    folder: Path
    total: int
    already_done: int
    ran: int
    failed: int
    points_csv: Path


@dataclass(frozen=True, slots=True)
class _Job:
    place: SweepPoint
    task: Task


def run_sweep(
    sweep: LoadedSweep,
    folder: Path,
    *,
    jobs: int,
    fresh: bool = False,
    on_start: Callable[[SweepStart], None] = lambda _: None,
    on_point: Callable[[StoredPoint], None] = lambda _: None,
) -> SweepOutcome:
    """Run the points of a sweep that ``folder`` does not hold yet, and write ``points.csv``.

    Each result is stored in one transaction as soon as its point has finished, by this process alone; an
    interruption loses the points under way. A point that fails is stored with its error and run again next time.

    Args:
        sweep: what to run.
        folder: where the store lies; made if there is none.
        jobs: number of processes; 1 runs in this one.
        fresh: forget what the folder holds first.
        on_start, on_point: told what there is to do, and each point as it is stored.

    Raises:
        ConfigError: a workload cannot be read, or the folder holds something else.
    """
    planned = list(_jobs(sweep))
    with ResultStore(folder, create=True) as store:
        if fresh:
            store.clear()
        store.set_points(job.place for job in planned)
        done = store.done_keys()
        pending = _first_of_each_key(job for job in planned if job.place.key not in done)
        already = sum(job.place.key in done for job in planned)
        on_start(SweepStart(len(planned), already))
        failed = 0
        if not _is_serial(pending, jobs):
            compile_functional_kernels()  # so that the workers find them compiled
        try:
            for job, outcome in _outcomes(pending, jobs, run_task):
                stored = _stored(job, outcome)
                store.put(stored)
                failed += stored.status == "failed"
                on_point(stored)
        finally:
            points_csv = write_points_csv(folder)
    return SweepOutcome(folder, len(planned), already, len(pending), failed, points_csv)


def check_sweep(
    sweep: LoadedSweep,
    *,
    jobs: int,
    on_start: Callable[[SweepStart], None] = lambda _: None,
    on_point: Callable[[Outcome], None] = lambda _: None,
) -> list[StoredPoint]:
    """Plan every point without running any, and return those that would be refused, in order, as they would be stored.

    Not known before a run are overflows under ``overflow: error`` and actions that an energy table lacks.

    Args:
        sweep: what to check.
        jobs: number of processes; few points are checked in this one.
        on_start, on_point: told what there is to do, and of each point whether it has an error.

    Raises:
        ConfigError: a workload cannot be read.
    """
    planned = list(_jobs(sweep))
    pending = _first_of_each_key(planned)
    on_start(SweepStart(len(pending), 0))
    errors = {}
    for job, outcome in _outcomes(pending, jobs if len(pending) > _FEW_POINTS else 1, check_task):
        if outcome.error:
            errors[job.place.key] = outcome.error
        on_point(outcome)
    return [_failed(job, errors[job.place.key]) for job in planned if job.place.key in errors]


def _jobs(sweep: LoadedSweep) -> Iterator[_Job]:
    """Resolve every point and name it by what its result depends on."""
    digests = {name: _digest(files) for name, files in sweep.workloads.items()}
    for point in expand(sweep.spec):
        config = apply_overrides(sweep.base, point.overrides).model_dump(mode="json")
        digest = digests[point.workload]
        key = _key(config, digest, sweep.spec.samples)
        place = SweepPoint(point.index, key, Path(point.workload).name, point.overrides)
        yield _Job(place, Task(point.index, config, sweep.workloads[point.workload], digest, sweep.spec.samples))


def _digest(files: WorkloadFiles) -> str:
    """Hash a workload, and the samples and labels that are not its own, each by what it is for."""
    own = read_workload(files.path).digest
    others = {"": (files.inputs, files.labels), "calibration ": (files.calibration,)}
    hashes = [
        use + hashlib.sha256(file.read_bytes()).hexdigest()
        for use, found in others.items()
        for file in found
        if file is not None
    ]
    if not hashes:
        return own
    parts = [own, *hashes]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _key(config: dict[str, Any], workload_digest: str, samples: int | None) -> str:
    """Hash everything that a result depends on; names and descriptions are no part of it."""
    named = {name: value for name, value in config.items() if name not in ("name", "description")}
    parts = {"version": __version__, "architecture": named, "workload": workload_digest, "samples": samples}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _first_of_each_key(jobs: Iterable[_Job]) -> list[_Job]:
    """Leave out points that resolve to the same configuration as an earlier one."""
    return list({job.place.key: job for job in reversed(list(jobs))}.values())[::-1]


def _stored(job: _Job, outcome: Outcome) -> StoredPoint:
    if outcome.result is None:
        return _failed(job, outcome.error)
    return StoredPoint(job.place, job.task.architecture, "ok", result=RunResult.from_json_dict(outcome.result))


def _is_serial(pending: list[_Job], jobs: int) -> bool:
    return jobs == 1 or len(pending) < 2


def _failed(job: _Job, error: str) -> StoredPoint:
    return StoredPoint(job.place, job.task.architecture, "failed", error)


def _outcomes(pending: list[_Job], jobs: int, work: Callable[[Task], Outcome]) -> Iterator[tuple[_Job, Outcome]]:
    """Yield outcomes as they come; a pool whose worker died is replaced."""
    if _is_serial(pending, jobs):
        for job in pending:
            yield job, work(job.task)
        return
    queue = list(reversed(pending))
    while queue:
        with one_thread_each():
            pool = ProcessPoolExecutor(min(jobs, len(queue)), get_context("spawn"), initializer=start_worker)
            try:
                yield from _drain(pool, queue, jobs, work)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _drain(
    pool: ProcessPoolExecutor, queue: list[_Job], jobs: int, work: Callable[[Task], Outcome]
) -> Iterator[tuple[_Job, Outcome]]:
    """Take points from the end of ``queue``, two a worker under way, until it is empty or the pool breaks."""
    running: dict[Future[Outcome], _Job] = {}
    broken = False
    while running or (queue and not broken):
        while queue and not broken and len(running) < 2 * jobs:
            try:
                running[pool.submit(work, queue[-1].task)] = queue[-1]
            except BrokenProcessPool:
                broken = True
            else:
                queue.pop()
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            job = running.pop(future)
            try:
                outcome = future.result()
            except BrokenProcessPool:
                broken = True
                outcome = Outcome(job.task.point, None, WORKER_DIED)
            yield job, outcome
