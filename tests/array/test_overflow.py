"""What overflows, what it leaves behind, and how it is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_products import random_products

from hwsim.array.engine import Engine, register_dtype
from hwsim.array.functional import FunctionalEngine
from hwsim.array.gemm import make_engine, simulate_gemm
from hwsim.array.params import ArrayParams, Dataflow, array_params
from hwsim.array.results import GemmResult
from hwsim.array.stepped import SteppedEngine
from hwsim.errors import AccumulatorOverflowError
from hwsim.numerics.formats import IntFormat

ENGINES = [SteppedEngine(threads=1), FunctionalEngine()]
both_engines = pytest.mark.parametrize("engine", ENGINES, ids=["stepped", "functional"])
every_dataflow = pytest.mark.parametrize("dataflow", list(Dataflow))


def constant_product(
    engine: Engine, params: ArrayParams, activation: int, weight: int, depth: int, outputs: int = 3
) -> GemmResult:
    return engine.gemm(params, np.full((outputs, depth), activation), np.full((depth, outputs), weight))


@both_engines
def test_wrapped_sums_are_exact_modulo_the_accumulator(engine: Engine) -> None:
    for product in random_products(1, 150):
        params = replace(product.params, overflow="wrap")
        exact = product.activations.astype(object) @ product.weights.astype(object) + product.initial.astype(object)
        wrapped = (exact - params.accumulator.min) % (1 << params.accumulator.bits) + params.accumulator.min
        result = engine.gemm(params, product.activations, product.weights, product.initial, max_events=0)
        assert np.array_equal(result.output, wrapped.astype(np.int64)), product


@both_engines
def test_wrapping_is_an_event_on_the_way_out_and_on_the_way_back(engine: Engine) -> None:
    """A 4-bit register: 0, 4, 8 -> -8 (out), -12 -> 4 (back), 0; saturating stays at 7 and then counts down."""
    activations, weights = np.array([[2, 2, -2, -2]]), np.full((4, 1), 2)
    params = array_params(1, 1, "output_stationary", weight_bits=3, activation_bits=3, guard_bits=-2)
    wrapping = engine.gemm(replace(params, overflow="wrap"), activations, weights)
    assert (wrapping.output.tolist(), wrapping.overflow.events[:, 0].tolist()) == ([[0]], [1, 2])
    saturating = engine.gemm(params, activations, weights)
    assert (saturating.output.tolist(), saturating.overflow.events[:, 0].tolist()) == ([[-1]], [1])


@both_engines
def test_saturated_sums_depend_on_the_dataflow(engine: Engine) -> None:
    """6 + 6 - 6 - 6 in 4 bits: one chain clamps to 7 and ends at -5; chains of two are 7 and -8, which make -1."""
    activations, weights = np.array([[2, 2, -2, -2]]), np.full((4, 1), 3)
    params = array_params(2, 1, "output_stationary", weight_bits=3, activation_bits=3, guard_bits=-2)
    assert engine.gemm(params, activations, weights).output.tolist() == [[-5]]
    weight_stationary = engine.gemm(replace(params, dataflow=Dataflow.WEIGHT_STATIONARY), activations, weights)
    assert weight_stationary.output.tolist() == [[-1]]
    assert weight_stationary.overflow.events.tolist() == [[3, 1, 0], [7, 1, 0]]


@both_engines
@every_dataflow
@pytest.mark.parametrize(("bits", "guard_bits"), [(2, 0), (3, 1), (4, 3), (8, 2), (8, 4), (16, 1)])
def test_the_guard_bits_that_signed_operands_need(
    engine: Engine, dataflow: Dataflow, bits: int, guard_bits: int
) -> None:
    """Up to 2**(M + 1) - 1 terms cannot overflow; one more term of the largest product does, in its last add."""
    params = array_params(4, 2, dataflow, weight_bits=bits, activation_bits=bits, guard_bits=guard_bits)
    depth, least = 2 ** (guard_bits + 1) - 1, -(2 ** (bits - 1))
    assert constant_product(engine, params, least, least, depth).overflow_events == 0
    beyond = constant_product(engine, params, least, least, depth + 1)
    assert beyond.overflow.per_output.tolist() == [[1] * 3] * 3
    assert (beyond.output == params.accumulator.max).all()


@both_engines
@every_dataflow
@pytest.mark.parametrize(("bits", "guard_bits", "depth"), [(2, 1, 2), (4, 0, 1), (4, 4, 17), (8, 4, 16), (8, 8, 257)])
def test_the_guard_bits_that_unsigned_activations_need(
    engine: Engine, dataflow: Dataflow, bits: int, guard_bits: int, depth: int
) -> None:
    """floor(2**(N + M) / (2**N - 1)) terms."""
    params = array_params(
        4, 2, dataflow, weight_bits=bits, activation_bits=bits, guard_bits=guard_bits, activations_signed=False
    )
    most, least = 2**bits - 1, -(2 ** (bits - 1))
    assert constant_product(engine, params, most, least, depth).overflow_events == 0
    beyond = constant_product(engine, params, most, least, depth + 1)
    assert beyond.overflow.per_output.tolist() == [[1] * 3] * 3


def test_a_proof_that_nothing_can_overflow_is_one() -> None:
    """Columns whose operands' ranges rule out overflow skip the checks: as many events as with the checks."""
    random = np.random.default_rng(5)
    params = array_params(4, 4, "weight_stationary", weight_bits=8, activation_bits=8, guard_bits=0)
    for limit in (3, 10, 40, 127):
        x = random.integers(-limit, limit + 1, (20, 12))
        w = random.integers(-limit, limit + 1, (12, 9)) * random.integers(0, 2, 9)
        stepped, functional = (engine.gemm(params, x, w) for engine in ENGINES)
        assert np.array_equal(stepped.output, functional.output)
        assert stepped.overflow_events == functional.overflow_events


