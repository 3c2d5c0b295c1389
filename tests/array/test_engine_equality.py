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
from hwsim.counts import Counts

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


def run_folds_together(engine: Engine, product: Product, cut: float = 0.5) -> tuple[np.ndarray, list[FoldsResult]]:
    """Run a product's folds in two parts, which may cut a chain; some folds share an operand."""
    params, shape = product.params, GemmShape(*product.activations.shape, product.weights.shape[1])
    timing = rules(params.dataflow).timing(shape, params)
    folds = list(rules(params.dataflow).folds(shape, params))
    sums, results, shared = np.zeros_like(product.initial), [], {}
    at = int(cut * len(folds))
    for part in filter(None, (folds[:at], folds[at:])):
        chains: dict[tuple[int, int], int] = {}
        numbers, operands = [], []
        for fold in part:
            place = (fold.out_rows, fold.out_cols)
            a, w = (fold.out_rows, fold.depth), (fold.depth, fold.out_cols)
            activations = shared.setdefault(f"a{a}", product.activations[a])
            weights = shared.setdefault(f"w{w}", product.weights[w])
            operands.append(FoldOperands(activations, weights, product.initial[place], sums[place]))
            numbers.append(chains.setdefault((fold.out_rows.start, fold.out_cols.start), len(chains)))
        results.append(engine.run_folds(params, part, timing, operands, product.max_events, numbers))
        for fold, found in zip(part, results[-1].sums, strict=True):
            if found is not None:
                sums[fold.out_rows, fold.out_cols] = found
    return sums, results


@pytest.mark.parametrize("cut", [0, 0.4, 0.7])
@pytest.mark.parametrize("engine", ENGINES, ids=["stepped", "functional"])
def test_folds_that_run_together_give_what_each_gives_alone(engine: Engine, cut: float) -> None:
    several = 0
    for product in random_products(3500, 80):
        sums, parts = run_folds_together(engine, product, cut)
        expected, alone = run_fold_by_fold(engine, product)
        assert np.array_equal(sums, expected), product
        events = [of_fold for part in parts for of_fold in part.events]
        assert all(np.array_equal(*pair) for pair in zip(events, (one.overflows.events for one in alone), strict=True))
        assert np.array_equal(sum(part.per_pe for part in parts), sum(one.overflows.per_pe for one in alone)), product
        assert sum((part.counts for part in parts), Counts()) == sum((one.counts for one in alone), Counts()), product
        several += any(found is None for part in parts for found in part.sums)
    assert several > 20  # had folds of one chain in a part


def test_folds_of_a_chain_with_more_events_than_the_first_buffer_are_all_kept() -> None:
    """The second fold of a chain is stepped again from the sums that the first one left."""
    params = array_params(8, 8, "weight_stationary", weight_bits=8, activation_bits=8, guard_bits=-4)
    activations, weights = np.full((3000, 24), -128), np.full((24, 8), -128)
    product = Product(params, activations, weights, np.zeros((3000, 8), np.int64), None)
    (stepped_sums, (stepped,)), (sums, (functional,)) = (run_folds_together(one, product, 0) for one in ENGINES)
    assert len(stepped.events) == 3
    assert all(len(events) > FIRST_EVENT_BUFFER for events in stepped.events)
    assert np.array_equal(stepped_sums, sums)
    assert all(np.array_equal(*pair) for pair in zip(stepped.events, functional.events, strict=True))


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
        stepped.step_weight_stationary_folds,
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
