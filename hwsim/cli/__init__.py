"""The command line: the only part of hwsim that prints. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run the command in ``args`` (those of the process if None) and leave with its exit code.

    Raises:
        SystemExit: always; the codes are those of ``hwsim.errors``.
    """
    from hwsim.cli.app import app  # here, so that importing this package costs nothing

    app(args=None if args is None else list(args), prog_name="hwsim")
