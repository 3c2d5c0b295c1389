"""Reads ``.npz`` and ``.npy`` files as plain arrays, every failure one clear line."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from hwsim.errors import ConfigError

_UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)
MAX_BYTES = 4 << 30
_OWN_WORDS = {
    "Object arrays cannot be loaded": "it holds Python objects; allowed: numbers",
    "pickled (object) data": "it does not begin as one",
}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file; pickled objects are refused.

    Raises:
        ConfigError: the file is missing, cut off, damaged, no ``.npz``, or would unpack to more than 4 GiB.
    """
    _require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: unpacks to {size} bytes; allowed: {MAX_BYTES}")
        with np.load(path, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: not a readable .npz file ({_reason(error)})") from None
    others = [name for name, member in members.items() if not isinstance(member, np.ndarray)]
    if others:
        raise ConfigError(f"{path}: not a readable .npz file ({others[0]} in it is no array)")
    return members


def read_npy(path: Path) -> np.ndarray:
    """Return the array of an ``.npy`` file; pickled objects are refused.

    Raises:
        ConfigError: the file is missing, cut off, damaged or no ``.npy``.
    """
    _require_file(path)
    try:
        loaded = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: not a readable .npy file ({_reason(error)})") from None
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ConfigError(f"{path}: holds several arrays; allowed: one .npy array")
    return loaded


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")


def _reason(error: Exception) -> str:
    """Return the first line of an error, but not NumPy's advice to load what it refuses."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((reason for advice, reason in _OWN_WORDS.items() if advice in lines[0]), lines[0])
