"""What the machine has to do for each layer: tiles, transfers, folds, and the steps after the array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal

from hwsim.array.dataflows import rules
from hwsim.array.folds import Fold, FoldTiming, tile_count
from hwsim.array.params import ArrayShape, Dataflow, GemmShape
from hwsim.config.mapping import SplitName
from hwsim.mapping.operands import ActivationTiles, WeightTiles
from hwsim.mapping.tiles import Region, Tile, TileFolds, TileGrid, fold_axes, length
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.steps import ProductStep

Memory = Literal["dram", "scratchpad"]


@dataclass(frozen=True, slots=True)
class Share:
    """A core's part of the work on a layer: from ``start`` to ``stop``, of ``whole`` equal parts."""

    start: int
    stop: int
    whole: int

    def of(self, amount: int) -> int:
        """Return the part of an amount; the parts of all cores add up to it."""
        return amount * self.stop // self.whole - amount * self.start // self.whole


WHOLE = Share(0, 1, 1)


@dataclass(frozen=True, slots=True)
class Vectors:
    """What passes the port of a scratchpad: so many vectors, each of the bits that pass side by side."""

    count: int
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class ProductPlan:
    """A matrix product, or one core's share of it: tiles in order, and how its operands reach the array."""

    step: ProductStep
    params: ArrayShape
    region: Region
    grid: TileGrid
    activations: ActivationTiles
    weights: WeightTiles

    @property
    def timing(self) -> FoldTiming:
        """The time of the folds of the whole product, untiled, on one array."""
        return rules(self.params.dataflow).timing(self.step.shape, self.params)

    @property
    def group_cycles(self) -> int:
        """Cycles of one array alone for one group of the whole product, untiled, all operands at hand."""
        dataflow, shape = rules(self.params.dataflow), self.step.shape
        shares = [replace(shape, out_rows=length(rows)) for rows in self.step.fold_rows(self.params.dataflow)]
        return self.timing.total_cycles(sum(dataflow.fold_count(share, self.params) for share in shares))

    @property
    def shape(self) -> GemmShape:
        """Sizes of the region that is computed, in one group."""
        return GemmShape(self.region.rows, self.step.shape.depth, self.region.cols)

    @property
    def groups(self) -> int:
        """Number of groups in the region."""
        return length(self.region.groups)

    @property
    def fold_count(self) -> int:
        """Folds of the region, untiled, of all groups."""
        return self.groups * rules(self.params.dataflow).fold_count(self.shape, self.params)

    @property
    def array_cycles(self) -> int:
        """Cycles of the array alone for the region, untiled, all operands at hand, one group after the other."""
        dataflow = rules(self.params.dataflow)
        folds = dataflow.fold_count(self.shape, self.params)
        return self.groups * dataflow.timing(self.shape, self.params).total_cycles(folds)

    @property
    def outputs(self) -> int:
        """Outputs of the region, of all groups."""
        return self.region.outputs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the region, of all groups."""
        return self.groups * self.shape.macs

    def folds(self, tile: Tile) -> TileFolds:
        """Return the folds of a tile."""
        return TileFolds(self.step.shape, self.params, tile, self._first_line(tile))

    def _first_line(self, tile: Tile) -> int:
        """Return the number of a tile's first piece along the outer axis of folds, of all shares of the product."""
        outer = fold_axes(self.params)[0]
        start, before = outer.piece(tile).start, 0
        if outer.name == "out_rows":
            for rows in self.step.fold_rows(self.params.dataflow):
                if start < rows.stop:
                    return before + (start - rows.start) // outer.step
                before += tile_count(length(rows), outer.step)
        return int(start // outer.step)

    def tile_timing(self, tile: Tile) -> FoldTiming:
        """Return the time of a tile's folds: what streams past stationary operands may be shorter than the product's.

        A fold that keeps its sums in the PEs lasts for all of the depth, however many tiles bring it.
        """
        shape = GemmShape(tile.shape.out_rows, self.step.shape.depth, tile.shape.out_cols)
        return rules(self.params.dataflow).timing(shape, self.params)

    def ends_group(self, number: int) -> bool:
        """Return whether a tile is the last of its group."""
        return (number + 1) % (self.grid.count // self.groups) == 0

    def activation_vectors(self, fold: Fold) -> Vectors:
        """Return what a fold reads: for each term those of all rows, or past stationary weights for each row its terms.

        Padding taps are read like other elements.
        """
        rows, depth, width = length(fold.out_rows), length(fold.depth), self.step.activation_format.bits
        if self.params.dataflow is Dataflow.WEIGHT_STATIONARY:
            return Vectors(rows, depth * width)
        return Vectors(depth, rows * width)

    def weight_vectors(self, fold: Fold) -> Vectors:
        """Return what a fold reads: for each term those of all columns, or past stationary activations the reverse."""
        cols, depth, width = length(fold.out_cols), length(fold.depth), self.step.weight_memory_bits
        if self.params.dataflow is Dataflow.INPUT_STATIONARY:
            return Vectors(cols, depth * width)
        return Vectors(depth, cols * width)

    def output_vectors(self, fold: Fold) -> Vectors:
        """Return what a fold's sums become: row by row, or past stationary activations column by column."""
        rows, cols, width = length(fold.out_rows), length(fold.out_cols), self.step.output_format.bits
        if self.params.dataflow is Dataflow.INPUT_STATIONARY:
            return Vectors(cols, rows * width)
        return Vectors(rows, cols * width)

    def output_bits(self, tile: Tile) -> int:
        """Return the size of a tile's outputs."""
        return length(tile.out_rows) * length(tile.out_cols) * self.step.output_format.bits


def output_shares(products: Sequence[ProductPlan]) -> tuple[Share, ...]:
    """Return the cores' shares of what follows a product: as they share its outputs."""
    ends = list(accumulate(product.outputs for product in products))
    return tuple(Share(start, stop, ends[-1]) for start, stop in pairwise((0, *ends)))


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """One layer of the machine's schedule: a matrix product, and the steps that follow it on other units.

    Each of ``products`` is the share of one core; they are shares of the same product, cut along ``split``. A layer
    without products is a chain of the other steps. ``shares`` are the cores' parts of steps that are not products.
    ``inputs`` names the tensors that the layer reads, as its first step has them, and ``reads`` says how many bits of
    each; those in ``on_chip`` lie in the activation scratchpad, and those in ``fetched`` are brought there whole
    before the layer starts, for others to read as well. ``output`` is written to ``output_memory``; what lies between
    the layer's steps stays in the output scratchpad. ``pieces`` is in how many parts a layer without a product passes
    the output scratchpad. ``released`` are tensors that no later layer reads. ``bits`` are the sizes of the network's
    activation tensors.
    """

    name: str
    products: tuple[ProductPlan, ...]
    after: tuple[ElementwiseStep, ...]
    inputs: tuple[str, ...]
    reads: Mapping[str, int]
    output: str
    bits: Mapping[str, int]
    on_chip: frozenset[str] = frozenset()
    fetched: tuple[str, ...] = ()
    output_memory: Memory = "dram"
    pieces: int = 1
    released: tuple[str, ...] = ()
    shares: tuple[Share, ...] = (WHOLE,)
    split: SplitName | None = None

    @property
    def step(self) -> ProductStep | None:
        """The matrix product, if there is one."""
        return self.products[0].step if self.products else None

    @property
    def array_cycles(self) -> int:
        """Cycles of the arrays alone, untiled, all operands at hand: those of the slowest core's."""
        return max((product.array_cycles for product in self.products), default=0)

    @property
    def fold_count(self) -> int:
        """Folds of all cores, untiled."""
        return sum(product.fold_count for product in self.products)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all cores."""
        return sum(product.macs for product in self.products)

    @property
    def input_bits(self) -> int:
        """Size of what is read of all inputs."""
        return sum(self.reads.values())

    @property
    def dram_input_bits(self) -> int:
        """Size of what a layer without a product reads from DRAM."""
        return sum(bits for name, bits in self.reads.items() if name not in self.on_chip)

    @property
    def on_chip_input_bits(self) -> int:
        """Size of what is read from the activation scratchpad."""
        return self.input_bits - self.dram_input_bits

    @property
    def output_bits(self) -> int:
        """Size of what is written back."""
        return self.bits[self.output]


def sample_shares(layers: Iterable[LayerPlan]) -> dict[str, int]:
    """Return among how many cores each product's samples are shared, by the names of those whose rows they are."""
    return {layer.name: layer.step.sample_shares for layer in layers if layer.step and layer.step.sample_shares > 1}
