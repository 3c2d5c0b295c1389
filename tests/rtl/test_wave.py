"""The waves of the stepped registers are the waves of the RTL, signal by signal and cycle by cycle."""

import numpy as np
import pytest
from rtl_cases import OVERLAPS, random_case
from vcd_files import VcdFile

from hwsim.array.params import array_params
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.rtl import registers
from hwsim.rtl.build import build
from hwsim.rtl.design import build_design, build_product
from hwsim.rtl.images import write_images
from hwsim.rtl.wave import BENCH, CYCLE_TIME, write_vcd


def rtl_waves(params, activations, weights, folder):
    product = build_product(params, activations, weights)
    write_images(folder, product)
    build(build_design(product), "icarus").run(folder, vcd=True)
    return VcdFile(folder / "trace.vcd"), product


def first_edge(waves):
    """The time of the clock edge that ends cycle 0: where the bench's count of cycles becomes 1."""
    return next(time for time, value in waves.changes[f"{BENCH}.cycle"] if value == 1)


def assert_same_waves(params, activations, weights, folds, folder):
    write_vcd(params, activations, weights, folder / "ours.vcd", folds)
    ours = VcdFile(folder / "ours.vcd")
    theirs, product = rtl_waves(params, activations, weights, folder)
    timing, edge = product.timing, first_edge(theirs)
    cycles = range(folds.start * timing.interval, (folds.stop - 1) * timing.interval + timing.duration + timing.tail)
    assert len(ours.changes) > 5 * params.rows * params.cols
    for name, width in ours.widths.items():
        assert theirs.widths[name] == width, name
        for cycle in cycles:
            mine = ours.before(name, (cycle + 1) * CYCLE_TIME)
            assert mine == theirs.before(name, edge + cycle * CYCLE_TIME), f"{name} in cycle {cycle}"


@pytest.mark.parametrize(("dataflow", "overlap"), [(d, o) for d, overlaps in OVERLAPS.items() for o in overlaps])
def test_waves_equal_the_rtls(icarus, tmp_path, dataflow, overlap):
    params = array_params(
        4, 3, dataflow, weight_bits=4, activation_bits=5, guard_bits=-1, overflow="wrap", fold_overlap=overlap
    )
    rng = np.random.default_rng(0)
    activations, weights = rng.integers(-16, 16, (7, 5)), rng.integers(-8, 8, (5, 8))
    assert_same_waves(params, activations, weights, range(2), tmp_path)


def test_a_later_window_equals_the_rtls(icarus, tmp_path):
    params = array_params(
        3, 2, "weight_stationary", weight_bits=4, activation_bits=4, guard_bits=0, fold_overlap="full"
    )
    rng = np.random.default_rng(1)
    activations, weights = rng.integers(-8, 8, (2, 8)), rng.integers(-8, 8, (8, 5))
    assert_same_waves(params, activations, weights, range(4, 7), tmp_path)


@pytest.mark.parametrize("number", range(2000, 2040))
def test_recorded_registers_meet_the_engine_on_random_designs(number, tmp_path):
    case = random_case(number, with_units=False)
    product = build_product(case.params, case.activations, case.weights)
    last = product.outer_tiles * product.inner_tiles - 1
    write_vcd(case.params, case.activations, case.weights, tmp_path / "last.vcd", range(last, last + 1))


def test_a_window_outside_the_product_is_refused(tmp_path):
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((2, 2), np.int64)
    with pytest.raises(ConfigError, match=r"^waves of folds 0:2; allowed: FIRST:END inside 0:1$"):
        write_vcd(params, ones, ones, tmp_path / "x.vcd", range(2))


def test_registers_that_differ_from_the_engine_are_refused_and_leave_no_file(tmp_path, monkeypatch):
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((2, 2), np.int64)

    def twos(matrix, rows, cols, wanted):
        return 2 * wanted.astype(np.int64)

    monkeypatch.setattr(registers, "_fetch", twos)
    with pytest.raises(CheckFailedError, match=r"^cycle 4: recorded registers differ from the stepped engine's$"):
        write_vcd(params, ones, ones, tmp_path / "x.vcd")
    assert not (tmp_path / "x.vcd").exists()
