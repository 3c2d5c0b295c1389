"""Atomic files: the old contents or the new ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsim.errors import ConfigError
from hwsim.results.files import write_bytes, write_text


def test_text_is_written_as_given_into_folders_that_are_made(tmp_path: Path) -> None:
    path = write_text(tmp_path / "new" / "folder" / "a.csv", "µ\r\nb\n")
    assert path.read_bytes() == "µ\r\nb\n".encode()


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(ConfigError) as caught:
        write_text(tmp_path / "a", "new")
    assert str(caught.value) == f"{tmp_path / 'a'}: cannot be written: No space left on device"
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_a_file_is_one_problem(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(ConfigError, match=r"a/b: cannot be written: "):
        write_text(tmp_path / "a" / "b", "new")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    written = write_text(tmp_path / "a", "x")
    assert written.stat().st_mode == (tmp_path / "usual").stat().st_mode
