"""hwsim beside SCALE-Sim 3.0.0 on AlexNet's second convolution: ``pytest -m benchmark tests/benchmarks -s``.

Both in CPU seconds of processes of this run: a 32 x 32 output-stationary array, imports and compilation left out.
SCALE-Sim computes no values; hwsim runs once for timing alone, and once stepping every register, with the comparison
against the functional engine. Scratchpads do not limit SCALE-Sim's cycles; hwsim's hold a tile's weights. The
environment variable HWSIM_SCALESIM_PYTHON names a Python that has SCALE-Sim (``pip install scalesim==3.0.0``; it wants
older libraries than hwsim, so an environment of its own).
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import pytest

import hwsim

pytestmark = pytest.mark.benchmark

TOPOLOGY = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv2,27,27,5,5,96,256,1,
"""
LAYOUT = f"Layer name,{','.join('abcdefghijklmnopqrst')},\nConv2,{','.join('1' * 20)},\n"
CONFIGURATION = """\
[general]
run_name = conv2
[architecture_presets]
ArrayHeight: 32
ArrayWidth: 32
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 10
Dataflow: os
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
SCRIPT = """\
import time
from scalesim.scale_sim import scalesim
start = time.process_time()
run = scalesim(save_disk_space=True, verbose=False, config="conv2.cfg", topology="conv2.csv", layout="layout.csv")
run.run_scale(top_path="out")
print("CPU seconds", time.process_time() - start)
"""
MACHINE = [
    "array.rows=32",
    "array.cols=32",
    "array.fold_overlap=drain",  # SCALE-Sim's folds: sums leave while the next fold computes
    *(f"scratchpads.{name}.capacity_bytes=262144" for name in ("activations", "weights", "outputs")),
]
LEFT_OUT_CYCLES = 32 + 1  # SCALE-Sim leaves out the last drain and gives the last cycle's index, not a count
ROUNDS = 5
LEAST_TIMING_RATIO, LEAST_STEPPED_RATIO = 1000, 200


@pytest.fixture
def scalesim() -> str:
    python = os.environ.get("HWSIM_SCALESIM_PYTHON")
    if not python:
        pytest.skip("HWSIM_SCALESIM_PYTHON names no Python that has SCALE-Sim")
    if subprocess.run([python, "-c", "import scalesim"], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} cannot import scalesim")
    return python


def run_scalesim(python: str, folder: Path) -> tuple[float, int]:
    """Return the CPU seconds that SCALE-Sim takes, and the cycles that it finds."""
    for name, text in (("conv2.csv", TOPOLOGY), ("layout.csv", LAYOUT), ("conv2.cfg", CONFIGURATION)):
        (folder / name).write_text(text)
    done = subprocess.run([python, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=True)
    with (folder / "out" / "conv2" / "COMPUTE_REPORT.csv").open(newline="") as file:
        (layer,) = csv.DictReader(file, skipinitialspace=True)
    return float(done.stdout.split()[-1]), int(float(layer["Total Cycles"]))


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the median over some rounds, after one that does not count."""
    run()
    times = []
    for _ in range(ROUNDS):
        start = process_time()
        run()
        times.append(process_time() - start)
    return median(times)


def test_a_convolution_is_timed_and_stepped_far_faster_than_by_scale_sim(scalesim, tmp_path, capsys):
    theirs, cycles = run_scalesim(scalesim, tmp_path)

    def run(**options):
        return hwsim.run("edge16", tmp_path / "conv2.csv", overrides=MACHINE, **options)

    assert run().layer_results[0].array_cycles - LEFT_OUT_CYCLES == cycles
    timing = cpu_seconds(run)
    stepped = cpu_seconds(lambda: run(engine="stepped", random_values=1))
    with capsys.disabled():
        sys.stdout.write(
            f"\nCPU seconds: SCALE-Sim {theirs:.1f}; hwsim, median of {ROUNDS}: "
            f"timing {timing:.4f} ({theirs / timing:,.0f} times as fast), "
            f"stepped with values {stepped:.3f} ({theirs / stepped:,.0f} times as fast)\n"
        )
    assert theirs / timing > LEAST_TIMING_RATIO
    assert theirs / stepped > LEAST_STEPPED_RATIO
