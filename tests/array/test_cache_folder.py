"""Where compiled kernels are kept when the package's own folder cannot be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from hwsim.array.kernels.common import _private_cache_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_private_and_found_again() -> None:
    folder = Path(_private_cache_folder())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Path(_private_cache_folder()) == folder


@pytest.mark.parametrize("trap", ["file", "link", "open to others"])
def test_what_others_may_have_put_in_its_place_is_not_used(trap: str, temporary: Path) -> None:
    """Code is loaded from a cache: only a folder of this user's, that nobody else can write, will do."""
    folder = Path(_private_cache_folder())
    if trap == "open to others":
        folder.chmod(0o777)
    else:
        folder.rmdir()
        folder.touch() if trap == "file" else folder.symlink_to(temporary)
    other = Path(_private_cache_folder())
    assert other != folder
    assert other.stat().st_mode & 0o777 == 0o700
