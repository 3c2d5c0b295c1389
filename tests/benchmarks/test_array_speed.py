"""How fast the engines are: ``pytest -m benchmark tests/benchmarks -s``.

Kernels run on one thread; unchecked products are NumPy's, which may use more (OPENBLAS_NUM_THREADS). A PE-cycle is
one PE for one cycle of the array, busy or not: rows x cols x total_cycles of them make a product.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hwsim.array.engine import Engine
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import ArrayParams, Dataflow, array_params
from hwsim.array.results import GemmResult
from hwsim.array.stepped import SteppedEngine

pytestmark = pytest.mark.benchmark

DEPTH = 512


def array(side: int, dataflow: str, guard_bits: int = 8) -> ArrayParams:
    """8-bit operands; a 24-bit accumulator with 8 guard bits."""
    return array_params(side, side, dataflow, weight_bits=8, activation_bits=8, guard_bits=guard_bits)


def measure(
    benchmark: BenchmarkFixture, engine: Engine, params: ArrayParams, shape: tuple[int, int, int]
) -> GemmResult:
    """Time products of random operands, kernels compiled, no list of events."""
    random = np.random.default_rng(0)
    x, w = random.integers(-128, 128, shape[:2]), random.integers(-128, 128, shape[1:])
    return benchmark.pedantic(lambda: engine.gemm(params, x, w, max_events=0), rounds=10, iterations=1, warmup_rounds=1)


def report(benchmark: BenchmarkFixture, unit: str, amount: int) -> float:
    """Record and print the rate of the fastest round."""
    rate = amount / benchmark.stats.stats.min
    benchmark.extra_info[unit] = rate
    print(f"\n{benchmark.name}: {rate:.3g} {unit.replace('_', ' ')}")  # noqa: T201 (read by the person who runs it)
    return rate


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("dataflow", [Dataflow.OUTPUT_STATIONARY, Dataflow.WEIGHT_STATIONARY])
def test_stepped(benchmark: BenchmarkFixture, dataflow: Dataflow, side: int) -> None:
    """Four by four folds of full tiles; every register every cycle."""
    shapes = {
        Dataflow.OUTPUT_STATIONARY: (4 * side, DEPTH, 4 * side),
        Dataflow.WEIGHT_STATIONARY: (DEPTH, 4 * side, 4 * side),
    }
    result = measure(benchmark, SteppedEngine(threads=1), array(side, dataflow), shapes[dataflow])
    rate = report(benchmark, "pe_cycles_per_second", result.total_cycles * side * side)
    assert side != 32 or rate > 1e9


@pytest.mark.parametrize(("guard_bits", "kind"), [(9, "unchecked"), (4, "checked")])
@pytest.mark.parametrize("dataflow", [Dataflow.OUTPUT_STATIONARY, Dataflow.WEIGHT_STATIONARY])
def test_functional(benchmark: BenchmarkFixture, dataflow: Dataflow, guard_bits: int, kind: str) -> None:
    """Where operands' ranges rule overflow out it is a plain product; else every add is checked."""
    result = measure(benchmark, FunctionalEngine(), array(32, dataflow, guard_bits), (512, DEPTH, 128))
    report(benchmark, f"{kind}_macs_per_second", result.macs)
