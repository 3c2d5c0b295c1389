"""Weight stationary: each PE keeps one weight; activations move right, partial sums move down."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hwsim.array.dataflow_rules import DataflowRules
from hwsim.array.folds import Fold, FoldTiming, tile_count, tiles, used_in_tiles
from hwsim.array.params import ArrayShape, GemmShape
from hwsim.counts import Counts


class WeightStationary(DataflowRules):
    """A fold holds rows (depth) x cols (out_cols) weights and streams every output row past them.

    PE(r, c) adds for stream index m in cycle rows + m + r + c of its fold; the sum of column c is stored in or
    added to the accumulator under the array in cycle rows + m + rows + c.
    """

    def folds(self, shape: GemmShape, params: ArrayShape) -> Iterator[Fold]:
        """Column tiles outer, depth tiles inner: the sums of a column tile are complete before the next starts."""
        depth_tiles = tile_count(shape.depth, params.rows)
        pairs = product(tiles(shape.out_cols, params.cols), enumerate(tiles(shape.depth, params.rows)))
        for index, (cols, (place, depth)) in enumerate(pairs):
            yield Fold(index, slice(0, shape.out_rows), depth, cols, place == 0, place == depth_tiles - 1)

    def fold_count(self, shape: GemmShape, params: ArrayShape) -> int:
        """Column tiles times depth tiles."""
        return tile_count(shape.out_cols, params.cols) * tile_count(shape.depth, params.rows)

    def timing(self, shape: GemmShape, params: ArrayShape) -> FoldTiming:
        """``2 rows + cols + out_rows - 2`` a fold, and one cycle for the last add under the array."""
        rows, cols, stream = params.rows, params.cols, shape.out_rows
        duration = 2 * rows + cols + stream - 2
        return FoldTiming(
            fill=rows,
            compute=stream,
            drain=rows + cols - 2,
            interval=max(stream, rows) if params.fold_overlap == "full" else duration,
            tail=1,
            drained_after_macs=1,
        )

    def counts(self, shape: GemmShape, params: ArrayShape) -> Counts:
        """The weight of row r is written r + 1 times on its way down; a sum once in each row that it passes."""
        depth_tiles, col_tiles = (
            used_in_tiles(shape.depth, params.rows),
            used_in_tiles(shape.out_cols, params.cols),
        )
        loads = sum(row + 1 for used in depth_tiles for row in range(used))
        outputs = shape.out_rows * shape.out_cols
        return Counts(
            {
                ("pe", "multiply"): shape.macs,
                ("pe", "accumulate"): shape.macs,
                ("pe", "activation_register_write"): shape.out_rows * shape.depth * params.cols * len(col_tiles),
                ("pe", "weight_register_write"): loads * shape.out_cols,
                ("pe", "partial_sum_register_write"): outputs * params.rows * len(depth_tiles),
                ("accumulator_buffer", "write"): outputs * len(depth_tiles),
                ("accumulator_buffer", "read"): outputs * (len(depth_tiles) - 1),
                ("accumulator_buffer", "add"): outputs * (len(depth_tiles) - 1),
            }
        )
