"""Which add happens in which cycle: timelines of 2x2 and 4x4 arrays drawn by hand, against both engines.

Every operand is -2 and the accumulators hold two bits, -2 to 1: each product is 4, so that every add overflows and
shows its cycle. Under ``saturate`` a register that has overflowed holds 1, and 1 + 1 under the array overflows too.
"""

from __future__ import annotations

import numpy as np
import pytest
from drawings import adds_in, cycles_in

from hwsim.array.gemm import simulate_gemm
from hwsim.array.results import GemmResult

pytestmark = pytest.mark.parametrize("engine", ["stepped", "functional"])


def overflow_everywhere(
    engine: str, dataflow: str, side: int, shape: tuple[int, int, int], fold_overlap: str = "none"
) -> GemmResult:
    out_rows, depth, out_cols = shape
    return simulate_gemm(
        np.full((out_rows, depth), -2),
        np.full((depth, out_cols), -2),
        rows=side,
        cols=side,
        dataflow=dataflow,
        weight_bits=2,
        activation_bits=2,
        guard_bits=-2,
        overflow="saturate",
        engine=engine,
        fold_overlap=fold_overlap,
    )


def assert_drawn(result: GemmResult, side: int, drawing: str) -> None:
    assert [tuple(event) for event in result.overflow.events.tolist()] == adds_in(drawing, side)
    assert result.total_cycles == cycles_in(drawing)


def test_output_stationary_2x2(engine: str) -> None:
    """Two folds, three terms each. Operands meet in PE(r, c) r + c cycles late; then the sums leave, bottom row first.

    The second fold has one column only: PE(., 1) has nothing to add, and the fold takes as long.
    """
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2 3
        PE(0,0) 0 1 2 . . . . 0 1 2 . . . .
        PE(0,1) . 0 1 2 . . . . . . . . . .
        PE(1,0) . 0 1 2 . . . . 0 1 2 . . .
        PE(1,1) . . 0 1 2 . . . . . . . . .
        leaves  . . . . . 1 0 . . . . . 1 0
    """
    result = overflow_everywhere(engine, "output_stationary", 2, (2, 3, 3))
    assert_drawn(result, 2, drawing)
    assert result.mac_cycles == 12


def test_output_stationary_2x2_with_the_drain_under_the_next_fold(engine: str) -> None:
    """Shadow registers take the sums: the next fold starts when the last PE has added its last term."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1
        PE(0,0) 0 1 2 . . 0 1 2 . . . .
        PE(0,1) . 0 1 2 . . 0 1 2 . . .
        PE(1,0) . 0 1 2 . . 0 1 2 . . .
        PE(1,1) . . 0 1 2 . . 0 1 2 . .
        leaves  . . . . . 1 0 . . . 1 0
    """
    assert_drawn(overflow_everywhere(engine, "output_stationary", 2, (2, 3, 4), "drain"), 2, drawing)


def test_output_stationary_2x2_with_folds_back_to_back(engine: str) -> None:
    """The operands of the next fold follow at once; every PE is busy without a gap."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9
        PE(0,0) 0 1 2 0 1 2 . . . .
        PE(0,1) . 0 1 2 0 1 2 . . .
        PE(1,0) . 0 1 2 0 1 2 . . .
        PE(1,1) . . 0 1 2 0 1 2 . .
    """
    assert_drawn(overflow_everywhere(engine, "output_stationary", 2, (4, 3, 2), "full"), 2, drawing)


def test_output_stationary_4x4(engine: str) -> None:
    """The wave runs down the diagonals: 3 terms + 4 rows + 4 columns - 2 = 9 cycles, and 4 to leave."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2
        PE(0,0) 0 1 2 . . . . . . . . . .
        PE(0,1) . 0 1 2 . . . . . . . . .
        PE(0,2) . . 0 1 2 . . . . . . . .
        PE(0,3) . . . 0 1 2 . . . . . . .
        PE(1,0) . 0 1 2 . . . . . . . . .
        PE(1,1) . . 0 1 2 . . . . . . . .
        PE(1,2) . . . 0 1 2 . . . . . . .
        PE(1,3) . . . . 0 1 2 . . . . . .
        PE(2,0) . . 0 1 2 . . . . . . . .
        PE(2,1) . . . 0 1 2 . . . . . . .
        PE(2,2) . . . . 0 1 2 . . . . . .
        PE(2,3) . . . . . 0 1 2 . . . . .
        PE(3,0) . . . 0 1 2 . . . . . . .
        PE(3,1) . . . . 0 1 2 . . . . . .
        PE(3,2) . . . . . 0 1 2 . . . . .
        PE(3,3) . . . . . . 0 1 2 . . . .
        leaves  . . . . . . . . . 3 2 1 0
    """
    result = overflow_everywhere(engine, "output_stationary", 4, (4, 3, 4))
    assert_drawn(result, 4, drawing)
    assert result.mac_cycles == 9


def test_weight_stationary_2x2(engine: str) -> None:
    """Two depth tiles, two output rows. Weights enter from the top, row 1's first; then activations stream.

    A sum leaves PE(1, c) at the end of a cycle and is stored or added in the next: hence one more cycle at the end.
    """
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2
        load    1 0 . . . . 1 0 . . . . .
        PE(0,0) . . 0 1 . . . . 0 1 . . .
        PE(0,1) . . . 0 1 . . . . 0 1 . .
        PE(1,0) . . . 0 1 . . . . 0 1 . .
        PE(1,1) . . . . 0 1 . . . . 0 1 .
        ACC(0)  . . . . s s . . . . 0 1 .
        ACC(1)  . . . . . s s . . . . 0 1
    """
    result = overflow_everywhere(engine, "weight_stationary", 2, (2, 4, 2))
    assert_drawn(result, 2, drawing)
    assert result.mac_cycles == 12


