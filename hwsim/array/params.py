"""What an array is built as, and the shape of what it computes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat, Overflow, accumulator_format

FoldOverlap = Literal["none", "drain", "full"]
MAX_SIDE = 1024
MAX_OPERAND_BITS = 16
OFFSET_BITS = 1  # one more where the zero point is subtracted in front of the multiplier
MIN_GUARD_BITS = -4


class Dataflow(StrEnum):
    """Which matrix stays in the PEs while the others move."""

    OUTPUT_STATIONARY = "output_stationary"
    WEIGHT_STATIONARY = "weight_stationary"
    INPUT_STATIONARY = "input_stationary"


@dataclass(frozen=True, slots=True)
class GemmShape:
    """Sizes of a matrix product: (out_rows, depth) activations times (depth, out_cols) weights."""

    out_rows: int
    depth: int
    out_cols: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the product."""
        return self.out_rows * self.depth * self.out_cols

    @property
    def transposed(self) -> GemmShape:
        """The shape of the transposed product."""
        return GemmShape(self.out_cols, self.depth, self.out_rows)


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """What folds and cycles depend on: ``rows`` x ``cols`` PEs, the dataflow and the overlap of folds."""

    rows: int
    cols: int
    dataflow: Dataflow
    fold_overlap: FoldOverlap = field(default="none", kw_only=True)

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= MAX_SIDE and 1 <= self.cols <= MAX_SIDE):
            raise ConfigError(f"array of {self.rows} x {self.cols}; allowed: 1 to {MAX_SIDE} rows and columns")
        if self.fold_overlap == "drain" and self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            raise ConfigError(f"fold_overlap drain with {self.dataflow}; allowed: output_stationary")

    @property
    def transposed(self) -> ArrayShape:
        """The weight-stationary array that computes an input-stationary product's transpose."""
        return replace(self, dataflow=Dataflow.WEIGHT_STATIONARY)


@dataclass(frozen=True, slots=True)
class ArrayParams(ArrayShape):
    """A systolic array of integer MACs: its shape, and the formats of its words."""

    activations: IntFormat
    weights: IntFormat
    accumulator: IntFormat
    overflow: Overflow = "saturate"

    def __post_init__(self) -> None:
        ArrayShape.__post_init__(self)  # not super(): a class with slots is another one than its body was written in
        widest = max(self.activations.bits, self.weights.bits)
        if widest > MAX_OPERAND_BITS + OFFSET_BITS:
            raise ConfigError(f"operand of {widest} bits in the PEs; allowed: {MAX_OPERAND_BITS + OFFSET_BITS}")
        if not self.accumulator.signed:
            raise ConfigError("unsigned accumulator; allowed: signed")

    @property
    def transposed(self) -> ArrayParams:
        """The same, with the operands' formats exchanged."""
        return replace(self, dataflow=Dataflow.WEIGHT_STATIONARY, activations=self.weights, weights=self.activations)


def array_params(
    rows: int,
    cols: int,
    dataflow: str,
    *,
    weight_bits: int,
    activation_bits: int,
    guard_bits: int,
    overflow: Overflow = "saturate",
    activations_signed: bool = True,
    weights_signed: bool = True,
    fold_overlap: FoldOverlap = "none",
) -> ArrayParams:
    """Build the parameters of an array with a (weight_bits + activation_bits + guard_bits)-bit accumulator.

    Raises:
        ConfigError: an unknown name, or a size or width outside its range.
    """
    if dataflow not in list(Dataflow):
        raise ConfigError(f"unknown dataflow '{dataflow}'; allowed: {', '.join(Dataflow)}")
    if overflow not in ("wrap", "saturate", "error"):
        raise ConfigError(f"unknown overflow '{overflow}'; allowed: wrap, saturate, error")
    if fold_overlap not in ("none", "drain", "full"):
        raise ConfigError(f"unknown fold_overlap '{fold_overlap}'; allowed: none, drain, full")
    for name, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        if not 2 <= bits <= MAX_OPERAND_BITS:
            raise ConfigError(f"{name} {bits}; allowed: 2 to {MAX_OPERAND_BITS}")
    if guard_bits < MIN_GUARD_BITS:
        raise ConfigError(f"guard_bits {guard_bits}; allowed: {MIN_GUARD_BITS} or more")
    return ArrayParams(
        rows=rows,
        cols=cols,
        dataflow=Dataflow(dataflow),
        activations=IntFormat(activation_bits, activations_signed),
        weights=IntFormat(weight_bits, weights_signed),
        accumulator=accumulator_format(weight_bits, activation_bits, guard_bits),
        overflow=overflow,
        fold_overlap=fold_overlap,
    )
