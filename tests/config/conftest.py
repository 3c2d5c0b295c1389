"""Files to load, written into a folder that is the working directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_problems import Write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that file names in messages are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def chip(here: Path) -> Write:
    """Write ``chip.yaml`` and return its name."""
    return _writer(here / "chip.yaml")


@pytest.fixture
def sweep(here: Path) -> Write:
    """Write ``sweep.yaml`` and return its name."""
    return _writer(here / "sweep.yaml")


def _writer(path: Path) -> Write:
    def write(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        return path.name

    return write
