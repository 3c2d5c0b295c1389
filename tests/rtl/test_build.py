"""Simulators are found, builds are kept, and what is missing is said in one line."""

import shutil

import numpy as np
import pytest

from hwsim.array.params import array_params
from hwsim.errors import ConfigError
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.rtl import build as building
from hwsim.rtl.area import area
from hwsim.rtl.build import build, choose_simulator, default_cache_folder
from hwsim.rtl.design import build_design, build_product


@pytest.fixture
def design():
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    return build_design(build_product(params, np.ones((2, 2), np.int64), np.ones((2, 2), np.int64)))


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(building, "installed_simulators", lambda: ())


def test_a_build_is_kept_and_found_again(icarus, design, tmp_path):
    first = build(design, icarus, tmp_path)
    made = first.program.stat().st_mtime_ns
    again = build(design, icarus, tmp_path)
    assert again.program == first.program
    assert again.program.stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == [first.program.parent.name]


def test_another_source_is_another_build(icarus, design, tmp_path):
    changed = dict(design.sources) | {"bench.sv": design.sources["bench.sv"] + "// changed\n"}
    other = type(design)(design.parameters, changed)
    assert build(design, icarus, tmp_path).program != build(other, icarus, tmp_path).program


def test_sources_that_do_not_compile_are_refused_in_the_simulators_words(icarus, design, tmp_path):
    broken = type(design)(design.parameters, dict(design.sources) | {"os_pe.sv": "module os_pe; nonsense\n"})
    with pytest.raises(ConfigError, match=r"^iverilog failed:\n.*syntax error"):
        build(broken, icarus, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_small_designs_go_to_icarus_and_big_ones_to_verilator(icarus, verilator):
    assert choose_simulator(None, 1000) == "icarus"
    assert choose_simulator(None, 10_000_000) == "verilator"


def test_without_a_simulator_one_line_says_how_to_get_one(nothing_installed):
    message = r"^no SystemVerilog simulator is installed; get one with `apt install verilator iverilog`$"
    with pytest.raises(ConfigError, match=message):
        choose_simulator(None, 1)


def test_a_simulator_that_is_not_installed_is_not_replaced(nothing_installed):
    with pytest.raises(ConfigError, match=r"^icarus is not installed; get it with `apt install iverilog`$"):
        choose_simulator("icarus", 1)


def test_an_unknown_simulator_is_refused():
    with pytest.raises(ConfigError, match=r"^unknown simulator 'questa'; allowed: verilator, icarus$"):
        choose_simulator("questa", 1)


def test_builds_go_to_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_folder() == tmp_path / "hwsim" / "rtl"


def test_without_a_writable_cache_builds_are_temporary(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert default_cache_folder().name.startswith("hwsim-rtl-")


def test_waves_come_from_icarus_only(verilator, tmp_path):
    simulation = building.Simulation("verilator", tmp_path / "simulation")
    with pytest.raises(ConfigError, match=r"^waves from a Verilator build; allowed: icarus$"):
        simulation.run(tmp_path, vcd=True)


@pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed (apt install yosys)")
def test_area_counts_the_registers_of_the_configured_widths():
    small = area(array_params(4, 4, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4))
    large = area(
        array_params(4, 4, "weight_stationary", weight_bits=8, activation_bits=6, guard_bits=4, fold_overlap="full"),
        requantizer=RequantizerOptions(multiplier_bits=16),
        lut=LutOptions(entries=64, interpolation="linear"),
    )
    assert small.pe.flip_flops == 4 + 4 + 12 + 2  # operands, sum, two tags
    assert large.pe.flip_flops == 6 + 8 + 8 + 18 + 3  # activation, two weights, sum, three tags
    assert 0 < small.pe.cells < large.pe.cells
    assert large.requantizer.cells < small.requantizer.cells
    assert (small.lut.memory_bits, large.lut.memory_bits) == (256 * 9, 64 * 9)


def test_without_yosys_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    params = array_params(4, 4, "output_stationary", weight_bits=8, activation_bits=8, guard_bits=4)
    with pytest.raises(ConfigError, match=r"^Yosys is not installed; get it with `apt install yosys`$"):
        area(params)


@pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed (apt install yosys)")
def test_the_area_of_a_table_without_rtl_is_refused():
    params = array_params(4, 4, "output_stationary", weight_bits=8, activation_bits=8, guard_bits=4)
    with pytest.raises(ConfigError, match=r"^no RTL of interpolation tflite_int16; allowed: none, linear$"):
        area(params, lut=LutOptions(output_bits=16, interpolation="tflite_int16"))
