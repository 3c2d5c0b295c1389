"""The SystemVerilog is clean, documented, and travels with the package."""

import subprocess

import pytest

from hwsim.rtl.design import SOURCES, read_sources

MODULES = sorted(path.stem for path in SOURCES.glob("*.sv"))


@pytest.mark.parametrize("module", [module for module in MODULES if module != "testbench"])
def test_verilator_finds_nothing_to_warn_about(verilator, module):
    command = ["verilator", "--lint-only", "-Wall", "--top-module", module, "-y", ".", f"{module}.sv"]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("overlap", [0, 1, 2])
@pytest.mark.parametrize("core", ["os_core", "ws_core"])
@pytest.mark.parametrize("side", [1, 5])
def test_other_parameters_are_as_clean(verilator, core, overlap, side):
    name = "OVERLAP" if core == "os_core" else "DOUBLE"
    value = overlap if core == "os_core" else min(overlap, 1)
    words = ["-GA_BITS=3", "-GA_SIGNED=0", "-GW_BITS=16", "-GACC_BITS=15", "-GSATURATE=0"]
    command = ["verilator", "--lint-only", "-Wall", f"-G{name}={value}", f"-GROWS={side}", "-GCOLS=2", *words]
    done = subprocess.run([*command, "-y", ".", f"{core}.sv"], cwd=SOURCES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("rounding", range(5))
def test_every_rounding_is_as_clean(verilator, rounding):
    command = ["verilator", "--lint-only", "-Wall", f"-GROUNDING={rounding}", "requantizer.sv"]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("linear", [0, 1])
def test_every_interpolation_is_as_clean(verilator, linear):
    command = ["verilator", "--lint-only", "-Wall", f"-GLINEAR={linear}", "activation_lut.sv"]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_icarus_finds_nothing_to_warn_about(icarus, tmp_path):
    sources = [path.name for path in sorted(SOURCES.glob("*.sv")) if path.stem != "testbench"]
    command = ["iverilog", "-g2012", "-Wall", "-s", "bench", "-o", str(tmp_path / "simulation"), *sources]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_a_file_and_its_header_says_when(module):
    text = read_sources()[f"{module}.sv"]
    header = text[: text.index("\nmodule ")]
    assert text.count("\nmodule ") == 1
    assert f"\nmodule {module}" in text
    assert all(line.startswith("//") for line in header.splitlines())
    assert module in ("bench", "testbench") or "Timing" in header or "cycle" in header
