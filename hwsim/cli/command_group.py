"""The command group: turns errors into lines on stderr and exit codes, for every command alike."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from hwsim.errors import EXIT_INTERRUPTED, HwsimError

EXIT_BROKEN_PIPE = 1


class Commands(TyperGroup):
    """The commands, with hwsim's errors reported; a defect of hwsim itself still shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        _never_fail_to_encode()
        with reported_errors():
            return super().invoke(ctx)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print the lines of an error of hwsim's and leave with its exit code.

    Raises:
        Exit: there was an error, an interruption, or nobody reads the output any more.
    """
    try:
        yield
        sys.stdout.flush()
    except HwsimError as error:
        for line in str(error).split("\n"):
            typer.echo(f"hwsim: {line}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("hwsim: interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        _discard_output()
        raise typer.Exit(EXIT_BROKEN_PIPE) from None


def _never_fail_to_encode() -> None:
    """Show characters that the terminal's encoding does not have by their code instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Keep the interpreter from flushing to the closed pipe again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
