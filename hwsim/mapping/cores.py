"""Shares a matrix product out over cores: by output rows, output columns or groups, cut at whole folds, or by samples.

The folds of all shares together are those of the whole product, with the same numbers: overflows happen in the same
adds. Samples may end anywhere in a fold, and each core cuts its own ones' rows into folds by themselves: there the
whole product is one whose folds are those of all cores.

What follows a product works on a core's own outputs as long as that is right; from the first step on that needs
outputs of several cores it is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hwsim.array.folds import tile_count
from hwsim.array.params import ArrayShape
from hwsim.config.arch import ArchSpec
from hwsim.config.mapping import LayerMappingSpec, SplitName
from hwsim.errors import ConfigError
from hwsim.mapping.chains import Chain, Choice
from hwsim.mapping.plan import ProductPlan, Share
from hwsim.mapping.schedule import Estimate
from hwsim.mapping.space import Cost, Space
from hwsim.mapping.tiles import Region, fold_axes
from hwsim.mapping.tiling import TilingSearch
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.parts import common_parts, even_parts
from hwsim.network.steps import ProductStep

SPLITS: tuple[SplitName, ...] = ("samples", "out_rows", "out_cols", "groups")
SEARCHED = LayerMappingSpec()
GAIN = 0.97  # of one core's time: what several have to do better, so that estimates may err


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """A product shared out, and what it takes; ``fused`` steps after it are done by the same cores."""

    choice: Choice
    products: tuple[ProductPlan, ...]
    fused: int
    cost: Cost


def regions(step: ProductStep, params: ArrayShape, split: SplitName, cores: int) -> tuple[Region, ...]:
    """Return the cores' shares, as equal as whole folds allow; fewer than cores where there are fewer folds.

    What streams past the stationary operand may be cut anywhere, as every fold is cut there.
    """
    whole = Region.whole(step.shape, step.groups)
    if split == "samples":
        each = step.groups // step.samples
        if step.samples == 1:
            return tuple(replace(whole, out_rows=rows) for rows in replace(step, sample_shares=cores).row_shares)
        shares = even_parts(step.samples, cores)
        return tuple(replace(whole, groups=slice(part.start * each, part.stop * each)) for part in shares)
    unit = next((axis.step for axis in fold_axes(params) if axis.name == split), 1)
    size = getattr(whole, split).stop
    parts = even_parts(tile_count(size, unit), cores)
    return tuple(replace(whole, **{split: slice(part.start * unit, min(part.stop * unit, size))}) for part in parts)


def legal_steps(step: ProductStep, after: Sequence[ElementwiseStep], split: SplitName) -> int:
    """Return how many of the steps after a product need nothing of other cores' outputs."""
    if split == "samples":
        samples = step.gather.sample_count
        return next((number for number, one in enumerate(after) if one.sample_count != samples), len(after))
    columns = step.groups * step.shape.out_cols
    for number, one in enumerate(after):
        keeps_places = one.parts.kind != "elements" or one.outputs % columns == 0
        apart = one.parts.lie_in_rows(columns) if split == "out_rows" else one.parts.lie_in_columns(columns)
        if not (apart and keeps_places):
            return number
    return len(after)


def even_shares(after: Sequence[ElementwiseStep], cores: int, *, by_samples: bool = False) -> tuple[Share, ...]:
    """Return the cores' shares of steps without a product: whole parts of them, or samples, that need no other one."""
    samples = min(step.sample_count for step in after)
    parts = common_parts(step.parts for step in after)
    count = samples if by_samples else max(min(parts.count(step.outputs) for step in after), samples, 1)
    return tuple(Share(part.start, part.stop, count) for part in even_parts(count, cores))


def ways_in_common(chains: Sequence[Chain], spec: ArchSpec) -> list[Choice]:
    """Return the ways of sharing in which no layer needs what another core has: on one core, or all by samples.

    None where layers are to be shared in ways of their own, or tensors are not to stay on the chip.
    """
    mapping, cores = spec.mapping, spec.cores
    if not mapping.keep_on_chip or any(layer.split is not None for layer in mapping.layers.values()):
        return []
    products = [chain.product.gather.sample_count for chain in chains if chain.product is not None]
    samples = {*products, *(step.sample_count for chain in chains for step in chain.after)}
    by_samples = [Choice("samples", count) for count in _counts(cores)] if products and len(samples) == 1 else []
    by_samples = by_samples if max(samples, default=1) > 1 else []
    if mapping.split == "samples":
        return by_samples[:1]
    searches = mapping.split == "auto" and mapping.objective == "time"
    return [Choice("out_rows", 1), *by_samples] if searches else []


def _counts(cores: int) -> list[int]:
    """Return numbers of cores to look at, all of them first: powers of two below."""
    return [cores, *(1 << power for power in range(1, cores.bit_length()) if 1 << power < cores)]


def useless_split(products: Iterable[tuple[ProductStep, ArrayShape]], split: SplitName, cores: int) -> bool:
    """Return whether a split leaves every product to one core."""
    return all(len(regions(step, params, split, cores)) == 1 for step, params in products)


