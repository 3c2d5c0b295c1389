"""How long a user waits for ``hwsim --help``: below 0.3 s."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.benchmark


def test_help_is_fast(benchmark: BenchmarkFixture) -> None:
    command = [sys.executable, "-m", "hwsim", "--help"]
    benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True), rounds=5, warmup_rounds=1)
    assert benchmark.stats.stats.median < 0.3
