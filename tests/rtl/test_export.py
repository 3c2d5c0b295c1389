"""An exported design runs by `make` alone and says itself whether it is right."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from hwsim.array.params import array_params
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lut import LutOptions, build_lut, sigmoid
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions, build_requantizer
from hwsim.rtl.export import export_rtl

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

OUTPUT = Quantization(np.float64(1 / 16), np.int64(0), IntFormat(8))


def export(folder, dataflow="weight_stationary"):
    rng = np.random.default_rng(0)
    params = array_params(4, 3, dataflow, weight_bits=4, activation_bits=4, guard_bits=-1, overflow="wrap")
    requantizer = build_requantizer(0.1, rng.uniform(0.1, 0.3, 7), OUTPUT, "none", RequantizerOptions())
    lut = build_lut(sigmoid, OUTPUT, OUTPUT, LutOptions(entries=32, interpolation="linear"))
    operands = rng.integers(-8, 8, (6, 9)), rng.integers(-8, 8, (9, 7))
    return export_rtl(folder, params, *operands, requantizer=requantizer, lut=lut)


def make(folder, *targets):
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(["make", *targets], cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_everything_that_make_needs_is_there(tmp_path):
    names = {path.name for path in export(tmp_path)}
    images = {"activations.hex", "weights.hex", "constants.hex", "table.hex", "shape.hex"}
    assert names >= images | {"golden.txt", "Makefile", "configured.sv", "bench.sv", "testbench.sv", "main.cpp"}


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_make_icarus_passes(icarus, tmp_path, dataflow):
    export(tmp_path, dataflow)
    done = make(tmp_path, "icarus")
    assert (done.returncode, done.stdout) == (0, "PASS icarus\n"), done.stderr


def test_make_runs_every_simulator(icarus, verilator, tmp_path):
    export(tmp_path)
    done = make(tmp_path)
    assert (done.returncode, done.stdout) == (0, "PASS icarus\nPASS verilator\n"), done.stderr


def test_a_wrong_weight_fails_with_the_first_difference(icarus, tmp_path):
    export(tmp_path)
    weights = (tmp_path / "weights.hex").read_text().splitlines()
    weights[0] = f"{int(weights[0], 16) ^ 1:03x}"
    (tmp_path / "weights.hex").write_text("\n".join(weights) + "\n")
    done = make(tmp_path, "icarus")
    assert done.returncode == 2
    assert done.stdout.startswith("FAIL icarus: first difference (< expected, > found):\n")


def test_without_a_simulator_make_fails_and_says_so(tmp_path):
    export(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "echo"):
        (tools / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        [shutil.which("make")], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": str(tools)}
    )
    assert done.returncode == 2
    assert done.stdout.startswith("FAIL: neither iverilog nor verilator is installed")
