"""The range of partial sums, by hand and against the functional engine's overflow events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.array.batch import run_batch
from hwsim.array.extremes import Extremes, partial_sum_extremes
from hwsim.array.params import ArrayParams, Dataflow, array_params
from hwsim.numerics.formats import IntFormat


def array(dataflow: str, rows: int = 2, cols: int = 3) -> ArrayParams:
    return array_params(rows, cols, dataflow, weight_bits=8, activation_bits=8, guard_bits=8)


def extremes(params: ArrayParams, activations: list[list[int]], weights: list[list[int]], start: int = 0) -> Extremes:
    initial = np.full((len(activations), len(weights[0])), start)
    return partial_sum_extremes(params, np.array(activations), np.array(weights), initial)


def test_output_stationary_sums_run_over_the_whole_depth() -> None:
    """100, 0, -50, 20."""
    found = extremes(array("output_stationary"), [[1, 1, 1, 1]], [[100], [-100], [-50], [70]])
    assert found == Extremes(-50, 100)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "input_stationary"])
def test_other_sums_start_anew_with_each_depth_tile(dataflow: str) -> None:
    """Two rows: 100, 0 in the first tile, -80, -10 in the second; under the array 0, then -10."""
    found = extremes(array(dataflow), [[1, 1, 1, 1]], [[100], [-100], [-80], [70]])
    assert found == Extremes(-80, 100)


def test_a_preloaded_value_is_part_of_the_first_tile() -> None:
    """30, -70, -40 in the first tile, 5, 10 in the second; under the array -40, then -30."""
    found = extremes(array("weight_stationary"), [[1, 1, 1, 1]], [[-100], [30], [5], [5]], start=30)
    assert found == Extremes(-70, 30)


@pytest.mark.parametrize(
    ("least", "greatest", "bits"),
    [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (0, 127, 8), (-128, 127, 8), (-129, 0, 9), (0, 128, 9)],
)
def test_the_fewest_bits_of_a_range(least: int, greatest: int, bits: int) -> None:
    assert Extremes(least, greatest).bits == bits


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("operand_bits", [2, 8, 16])
def test_one_bit_less_and_an_add_overflows(dataflow: Dataflow, operand_bits: int) -> None:
    random = np.random.default_rng(operand_bits)
    word = IntFormat(operand_bits)
    for _ in range(20):
        out_rows, depth, out_cols = random.integers(1, [9, 40, 9])
        activations = random.integers(word.min, word.max + 1, (1, out_rows, depth))
        weights = random.integers(word.min, word.max + 1, (depth, out_cols))
        initial = np.zeros((out_rows, out_cols), np.int64)
        params = array_params(
            int(random.integers(1, 6)),
            3,
            dataflow,
            weight_bits=operand_bits,
            activation_bits=operand_bits,
            guard_bits=0,
        )
        bits = partial_sum_extremes(params, activations[0], weights, initial).bits
        events = [
            int(run_batch(replace(params, accumulator=IntFormat(width)), activations, weights, initial).per_pe.sum())
            for width in (max(bits - 1, 2), max(bits, 2))
        ]
        assert (events[0] > 0) == (bits > 2)
        assert events[1] == 0
