"""What a dataflow decides: the folds and their order, their time, and how often registers move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayShape, GemmShape
from hwsim.counts import Counts


class DataflowRules(ABC):
    """The closed-form side of a dataflow; the kernels are its register-level side and tests hold both together."""

    @abstractmethod
    def folds(self, shape: GemmShape, params: ArrayShape) -> Iterator[Fold]:
        """Yield the folds in the order in which the array runs them."""

    @abstractmethod
    def fold_count(self, shape: GemmShape, params: ArrayShape) -> int:
        """Return how many folds there are."""

    @abstractmethod
    def timing(self, shape: GemmShape, params: ArrayShape) -> FoldTiming:
        """Return the cycles of a fold and how folds follow each other."""

    @abstractmethod
    def counts(self, shape: GemmShape, params: ArrayShape) -> Counts:
        """Return the array's actions: multiplies, adds, and register writes by operands and sums.

        Operands move through all columns or rows of the array, also past the edge of a partial tile; a register
        that holds no operand is not written.
        """
