"""What a worker process does: runs one point and returns its result as plain values."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from typing import Any

from hwsim.config.arch import ArchSpec
from hwsim.errors import HwsimError
from hwsim.readers.read import read_workload
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import simulate

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Task:
    """One point to run: its number, resolved architecture, workload path, and how many samples (None: all)."""

    point: int
    architecture: dict[str, Any]
    workload_path: str
    samples: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: a result as ``RunResult.to_json_dict`` gives it, or an error's text."""

    point: int
    result: dict[str, Any] | None
    error: str = ""


def run_task(task: Task) -> Outcome:
    """Run one point on the functional engine; whatever goes wrong becomes the outcome's error."""
    try:
        spec = ArchSpec.model_validate(task.architecture)
        chosen = _samples(task.workload_path, task.samples)
        result = simulate(spec, chosen, engine="functional", with_data=False)
    except HwsimError as error:
        return Outcome(task.point, None, str(error))
    except Exception as error:  # noqa: BLE001 (a defect in one point must not lose the others; the text is stored)
        return Outcome(task.point, None, f"internal error: {type(error).__name__}: {error}")
    return Outcome(task.point, result.to_json_dict())


@lru_cache(maxsize=8)
def _samples(workload_path: str, samples: int | None) -> Samples:
    """Read a workload and run its float network once a process."""
    return choose_samples(read_workload(workload_path), samples=samples)


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
