"""Files of others that tests are held against; the environment variable HWSIM_SHARED says where they lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared(*parts: str) -> Path:
    """Return the path of a file; skip where no folder is named, fail where the file is not in it."""
    folder = os.environ.get("HWSIM_SHARED")
    if not folder:
        pytest.skip("HWSIM_SHARED names no folder with reference files")
    path = Path(folder, *parts)
    assert path.is_file(), f"{path} is missing"
    return path
