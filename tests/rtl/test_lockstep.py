"""The stepped engine and the RTL agree cycle for cycle, event for event, bit for bit; where they do not, it shows."""

import os

import numpy as np
import pytest
from rtl_cases import OVERLAPS, random_case

from hwsim.array.params import ArrayParams, Dataflow, array_params
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lut import LutOptions, build_lut, sigmoid
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import PowerOfTwo, Requantizer, RequantizerOptions, build_requantizer
from hwsim.rtl.design import read_sources
from hwsim.rtl.lockstep import compare_gemm

CASES = int(os.environ.get("HWSIM_RTL_CASES", "30"))
CASES_UNDER_VERILATOR = 2

OUTPUT = Quantization(np.float64(0.5), np.int64(3), IntFormat(8))


def int8_product(rng, out_rows, depth, out_cols):
    return rng.integers(-128, 128, (out_rows, depth)), rng.integers(-128, 128, (depth, out_cols))


@pytest.mark.parametrize("number", range(CASES))
def test_random_configurations_agree(icarus, number):
    case = random_case(number)
    agreement = compare_gemm(case.params, case.activations, case.weights, **case.units(), simulator=icarus)
    assert agreement.values == case.activations.shape[0] * case.weights.shape[1]


@pytest.mark.parametrize("number", range(1000, 1000 + CASES_UNDER_VERILATOR))
def test_random_configurations_agree_under_verilator(verilator, number):
    case = random_case(number)
    compare_gemm(case.params, case.activations, case.weights, **case.units(), simulator=verilator)


def test_operands_widened_by_a_zero_point_agree(icarus):
    """`q - Z` in front of the multiplier makes operands one bit wider; the accumulator stays."""
    params = ArrayParams(
        3, 3, Dataflow.WEIGHT_STATIONARY, IntFormat(17), IntFormat(9), IntFormat(24), overflow="saturate"
    )
    rng = np.random.default_rng(3)
    activations, weights = rng.integers(-65536, 65536, (5, 7)), rng.integers(-256, 256, (7, 4))
    assert compare_gemm(params, activations, weights, simulator=icarus).events > 0


@pytest.mark.parametrize(("dataflow", "overlap"), [(d, o) for d, overlaps in OVERLAPS.items() for o in overlaps])
@pytest.mark.parametrize("side", [1, 2])
def test_the_smallest_arrays_agree_in_every_fold_overlap(icarus, dataflow, overlap, side):
    """Folds shorter than the array are where overlapping folds come closest to each other."""
    params = array_params(
        side, side, dataflow, weight_bits=2, activation_bits=2, guard_bits=-2, overflow="wrap", fold_overlap=overlap
    )
    rng = np.random.default_rng(side)
    for sizes in ((1, 1, 1), (5, 1, 3), (1, 5, 3), (3, 5, 1)):
        activations = rng.integers(-2, 2, sizes[:2])
        compare_gemm(params, activations, rng.integers(-2, 2, sizes[1:]), simulator=icarus)


@pytest.mark.parametrize("dataflow", OVERLAPS)
@pytest.mark.parametrize("length", [1, 4, 13, 14, 30])
def test_overlapping_folds_of_a_tall_array_agree(icarus, dataflow, length):
    """The next fold starts after as many cycles as the array is high, or as its operands take."""
    params = array_params(
        13, 3, dataflow, weight_bits=4, activation_bits=4, guard_bits=-1, overflow="saturate", fold_overlap="full"
    )
    rng = np.random.default_rng(0)
    out_rows, depth, out_cols = {
        "output_stationary": (30, length, 7),
        "weight_stationary": (length, 30, 7),
        "input_stationary": (7, 30, length),
    }[dataflow]
    activations, weights = rng.integers(-8, 8, (out_rows, depth)), rng.integers(-8, 8, (depth, out_cols))
    compare_gemm(params, activations, weights, simulator=icarus)


def test_the_report_says_what_was_compared(icarus):
    activations, weights = int8_product(np.random.default_rng(1), 5, 7, 6)
    params = array_params(4, 4, "output_stationary", weight_bits=8, activation_bits=8, guard_bits=-2)
    agreement = compare_gemm(params, activations, weights, simulator=icarus)
    assert (agreement.values, agreement.codes, agreement.total_cycles) == (30, 0, 4 * 17)
    assert agreement.mac_cycles == agreement.total_cycles - 4
    assert agreement.events > 0


def test_under_error_both_go_on_as_if_wrapping(icarus):
    activations, weights = int8_product(np.random.default_rng(1), 4, 9, 4)
    params = array_params(4, 4, "weight_stationary", weight_bits=8, activation_bits=8, guard_bits=-2, overflow="error")
    assert compare_gemm(params, activations, weights, simulator=icarus).events > 0


def test_the_operands_of_a_whole_layer_agree(icarus):
    """A convolution of 8 x 8 places, 3 x 3 taps and 4 channels, 24 filters, as the 16 x 16 array sees it."""
    rng = np.random.default_rng(2)
    activations, weights = rng.integers(0, 256, (64, 36)), rng.integers(-127, 128, (36, 24))
    params = array_params(
        16, 16, "weight_stationary", weight_bits=8, activation_bits=8, guard_bits=2, activations_signed=False
    )
    scales = rng.uniform(1e-3, 4e-3, 24)
    requantizer = build_requantizer(0.1, scales, OUTPUT, "relu", RequantizerOptions())
    bias = rng.integers(-5000, 5000, 24)
    agreement = compare_gemm(params, activations, weights, requantizer=requantizer, bias=bias, simulator=icarus)
    assert agreement.codes == 64 * 24


