"""How fast and how large a run of ResNet-50 with random values is: ``pytest -m benchmark tests/benchmarks -s``.

Each run is a process of its own, so that its memory can be told; its time includes starting Python, reading the
workload, planning, and the comparison of the machine with the array's shadow.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hwsim.array.params import Dataflow

pytestmark = pytest.mark.benchmark

MACHINE = ["--set", "array.rows=32", "--set", "array.cols=32"]
ROOM = [
    part
    for name in ("activations", "weights", "outputs")
    for part in ("--set", f"scratchpads.{name}.capacity_bytes=4194304")
]
MOST_BYTES = 2e9
MOST_SECONDS = {Dataflow.OUTPUT_STATIONARY: 10, Dataflow.WEIGHT_STATIONARY: 10, Dataflow.INPUT_STATIONARY: 15}
"""On two idle cores; few weights stream past many stationary activations, so that input stationary steps longest."""


def run_resnet50(*options: str) -> None:
    command = [sys.executable, "-m", "hwsim", "run", "edge16", "resnet50", *MACHINE, *ROOM, *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("engine", ["functional", "stepped"])
def test_resnet50_with_values(benchmark: BenchmarkFixture, engine: str, dataflow: Dataflow) -> None:
    """4.09 * 10^9 MACs on a 32 x 32 array, every add checked; with the CPU seconds of all threads."""
    options = ("--random-values", "1", "--engine", engine, "--set", f"array.dataflow={dataflow}")
    run_resnet50(*options)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    benchmark.pedantic(lambda: run_resnet50(*options), rounds=1)
    benchmark.extra_info["user_seconds"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    print(f"\n{benchmark.name}: {benchmark.extra_info['user_seconds']:.1f} CPU s")  # noqa: T201 (read by a person)
    assert benchmark.stats.stats.min < MOST_SECONDS[dataflow]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MOST_BYTES


def test_resnet50_timing_alone(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(run_resnet50, rounds=1, warmup_rounds=1)
    assert benchmark.stats.stats.min < MOST_SECONDS[Dataflow.OUTPUT_STATIONARY]
