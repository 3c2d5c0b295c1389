"""Chooses the tiles of a product: the search over sizes and loop orders, and what must fit where.

A tile's operands and outputs each fit a slot of their scratchpad, and under weight and input stationary its running
sums fit the accumulator buffer. Depth is cut only inside one fold's width, so that partial sums never leave the chip:
they wait under the array, or under output stationary in the PEs of a single fold. There depth is cut only where
nothing else fits, or where the user asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice, product

from hwsim.array.dataflows import rules
from hwsim.array.folds import FoldTiming, tile_count
from hwsim.array.params import ArrayShape, Dataflow, GemmShape
from hwsim.config.mapping import LayerMappingSpec
from hwsim.errors import ConfigError
from hwsim.mapping.operands import ActivationTiles, Residency, WeightTiles
from hwsim.mapping.plan import ProductPlan
from hwsim.mapping.space import BITS_PER_BYTE, Cost, Memory, Space
from hwsim.mapping.tiles import CutOperands, LoopOrder, Region, TileGrid, Tiling, fold_axes, length
from hwsim.network.steps import ProductStep

MOST_CUTS = 12  # tilings with cut depth that are compared, those of the longest pieces


class TilingSearch:
    """All tilings of one product on one array."""

    def __init__(self, step: ProductStep, params: ArrayShape, region: Region, space: Space) -> None:
        self._step, self._params, self._region, self._space = step, params, region, space
        self._shape = GemmShape(region.rows, step.shape.depth, region.cols)
        self._groups = length(region.groups)
        self._axes = fold_axes(params)
        self._rows_cost: dict[tuple[int, int], tuple[int, int]] = {}
        self._timings: dict[tuple[int, int], FoldTiming] = {}

    def best(self, objective: str, wish: LayerMappingSpec) -> ProductPlan:
        """Return the plan of least cost among those that fit and that the user allows.

        Raises:
            ConfigError: sizes that cannot be, or nothing fits; with demand, capacity, memory and levers.
        """
        sizes = self._sizes(wish)
        fitting = [tiling for tiling in sizes if not self._misfits(tiling)]
        if not fitting and self._keeps_sums and wish.tile_depth is None:
            sizes = [tiling for tiling in self._cut_sizes(wish) if not self._cuts_too_wide(tiling)] or sizes
            fitting = list(islice((tiling for tiling in sizes if not self._misfits(tiling)), MOST_CUTS))
        if not fitting:
            smallest = min(sizes, key=lambda one: (one.tile_out_rows, one.tile_out_cols, one.tile_depth))
            raise ConfigError(self._misfits(smallest))
        costs = {tiling: self.cost(tiling).key(objective) for tiling in fitting}
        return self.plan(min(costs, key=costs.__getitem__))

    def fits(self, tiling: Tiling) -> bool:
        """Return whether a tiling's tiles fit the memories."""
        return not self._misfits(tiling)

    def plan(self, tiling: Tiling) -> ProductPlan:
        """Return the plan of a tiling."""
        grid = TileGrid(self._step.shape, self._region, tiling)
        what, space = (self._step, self._region, grid), self._space
        kinds = self._activation_residency, self._weight_residency
        slots = [
            memory.slots if kind == "streamed" else None
            for kind, memory in zip(kinds, (space.activations, space.weights), strict=True)
        ]
        activations = ActivationTiles(*what, kinds[0], slots[0])
        weights = WeightTiles(*what, kinds[1], slots[1], space.keeps_weights)
        return ProductPlan(self._step, self._params, self._region, grid, activations, weights)

    @property
    def _keeps_sums(self) -> bool:
        """Whether sums stay in the PEs, so that no axis of folds is depth."""
        return self._params.dataflow is Dataflow.OUTPUT_STATIONARY

    @cached_property
    def _activation_residency(self) -> Residency:
        if self._space.activations_on_chip:
            return "on_chip"
        return "stays" if self._all_activation_bits <= self._space.activations.bits else "streamed"

    @cached_property
    def _weight_residency(self) -> Residency:
        if self._space.weights_on_chip:
            return "on_chip"
        return "stays" if self._all_weight_bits <= self._space.weights.bits else "streamed"

    @cached_property
    def _all_activation_bits(self) -> int:
        gather = self._step.gather
        counts = (gather.distinct(group, self._region.out_rows, gather.all_depth) for group in self._each_group)
        return self._over_groups(sum(counts)) * self._step.activation_format.bits

    @cached_property
    def _all_weight_bits(self) -> int:
        return self._groups * self._shape.depth * self._shape.out_cols * self._step.weight_memory_bits

    @cached_property
    def _each_group(self) -> range:
        """The groups to look at: one where all are alike."""
        first = self._region.groups.start
        return range(first, first + 1 if self._step.gather.groups_are_alike else self._region.groups.stop)

    def _over_groups(self, bits: int) -> int:
        return bits * self._groups // len(self._each_group)

    def _sizes(self, wish: LayerMappingSpec) -> list[Tiling]:
        """List the tilings to look at."""
        steps = {axis.name: axis.step for axis in self._axes}
        rows = self._choices("out_rows", steps.get("out_rows", 1), wish.tile_out_rows)
        cols = self._choices("out_cols", steps.get("out_cols", 1), wish.tile_out_cols)
        depths = [self._shape.depth]
        if not self._keeps_sums:
            depths = self._choices("depth", steps["depth"], wish.tile_depth)
        elif wish.tile_depth is not None and wish.tile_depth < self._shape.depth:
            return self._cut_sizes(wish)
        found = [Tiling(order, *sizes) for order in _orders(wish) for sizes in product(rows, cols, depths)]
        return [tiling for tiling in found if not self._cuts_too_wide(tiling)] or found

    def _cut_sizes(self, wish: LayerMappingSpec) -> list[Tiling]:
        """List tilings of which each tile is a piece of one output-stationary fold's depth, the longest first.

        Where both operands are streamed, one of them may come whole while the other is cut.
        """
        sides = [
            [size for size in sizes if size <= axis.step] or sizes
            for axis in self._axes
            for sizes in (self._choices(axis.name, axis.step, getattr(wish, f"tile_{axis.name}")),)
        ]
        depths = [size for size in self._choices("depth", 1, wish.tile_depth) if size < self._shape.depth]
        cuts: list[CutOperands] = ["weights"]
        if self._activation_residency == "streamed":
            cuts = ["both", "weights", "activations"] if self._weight_residency == "streamed" else ["both"]
        return [
            Tiling(order, rows, cols, depth, cut)
            for depth, rows, cols in product(depths, *sides)
            for order, cut in product(_orders(wish), cuts)
        ]

    def _choices(self, axis: str, step: int, wish: int | None) -> list[int]:
        """Return sizes along an axis: multiples of a fold's, or all of it.

        Raises:
            ConfigError: the user's is neither.
        """
        size = int(getattr(self._shape, axis))
        if wish is None:
            units = tile_count(size, step)
            return sorted({min(tile_count(units, count) * step, size) for count in _counts(units)}, reverse=True)
        if wish < size and wish % step:
            raise ConfigError(
                f"layer {self._step.name}: tile_{axis} {wish}; allowed: multiples of {step}, or {size} or more"
            )
        return [min(wish, size)]

    def _misfits(self, tiling: Tiling) -> list[str]:
        """Return one line for each memory that a tile does not fit."""
        if self._cuts_too_wide(tiling):
            widest = "tiles of one fold" if self._keeps_sums else "tiles as wide as the array"
            return [f"layer {self._step.name}: depth is cut only in {widest}"]
        space, found = self._space, []
        if self._activation_residency == "streamed":
            found.append((space.activations, self._row_costs(tiling)[1], "activations"))
        if self._weight_residency == "streamed":
            depth = tiling.tile_depth if tiling.cuts("weights") else self._shape.depth
            found.append((space.weights, depth * tiling.tile_out_cols * self._step.weight_memory_bits, "weights"))
        if not space.whole_outputs:
            bits = tiling.tile_out_rows * tiling.tile_out_cols * self._step.output_format.bits
            found.append((space.outputs, bits, "outputs"))
        lines = [self._too_large(memory, bits, what) for memory, bits, what in found if bits > memory.slot_bits]
        demand = self._accumulator_bits(tiling)
        if demand > space.accumulator_bits:
            lines.append(
                f"layer {self._step.name}: one tile's running sums need {_bytes(demand)} bytes; the accumulator buffer "
                f"has {_bytes(space.accumulator_bits)}; levers: accumulator_buffer.capacity_bytes, fewer bits, fewer "
                "columns"
            )
        return lines

    def _cuts_too_wide(self, tiling: Tiling) -> bool:
        """Return whether depth is cut in a tile of several folds' width."""
        cut = (axis for axis in self._axes if axis.name != "depth")
        return tiling.tile_depth < self._shape.depth and any(
            getattr(tiling, f"tile_{axis.name}") > axis.step for axis in cut
        )

    def _too_large(self, memory: Memory, bits: int, what: str) -> str:
        kept = memory.capacity_bytes - memory.bits // BITS_PER_BYTE
        reasons = ["as it is double-buffered"] if memory.slots == 2 else []
        reasons += [f"as {kept} hold what other layers read"] if kept else []
        free = f"{memory.slot_bits // BITS_PER_BYTE}"
        if reasons:
            free += f" of its {memory.capacity_bytes} at a time, {' and '.join(reasons)}"
        unbuffered = f"scratchpads.{memory.name}.double_buffered, " if memory.slots == 2 else ""
        return (
            f"layer {self._step.name}: the smallest tile's {what} need {_bytes(bits)} bytes; the scratchpad for "
            f"{memory.name} has {free}; levers: scratchpads.{memory.name}.capacity_bytes, {unbuffered}fewer bits, "
            "another dataflow, fewer rows or columns"
        )

    def _accumulator_bits(self, tiling: Tiling) -> int:
        """Return the size of the sums in the buffer under the array: a bank for each fold in flight, and one more."""
        if self._keeps_sums:
            return 0
        is_weights = self._params.dataflow is Dataflow.WEIGHT_STATIONARY
        stream = tiling.tile_out_rows if is_weights else tiling.tile_out_cols
        across = min(self._params.cols, tiling.tile_out_cols if is_weights else tiling.tile_out_rows)
        timing = self._timing(tiling.tile_out_rows, tiling.tile_out_cols)
        return banks(timing.duration, timing.interval) * stream * across * self._space.sum_bits

    def _row_costs(self, tiling: Tiling) -> tuple[int, int]:
        """Return the activation bits of all tiles of rows, each by itself, and those of the largest."""
        is_cut = tiling.cuts("activations")
        key = tiling.tile_out_rows, tiling.tile_depth if is_cut else self._shape.depth
        if key not in self._rows_cost:
            gather, width = self._step.gather, self._step.activation_format.bits
            grid = TileGrid(self._step.shape, self._region, tiling)
            depths = [grid.depth_tile(depth) for depth in range(grid.depths)] if is_cut else [gather.all_depth]
            rows = [grid.row_tile(row) for row in range(grid.rows)]
            counts = [
                count
                for group, depth in product(self._each_group, depths)
                for count in gather.distinct_each(group, rows, depth)
            ]
            self._rows_cost[key] = self._over_groups(sum(counts)) * width, max(counts) * width
        return self._rows_cost[key]

    def cost(self, tiling: Tiling) -> Cost:
        """Return what a tiling that fits takes."""
        grid = TileGrid(self._step.shape, self._region, tiling)
        loads = [self._activation_load(grid), self._weight_load(grid)]
        rate, latency = self._space.dram_bits_per_cycle, self._space.dram_latency_cycles
        traffic = sum(bits for bits, _ in loads)
        written = self._region.outputs * self._step.output_format.bits
        array = self._array_cycles(tiling)
        bounds = [array, (traffic + written * self._space.writes_dram) / rate]
        for (bits, transfers), residency, memory in zip(
            loads,
            (self._activation_residency, self._weight_residency),
            (self._space.activations, self._space.weights),
            strict=True,
        ):
            if residency == "streamed":
                alone = bits / rate + transfers * latency
                bounds.append(alone + array if memory.slots == 1 else alone / memory.slots)
        plan = self.plan(tiling)
        first = plan.activations.bits(0) + plan.weights.bits(0)
        last = tiling.tile_out_rows * tiling.tile_out_cols * self._step.output_format.bits
        ends = first / rate + latency + last / (rate if self._space.writes_dram else self._space.link_bits_per_cycle)
        return Cost(traffic, max(bounds) + ends, grid.count)

    def _activation_load(self, grid: TileGrid) -> tuple[int, int]:
        """Return bits and transfers of the activations."""
        if self._activation_residency == "on_chip":
            return 0, 0
        if self._activation_residency == "stays":
            return self._all_activation_bits, grid.groups * grid.rows
        depths = grid.depths if grid.tiling.cuts("activations") else 1
        is_repeated = depths > 1 or (grid.tiling.loop_order == "cols_outer" and grid.rows > 1)
        passes = grid.cols if is_repeated else 1
        return self._row_costs(grid.tiling)[0] * passes, grid.groups * grid.rows * depths * passes

    def _weight_load(self, grid: TileGrid) -> tuple[int, int]:
        """Return bits and transfers of the weights."""
        if self._weight_residency == "on_chip":
            return 0, 0
        depths = grid.depths if grid.tiling.cuts("weights") else 1
        is_repeated = depths > 1 or (grid.tiling.loop_order == "rows_outer" and grid.cols > 1)
        passes = grid.rows if is_repeated and self._weight_residency == "streamed" else 1
        return self._all_weight_bits * passes, grid.groups * grid.cols * depths * passes

    def _array_cycles(self, tiling: Tiling) -> int:
        """Return the array's time for all tiles, operands at hand."""
        shape, total = self._shape, 0
        for rows, row_tiles in _tile_sizes(shape.out_rows, tiling.tile_out_rows):
            for cols, col_tiles in _tile_sizes(shape.out_cols, tiling.tile_out_cols):
                total += row_tiles * col_tiles * self._folds_of(rows, cols) * self._timing(rows, cols).interval
        return total * self._groups

    def _folds_of(self, rows: int, cols: int) -> int:
        """Return the folds of a tile of all depth."""
        sizes = {"out_rows": rows, "depth": self._shape.depth, "out_cols": cols}
        outer, inner = self._axes
        return tile_count(sizes[outer.name], outer.step) * tile_count(sizes[inner.name], inner.step)

    def _timing(self, rows: int, cols: int) -> FoldTiming:
        """Return the time of a tile's folds."""
        if (rows, cols) not in self._timings:
            shape = GemmShape(rows, self._shape.depth, cols)
            self._timings[rows, cols] = rules(self._params.dataflow).timing(shape, self._params)
        return self._timings[rows, cols]


def banks(duration_cycles: int, interval_cycles: int) -> int:
    """Return how many folds' sums the accumulator buffer holds: of all in the array at once, and of one requantized."""
    return -(-duration_cycles // interval_cycles) + 1


def _counts(units: int) -> Iterator[int]:
    """Yield numbers of tiles to look at: 1, 2, 3, 4, 6, 8, 12, 16, … and as many as there are units."""
    power = 1
    while power < units:
        yield power
        yield power * 3 // 2
        power *= 2
    yield units


def _orders(wish: LayerMappingSpec) -> list[LoopOrder]:
    return [wish.loop_order] if wish.loop_order else ["rows_outer", "cols_outer"]


def _tile_sizes(size: int, step: int) -> list[tuple[int, int]]:
    """Return (size, number) of full tiles and of the last one."""
    full, rest = divmod(size, step)
    return [(one, count) for one, count in ((step, full), (rest, 1 if rest else 0)) if one and count]


def _bytes(bits: int) -> int:
    return -(-bits // BITS_PER_BYTE)
