"""Tiles and their folds: everything is computed once, in the dataflow's order, and likeness means likeness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps_to_plan import arrays, chain, conv, dense, spec

from hwsim.array.dataflows import rules
from hwsim.array.folds import Fold
from hwsim.array.params import ArrayParams, Dataflow
from hwsim.config.mapping import LayerMappingSpec
from hwsim.mapping.classes import TileClasses
from hwsim.mapping.plan import ProductPlan
from hwsim.mapping.space import Memory, Space
from hwsim.mapping.tiles import Region, Tiling, fold_axes
from hwsim.mapping.tiling import TilingSearch
from hwsim.network.gather import PADDING
from hwsim.network.steps import MatmulStep

DATAFLOWS = list(Dataflow)
MANY = settings(max_examples=60, deadline=None)


def space(activations: int = 1 << 20, weights: int = 1 << 20, *, slots: int = 2) -> Space:
    """Scratchpads of so many bytes."""
    sizes = {"activations": activations, "weights": weights, "outputs": 1 << 20}
    memories = [Memory(name, 8 * size, slots, size) for name, size in sizes.items()]
    return Space(
        *memories,
        accumulator_bits=1 << 30,
        sum_bits=24,
        dram_bits_per_cycle=64,
        dram_latency_cycles=10,
        link_bits_per_cycle=128,
    )


def product(dataflow: str) -> tuple[MatmulStep, ArrayParams]:
    """A convolution of 5 x 6 x 4 pixels in two groups: 30 windows of 3 x 3 x 2, 7 filters each, on 4 x 3 PEs."""
    (step,) = chain((5, 6, 4), conv("conv", "x", 14, padding="same", groups=2))
    assert isinstance(step, MatmulStep)
    return step, arrays([step], spec(dataflow, 4, 3))["conv"]


def plan(dataflow: str, tiling: Tiling, room: Space | None = None) -> ProductPlan:
    step, params = product(dataflow)
    return TilingSearch(step, params, Region.whole(step.shape, step.groups), room or space()).plan(tiling)


@st.composite
def tilings(draw: st.DrawFn, dataflow: str) -> Tiling:
    """Draw tiles: multiples of a fold's sizes; depth is cut in tiles as wide as one fold, or inside one fold."""
    step, params = product(dataflow)
    steps = {axis.name: axis.step for axis in fold_axes(params)}
    sizes = {name: steps.get(name, 1) * draw(st.integers(1, 8)) for name in ("out_rows", "out_cols")}
    depth = step.shape.depth
    outer, inner = fold_axes(params)
    if inner.name == "depth" and draw(st.booleans()):
        sizes[outer.name] = outer.step
        depth = inner.step * draw(st.integers(1, 5))
    cut = "weights"
    if params.dataflow is Dataflow.OUTPUT_STATIONARY and draw(st.booleans()):
        sizes, depth = steps, draw(st.integers(1, 18))
        cut = draw(st.sampled_from(["weights", "activations", "both"]))
    order = draw(st.sampled_from(["rows_outer", "cols_outer"]))
    return Tiling(order, min(sizes["out_rows"], 30), min(sizes["out_cols"], 7), min(depth, step.shape.depth), cut)


def folds(found: ProductPlan) -> list[tuple[int, int, Fold]]:
    """List (tile, group, fold)."""
    tiles = [(number, found.grid.tile(number)) for number in range(found.grid.count)]
    return [
        (number, tile.group, found.folds(tile).fold(place))
        for number, tile in tiles
        for place in range(found.folds(tile).count)
    ]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_one_tile_has_the_folds_of_the_product_in_the_dataflows_order(dataflow: str) -> None:
    step, params = product(dataflow)
    found = folds(plan(dataflow, Tiling("rows_outer", 30, 7, 18)))
    expected = list(rules(params.dataflow).folds(step.shape, params))
    assert [fold for _, _, fold in found] == expected * 2
    assert [group for _, group, _ in found] == [0] * len(expected) + [1] * len(expected)


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS))
def test_tiles_cover_every_multiplication_once(data: st.DataObject, dataflow: str) -> None:
    found = plan(dataflow, data.draw(tilings(dataflow)))
    times = np.zeros((2, 30, 18, 7), np.int64)
    for _, group, fold in folds(found):
        times[group, fold.out_rows, fold.depth, fold.out_cols] += 1
    assert np.all(times == 1)


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS))
def test_tiling_leaves_the_order_in_which_each_sum_is_added_up(data: st.DataObject, dataflow: str) -> None:
    """Depth tiles of an output come one after the other in order; the first starts its sum, the last completes it."""
    found = plan(dataflow, data.draw(tilings(dataflow)))
    terms = np.zeros((2, 30, 7), np.int64)
    for _, group, fold in folds(found):
        sums = terms[group, fold.out_rows, fold.out_cols]
        assert np.all(sums == fold.depth.start)
        assert fold.first_in_chain == (fold.depth.start == 0)
        sums += fold.depth.stop - fold.depth.start
        assert fold.last_in_chain == (fold.depth.stop == 18)


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS), st.sampled_from([1, 2]))
def test_every_fold_finds_what_it_reads_and_slots_suffice(data: st.DataObject, dataflow: str, slots: int) -> None:
    """Transfers begun and not yet released hold all that a fold multiplies; what fits is brought exactly once."""
    room = space(*data.draw(st.tuples(st.sampled_from([119, 120]), st.sampled_from([251, 252]))), slots=slots)
    found = plan(dataflow, data.draw(tilings(dataflow)), room)
    step = found.step
    held = [np.zeros(120, np.int64), np.zeros((2, 18, 7), np.int64)]
    times = [np.zeros_like(one) for one in held]
    inside = [0, 0]
    for number in range(found.grid.count):
        place = found.grid.place(number)
        for which, operand in enumerate((found.activations, found.weights)):
            bits, index = operand.bits(number), _elements(operand.index(place))
            if not bits:
                continue
            fresh = np.zeros_like(held[which])
            fresh[index] = 1
            if operand.residency == "stays":
                fresh[held[which] > 0] = 0
            assert bits == 8 * fresh.sum()
            held[which] += fresh
            times[which] += fresh
            inside[which] += operand.residency == "streamed"
            assert inside[which] <= 1
        tile = found.grid.tile(number)
        for fold in map(found.folds(tile).fold, range(found.folds(tile).count)):
            read = step.gather.indices(tile.group, fold.out_rows, fold.depth)
            assert np.all(held[0][read[read != PADDING]])
            assert np.all(held[1][tile.group, fold.depth, fold.out_cols])
        for which, operand in enumerate((found.activations, found.weights)):
            if operand.releases(number):
                held[which][_elements(operand.index(place))] -= 1
                inside[which] -= 1
    for which, (operand, whole) in enumerate(zip((found.activations, found.weights), (120, 252), strict=True)):
        streams = room.activations.bits < 8 * whole if which == 0 else room.weights.bits < 8 * whole
        assert operand.residency == ("streamed" if streams else "stays")
        assert streams or np.all(times[which] == 1)


