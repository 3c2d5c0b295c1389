"""Writing result files so that a reader sees the old contents or the new ones, never half of them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hwsim.errors import ConfigError

RESULT_NAME = "result.json"
"""The file of a run's result in the folder that it was written to."""


def write_text(path: str | Path, text: str) -> Path:
    """Replace the file's contents by ``text`` (UTF-8, line ends as given) at once; see ``write_bytes``."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Replace the file's contents by ``data`` at once and return its path; see ``replacing``.

    Raises:
        ConfigError: the file cannot be written; nothing has changed.
    """
    with replacing(path) as file:
        file.write(data)
    return Path(path)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write to, piece by piece, whose contents take the place of ``path``'s at the end, at once.

    The data goes to a temporary file in the same folder, is forced to the disk, and takes the file's name; missing
    folders are made. What raises inside leaves everything as it was.

    Raises:
        ConfigError: the file cannot be written; nothing has changed.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        _remove(temporary)


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk, where folders can be opened (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:  # its folder does not exist or is no folder: then it was never made
        return
