"""What a worker process does: runs one point and returns its result as plain values."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from typing import Any, Protocol

from hwsim.config.arch import ArchSpec
from hwsim.config.load import WorkloadFiles
from hwsim.errors import ConfigError, HwsimError
from hwsim.numerics.formats import IntArray
from hwsim.readers.read import read_workload
from hwsim.readers.samples import read_inputs, read_labels
from hwsim.readers.workload import Workload
from hwsim.results.run_result import RunResult
from hwsim.samples import Inputs, Samples, choose_samples, select_samples, with_calibration
from hwsim.simulate import check_run, simulate

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Task:
    """One point to run: its number, resolved architecture, workload, and how many samples (None: all).

    ``digest`` is a hash of the workload's files and of its samples'.
    """

    point: int
    architecture: dict[str, Any]
    workload: WorkloadFiles
    digest: str
    samples: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: a result as ``RunResult.to_json_dict`` gives it, or an error's text."""

    point: int
    result: dict[str, Any] | None
    error: str = ""


def run_task(task: Task) -> Outcome:
    """Run one point on the functional engine; whatever goes wrong becomes the outcome's error."""
    return _outcome(task, _run)


def check_task(task: Task) -> Outcome:
    """Check one point without running it: the outcome has no result, and an error if running it would be refused."""
    return _outcome(task, _check)


def _outcome(task: Task, work: Callable[[Task], RunResult | None]) -> Outcome:
    try:
        result = work(task)
    except HwsimError as error:
        return Outcome(task.point, None, str(error))
    except Exception as error:  # noqa: BLE001 (a defect in one point must not lose the others; the text is stored)
        return Outcome(task.point, None, f"internal error: {type(error).__name__}: {error}")
    return Outcome(task.point, None if result is None else result.to_json_dict())


def _run(task: Task) -> RunResult:
    spec = ArchSpec.model_validate(task.architecture)
    chosen = _kept_samples(task.workload, task.digest, task.samples)
    return simulate(spec, chosen, engine="functional", with_data=False)


def _check(task: Task) -> None:
    check_run(ArchSpec.model_validate(task.architecture), _kept_selection(task.workload, task.digest, task.samples))


@lru_cache(maxsize=8)
def _kept_samples(files: WorkloadFiles, digest: str, samples: int | None) -> Samples:  # noqa: ARG001 (part of the key)
    """Choose samples once a process, as long as the files stay the same."""
    return chosen_samples(files, samples)


@lru_cache(maxsize=8)
def _kept_selection(files: WorkloadFiles, digest: str, samples: int | None) -> Samples:  # noqa: ARG001
    """Select samples once a process, without their float outputs, which only a run needs."""
    return _samples_of(files, samples, select_samples)


def chosen_samples(files: WorkloadFiles, samples: int | None) -> Samples:
    """Read a workload with its samples and run its float network.

    Raises:
        ConfigError: with the place of the entry in the sweep, where its samples are missing or do not suit.
        UnsupportedError: the workload asks for something that is not supported.
    """
    return _samples_of(files, samples, choose_samples)


class _Choice(Protocol):
    """Makes samples of what has been read."""

    def __call__(
        self, workload: Workload, *, inputs: Inputs | None, labels: IntArray | None, samples: int | None
    ) -> Samples:
        """Return the first ``samples`` of them."""


def _samples_of(files: WorkloadFiles, samples: int | None, choose: _Choice) -> Samples:
    workload = read_workload(files.path)
    try:
        if files.calibration is not None:
            workload = with_calibration(workload, read_inputs(files.calibration, workload.network))
        inputs, labels = _read_samples(files, workload)
        return choose(workload, inputs=inputs, labels=labels, samples=samples)
    except ConfigError as error:
        raise ConfigError(f"{files.place}: {problem}" for problem in error.problems) from None


def _read_samples(files: WorkloadFiles, workload: Workload) -> tuple[Inputs | None, IntArray | None]:
    if files.inputs is None and workload.inputs is None and workload.network.has_values:
        raise ConfigError(f"{files.path} has no samples of its own; allowed: a mapping with workload and inputs")
    inputs = None if files.inputs is None else read_inputs(files.inputs, workload.network)
    return inputs, None if files.labels is None else read_labels(files.labels, workload.network)


def check_files(files: WorkloadFiles) -> None:
    """Read a workload and all its samples, and run its float network on the first.

    Raises:
        HwsimError: as `chosen_samples`.
    """
    has_values = read_workload(files.path).network.has_values
    chosen_samples(files, 1 if has_values else None)


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that start inside use one thread each: there are as many of them as processors."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
