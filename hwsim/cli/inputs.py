"""What a run reads: architecture, workload, and the user's own samples, with all problems told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.readers.read import read_workload
from hwsim.readers.samples import read_inputs, read_labels
from hwsim.readers.workload import Workload
from hwsim.samples import Inputs, with_calibration

_Result = TypeVar("_Result")


class Problems:
    """Collects what is wrong with several independent things."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def attempt(self, step: Callable[[], _Result]) -> _Result | None:
        """Return what ``step`` returns, or None after noting why it could not."""
        try:
            return step()
        except ConfigError as error:
            self._lines += error.problems
            return None

    def refuse(self) -> None:
        """End here if there was a problem.

        Raises:
            ConfigError: with all of them.
        """
        if self._lines:
            raise ConfigError(dict.fromkeys(self._lines))


def read_spec_and_workload(
    architecture: str, overrides: Sequence[str], workload: str, calibration: Path | None = None
) -> tuple[ArchSpec, Workload]:
    """Return both; the workload with the user's samples to be quantized by, if there are any.

    Raises:
        ConfigError: with the problems of both; or those of the calibration samples.
    """
    problems = Problems()
    spec = problems.attempt(lambda: load_arch(architecture, overrides))
    read = problems.attempt(lambda: read_workload(workload))
    problems.refuse()
    assert spec is not None  # noqa: S101  (else there was a problem)
    assert read is not None  # noqa: S101
    if calibration is None:
        return spec, read
    if spec.quantization.mode == "dynamic":
        raise ConfigError(
            f"--calibration {calibration} with quantization.mode dynamic, which finds ranges at run time; "
            "allowed: mode static"
        )
    return spec, with_calibration(read, read_inputs(calibration, read.network))


def read_samples(
    workload: Workload, samples: Path | None, labels: Path | None
) -> tuple[Inputs | None, IntArray | None]:
    """Return the samples and labels in the user's files, where there are any.

    Raises:
        ConfigError: with the problems of both files.
    """
    problems = Problems()
    values = problems.attempt(lambda: read_inputs(samples, workload.network)) if samples else None
    classes = problems.attempt(lambda: read_labels(labels, workload.network)) if labels else None
    problems.refuse()
    return values, classes