@pytest.mark.parametrize("rounding", ["single", "double", "floor", "half_even"])
@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two"])
def test_ties_and_far_values_round_alike(icarus, scheme, rounding):
    """Sums that are only a bias: ties, their neighbours and the ends of 32 bits."""
    steps = np.arange(-40, 41) * 4
    sums = np.concatenate([steps - 1, steps, steps + 1, [-(2**31) + 1, 2**31 - 1, 7984, 585]])
    params = array_params(1, 4, "output_stationary", weight_bits=2, activation_bits=2, guard_bits=0)
    wide = Quantization(np.float64(1.0), np.int64(0), IntFormat(16))
    requantizer = build_requantizer(1.0, np.float64(0.125), wide, "none", RequantizerOptions(scheme, rounding, 31))
    nothing = np.zeros((1, 1), np.int64), np.zeros((1, sums.size), np.int64)
    assert compare_gemm(params, *nothing, requantizer=requantizer, bias=sums, simulator=icarus).codes == sums.size


@pytest.mark.parametrize("interpolation", ["none", "linear"])
def test_every_code_looks_up_alike(icarus, interpolation):
    codes = np.arange(-128, 128)
    params = array_params(1, 4, "output_stationary", weight_bits=2, activation_bits=2, guard_bits=0)
    inputs = Quantization(np.float64(1 / 16), np.int64(0), IntFormat(8))
    keep_codes = Requantizer(PowerOfTwo(np.asarray(0), "half_up"), zero_point=0, low=-128, high=127)
    lut = build_lut(sigmoid, inputs, OUTPUT, LutOptions(entries=40, interpolation=interpolation))
    nothing = np.zeros((1, 1), np.int64), np.zeros((1, 256), np.int64)
    agreement = compare_gemm(params, *nothing, requantizer=keep_codes, lut=lut, bias=codes, simulator=icarus)
    assert agreement.table_codes == 256


def test_a_flipped_rounding_bit_is_found_and_located(icarus):
    sources = read_sources()
    right = "ROUNDING == 0 ? half :"
    assert right in sources["requantizer.sv"]
    sources["requantizer.sv"] = sources["requantizer.sv"].replace(right, "ROUNDING == 0 ? !half :")
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((2, 2), np.int64)
    requantizer = build_requantizer(1.0, np.float64(1.0), OUTPUT, "none", RequantizerOptions())
    # sums of 2 are 4 + zero point 3; the first output leaves in cycle 4 and its code is there 4 cycles later
    message = r"^cycle 8, column 0 of the array: requantized code of output \(1, 0\): engine 7, RTL 8$"
    with pytest.raises(CheckFailedError, match=message):
        compare_gemm(params, ones, ones, requantizer=requantizer, simulator=icarus, sources=sources)


def test_a_delayed_row_of_the_feeder_is_found_and_located(icarus):
    sources = read_sources()
    right = ".CYCLES(SKEW * i)"
    assert right in sources["operand_feeder.sv"]
    late = ".CYCLES(SKEW * i + (LANES == 3 && i == 1 ? 1 : 0))"
    sources["operand_feeder.sv"] = sources["operand_feeder.sv"].replace(right, late)
    params = array_params(3, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    activations, weights = np.arange(1, 7).reshape(3, 2), np.array([[1, 2], [3, 4]])
    # rows 0 and 2 are right; row 1 meets the weights one cycle late: the sum 3 * 1 + 4 * 3 becomes 3 * 3 + 4 * 0
    message = r"^cycle 6, column 0 of the array: accumulator of output \(1, 0\): engine 15, RTL 9$"
    with pytest.raises(CheckFailedError, match=message):
        compare_gemm(params, activations, weights, simulator=icarus, sources=sources)


def test_a_lost_overflow_is_found_and_located(icarus):
    sources = read_sources()
    sources["os_pe.sv"] = sources["os_pe.sv"].replace("overflow = valid_in && out", "overflow = first_in && out")
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=0)
    most = np.full((2, 3), -8), np.full((3, 2), -8)
    with pytest.raises(CheckFailedError, match=r"^cycle 1, row 0, column 0: engine overflows, RTL does not$"):
        compare_gemm(params, *most, simulator=icarus, sources=sources)


def test_one_cycle_more_between_folds_is_found(icarus):
    sources = read_sources()
    right = "length + EXTRA_CYCLES;"
    sources["ws_sequencer.sv"] = sources["ws_sequencer.sv"].replace(right, "length + EXTRA_CYCLES + ONE;")
    params = array_params(2, 2, "weight_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((1, 4), np.int64), np.ones((4, 1), np.int64)
    message = r"accumulator of output \(0, 0\): engine 4, RTL 4 in cycle 10$"
    with pytest.raises(CheckFailedError, match=message):
        compare_gemm(params, *ones, simulator=icarus, sources=sources)


def test_a_float_scheme_has_no_rtl():
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((2, 2), np.int64)
    requantizer = build_requantizer(1.0, np.float64(1.0), OUTPUT, "none", RequantizerOptions("float"))
    with pytest.raises(ConfigError, match=r"^no RTL of FloatScale; allowed: fixed_point, power_of_two$"):
        compare_gemm(params, ones, ones, requantizer=requantizer)


def test_a_table_needs_a_requantizer():
    params = array_params(2, 2, "output_stationary", weight_bits=4, activation_bits=4, guard_bits=4)
    ones = np.ones((2, 2), np.int64)
    with pytest.raises(ConfigError, match=r"^a table or a bias without a requantizer"):
        compare_gemm(params, ones, ones, bias=np.zeros(2, np.int64))