@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_the_list_of_events_is_bounded_and_says_what_it_leaves_out(engine: str) -> None:
    operands = np.full((3, 4), -2), np.full((4, 3), -2)
    options = {"rows": 2, "cols": 2, "weight_bits": 2, "activation_bits": 2, "guard_bits": -2, "engine": engine}
    everything = simulate_gemm(*operands, **options)
    assert (everything.overflow_events, everything.overflow.left_out) == (36, 0)
    first = simulate_gemm(*operands, **options, max_events=4)
    assert list(first.overflows.itertuples(index=False, name=None)) == [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)]
    assert first.overflow.left_out == 32
    assert list(first.overflows.columns) == ["cycle", "row", "col"]
    none = simulate_gemm(*operands, **options, max_events=0)
    assert (len(none.overflows), none.overflow.left_out, none.overflow_events) == (0, 36, 36)
    assert np.array_equal(none.overflow.per_pe, everything.overflow.per_pe)


@pytest.mark.parametrize("engine", ["stepped", "functional"])
@pytest.mark.parametrize("max_events", [None, 0, 3])
def test_an_overflow_can_stop_the_run_and_says_where(engine: str, max_events: int | None) -> None:
    """7 + 7 leaves 4 bits with the second term: PE(1, 0) adds it in cycle 1 + 1 + 0."""
    activations, weights = np.array([[0, 1], [1, 1]]), np.array([[7, 0], [7, 0]])
    with pytest.raises(AccumulatorOverflowError) as stopped:
        simulate_gemm(
            activations, weights, rows=2, cols=2, weight_bits=4, activation_bits=2, guard_bits=-2,
            overflow="error", engine=engine, max_events=max_events,
        )  # fmt: skip
    assert (
        str(stopped.value) == "accumulator of 4 bits overflows in cycle 2, row 1, column 0 (overflow events in all: 1)"
    )
    assert stopped.value.exit_code == 6


@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_the_accumulator_under_the_array_is_named(engine: str) -> None:
    """One row: 7, then 7 + 7 under column 1. The second fold starts in cycle 3; its sum arrives 1 + 0 + 1 + 1 later."""
    with pytest.raises(AccumulatorOverflowError) as stopped:
        simulate_gemm(
            [[1, 1]], [[0, 7], [0, 7]], rows=1, cols=2, dataflow="weight_stationary", weight_bits=4,
            activation_bits=2, guard_bits=-2, overflow="error", engine=engine,
        )  # fmt: skip
    assert str(stopped.value) == (
        "accumulator of 4 bits overflows in cycle 6, the accumulator under column 1 (overflow events in all: 1)"
    )


@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_error_is_silent_where_nothing_overflows(engine: str) -> None:
    result = simulate_gemm([[1, 2]], [[3], [4]], rows=1, cols=1, overflow="error", engine=engine)
    assert result.output.tolist() == [[11]]


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits", "guard_bits", "dtype"),
    [
        (8, 8, 8, np.int32),
        (16, 14, 1, np.int32),  # 30-bit products, 31-bit accumulator: the last that fits
        (16, 14, 2, np.int64),
        (16, 15, 0, np.int64),
        (16, 16, -1, np.int64),
        (16, 16, 0, np.int64),
        (16, 16, 31, np.int64),
    ],
)
@every_dataflow
@pytest.mark.parametrize("signed", [(True, True), (False, True), (False, False)])
def test_registers_are_as_wide_as_the_sums_need(
    weight_bits: int, activation_bits: int, guard_bits: int, dtype: type, dataflow: Dataflow, signed: tuple[bool, bool]
) -> None:
    """Extreme operands from an extreme start: both widths compute what exact integers do."""
    params = array_params(
        3, 2, dataflow, weight_bits=weight_bits, activation_bits=activation_bits, guard_bits=guard_bits,
        overflow="wrap", activations_signed=signed[0], weights_signed=signed[1],
    )  # fmt: skip
    assert register_dtype(params) is dtype
    assert_extremes_are_exact(params)


@every_dataflow
def test_an_operand_may_have_one_bit_more_for_its_zero_point(dataflow: Dataflow) -> None:
    word = IntFormat(17)
    assert_extremes_are_exact(ArrayParams(3, 2, dataflow, word, word, IntFormat(34), "wrap"))


def assert_extremes_are_exact(params: ArrayParams) -> None:
    random, word = np.random.default_rng(3), params.accumulator
    x = random.choice(np.array([params.activations.min, params.activations.max]), (5, 7))
    w = random.choice(np.array([params.weights.min, params.weights.max]), (7, 4))
    start = random.choice(np.array([word.min, word.max]), (5, 4))
    exact = x.astype(object) @ w.astype(object) + start.astype(object)
    expected = (exact - word.min) % (1 << word.bits) + word.min
    results = [make_engine(name, 1).gemm(params, x, w, start) for name in ("stepped", "functional")]
    for result in results:
        assert np.array_equal(result.output, expected.astype(np.int64))
    assert np.array_equal(results[0].overflow.events, results[1].overflow.events)
