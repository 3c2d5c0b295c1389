"""The stepped engine, the functional engine and a third, plain one agree on everything that they report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plain_array import run_plainly
from random_products import Product, random_operand, random_products

from hwsim.array.batch import run_batch
from hwsim.array.dataflows import rules
from hwsim.array.engine import Engine, FoldOperands
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import Dataflow, GemmShape, array_params
from hwsim.array.results import FoldResult, FoldsResult, GemmResult, Overflows
from hwsim.array.stepped import FIRST_EVENT_BUFFER, SteppedEngine

ENGINES = [SteppedEngine(threads=1), FunctionalEngine()]


def assert_same_overflows(left: Overflows, right: Overflows, product: Product) -> None:
    assert np.array_equal(left.events, right.events), product
    assert left.left_out == right.left_out, product
    assert np.array_equal(left.per_pe, right.per_pe), product
    assert np.array_equal(left.per_output, right.per_output), product
    assert left.count == left.per_output.sum() == len(left.events) + left.left_out, product


def assert_same_products(left: GemmResult, right: GemmResult, product: Product) -> None:
    assert np.array_equal(left.output, right.output), product
    assert_same_overflows(left.overflow, right.overflow, product)
    assert left.counts == right.counts, product
    assert (left.folds, left.timing) == (right.folds, right.timing), product


@pytest.mark.parametrize("seed", range(10))
def test_both_engines_report_the_same(seed: int) -> None:
    overflowing = 0
    for product in random_products(seed, 100):
        stepped, functional = (engine.gemm(*product.arguments) for engine in ENGINES)
        assert_same_products(stepped, functional, product)
        overflowing += stepped.overflow_events > 0
    assert 30 < overflowing < 100  # both sides of the question are asked


@pytest.mark.parametrize("seed", range(6))
def test_both_engines_agree_with_plain_integers(seed: int) -> None:
    for product in random_products(1000 + seed, 40, largest_side=4, largest_size=9):
        plain = run_plainly(product.params, product.activations, product.weights, product.initial)
        for engine in ENGINES:
            result = engine.gemm(*replace(product, max_events=None).arguments)
            places = np.ndindex(result.output.shape)
            assert {place: int(result.output[place]) for place in places} == plain.out, product
            assert [tuple(event) for event in result.overflow.events.tolist()] == plain.events, product
            assert all(result.overflow.per_output[place] == count for place, count in plain.per_output.items())


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_are_the_first_events(seed: int) -> None:
    for product in random_products(2000 + seed, 60, largest_side=4):
        whole = ENGINES[0].gemm(*replace(product, max_events=None).arguments).overflow
        for limit in (0, 1, 7, whole.count):
            for engine in ENGINES:
                part = engine.gemm(*replace(product, max_events=limit).arguments).overflow
                assert np.array_equal(part.events, whole.events[:limit]), product
                assert part.left_out == max(whole.count - limit, 0)


def run_fold_by_fold(engine: Engine, product: Product) -> tuple[np.ndarray, list[FoldResult]]:
    """Run every fold by itself, as a machine does that brings the operands of one fold at a time."""
    params, initial = product.params, product.initial
    shape = GemmShape(*product.activations.shape, product.weights.shape[1])
    timing = rules(params.dataflow).timing(shape, params)
    sums, results = np.zeros_like(initial), []
    for fold in rules(params.dataflow).folds(shape, params):
        place = (fold.out_rows, fold.out_cols)
        operands = FoldOperands(
            product.activations[fold.out_rows, fold.depth],
            product.weights[fold.depth, fold.out_cols],
            initial[place],
            sums[place],
        )
        results.append(engine.run_fold(params, fold, timing, operands, product.max_events))
        sums[place] = results[-1].sums
    return sums, results


@pytest.mark.parametrize("seed", range(4))
def test_both_engines_run_the_same_folds(seed: int) -> None:
    for product in random_products(3000 + seed, 50):
        (stepped_sums, stepped), (functional_sums, functional) = (
            run_fold_by_fold(engine, product) for engine in ENGINES
        )
        assert np.array_equal(stepped_sums, functional_sums), product
        for left, right in zip(stepped, functional, strict=True):
            assert np.array_equal(left.sums, right.sums), product
            assert_same_overflows(left.overflows, right.overflows, product)
            assert left.counts == right.counts, product


def run_folds_together(engine: Engine, product: Product) -> tuple[FoldsResult, FoldsResult]:
    """Run folds that start sums together, and put together what they give alone; some share an operand."""
    params, shape = product.params, GemmShape(*product.activations.shape, product.weights.shape[1])
    timing = rules(params.dataflow).timing(shape, params)
    folds = [fold for fold in rules(params.dataflow).folds(shape, params) if fold.first_in_chain]
    rows: dict[int, np.ndarray] = {}
    operands = []
    for fold in folds:
        start = product.initial[fold.out_rows, fold.out_cols]
        activations = rows.setdefault(fold.out_rows.start, product.activations[fold.out_rows, fold.depth])
        operands.append(FoldOperands(activations, product.weights[fold.depth, fold.out_cols], start, start))
    pairs = zip(folds, operands, strict=True)
    alone = [engine.run_fold(params, fold, timing, its, product.max_events) for fold, its in pairs]
    return engine.run_folds(params, folds, timing, operands, product.max_events), FoldsResult.together(alone)


@pytest.mark.parametrize("engine", ENGINES, ids=["stepped", "functional"])
def test_folds_that_run_together_give_what_each_gives_alone(engine: Engine) -> None:
    several = 0
    for product in random_products(3500, 80):
        together, alone = run_folds_together(engine, product)
        for left, right in ((together.sums, alone.sums), (together.events, alone.events)):
            assert all(np.array_equal(*pair) for pair in zip(left, right, strict=True)), product
        assert np.array_equal(together.per_pe, alone.per_pe), product
        assert together.counts == alone.counts, product
        several += len(together.sums) > 1
    assert several > 20


@pytest.mark.parametrize("engine", ENGINES, ids=["stepped", "functional"])
def test_the_folds_make_up_the_product(engine: Engine) -> None:
    for limited in random_products(4000, 60):
        product = replace(limited, max_events=None)
        sums, folds = run_fold_by_fold(engine, product)
        whole = engine.gemm(*product.arguments)
        assert np.array_equal(sums, whole.output), product
        events = np.concatenate([fold.overflows.events for fold in folds]).tolist()
        assert sorted(events) == whole.overflow.events.tolist(), product
        assert sum((fold.counts for fold in folds), start=type(whole.counts)()) == +whole.counts, product


def test_each_kernel_is_compiled_for_two_register_widths() -> None:
    from hwsim.array.kernels import functional, stepped

    for product in random_products(4500, 150):
        for engine in ENGINES:
            engine.gemm(*product.arguments)
            run_folds_together(engine, product)
    for kernel in (
        stepped.step_output_stationary,
        stepped.step_output_stationary_folds,
        stepped.step_weight_stationary,
        functional.sum_output_stationary,
        functional.sum_weight_stationary,
    ):
        assert len(kernel.signatures) == 2, kernel


def test_threads_change_nothing() -> None:
    for product in random_products(5000, 40):
        assert_same_products(
            SteppedEngine(threads=4).gemm(*product.arguments), ENGINES[0].gemm(*product.arguments), product
        )


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_its_samples_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    for product in random_products(6000 + seed, 40):
        samples = random_operand(random, product.params.activations, (3, *product.activations.shape))
        batch = run_batch(product.params, samples, product.weights, product.initial)
        alone = [FunctionalEngine().gemm(product.params, x, product.weights, product.initial) for x in samples]
        assert np.array_equal(batch.output, [result.output for result in alone]), product
        assert np.array_equal(batch.per_pe, sum(result.overflow.per_pe for result in alone)), product


@pytest.mark.parametrize("dataflow", list(Dataflow))
def test_larger_than_the_event_buffer(dataflow: Dataflow) -> None:
    """More overflows in one fold than the stepped engine first makes room for."""
    params = array_params(8, 8, dataflow, weight_bits=8, activation_bits=8, guard_bits=-4)
    sizes = (8, 300, 300) if dataflow is Dataflow.INPUT_STATIONARY else (300, 300, 8)
    activations, weights = np.full(sizes[:2], -128), np.full(sizes[1:], -128)
    stepped, functional = (engine.gemm(params, activations, weights) for engine in ENGINES)
    assert stepped.overflow_events >= stepped.macs > stepped.folds * FIRST_EVENT_BUFFER
    assert stepped.overflow.left_out == 0
    assert np.array_equal(stepped.overflow.events, functional.overflow.events)
