"""Output stationary: each PE keeps one sum; activations move right, weights move down."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hwsim.array.dataflow_rules import DataflowRules
from hwsim.array.folds import Fold, FoldTiming, tile_count, tiles, used_in_tiles
from hwsim.array.params import ArrayShape, GemmShape
from hwsim.counts import Counts


class OutputStationary(DataflowRules):
    """A fold computes rows x cols outputs; PE(r, c) adds term k in cycle k + r + c; sums then shift down and out."""

    def folds(self, shape: GemmShape, params: ArrayShape) -> Iterator[Fold]:
        """Row tiles outer, column tiles inner."""
        pairs = product(tiles(shape.out_rows, params.rows), tiles(shape.out_cols, params.cols))
        for index, (rows, cols) in enumerate(pairs):
            yield Fold(index, rows, slice(0, shape.depth), cols)

    def fold_count(self, shape: GemmShape, params: ArrayShape) -> int:
        """Row tiles times column tiles."""
        return tile_count(shape.out_rows, params.rows) * tile_count(shape.out_cols, params.cols)

    def timing(self, shape: GemmShape, params: ArrayShape) -> FoldTiming:
        """``2 rows + cols + depth - 2`` a fold; shadow registers hide the drain, or all but the longest of both."""
        rows, cols, depth = params.rows, params.cols, shape.depth
        interval = {
            "none": 2 * rows + cols + depth - 2,
            "drain": rows + cols + depth - 2,
            "full": max(depth, rows),
        }[params.fold_overlap]
        return FoldTiming(
            fill=rows + cols - 2,
            compute=depth,
            drain=rows,
            interval=interval,
            tail=0,
            drained_after_macs=rows,
        )

    def counts(self, shape: GemmShape, params: ArrayShape) -> Counts:
        """A sum is written once a MAC, and once more for every row that it passes on its way out."""
        row_tiles, col_tiles = (
            used_in_tiles(shape.out_rows, params.rows),
            used_in_tiles(shape.out_cols, params.cols),
        )
        passed = sum(params.rows - 1 - row for used in row_tiles for row in range(used))
        return Counts(
            {
                ("pe", "multiply"): shape.macs,
                ("pe", "accumulate"): shape.macs,
                ("pe", "activation_register_write"): shape.out_rows * shape.depth * params.cols * len(col_tiles),
                ("pe", "weight_register_write"): shape.depth * shape.out_cols * params.rows * len(row_tiles),
                ("pe", "partial_sum_register_write"): shape.macs + passed * shape.out_cols,
            }
        )
