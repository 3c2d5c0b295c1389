"""Input stationary: each PE keeps one activation; it is the weight-stationary array on the transposed product."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.array.dataflow_rules import DataflowRules
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayShape, GemmShape
from hwsim.array.weight_stationary import WeightStationary
from hwsim.counts import Counts

_TRANSPOSED = WeightStationary()


class InputStationary(DataflowRules):
    """IS(A, W) = transpose of WS(transpose of W, transpose of A): rows are depth, columns out_rows."""

    def folds(self, shape: GemmShape, params: ArrayShape) -> Iterator[Fold]:
        """Tiles of out_rows outer, depth tiles inner."""
        for fold in _TRANSPOSED.folds(shape.transposed, params.transposed):
            yield fold.transposed

    def fold_count(self, shape: GemmShape, params: ArrayShape) -> int:
        """Tiles of out_rows times depth tiles."""
        return _TRANSPOSED.fold_count(shape.transposed, params.transposed)

    def timing(self, shape: GemmShape, params: ArrayShape) -> FoldTiming:
        """``2 rows + cols + out_cols - 2`` a fold, and one cycle for the last add under the array."""
        return _TRANSPOSED.timing(shape.transposed, params.transposed)

    def counts(self, shape: GemmShape, params: ArrayShape) -> Counts:
        """The transposed product's counts, with the two operands' names exchanged."""
        counts = _TRANSPOSED.counts(shape.transposed, params.transposed)
        return swap_operands(counts)


def swap_operands(counts: Counts) -> Counts:
    """Exchange the register writes of activations and of weights."""
    activation, weight = ("pe", "activation_register_write"), ("pe", "weight_register_write")
    swapped = Counts(counts)
    swapped[activation], swapped[weight] = counts[weight], counts[activation]
    return swapped
