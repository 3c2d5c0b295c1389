"""What the machine has to do for each layer: tiles, transfers, folds, and the steps after the array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hwsim.array.dataflows import rules
from hwsim.array.folds import FoldTiming
from hwsim.array.params import ArrayShape
from hwsim.mapping.operands import ActivationTiles, WeightTiles
from hwsim.mapping.tiles import Region, Tile, TileFolds, TileGrid, length
from hwsim.network.steps import ElementwiseStep, ProductStep

Memory = Literal["dram", "scratchpad"]


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
        """The time of the untiled product's folds."""
        return rules(self.params.dataflow).timing(self.step.shape, self.params)

    @property
    def fold_count(self) -> int:
        """Folds of the untiled product, of all groups."""
        return self.step.groups * rules(self.params.dataflow).fold_count(self.step.shape, self.params)

    @property
    def group_cycles(self) -> int:
        """Cycles of the array alone for one group, untiled, all operands at hand."""
        return self.timing.total_cycles(rules(self.params.dataflow).fold_count(self.step.shape, self.params))

    @property
    def array_cycles(self) -> int:
        """The same for all groups, one after the other."""
        return self.step.groups * self.group_cycles

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.step.groups * self.step.shape.macs

    def folds(self, tile: Tile) -> TileFolds:
        """Return the folds of a tile."""
        return TileFolds(self.step.shape, self.params, tile)

    def tile_timing(self, tile: Tile) -> FoldTiming:
        """Return the time of a tile's folds: what streams may be shorter than the product's."""
        return rules(self.params.dataflow).timing(tile.shape, self.params)

    def ends_group(self, number: int) -> bool:
        """Return whether a tile is the last of its group."""
        return (number + 1) % (self.grid.count // self.step.groups) == 0

    def output_bits(self, tile: Tile) -> int:
        """Return the size of a tile's outputs."""
        return length(tile.out_rows) * length(tile.out_cols) * self.step.output_format.bits


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """One layer of the machine's schedule: a matrix product, and the steps that follow it on other units.

    A layer without a product is a chain of such steps. ``inputs`` names the tensors that the layer reads, as its first
    step has them, and ``reads`` says how many bits of each; those in ``on_chip`` lie in the activation scratchpad, and
    those in ``fetched`` are brought there whole before the layer starts, for others to read as well. ``output`` is
    written to ``output_memory``; what lies between the layer's steps stays in the output scratchpad. ``pieces`` is in
    how many parts a layer without a product passes the output scratchpad. ``released`` are tensors that no later layer
    reads. ``bits`` are the sizes of the network's activation tensors.
    """

    name: str
    product: ProductPlan | None
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
