"""The error tree: every error that hwsim raises on purpose, with the exit code that the command line gives it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_UNSUPPORTED = 3
EXIT_CHECK_FAILED = 4
EXIT_POINTS_FAILED = 5
EXIT_OVERFLOW = 6
EXIT_INTERRUPTED = 130


class HwsimError(Exception):
    """Base of all errors raised on purpose; its text is one or more finished lines for the user."""

    exit_code = EXIT_USAGE


class ConfigError(HwsimError):
    """A specification, an option or an input file is wrong. Each problem is one line of the text."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class UnsupportedError(HwsimError):
    """A workload asks for something that hwsim does not have; the text lists all of it."""

    exit_code = EXIT_UNSUPPORTED


class CheckFailedError(HwsimError):
    """Two ways of computing the same thing disagree; the text names the first difference."""

    exit_code = EXIT_CHECK_FAILED


class PointsFailedError(HwsimError):
    """Some points of a sweep failed; the others are stored."""

    exit_code = EXIT_POINTS_FAILED


class AccumulatorOverflowError(HwsimError):
    """An add left the accumulator's range under ``overflow: error``; the text names layer, cycle, row, column."""

    exit_code = EXIT_OVERFLOW


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the allowed name closest to ``name``, or an empty string."""
    close = get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
