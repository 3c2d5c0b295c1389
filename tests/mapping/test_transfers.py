"""How operands reach the array: whole and once where they fit, else slice by slice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from steps_to_plan import arrays, chain, conv, dense, pads

from hwsim.array.params import Dataflow
from hwsim.config.arch import ScratchpadsSpec
from hwsim.errors import ConfigError
from hwsim.mapping.plan import OperandPlan, ProductPlan
from hwsim.mapping.planner import plan_product
from hwsim.network.gather import PADDING
from hwsim.network.steps import MatmulStep

DATAFLOWS = list(Dataflow)
CONV = conv("conv", "x", 6, padding="same", groups=2)  # 5 x 6 x 4 pixels: 30 windows of 3 x 3 x 2, 3 filters a group


def plan(dataflow: str, scratchpads: ScratchpadsSpec) -> ProductPlan:
    steps = chain((5, 6, 4), CONV)
    assert isinstance(steps[0], MatmulStep)
    return plan_product(steps[0], arrays(steps, dataflow)["conv"], scratchpads)


def times_loaded(operand: OperandPlan, shape: tuple[int, ...]) -> np.ndarray:
    loaded = np.zeros(shape, np.int64)
    for transfer in operand.transfers:
        loaded[transfer.place] += 1
    return loaded


def bits(operand: OperandPlan) -> int:
    return sum(transfer.bits for transfer in operand.transfers)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_operands_that_fit_are_brought_exactly_once(dataflow: str) -> None:
    found = plan(dataflow, pads())
    for operand, shape in ((found.activations, (120,)), (found.weights, (2, 18, 3))):
        assert operand.slots is None
        assert np.all(times_loaded(operand, shape) == 1)
        assert bits(operand) == 8 * np.prod(shape)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("capacity_bytes", [1 << 20, 100])
def test_every_fold_finds_what_it_reads(dataflow: str, capacity_bytes: int) -> None:
    """At each fold the transfers begun and not yet released hold all elements that the fold multiplies."""
    found = plan(dataflow, pads(activations=capacity_bytes, weights=capacity_bytes, double_buffered=False))
    for number, one in enumerate(found.folds):
        there = np.zeros(120, bool), np.zeros((2, 18, 3), bool)
        for held, operand in zip(there, (found.activations, found.weights), strict=True):
            for transfer in operand.transfers:
                if transfer.first_fold <= number <= transfer.last_fold:
                    held[transfer.place] = True
        read = found.step.gather.indices(one.group, one.fold.out_rows, one.fold.depth)
        assert np.all(there[0][read[read != PADDING]])
        assert np.all(there[1][one.group, one.fold.depth, one.fold.out_cols])


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_scratchpads_ports_see_what_the_array_reads(dataflow: str) -> None:
    found = plan(dataflow, pads())
    for number, one in enumerate(found.folds):
        rows, depth, cols = (
            piece.stop - piece.start for piece in (one.fold.out_rows, one.fold.depth, one.fold.out_cols)
        )
        assert found.activations.read_bits[number] == 8 * rows * depth
        assert found.weights.read_bits[number] == 8 * depth * cols


@pytest.mark.parametrize(("double_buffered", "slots"), [(True, 2), (False, 1)])
def test_operands_that_do_not_fit_are_streamed_through_slots(double_buffered: bool, slots: int) -> None:
    """Weight stationary, one byte less than the 108 weights: a slice per fold, 4 x 3 of them at most."""
    found = plan("weight_stationary", pads(weights=107, double_buffered=double_buffered))
    assert found.weights.slots == slots
    assert [transfer.bits // 8 for transfer in found.weights.transfers] == [12, 12, 12, 12, 6] * 2
    assert [(transfer.first_fold, transfer.last_fold) for transfer in found.weights.transfers] == [
        (fold, fold) for fold in range(10)
    ]


def test_a_streamed_slice_stays_while_folds_in_a_row_read_it() -> None:
    """Output stationary, 30 x 8 outputs on 4 x 4 PEs: two column tiles read the same rows before the next come."""
    steps = chain((5, 6, 4), conv("conv", "x", 8, padding="same"))
    assert isinstance(steps[0], MatmulStep)
    found = plan_product(steps[0], arrays(steps)["conv"], pads(activations=119, double_buffered=False))
    spans = [(transfer.first_fold, transfer.last_fold) for transfer in found.activations.transfers]
    assert spans == [(fold, fold + 1) for fold in range(0, 16, 2)]


def test_a_streamed_operand_is_brought_again_for_every_pass() -> None:
    """Eight row tiles need all 288 weights each; where they fit, they come once."""
    steps = chain((5, 6, 4), conv("conv", "x", 8, padding="same"))
    assert isinstance(steps[0], MatmulStep)
    array = arrays(steps)["conv"]
    assert bits(plan_product(steps[0], array, pads(weights=288)).weights) == 8 * 288
    assert bits(plan_product(steps[0], array, pads(weights=287, double_buffered=False)).weights) == 8 * 8 * 288


def test_transfers_come_in_the_order_of_the_folds() -> None:
    for dataflow in DATAFLOWS:
        found = plan(dataflow, pads(activations=119, weights=100, double_buffered=False))
        for operand in (found.activations, found.weights):
            assert all(one.first_fold <= other.first_fold for one, other in pairwise(operand.transfers))


@pytest.mark.parametrize(("double_buffered", "short", "half"), [
    (True, 287, "half of it, as it is double-buffered"),
    (False, 143, "all of it"),
])  # fmt: skip
def test_a_slice_that_fits_no_slot_is_refused(double_buffered: bool, short: int, half: str) -> None:
    """Output stationary: four columns of 36 weights for one fold."""
    steps = chain((5, 6, 4), conv("conv", "x", 8, padding="same"))
    assert isinstance(steps[0], MatmulStep)
    array = arrays(steps)["conv"]
    with pytest.raises(ConfigError) as refused:
        plan_product(steps[0], array, pads(weights=short, double_buffered=double_buffered))
    assert str(refused.value) == (
        f"layer conv: one fold's weights need 144 bytes; the scratchpad for weights has {short} ({half}); levers: "
        "scratchpads.weights.capacity_bytes, fewer bits, another dataflow, fewer rows or columns"
    )


def test_the_slice_that_just_fits_is_accepted() -> None:
    steps = chain((40,), dense("fc", "x", 8))
    assert isinstance(steps[0], MatmulStep)
    array = arrays(steps)["fc"]
    assert plan_product(steps[0], array, pads(weights=319, double_buffered=False)).weights.slots == 1
    assert plan_product(steps[0], array, pads(weights=320)).weights.slots is None


def test_every_group_is_a_full_set_of_folds() -> None:
    """18 x 3 weights on 4 x 4 PEs are 5 folds of 2 * 4 + 4 + 30 - 2 cycles; each group ends with its last add."""
    found = plan("weight_stationary", pads())
    assert [one.ends_group for one in found.folds] == ([False] * 4 + [True]) * 2
    assert found.array_cycles == 2 * (5 * 40 + 1)
    assert found.macs == 2 * 30 * 18 * 3
