"""Progress of a sweep on stderr: a bar on a terminal, else a line for every tenth."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwsim.cli.wording import counted

_LINES = 10


class SweepProgress(ABC):
    """Is told how many points there are and each one that is stored."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def start(self, total: int, already_done: int) -> None:
        """Begin with ``already_done`` of ``total`` points."""

    @abstractmethod
    def advance(self, *, failed: bool) -> None:
        """Count one more point."""

    def close(self) -> None:  # noqa: B027  (nothing to do by default)
        """End, however the sweep went."""


def sweep_progress() -> SweepProgress:
    """Return what suits stderr."""
    return ProgressBar() if sys.stderr.isatty() else ProgressLines()


def check_progress() -> SweepProgress:
    """Return a bar for points that are checked and not run; where stderr is no terminal nothing is said."""
    return ProgressBar() if sys.stderr.isatty() else NoProgress()


class ProgressBar(SweepProgress):
    """A bar with points, failures, elapsed and remaining time."""

    def __init__(self) -> None:
        self._bar = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("points{task.fields[failures]}"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True, markup=False, highlight=False),
        )
        self._failed = 0

    def start(self, total: int, already_done: int) -> None:
        """Show the bar, if there is anything to do."""
        self._task = self._bar.add_task("", total=total, completed=already_done, failures="")
        if already_done < total:
            self._bar.start()

    def advance(self, *, failed: bool) -> None:
        """Move on by one point."""
        self._failed += failed
        failures = f", {self._failed} failed," if self._failed else ""
        self._bar.update(self._task, advance=1, failures=failures)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()


class NoProgress(SweepProgress):
    """Says nothing."""

    def start(self, total: int, already_done: int) -> None:
        """Begin."""

    def advance(self, *, failed: bool) -> None:
        """Go on."""


class ProgressLines(SweepProgress):
    """A line at the start, for every tenth of the points, and for the last."""

    def start(self, total: int, already_done: int) -> None:
        """Say what there is to do."""
        self._total, self._already, self._done, self._failed = total, already_done, already_done, 0
        self._began = time.monotonic()
        self._say(f"{counted(total, 'point')}, {already_done:,} of them stored already")

    def advance(self, *, failed: bool) -> None:
        """Say how far it is, every tenth of the way."""
        self._failed += failed
        before, self._done = self._done, self._done + 1
        if before * _LINES // self._total != self._done * _LINES // self._total:
            self._say(f"{self._done:,} of {counted(self._total, 'point')}{self._failures()}, {self._times()}")

    def _failures(self) -> str:
        return f" ({self._failed:,} failed)" if self._failed else ""

    def _times(self) -> str:
        elapsed = time.monotonic() - self._began
        left = elapsed / (self._done - self._already) * (self._total - self._done)
        return f"{elapsed:.0f} s, about {left:.0f} s left" if self._done < self._total else f"{elapsed:.0f} s"

    @staticmethod
    def _say(text: str) -> None:
        typer.echo(text, err=True)