def _elements(index: object) -> object:
    return np.unique(index[index != PADDING]) if isinstance(index, np.ndarray) else index


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS))
def test_the_traffic_that_the_search_compares_is_what_tiles_bring(data: st.DataObject, dataflow: str) -> None:
    step, params = product(dataflow)
    room = space(data.draw(st.sampled_from([100, 120])), data.draw(st.sampled_from([200, 252])))
    search = TilingSearch(step, params, Region.whole(step.shape, step.groups), room)
    tiling = data.draw(tilings(dataflow))
    found = search.plan(tiling)
    brought = sum(
        operand.bits(one) for operand in (found.activations, found.weights) for one in range(found.grid.count)
    )
    assert search.cost(tiling).traffic_bits == brought


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_search_finds_the_least_traffic_of_all_tilings(dataflow: str) -> None:
    """Against every multiple of a fold's size, not only those that the search looks at."""
    step, params = product(dataflow)
    room = space(90, 200)
    search = TilingSearch(step, params, Region.whole(step.shape, step.groups), room)
    best = search.best("dram_traffic", LayerMappingSpec()).grid.tiling
    steps = {axis.name: axis.step for axis in fold_axes(params)}
    every = [
        Tiling(order, min(rows, 30), min(cols, 7), 18)
        for order in ("rows_outer", "cols_outer")
        for rows in range(steps.get("out_rows", 1), 34, steps.get("out_rows", 1))
        for cols in range(steps.get("out_cols", 1), 10, steps.get("out_cols", 1))
    ]
    least = min(search.cost(one).traffic_bits for one in every if not search._misfits(one))
    assert search.cost(best).traffic_bits <= least


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS))
def test_folds_that_are_called_alike_have_the_same_sizes_and_roles(data: st.DataObject, dataflow: str) -> None:
    found = plan(dataflow, data.draw(tilings(dataflow)))
    inside = found.folds(found.grid.tile(data.draw(st.integers(0, found.grid.count - 1))))
    first = data.draw(st.integers(0, inside.count - 1))
    second = data.draw(st.integers(first + 1, inside.count))
    kinds = [_kind(inside.fold(number)) for number in range(inside.count)]
    alike = inside.alike(first, second)
    assert second + alike < max(inside.count, second + 1)  # the last fold ends the tile: like no other
    assert kinds[second : second + alike] == kinds[first : first + alike]


def _kind(fold: Fold) -> tuple[object, ...]:
    pieces = (fold.out_rows, fold.depth, fold.out_cols)
    return (*(one.stop - one.start for one in pieces), fold.first_in_chain, fold.last_in_chain)


@MANY
@given(st.data(), st.sampled_from(DATAFLOWS))
def test_tiles_that_are_called_alike_have_the_same_sizes_and_transfers(data: st.DataObject, dataflow: str) -> None:
    room = space(data.draw(st.sampled_from([100, 120])), data.draw(st.sampled_from([200, 252])))
    found = plan(dataflow, data.draw(tilings(dataflow)), room)
    first = data.draw(st.integers(0, found.grid.count - 1))
    second = data.draw(st.integers(first + 1, found.grid.count))
    kinds = [_tile_kind(found, number) for number in range(found.grid.count)]
    alike = TileClasses(found).alike(first, second)
    assert kinds[second : second + alike] == kinds[first : first + alike]


def _tile_kind(found: ProductPlan, number: int) -> tuple[object, ...]:
    tile = found.grid.tile(number)
    transfers = [(one.bits(number), one.releases(number)) for one in (found.activations, found.weights)]
    return (tile.shape, tile.first_in_chain, tile.last_in_chain, found.ends_group(number), *transfers)


def test_the_user_sets_loop_order_and_sizes() -> None:
    steps = chain((64,), dense("fc", "x", 40))
    arch = spec(mapping__layers={"fc": {"loop_order": "cols_outer", "tile_out_cols": 8}})
    search = TilingSearch(
        steps[0],  # type: ignore[arg-type]
        arrays(steps, arch)["fc"],
        Region(slice(0, 1), slice(0, 40), slice(0, 1)),
        space(),
    )
    tiling = search.best("time", arch.mapping.layers["fc"]).grid.tiling
    assert (tiling.loop_order, tiling.tile_out_cols) == ("cols_outer", 8)
