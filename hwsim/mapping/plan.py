"""What the machine has to do for each layer: folds, transfers, and the steps after the array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayShape
from hwsim.network.steps import ElementwiseStep, ProductStep


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """One transfer from DRAM into a scratchpad.

    ``place`` indexes the elements in the tensor (as NumPy does); ``first_fold`` is the fold that waits for them,
    ``last_fold`` the last one that reads them, after which their slot is free.
    """

    place: Any
    bits: int
    first_fold: int
    last_fold: int


@dataclass(frozen=True, slots=True, eq=False)
class OperandPlan:
    """How one operand reaches the array.

    ``slots`` is how many transfers may hold scratchpad space at once (2 where it is double-buffered), or None
    where the whole operand fits and stays. ``read_bits`` is what each fold reads from the scratchpad.
    """

    transfers: tuple[Transfer, ...]
    slots: int | None
    read_bits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupFold:
    """A fold of one group's product; ``ends_group`` marks the group's last."""

    group: int
    fold: Fold
    ends_group: bool


@dataclass(frozen=True, slots=True, eq=False)
class ProductPlan:
    """A matrix product on the array: folds in order, with the operands' transfers."""

    step: ProductStep
    params: ArrayShape
    timing: FoldTiming
    folds: tuple[GroupFold, ...]
    activations: OperandPlan
    weights: OperandPlan

    @property
    def array_cycles(self) -> int:
        """Cycles of the array alone, all operands at hand: every group a full set of folds."""
        per_group = len(self.folds) // self.step.groups
        return self.step.groups * self.timing.total_cycles(per_group)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.step.groups * self.step.shape.macs


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """One layer of the machine's schedule: a matrix product, and the steps that follow it on other units.

    A layer without a product is a chain of such steps. ``inputs`` and ``output`` name the tensors that the layer
    reads, as its first step has them, and writes in DRAM; what lies between its steps stays in the output
    scratchpad. ``bits`` are the sizes of the network's activation tensors.
    """

    name: str
    product: ProductPlan | None
    after: tuple[ElementwiseStep, ...]
    inputs: tuple[str, ...]
    output: str
    bits: Mapping[str, int]

    @property
    def input_bits(self) -> int:
        """Size of all inputs; one that is read twice is brought once."""
        return sum(self.bits[name] for name in dict.fromkeys(self.inputs))

    @property
    def output_bits(self) -> int:
        """Size of what is written back."""
        return self.bits[self.output]
