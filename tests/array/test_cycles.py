"""Cycle counts: worked examples of the closed forms, and SCALE-Sim's published counts."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from shared_files import shared

from hwsim.array.dataflows import rules
from hwsim.array.gemm import simulate_gemm
from hwsim.array.params import ArrayParams, Dataflow, GemmShape, array_params


def params(rows: int, cols: int, dataflow: str, fold_overlap: str = "none") -> ArrayParams:
    return array_params(rows, cols, dataflow, weight_bits=8, activation_bits=8, guard_bits=8, fold_overlap=fold_overlap)


@pytest.mark.parametrize(
    ("dataflow", "fold_overlap", "folds", "total", "mac"),
    [
        # 3 row tiles x 3 column tiles; a fold is 2*4 + 8 + 7 - 2 = 21
        ("output_stationary", "none", 9, 189, 185),
        ("output_stationary", "drain", 9, 9 * 17 + 4, 153),  # 4 + 8 + 7 - 2 = 17
        ("output_stationary", "full", 9, 8 * 7 + 21, 73),  # max(7, 4) = 7
        # 3 column tiles x 2 depth tiles; a fold is 2*4 + 8 + 10 - 2 = 24
        ("weight_stationary", "none", 6, 6 * 24 + 1, 144),
        ("weight_stationary", "full", 6, 5 * 10 + 24 + 1, 74),  # max(10, 4) = 10
        # 2 tiles of output rows x 2 depth tiles; a fold is 2*4 + 8 + 20 - 2 = 34
        ("input_stationary", "none", 4, 4 * 34 + 1, 136),
        ("input_stationary", "full", 4, 3 * 20 + 34 + 1, 94),  # max(20, 4) = 20
    ],
)
@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_a_10_x_7_x_20_product_on_a_4_x_8_array(
    engine: str, dataflow: str, fold_overlap: str, folds: int, total: int, mac: int
) -> None:
    result = simulate_gemm(
        np.ones((10, 7), int),
        np.ones((7, 20), int),
        rows=4,
        cols=8,
        dataflow=dataflow,
        fold_overlap=fold_overlap,
        engine=engine,
    )
    assert (result.folds, result.total_cycles, result.mac_cycles) == (folds, total, mac)
    assert result.macs == 10 * 7 * 20


@pytest.mark.parametrize(
    ("dataflow", "shape", "total"),
    [
        ("output_stationary", (10, 2, 20), 8 * 4 + 16),  # depth 2, but the sums take 4 cycles to leave
        ("weight_stationary", (3, 7, 20), 5 * 4 + 17 + 1),  # a stream of 3, but weights take 4 cycles to load
        ("input_stationary", (10, 7, 3), 3 * 4 + 17 + 1),
    ],
)
def test_overlapped_folds_are_at_least_a_column_apart(dataflow: str, shape: tuple[int, int, int], total: int) -> None:
    array = params(4, 8, dataflow, "full")
    closed = rules(array.dataflow)
    assert closed.timing(GemmShape(*shape), array).total_cycles(closed.fold_count(GemmShape(*shape), array)) == total


@pytest.mark.parametrize(("dataflow", "total"), [("output_stationary", 36), ("weight_stationary", 46)])
def test_a_single_pe_is_an_array(dataflow: str, total: int) -> None:
    """2 x 5 x 3: 6 folds of 1 + 1 + 1 + 5 - 2; 15 folds of 1 + 1 + 1 + 2 - 2, and 1."""
    result = simulate_gemm(np.ones((2, 5), int), np.ones((5, 3), int), rows=1, cols=1, dataflow=dataflow)
    assert result.total_cycles == total


@pytest.mark.parametrize("dataflow", list(Dataflow))
def test_a_fold_is_fill_compute_and_drain(dataflow: Dataflow) -> None:
    timing = rules(dataflow).timing(GemmShape(10, 7, 20), params(4, 8, dataflow))
    parts = {
        Dataflow.OUTPUT_STATIONARY: (10, 7, 4),
        Dataflow.WEIGHT_STATIONARY: (4, 10, 10),
        Dataflow.INPUT_STATIONARY: (4, 20, 10),
    }
    assert (timing.fill, timing.compute, timing.drain) == parts[dataflow]
    assert timing.duration == timing.interval == sum(parts[dataflow])


@pytest.mark.parametrize("dataflow", list(Dataflow))
def test_folds_cover_the_product_once_in_the_documented_order(dataflow: Dataflow) -> None:
    shape, array = GemmShape(5, 6, 7), params(2, 3, dataflow)
    covered = np.zeros((5, 6, 7), int)
    folds = list(rules(dataflow).folds(shape, array))
    for fold in folds:
        covered[fold.out_rows, fold.depth, fold.out_cols] += 1
    assert (covered == 1).all()
    assert [fold.index for fold in folds] == list(range(rules(dataflow).fold_count(shape, array)))
    outer_and_inner = {
        Dataflow.OUTPUT_STATIONARY: [(fold.out_rows.start, fold.out_cols.start) for fold in folds],
        Dataflow.WEIGHT_STATIONARY: [(fold.out_cols.start, fold.depth.start) for fold in folds],
        Dataflow.INPUT_STATIONARY: [(fold.out_rows.start, fold.depth.start) for fold in folds],
    }[dataflow]
    assert outer_and_inner == sorted(outer_and_inner)
    firsts, lasts = [fold.first_in_chain for fold in folds], [fold.last_in_chain for fold in folds]
    assert firsts == [fold.depth.start == 0 for fold in folds]
    assert lasts == [fold.depth.stop == 6 for fold in folds]


def published_cycles() -> list[dict[str, str]]:
    """SCALE-Sim v3.0.0's cycles per layer on a 32x32 array, without memory limits."""
    layers = []
    for topology in ("alexnet", "mobilenet", "resnet18", "vit_s"):
        with shared("reference", "scalesim", f"cycles_{topology}_32x32.csv").open(newline="") as file:
            layers += list(csv.DictReader(file))
    return layers


@pytest.mark.parametrize(
    ("dataflow", "fold_overlap", "left_out"),
    [
        # SCALE-Sim leaves out the last drain and gives the last cycle's index, not a count
        ("output_stationary", "drain", 32 + 1),
        # its last cycle's index, and no add under the array
        ("weight_stationary", "none", 2),
        ("input_stationary", "none", 2),
    ],
)
def test_cycles_are_scale_sims(dataflow: str, fold_overlap: str, left_out: int) -> None:
    array = params(32, 32, dataflow, fold_overlap)
    closed = rules(array.dataflow)
    layers = published_cycles()
    assert len(layers) > 50
    for layer in layers:
        shape = GemmShape(int(layer["out_rows"]), int(layer["depth"]), int(layer["out_cols"]))
        assert shape.macs == int(layer["macs"])
        total = closed.timing(shape, array).total_cycles(closed.fold_count(shape, array))
        assert total - left_out == int(layer[f"{dataflow}_cycles"]), layer["name"]
