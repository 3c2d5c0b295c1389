"""What a quantized network is lowered to: steps that hold only integers, multipliers and tables.

Values are codes of shape (samples, elements): every tensor flat, row-major, channels last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from hwsim.array.params import Dataflow, GemmShape
from hwsim.counts import Counts
from hwsim.errors import ConfigError
from hwsim.network.float_sums import FloatSums, OutputBlock, Streamed
from hwsim.network.gather import PADDING, Gather
from hwsim.network.parts import even_parts
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.requantize import Requantizer
from hwsim.numerics.zero_point import row_sum_term

ZeroPointMode = Literal["folded", "operand"]
BiasMode = Literal["requantizer", "preload"]
SUM_LIMIT = 1 << 62


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """One step of a lowered network: reads tensors ``inputs``, writes tensor ``output`` of shape ``output_shape``."""

    name: str
    inputs: tuple[str, ...]
    output: str
    output_shape: Shape

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return int(np.prod(self.output_shape))

    def read_bits(self, place: int, bits: int) -> int:  # noqa: ARG002
        """Return how much it reads of an input of ``bits``, given by its place among the inputs: all of it."""
        return bits


class Word(Protocol):
    """A number format, as far as memories are concerned."""

    @property
    def bits(self) -> int:
        """Width of a word."""


@dataclass(frozen=True, eq=False)
class ProductStep(Step):
    """A matrix product on the array, or one per group, of numbers of any kind: what folds and transfers depend on.

    ``gather`` (groups, out_rows, depth) says which input element is each operand. ``weights`` (groups, depth,
    out_cols) are as stored; steps with one ``weight_name`` multiply by the same ones. Output channels are
    (group, out_col), the last axis of the output.
    """

    gather: Gather
    weights: np.ndarray[Any, Any]
    activation_format: Word
    weight_format: Word
    output_format: Word
    weight_name: str = field(default="", kw_only=True)
    weight_index_bits: int | None = field(default=None, kw_only=True)
    """Width of what memory holds in place of weights, for a decoder before the array; None: the weights themselves."""
    weight_decoding: tuple[str, ...] = field(default=(), kw_only=True)
    """What the decoder does with each weight."""
    samples: int = field(default=1, kw_only=True)
    """Of how many samples the groups are, one sample's after another's."""
    sample_shares: int = field(default=1, kw_only=True)
    """Among how many cores the samples in its rows are shared, whose rows are cut into folds by themselves."""

    @property
    def groups(self) -> int:
        """Number of products, one after the other."""
        return self.gather.groups

    @property
    def shape(self) -> GemmShape:
        """Sizes of one group's product."""
        return GemmShape(self.gather.out_rows, self.gather.depth, int(self.weights.shape[2]))

    @property
    def row_shares(self) -> tuple[slice, ...]:
        """Rows of each core's samples, or all of them."""
        each = self.shape.out_rows // self.gather.sample_count
        shares = even_parts(self.gather.sample_count, self.sample_shares)
        return tuple(slice(part.start * each, part.stop * each) for part in shares)

    def fold_rows(self, dataflow: Dataflow) -> tuple[slice, ...]:
        """Return rows that are cut into folds by themselves, one after the other: stationary weights see no cut."""
        if self.sample_shares == 1 or dataflow is Dataflow.WEIGHT_STATIONARY:
            return (slice(0, self.shape.out_rows),)
        return self.row_shares

    @property
    def weight_memory_bits(self) -> int:
        """Width of what memory holds for a weight."""
        return self.weight_index_bits or self.weight_format.bits

    def arranged(self, outputs: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Return each group's outputs (samples, rows, columns) as the output lies in memory, (samples, elements)."""
        each = self.groups // self.samples
        of_samples = [np.concatenate(outputs[first : first + each], axis=2) for first in range(0, self.groups, each)]
        return np.concatenate(of_samples, axis=1).reshape(len(outputs[0]), -1)

    @abstractmethod
    def requantizer_counts(self, scheme: str, rows: int, columns: int) -> Counts:
        """Return what the units behind an array do for some of one group's outputs, for one sample.

        Args:
            scheme: of the requantization.
            rows: how many of the group's rows.
            columns: how many of its columns.
        """


@dataclass(frozen=True, eq=False)
class MatmulStep(ProductStep):
    """A matrix product of integers, with its requantization; ``weights`` are codes.

    ``bias`` (groups, out_cols) is the bias on the S_w S_x grid with the constants of folded zero points.
    """

    weights: IntArray
    activation_format: IntFormat
    weight_format: IntFormat
    output_format: IntFormat
    bias: IntArray
    activation_zero_point: int
    weight_zero_point: IntArray
    zero_point: ZeroPointMode
    bias_mode: BiasMode
    requantizer: Requantizer
    float_sums: FloatSums | None = field(default=None, kw_only=True)
    """Whose outputs stand in place of the requantizer's where accumulators are exact; None: the requantizer's do."""

    def __post_init__(self) -> None:
        largest = int(np.abs(self.bias).max(initial=0))
        if self.adds_row_sums:
            reach = max(-self.activation_format.min, self.activation_format.max)
            largest += int(np.abs(self.weight_zero_point).max()) * reach * self.shape.depth
        if largest >= SUM_LIMIT:
            raise ConfigError(f"layer {self.name}: bias and zero-point terms need more than 63 bits")

    @property
    def adds_row_sums(self) -> bool:
        """Whether a row-sum unit adds the data-dependent term ``-Z_w sum(x)``."""
        return self.zero_point == "folded" and bool(np.any(self.weight_zero_point))

    @property
    def operand_formats(self) -> tuple[IntFormat, IntFormat]:
        """Formats of activations and weights at the PE: one bit wider, signed, where a zero point is subtracted."""
        activations, weights = self.activation_format, self.weight_format
        if self.zero_point == "operand" and self.activation_zero_point:
            activations = IntFormat(activations.bits + 1)
        if self.zero_point == "operand" and np.any(self.weight_zero_point):
            weights = IntFormat(weights.bits + 1)
        return activations, weights

    def requantizer_counts(self, scheme: str, rows: int, columns: int) -> Counts:
        """A multiplication (but for a mere shift, or none), an add and a shift an output; the row-sum unit's adds."""
        outputs = rows * columns
        counts = Counts({("requantizer", action): outputs for action in ("multiply", "add", "shift")})
        if scheme == "power_of_two" or not self.requantizer.scheme.multiplies:
            del counts["requantizer", "multiply"]
        if self.adds_row_sums:
            counts["requantizer", "row_sum_add"] = rows * self.shape.depth
        return counts

    def activation_operands(self, codes: IntArray, group: int) -> IntArray:
        """Return what streams into the array, (samples, out_rows, depth), for input codes (samples, elements)."""
        padded = np.empty((codes.shape[0], codes.shape[1] + 1), np.int32)  # what is gathered many times is narrow
        padded[:, :PADDING], padded[:, PADDING] = codes, self.activation_zero_point
        return self.offset_activations(padded.take(self.gather.indices(group), axis=1))

    def offset_activations(self, codes: IntArray) -> IntArray:
        """Subtract the zero point in front of the PE where the hardware does."""
        return codes - self.activation_zero_point if self.zero_point == "operand" else codes

    def row_sums(self, operands: IntArray) -> IntArray:
        """Return the sums (..., rows) of activation operands (..., rows, depth); zeros where no unit adds them."""
        if not self.adds_row_sums:
            return np.broadcast_to(np.int64(0), operands.shape[:-1])
        return np.asarray(operands.sum(axis=-1, dtype=np.int64))

    def weight_operands(self, group: int) -> IntArray:
        """Return what the PEs multiply by, (depth, out_cols)."""
        return self.offset_weights(self.weights[group], group, slice(0, self.shape.out_cols))

    def offset_weights(self, codes: IntArray, group: int, columns: slice) -> IntArray:
        """Subtract the zero points of some columns in front of the PE where the hardware does."""
        return codes - self._weight_zero_points(group)[columns] if self.zero_point == "operand" else codes

    def requantize(
        self,
        accumulators: IntArray,
        row_sums: IntArray,
        block: OutputBlock,
        operands: IntArray,
        *,
        are_exact: bool = False,
    ) -> IntArray:
        """Turn accumulators (..., rows, columns) of a block of outputs into codes.

        ``row_sums`` (..., rows) are the sums of the rows' activation operands, as the row-sum unit has them.
        ``operands`` (..., rows, depth) are what has streamed into the array; only `float_sums` looks at them. Where
        accumulators ``are_exact`` for certain, it need not find out.
        """
        sums = accumulators
        if self.bias_mode == "requantizer":
            sums = sums + self.bias[block.group, block.columns]
        if self.adds_row_sums:
            sums = sums + row_sum_term(row_sums, self._weight_zero_points(block.group)[block.columns])
        codes = self.requantizer.columns(block.channels(self.shape.out_cols)).apply(sums)
        if self.float_sums is None:
            return codes
        streamed = Streamed(operands, self.activation_zero_point if self.zero_point == "folded" else 0)
        return self.float_sums.replace_exact(codes, None if are_exact else sums, streamed, block)

    def _weight_zero_points(self, group: int) -> IntArray:
        if self.weight_zero_point.ndim == 0:
            return np.full(self.shape.out_cols, self.weight_zero_point)
        return self.weight_zero_point.reshape(self.groups, -1)[group]