def test_weight_stationary_2x2_with_a_partial_depth_tile(engine: str) -> None:
    """Three terms: the second fold has no weights in row 1, and its sums pass that row without an add."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2
        load    1 0 . . . . . 0 . . . . .
        PE(0,0) . . 0 1 . . . . 0 1 . . .
        PE(0,1) . . . 0 1 . . . . 0 1 . .
        PE(1,0) . . . 0 1 . . . . . . . .
        PE(1,1) . . . . 0 1 . . . . . . .
        ACC(0)  . . . . s s . . . . 0 1 .
        ACC(1)  . . . . . s s . . . . 0 1
    """
    assert_drawn(overflow_everywhere(engine, "weight_stationary", 2, (2, 3, 2)), 2, drawing)


def test_weight_stationary_2x2_with_folds_back_to_back(engine: str) -> None:
    """The second fold's weights are loaded (cycles 3 and 4) under the first fold's stream of three."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0
        load    1 0 . 1 0 . . . . . .
        PE(0,0) . . 0 1 2 0 1 2 . . .
        PE(0,1) . . . 0 1 2 0 1 2 . .
        PE(1,0) . . . 0 1 2 0 1 2 . .
        PE(1,1) . . . . 0 1 2 0 1 2 .
        ACC(0)  . . . . s s s 0 1 2 .
        ACC(1)  . . . . . s s s 0 1 2
    """
    assert_drawn(overflow_everywhere(engine, "weight_stationary", 2, (3, 4, 2), "full"), 2, drawing)


def test_weight_stationary_4x4(engine: str) -> None:
    """Two depth tiles of four, a stream of three: 2 * 4 + 4 + 3 - 2 = 13 cycles a fold, and one at the end."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6
        load    3 2 1 0 . . . . . . . . . 3 2 1 0 . . . . . . . . . .
        PE(0,0) . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . . . .
        PE(0,1) . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . . .
        PE(0,2) . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . .
        PE(0,3) . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . .
        PE(1,0) . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . . .
        PE(1,1) . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . .
        PE(1,2) . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . .
        PE(1,3) . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . .
        PE(2,0) . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . . .
        PE(2,1) . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . .
        PE(2,2) . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . .
        PE(2,3) . . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . .
        PE(3,0) . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . . .
        PE(3,1) . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . . .
        PE(3,2) . . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 . .
        PE(3,3) . . . . . . . . . . 0 1 2 . . . . . . . . . . 0 1 2 .
        ACC(0)  . . . . . . . . s s s . . . . . . . . . . 0 1 2 . . .
        ACC(1)  . . . . . . . . . s s s . . . . . . . . . . 0 1 2 . .
        ACC(2)  . . . . . . . . . . s s s . . . . . . . . . . 0 1 2 .
        ACC(3)  . . . . . . . . . . . s s s . . . . . . . . . . 0 1 2
    """
    result = overflow_everywhere(engine, "weight_stationary", 4, (3, 8, 4))
    assert_drawn(result, 4, drawing)
    assert result.mac_cycles == 26


def test_input_stationary_2x2(engine: str) -> None:
    """Activations stay: columns are output rows, and three output columns stream past."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4
        load    1 0 . . . . . 1 0 . . . . . .
        PE(0,0) . . 0 1 2 . . . . 0 1 2 . . .
        PE(0,1) . . . 0 1 2 . . . . 0 1 2 . .
        PE(1,0) . . . 0 1 2 . . . . 0 1 2 . .
        PE(1,1) . . . . 0 1 2 . . . . 0 1 2 .
        ACC(0)  . . . . s s s . . . . 0 1 2 .
        ACC(1)  . . . . . s s s . . . . 0 1 2
    """
    result = overflow_everywhere(engine, "input_stationary", 2, (2, 4, 3))
    assert_drawn(result, 2, drawing)
    assert result.mac_cycles == 14


def test_input_stationary_4x4_with_partial_tiles(engine: str) -> None:
    """Two output rows and three terms on a 4x4 array: half the columns and the last row stay empty."""
    drawing = """
        cycle   0 1 2 3 4 5 6 7 8 9 0 1 2
        load    . 2 1 0 . . . . . . . . .
        PE(0,0) . . . . 0 1 . . . . . . .
        PE(0,1) . . . . . 0 1 . . . . . .
        PE(1,0) . . . . . 0 1 . . . . . .
        PE(1,1) . . . . . . 0 1 . . . . .
        PE(2,0) . . . . . . 0 1 . . . . .
        PE(2,1) . . . . . . . 0 1 . . . .
        ACC(0)  . . . . . . . . s s . . .
        ACC(1)  . . . . . . . . . s s . .
    """
    assert_drawn(overflow_everywhere(engine, "input_stationary", 4, (2, 3, 2)), 4, drawing)
