"""One stored sweep and its plots, made once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_sweep import store, widths_sweep

from hwsim.report.frames import SweepFrames
from hwsim.report.plots import PlotOutcome, write_plots


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("sweep"), widths_sweep())


@pytest.fixture(scope="session")
def frames(sweep_folder: Path) -> SweepFrames:
    return SweepFrames.load(sweep_folder)


@pytest.fixture(scope="session")
def plots(sweep_folder: Path) -> dict[str, PlotOutcome]:
    return {outcome.name: outcome for outcome in write_plots(sweep_folder)}