class Sharer:
    """Shares products out over the cores of one machine.

    Args:
        spec: the machine, and what the user wants.
        bits: sizes of tensors.
    """

    def __init__(self, spec: ArchSpec, bits: Mapping[str, int]) -> None:
        self._spec, self._cores, self._mapping, self._bits = spec, spec.cores, spec.mapping, bits

    def share(self, chain: Chain, params: ArrayShape, space: Space) -> Sharing:
        """Share a layer's product out as the user wants, or as takes least.

        Raises:
            ConfigError: the split leaves all to one core, or nothing fits.
        """
        step = chain.product
        assert step is not None  # noqa: S101  (of a product)
        found: list[Sharing] = []
        problems: list[str] = []
        for choice in self._choices(step, params, chain.decided):
            try:
                found.append(self._sharing(chain, params, space, choice))
            except ConfigError as error:
                problems += error.problems
        if not found:
            raise ConfigError(dict.fromkeys(problems))
        return self._least(found)

    def _least(self, found: Sequence[Sharing]) -> Sharing:
        """Return what takes least; where that is time, several cores must save more than an estimate may err by."""
        alone = next((one for one in found if len(one.products) == 1), None)
        if alone is not None and self._mapping.objective == "time":
            found = [alone, *(one for one in found if one.cost.cycles <= GAIN * alone.cost.cycles)]
            found = found[1:] or found
        return min(found, key=lambda one: one.cost.key(self._mapping.objective))

    def _choices(self, step: ProductStep, params: ArrayShape, decided: Choice | None) -> list[Choice]:
        """Return the ways to look at; where none gives work to several cores, all that is left is one core."""
        if decided is not None:
            return [decided]
        wish = self._mapping.layers.get(step.name, SEARCHED).split
        useful = [split for split in SPLITS if len(regions(step, params, split, self._cores)) > 1]
        if wish == "none":
            return [Choice("out_rows", 1)]
        if self._cores > 1 and wish not in (None, "auto", *useful):
            allowed = ", ".join(("auto", "none", *useful))
            raise ConfigError(f"layer {step.name}: split {wish} leaves all to one core; allowed: {allowed}")
        split = wish or self._mapping.split
        if split != "auto":
            return [Choice(split, self._cores)]
        if self._mapping.objective == "dram_traffic":  # which one core alone would always have least of
            return [Choice(one, self._cores) for one in useful] or [Choice("out_rows", 1)]
        several = [Choice(one, cores) for cores in _counts(self._cores) for one in useful]
        return [Choice("out_rows", 1), *several]

    def _sharing(self, chain: Chain, params: ArrayShape, space: Space, choice: Choice) -> Sharing:
        step = chain.product
        assert step is not None  # noqa: S101  (of a product)
        parts = regions(step, params, *choice)
        if choice.split == "samples" and step.samples == 1:
            step = replace(step, sample_shares=choice.cores)
        fused = self._fused(chain, step, choice.split, parts, space)
        space = replace(space, whole_outputs=fused > 0)
        products, costs = self._products(step, params, space, parts)
        traffic = sum(cost.traffic_bits for cost in costs)
        cycles = max(cost.cycles for cost in costs)
        if self._cores > 1:
            cycles = self._estimated_cycles(chain, products, fused, space)
        if fused < len(chain.after):  # the last outputs are written and read again
            traffic += 2 * self._bits[chain.steps[fused].output]
        return Sharing(choice, products, fused, Cost(traffic, cycles, sum(cost.tiles for cost in costs)))

    def _estimated_cycles(self, chain: Chain, products: Sequence[ProductPlan], fused: int, space: Space) -> float:
        """Estimate the time of the product and of the steps after it, which may be a layer of their own."""
        estimate = Estimate(self._spec, writes_dram=space.writes_dram)
        largest = max(products, key=lambda one: one.outputs)
        cycles = estimate.product_cycles(largest, len(products), chain.after[:fused])
        if fused < len(chain.after):
            after, read_bits = chain.after[fused:], self._bits[chain.steps[fused].output]
            cycles += estimate.other_cycles(after, even_shares(after, self._cores), read_bits)
        return cycles

    def _fused(self, chain: Chain, step: ProductStep, split: SplitName, parts: Sequence[Region], space: Space) -> int:
        """Return how many steps follow on the same cores: all that may, if their outputs wait in the scratchpads."""
        may = len(chain.after) if len(parts) == 1 else legal_steps(step, chain.after, split)
        largest = max(part.outputs for part in parts)
        held = (-(-self._bits[one.output] * largest // step.outputs) for one in chain.steps[: may + 1])
        return may if all(bits <= space.outputs.bits for bits in held) else 0

    def _products(
        self, step: ProductStep, params: ArrayShape, space: Space, parts: Sequence[Region]
    ) -> tuple[tuple[ProductPlan, ...], list[Cost]]:
        """Plan each core's share, and say what it takes alone; shares of one size are cut into the same tiles.

        Tiles are chosen for an even part of the DRAM's bandwidth.
        """
        wish = self._mapping.layers.get(step.name, SEARCHED)
        contended = replace(space, dram_bits_per_cycle=space.dram_bits_per_cycle / len(parts))
        products: list[ProductPlan] = []
        for part in parts:
            search = TilingSearch(step, params, part, contended)
            alike = [one.grid.tiling for one in products if one.region.is_as_large_as(part)]
            fitting = [tiling for tiling in alike if search.fits(tiling)]
            products.append(search.plan(fitting[0]) if fitting else search.best(self._mapping.objective, wish))
        costs = [TilingSearch(step, params, one.region, space).cost(one.grid.tiling) for one in products]
        return tuple(products), costs
