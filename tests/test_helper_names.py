"""Helpers of tests are found by their file's name alone, whatever their folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent


def test_no_two_modules_and_no_folder_have_one_name() -> None:
    modules = [path.stem for path in TESTS.rglob("*.py") if path.name != "conftest.py"]
    folders = [path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [name for name, count in Counter([*modules, *folders]).items() if count > 1] == []
