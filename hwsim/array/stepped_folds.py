"""Folds given to the stepped kernels: operands in their registers' words, sums and events out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.array.engine import FoldOperands, contiguous, is_all_zero, register_dtype
from hwsim.array.folds import Fold
from hwsim.array.params import ArrayParams
from hwsim.array.results import FoldResult, FoldsResult, Overflows
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray


def step_output_stationary(
    params: ArrayParams, fold: Fold, operands: FoldOperands, room: int
) -> tuple[FoldResult, int]:
    """Step a fold, keeping up to ``room`` events (cycles from the fold's start); also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    used = (fold.out_rows.stop - fold.out_rows.start, fold.out_cols.stop - fold.out_cols.start)
    initial = np.zeros((params.rows, params.cols), dtype)
    initial[: used[0], : used[1]] = operands.initial
    drained = np.zeros_like(initial)
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    events = np.empty((room, 3), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    found = kernels.step_output_stationary(
        contiguous(operands.activations, dtype),
        contiguous(operands.weights, dtype),
        initial,
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        drained,
        per_pe,
        events,
        tally,
    )
    sums = drained[: used[0], : used[1]].astype(np.int64)
    overflows = Overflows(events[:found], max(found - room, 0), per_pe, per_pe[: used[0], : used[1]].copy())
    return FoldResult(sums, overflows, counts_of(tally)), found


def step_output_stationary_folds(
    params: ArrayParams, operands: Sequence[FoldOperands], room: int
) -> tuple[FoldsResult, list[int]]:
    """Step folds of one depth and width, keeping up to ``room`` events of each; also return how many there were."""
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    activations, activation_places = _pieces([one.activations for one in operands], dtype)
    weights, weight_places = _pieces([one.weights for one in operands], dtype)
    used_rows = [len(one.activations) for one in operands]
    drained: Any = np.zeros((len(operands), params.rows, params.cols), dtype)
    per_pe = np.zeros((len(operands), params.rows + 1, params.cols), np.int64)
    events = np.empty((len(operands), room, 3), np.int64)
    found = np.zeros(len(operands), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    kernels.step_output_stationary_folds(
        activations,
        weights,
        np.stack([activation_places, weight_places, used_rows], axis=1),
        _starts(params, operands),
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        drained,
        per_pe,
        events,
        found,
        tally,
    )
    sums = [one[:used, : weights.shape[2]] for one, used in zip(drained, used_rows, strict=True)]
    kept = [one[:count].copy() for one, count in zip(events, found, strict=True)]
    return FoldsResult(sums, kept, per_pe.sum(axis=0), counts_of(tally)), found.tolist()


def _pieces(operands: Sequence[IntArray], dtype: Any) -> tuple[Any, IntArray]:
    """Stack what differs, with zeros below where rows are fewer; return also the place of each operand in the stack."""
    distinct = {id(one): one for one in operands}
    places = {key: place for place, key in enumerate(distinct)}
    stack = np.zeros((len(distinct), max(map(len, operands)), operands[0].shape[1]), dtype)
    for piece, one in zip(stack, distinct.values(), strict=True):
        piece[: len(one)] = one
    return stack, np.asarray([places[id(one)] for one in operands])


def _starts(params: ArrayParams, operands: Sequence[FoldOperands]) -> Any:
    """Return what the sums of the whole array start from, for each fold; for none of them if all are zero."""
    dtype = register_dtype(params)
    if all(is_all_zero(one.initial) for one in operands):
        return np.zeros((0, params.rows, params.cols), dtype)
    starts = np.zeros((len(operands), params.rows, params.cols), dtype)
    for start, one in zip(starts, operands, strict=True):
        start[: one.initial.shape[0], : one.initial.shape[1]] = one.initial
    return starts


@dataclass(frozen=True, slots=True, eq=False)
class ChainsResult:
    """Chains of weight-stationary folds that ran together.

    ``sums`` and ``per_output`` (stream, columns) of each chain, after its last fold; ``events`` of each fold, as many
    as there was room for, and how many it had in ``found``; ``per_pe`` and ``counts`` of all.
    """

    sums: list[IntArray]
    per_output: list[IntArray]
    events: list[IntArray]
    found: list[int]
    per_pe: IntArray
    counts: Counts


def step_weight_stationary_folds(
    params: ArrayParams,
    folds: Sequence[Fold],
    operands: Sequence[FoldOperands],
    chains: Sequence[int],
    most_events: int,
) -> ChainsResult:
    """Step weight-stationary folds one after the other, keeping up to ``most_events`` of each.

    Args:
        params: the array.
        folds, operands: of any sizes.
        chains: each fold's chain, numbered from 0 as they come: a chain's first fold here goes on with its
            ``accumulators``, unless it starts the chain, and the others with the sums of the one before.
        most_events: how many events to keep of each fold (cycles from the fold's start).
    """
    from hwsim.array.kernels import stepped as kernels

    dtype = register_dtype(params)
    streams, stream_places = _words([one.activations for one in operands], dtype)
    weights, weight_places = _words([one.weights for one in operands], dtype)
    initial, initial_places = _chain_starts(folds, operands, dtype)
    begun = [operands[chains.index(chain)] for chain in range(max(chains) + 1)]  # each chain's first fold here
    accumulators, sum_places = _words([one.accumulators for one in begun], dtype, shared=False)
    per_output = np.zeros(accumulators.shape, np.int64)
    per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
    room = min(most_events, max(map(_most_events, operands)))
    events = np.empty((len(folds), room, 3), np.int64)
    found = np.zeros(len(folds), np.int64)
    tally = np.zeros(kernels.TALLIES, np.int64)
    firsts = [fold.first_in_chain for fold in folds]
    sizes = [(*one.activations.shape, one.weights.shape[1]) for one in operands]
    kernels.step_weight_stationary_folds(
        streams,
        weights,
        initial,
        np.column_stack([sizes, stream_places, weight_places, initial_places, sum_places[list(chains)], firsts]),
        accumulators,
        dtype(params.accumulator.min),
        dtype(params.accumulator.max),
        params.overflow == "saturate",
        per_pe,
        per_output,
        events,
        found,
        tally,
    )
    shapes = [one.accumulators.shape for one in begun]
    return ChainsResult(
        _apart(accumulators, sum_places, shapes),
        _apart(per_output, sum_places, shapes),
        [one[:count].copy() for one, count in zip(events, found, strict=True)],
        found.tolist(),
        per_pe,
        counts_of(tally),
    )


def _words(operands: Sequence[IntArray], dtype: Any, *, shared: bool = True) -> tuple[Any, IntArray]:
    """Return the words of all operands, one after the other, and where each operand's begin.

    Unless ``shared`` is false, those of an operand that comes several times lie there once.
    """
    distinct = {id(one) if shared else number: one for number, one in enumerate(operands)}
    ends = np.cumsum([one.size for one in distinct.values()])
    begins = dict(zip(distinct, (ends - [one.size for one in distinct.values()]).tolist(), strict=True))
    words = np.concatenate([one.ravel() for one in distinct.values()], dtype=dtype, casting="unsafe")
    keys = [id(one) if shared else number for number, one in enumerate(operands)]
    return words, np.asarray([begins[key] for key in keys])


def _chain_starts(folds: Sequence[Fold], operands: Sequence[FoldOperands], dtype: Any) -> tuple[Any, list[int]]:
    """Return what the sums of chains start from, one after the other, and where each fold's begin: -1 for zeros."""
    starts: list[IntArray] = []
    places, filled = [], 0
    for fold, one in zip(folds, operands, strict=True):
        is_zero = not fold.first_in_chain or is_all_zero(one.initial)
        places.append(-1 if is_zero else filled)
        if not is_zero:
            starts.append(one.initial.ravel())
            filled += one.initial.size
    return np.concatenate(starts, dtype=dtype, casting="unsafe") if starts else np.zeros(0, dtype), places


def _most_events(operands: FoldOperands) -> int:
    """Return how many adds a fold has: one for every MAC and one for every accumulator."""
    stream, rows = operands.activations.shape
    return stream * operands.weights.shape[1] * (rows + 1)


def _apart(words: Any, begins: IntArray, shapes: Iterable[tuple[int, ...]]) -> list[IntArray]:
    """Return the arrays whose words lie one after the other."""
    pairs = zip(begins.tolist(), shapes, strict=True)
    return [words[begin : begin + int(np.prod(shape))].reshape(shape) for begin, shape in pairs]


def counts_of(tally: IntArray) -> Counts:
    """Name what the kernels tallied."""
    macs, activations, weights, sums, accumulator_writes, accumulator_adds = (int(count) for count in tally)
    counts = Counts(
        {
            ("pe", "multiply"): macs,
            ("pe", "accumulate"): macs,
            ("pe", "activation_register_write"): activations,
            ("pe", "weight_register_write"): weights,
            ("pe", "partial_sum_register_write"): sums,
        }
    )
    if accumulator_writes:
        counts["accumulator_buffer", "write"] = accumulator_writes
        counts["accumulator_buffer", "read"] = accumulator_adds
        counts["accumulator_buffer", "add"] = accumulator_adds
    return counts
