"""The public way to run one matrix product on an array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from hwsim.array.engine import Engine
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import FoldOverlap, array_params
from hwsim.array.results import GemmResult
from hwsim.array.stepped import SteppedEngine
from hwsim.errors import ConfigError, did_you_mean
from hwsim.numerics.formats import IntArray, Overflow

EngineName = Literal["stepped", "functional"]


def make_engine(name: str, threads: int | None = None) -> Engine:
    """Return the engine called ``name``; ``threads`` bounds the stepped engine's threads.

    Raises:
        ConfigError: no such engine.
    """
    if name == "stepped":
        return SteppedEngine(threads)
    if name == "functional":
        return FunctionalEngine()
    allowed = ("stepped", "functional")
    raise ConfigError(f"unknown engine '{name}'; allowed: {', '.join(allowed)}{did_you_mean(name, allowed)}")


def simulate_gemm(
    activations: Any,
    weights: Any,
    *,
    rows: int,
    cols: int,
    dataflow: str = "output_stationary",
    weight_bits: int = 8,
    activation_bits: int = 8,
    guard_bits: int = 8,
    overflow: Overflow = "saturate",
    engine: EngineName = "stepped",
    activations_signed: bool = True,
    weights_signed: bool = True,
    fold_overlap: FoldOverlap = "none",
    max_events: int | None = None,
) -> GemmResult:
    """Multiply (out_rows, depth) activations by (depth, out_cols) weights on a rows x cols array.

    The accumulators have ``weight_bits + activation_bits + guard_bits`` bits. Operands are integers inside their
    formats; ``max_events`` bounds the list of single overflow events (None: all), never their counts.

    Raises:
        ConfigError: an argument outside its range, or operands of wrong type, shape or range.
        AccumulatorOverflowError: an add overflowed under ``overflow="error"``.
    """
    params = array_params(
        rows,
        cols,
        dataflow,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        guard_bits=guard_bits,
        overflow=overflow,
        activations_signed=activations_signed,
        weights_signed=weights_signed,
        fold_overlap=fold_overlap,
    )
    left, right = _integers("activations", activations), _integers("weights", weights)
    return make_engine(engine).gemm(params, left, right, max_events=max_events)


def _integers(name: str, values: Any) -> IntArray:
    array = np.asarray(values)
    if array.dtype == np.uint64 or not np.issubdtype(array.dtype, np.integer):
        raise ConfigError(f"{name} of type {array.dtype}; allowed: integers up to 64 bits, signed")
    return array.astype(np.int64)


def compile_functional_kernels(accumulator_words: Iterable[int] = (32, 64)) -> None:
    """Compile the functional engine's kernels, or load them from the cache, before processes that need them start.

    ``accumulator_words`` are the register widths to compile for, 32 or 64 bits.
    """
    for word in accumulator_words:
        bits = 2 if word == 32 else 16
        most_negative = np.full((1, 3), -(1 << (bits - 1)), np.int64)  # overflows, so that every add is checked
        for dataflow in ("output_stationary", "weight_stationary"):
            params = array_params(2, 1, dataflow, weight_bits=bits, activation_bits=bits, guard_bits=0)
            make_engine("functional").gemm(params, most_negative, most_negative.T, max_events=0)
