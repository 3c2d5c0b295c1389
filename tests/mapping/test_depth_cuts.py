"""Output-stationary folds whose operands do not fit a slot are brought in pieces of their depth."""

from __future__ import annotations

import pytest
from steps_to_plan import chain, conv, plan, spec

from hwsim.mapping.plan import ProductPlan
from hwsim.mapping.tiles import Tiling
from hwsim.network.steps import Step

ROWS = chain(
    (12, 1, 40), conv("a", "x", 20, kernel=(1, 1))
)  # 480 activations, 800 weights; on 4 x 4 PEs a fold reads 160 of each


def product(steps: list[Step], elements: int, **settings: object) -> ProductPlan:
    (layer,) = plan(steps, elements, spec(**settings))  # type: ignore[arg-type]
    return layer.products[0]


def test_depth_is_cut_only_where_a_folds_operands_do_not_fit_a_slot() -> None:
    assert product(ROWS, 480, weights=320).grid.depths == 1
    cut = product(ROWS, 480, weights=319).grid
    assert (cut.depths, cut.tiling.tile_out_rows, cut.tiling.tile_out_cols) == (2, 4, 4)
    assert 4 * cut.tiling.tile_depth <= 319 // 2


def test_the_operand_that_fits_comes_whole() -> None:
    """Twelve pieces of 160 activations in 3 tiles of rows; the 800 weights pass once for each tile of rows."""
    found = product(ROWS, 480, weights=319, activations=320)
    assert found.grid.tiling.cut_operands == "weights"
    assert found.grid.tiling.loop_order == "rows_outer"
    numbers = range(found.grid.count)
    assert [found.activations.bits(number) for number in numbers if found.activations.bits(number)] == [8 * 160] * 3
    assert sum(found.weights.bits(number) for number in numbers) == 3 * 8 * 800


def test_both_operands_are_cut_where_neither_fits() -> None:
    """Three tiles of rows by five of columns: activations pass five times, weights three times."""
    found = product(ROWS, 480, weights=100, activations=100)
    assert found.grid.tiling.cut_operands == "both"
    numbers = range(found.grid.count)
    assert sum(found.activations.bits(number) for number in numbers) == 5 * 8 * 480
    assert sum(found.weights.bits(number) for number in numbers) == 3 * 8 * 800


def test_a_piece_of_windows_brings_each_of_its_pixels_once() -> None:
    """Four windows of 3 x 3 in one line: the first three taps see 6 pixels of one line, the next three of another."""
    found = product(
        chain((6, 6, 1), conv("conv", "x", 4)), 36, activations=34, mapping__layers={"conv": {"tile_depth": 3}}
    )
    assert found.grid.tiling == Tiling("rows_outer", 4, 4, 3, "both")
    assert [found.activations.bits(number) for number in range(3)] == [8 * 6] * 3


@pytest.mark.parametrize(("asked", "pieces"), [(40, 1), (39, 2), (7, 6), (1, 40)])
def test_the_user_may_cut_depth_where_all_fits(asked: int, pieces: int) -> None:
    assert product(ROWS, 480, mapping__layers={"a": {"tile_depth": asked}}).grid.depths == pieces
