"""simulate_gemm by example: what comes out, what is counted, which shapes and layouts of operands are taken."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.array.engine import FoldOperands
from hwsim.array.folds import Fold
from hwsim.array.functional import exact_product
from hwsim.array.gemm import make_engine, simulate_gemm
from hwsim.array.params import Dataflow, array_params
from hwsim.counts import Counts

engines = pytest.mark.parametrize("engine", ["stepped", "functional"])
every_dataflow = pytest.mark.parametrize("dataflow", list(Dataflow))


@engines
@every_dataflow
def test_a_product_small_enough_to_do_by_hand(engine: str, dataflow: str) -> None:
    result = simulate_gemm([[1, 2, 3], [-4, 5, -6]], [[7, -8], [9, 10], [-11, 12]], rows=2, cols=2, dataflow=dataflow,
                           engine=engine)  # fmt: skip
    assert result.output.tolist() == [[-8, 48], [83, 10]]
    assert (result.macs, result.overflow_events, len(result.overflows)) == (12, 0, 0)


@engines
@every_dataflow
@pytest.mark.parametrize("side", [(1, 1), (1, 4), (4, 1), (3, 5), (40, 40)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 1), (9, 1, 9), (7, 1, 1), (1, 1, 7), (5, 6, 4)])
def test_any_shape_runs_on_any_array(
    engine: str, dataflow: str, side: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    random = np.random.default_rng(0)
    x, w = random.integers(-128, 128, shape[:2]), random.integers(-128, 128, shape[1:])
    result = simulate_gemm(x, w, rows=side[0], cols=side[1], dataflow=dataflow, engine=engine)
    assert np.array_equal(result.output, x @ w)


@engines
@every_dataflow
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_operands_of_any_integer_type_and_layout(engine: str, dataflow: str, dtype: type) -> None:
    random = np.random.default_rng(1)
    x = random.integers(-128, 128, (12, 20)).astype(dtype)[::2, ::-2]
    w = np.asfortranarray(random.integers(-128, 128, (5, 10)).astype(dtype)).T
    result = simulate_gemm(x, w, rows=3, cols=4, dataflow=dataflow, guard_bits=0, overflow="wrap", engine=engine)
    contiguous = simulate_gemm(
        np.ascontiguousarray(x, np.int64), np.ascontiguousarray(w, np.int64),
        rows=3, cols=4, dataflow=dataflow, guard_bits=0, overflow="wrap", engine=engine,
    )  # fmt: skip
    assert np.array_equal(result.output, contiguous.output)
    assert np.array_equal(result.overflow.events, contiguous.overflow.events)
    assert contiguous.overflow_events > 0


@engines
def test_an_engine_takes_narrow_integers_too(engine: str) -> None:
    """-128 * -128 * 100 fits no int8; the proof that nothing overflows must not be led in int8."""
    x, w = np.full((2, 100), -128, np.int8), np.full((100, 2), -128, np.int8)
    params = array_params(2, 2, "output_stationary", weight_bits=8, activation_bits=8, guard_bits=0)
    assert make_engine(engine).gemm(params, x, w).output.tolist() == [[32767, 32767]] * 2


@engines
@every_dataflow
def test_operands_are_left_as_they_were(engine: str, dataflow: str) -> None:
    x, w, start = np.full((3, 4), -128), np.full((4, 3), -128), np.full((3, 3), 100)
    params = array_params(2, 2, dataflow, weight_bits=8, activation_bits=8, guard_bits=0)
    make_engine(engine).gemm(params, x, w, start)
    assert ((x == -128).all(), (w == -128).all(), (start == 100).all()) == (True, True, True)


@engines
@every_dataflow
def test_a_starting_value_is_the_first_thing_in_the_sum(engine: str, dataflow: str) -> None:
    """7 - 1 - 1 in 4 bits; 7 + 1 would overflow, so the order shows."""
    params = array_params(1, 1, dataflow, weight_bits=3, activation_bits=3, guard_bits=-2)
    x, w, start = np.array([[1, 1, 1]]), np.array([[-1], [-1], [2]]), np.array([[7]])
    result = make_engine(engine).gemm(params, x, w, start)
    assert (result.output.tolist(), result.overflow_events) == ([[7]], 0)


@engines
def test_output_stationary_counts_by_hand(engine: str) -> None:
    """2 x 3 by 3 x 1 on a 2 x 2 array.

    Six activations pass two columns each; three weights pass two rows each. Each of the two sums is written three
    times; row 0's moves once more, through row 1, to leave.
    """
    result = simulate_gemm(np.ones((2, 3), int), np.ones((3, 1), int), rows=2, cols=2, engine=engine)
    assert result.counts == Counts({
        ("pe", "multiply"): 6,
        ("pe", "accumulate"): 6,
        ("pe", "activation_register_write"): 12,
        ("pe", "weight_register_write"): 6,
        ("pe", "partial_sum_register_write"): 7,
    })  # fmt: skip


@engines
def test_weight_stationary_counts_by_hand(engine: str) -> None:
    """4 x 3 by 3 x 1 on a 2 x 2 array: two depth tiles, the second with one weight.

    Weights: row 1's moves through two registers, row 0's into one: 3, and 1 in the second tile. Twelve activations
    pass two columns each. Four sums pass two rows in either tile, are stored once and added to once.
    """
    result = simulate_gemm(
        np.ones((4, 3), int), np.ones((3, 1), int), rows=2, cols=2, dataflow="weight_stationary", engine=engine
    )
    assert result.counts == Counts({
        ("pe", "multiply"): 12,
        ("pe", "accumulate"): 12,
        ("pe", "activation_register_write"): 24,
        ("pe", "weight_register_write"): 4,
        ("pe", "partial_sum_register_write"): 16,
        ("accumulator_buffer", "write"): 8,
        ("accumulator_buffer", "read"): 4,
        ("accumulator_buffer", "add"): 4,
    })  # fmt: skip


@engines
def test_input_stationary_counts_are_the_transposed_ones(engine: str) -> None:
    """1 x 3 by 3 x 4: the product above, with activations held and weights streaming."""
    result = simulate_gemm(
        np.ones((1, 3), int), np.ones((3, 4), int), rows=2, cols=2, dataflow="input_stationary", engine=engine
    )
    assert result.counts["pe", "activation_register_write"] == 4
    assert result.counts["pe", "weight_register_write"] == 24
    assert result.counts["accumulator_buffer", "read"] == 4


@engines
@every_dataflow
def test_zeros_change_no_cycle_and_no_count(engine: str, dataflow: str) -> None:
    zeros, ones = (
        simulate_gemm(np.full((5, 6), value), np.full((6, 7), value), rows=2, cols=3, dataflow=dataflow, engine=engine)
        for value in (0, 1)
    )
    assert zeros.counts == ones.counts
    assert zeros.total_cycles == ones.total_cycles
    assert not zeros.output.any()


@engines
@every_dataflow
def test_tall_products_are_no_problem(engine: str, dataflow: str) -> None:
    """10,000 output rows; events of a wrapping 4-bit accumulator, bounded."""
    x, w = np.ones((10_000, 3), np.int64), np.full((3, 2), 3)
    result = simulate_gemm(x, w, rows=2, cols=2, dataflow=dataflow, weight_bits=3, activation_bits=3, guard_bits=-2,
                           engine=engine, max_events=10)  # fmt: skip
    assert (result.output == 7).all()
    assert result.overflow_events == 20_000
    assert (len(result.overflow.events), result.overflow.left_out) == (10, 19_990)


def test_a_fold_has_a_transpose() -> None:
    fold = Fold(3, slice(0, 2), slice(2, 4), slice(4, 6), first_in_chain=False)
    assert fold.transposed == Fold(3, slice(4, 6), slice(2, 4), slice(0, 2), first_in_chain=False)
    operands = FoldOperands(np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4)), np.ones((2, 4)))
    assert operands.transposed.activations.shape == (4, 3)
    assert operands.transposed.initial.shape == (4, 2)


@pytest.mark.parametrize("largest", [7, 127, 2**15 - 1])
@pytest.mark.parametrize("shape", [(32, 4608, 32), (3, 5, 4), (1, 300_000, 1), (600, 3, 600)])
def test_products_by_the_floating_point_library_are_exact(shape: tuple[int, int, int], largest: int) -> None:
    """Whole or in pieces, in float32, float64 or integers: the same as NumPy's integers."""
    random = np.random.default_rng(0)
    left = random.integers(-largest, largest, shape[:2], endpoint=True)
    right = random.integers(-largest, largest, shape[1:], endpoint=True)
    assert np.array_equal(exact_product(left, right), left @ right)
