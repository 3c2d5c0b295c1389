"""The stepped engine against Verilator, on the same 16 x 16 array and the same matrices, in one run.

Verilator's build is -O3, without waves and without a trace of events and outputs; both compute the whole product,
every register in every cycle. Only the run is timed: for Verilator the difference between several runs in one process
and one run, so that starting the process and loading the memories are left out. The best of some repetitions counts.
"""

import sys
import time

import numpy as np
import pytest

from hwsim.array.params import array_params
from hwsim.array.stepped import SteppedEngine
from hwsim.rtl.build import build, installed_simulators
from hwsim.rtl.design import build_design, build_product
from hwsim.rtl.images import write_images

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif("verilator" not in installed_simulators(), reason="Verilator is not installed"),
]

SIDE = 16
LENGTH = 20_000  # depth, or the stream of the weight-stationary array
COLUMN_TILES = 8  # folds enough that casting the operands is a small part, as in a real layer
REPETITIONS = 5
RUNS = 4


def best_seconds(action):
    def timed():
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return min(timed() for _ in range(REPETITIONS))


def verilator_seconds(product, folder):
    simulation = build(build_design(product), "verilator", folder / "cache")
    seconds = {}
    for runs in (1, 1 + RUNS):
        write_images(folder, product, repeats=runs, quiet=True)
        seconds[runs] = best_seconds(lambda: simulation.run(folder))
    return (seconds[1 + RUNS] - seconds[1]) / RUNS


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary"])
def test_the_stepped_engine_is_several_times_as_fast_as_verilator(tmp_path, capsys, dataflow):
    params = array_params(SIDE, SIDE, dataflow, weight_bits=8, activation_bits=8, guard_bits=8)
    rng = np.random.default_rng(0)
    shape = (2 * SIDE, LENGTH) if dataflow == "output_stationary" else (LENGTH, 2 * SIDE)
    activations = rng.integers(-128, 128, shape)
    weights = rng.integers(-128, 128, (shape[1], COLUMN_TILES * SIDE))
    product = build_product(params, activations, weights)
    cycles = product.total_cycles
    rates = {"Verilator": cycles / verilator_seconds(product, tmp_path)}
    for name, engine in (("engine, one thread", SteppedEngine(threads=1)), ("engine, all threads", SteppedEngine())):
        engine.gemm(params, activations, weights)  # compiles
        rates[name] = cycles / best_seconds(lambda engine=engine: engine.gemm(params, activations, weights))
    with capsys.disabled():
        for name, rate in rates.items():
            sys.stdout.write(f"\n{dataflow}: {name}: {rate:,.0f} cycles/s, {rate / rates['Verilator']:.1f} x Verilator")
    assert rates["engine, all threads"] > 3 * rates["Verilator"]
