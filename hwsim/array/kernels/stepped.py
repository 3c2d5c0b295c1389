"""The register-level kernels: every PE's registers, every cycle. Importing this module imports Numba.

Planes are flat: the register of PE(r, c) is element ``r * cols + c``, so "one column right" is a shift by 1 (the
first column is overwritten by the operands that enter) and "one row down" a shift by ``cols``. A plane of byte
flags beside each operand plane says which registers hold an operand: MACs and register writes are counted there.

``tally`` collects: 0 MACs, 1 activation register writes, 2 weight register writes, 3 partial-sum register writes,
4 accumulator stores and adds, 5 accumulator adds. ``events`` takes (cycle, row, col) up to its length; kernels
return how many there were.
"""

from __future__ import annotations

import numpy as np

from hwsim.array.kernels.common import (
    MAX_TICKS,
    kernel,
    leaves_range,
    limit,
    multiply_add,
    shift,
    take_ticks,
    tick,
    tick_both,
)

MACS, ACTIVATION_WRITES, WEIGHT_WRITES, SUM_WRITES, ACCUMULATOR_WRITES, ACCUMULATOR_ADDS = range(6)
TALLIES = 6


@kernel
def record(sums, rows, cols, low, high, cycle, pe_overflows, events, found):
    """Count every overflowed PE of this cycle and keep its event while there is room; return the new total."""
    for r in range(rows):
        for c in range(cols):
            value = sums[r * cols + c]
            if value < low or value > high:
                pe_overflows[r, c] += 1
                if found < events.shape[0]:
                    events[found, 0] = cycle
                    events[found, 1] = r
                    events[found, 2] = c
                found += 1
    return found


@kernel
def feed_rows(plane, flags, operands, rows, cols, cycle):
    """Let the operand of row r, delayed by r cycles, enter the first column; ``operands`` is (rows used, depth)."""
    used, length = operands.shape
    for r in range(rows):
        k = cycle - r
        valid = r < used and k >= 0 and k < length
        plane[r * cols] = operands[r, k] if valid else 0
        flags[r * cols] = valid


@kernel
def feed_stream(plane, flags, stream, rows, cols, cycle):
    """Let the stream's operand for row r, delayed by r cycles, enter the first column; (stream, rows used)."""
    length, used = stream.shape
    for r in range(rows):
        m = cycle - r
        valid = r < used and m >= 0 and m < length
        plane[r * cols] = stream[m, r] if valid else 0
        flags[r * cols] = valid


@kernel
def feed_columns(plane, flags, operands, cols, cycle):
    """Let the operand of column c, delayed by c cycles, enter the first row; ``operands`` is (depth, cols used)."""
    length, used = operands.shape
    for c in range(cols):
        k = cycle - c
        valid = c < used and k >= 0 and k < length
        plane[c] = operands[k, c] if valid else 0
        flags[c] = valid


@kernel
def feed_sums(plane, flags, initial, length, used, cols, cycle):
    """Let a sum for each operand of the stream enter the top of every used column, delayed like an operand.

    It starts from ``initial`` (stream, cols used), or from zero where that has no rows.
    """
    for c in range(cols):
        m = cycle - c
        valid = c < used and m >= 0 and m < length
        plane[c] = initial[m, c] if valid and initial.shape[0] else 0
        flags[c] = valid


@kernel
def three_counters(places):
    """Return byte counters of each PE for MACs, operands that moved right, and what moved down."""
    return np.zeros(places, np.uint8), np.zeros(places, np.uint8), np.zeros(places, np.uint8)


@kernel
def add_ticks(tally, multiplied, moved_right, down, moved_down):
    """Add the counters to the tally, what moved down under index ``down``, and start them anew."""
    tally[MACS] += take_ticks(multiplied)
    tally[ACTIVATION_WRITES] += take_ticks(moved_right)
    tally[down] += take_ticks(moved_down)


@kernel
def step_output_stationary(activations, weights, initial, low, high, saturate, drained, pe_overflows, events, tally):
    """Step one output-stationary fold.

    Args:
        activations: (rows used, depth); weights: (depth, cols used).
        initial: (rows, cols), what the sums start from.
        low, high, saturate: the accumulator's range and what it does outside.
        drained: (rows, cols), takes the sums as they leave the bottom row.
        pe_overflows: (rows + 1, cols), counts are added.
        events, tally: see the module.
    """
    rows, cols = drained.shape
    places = rows * cols
    left, left_before = np.zeros(places, drained.dtype), np.zeros(places, drained.dtype)
    top, top_before = np.zeros(places, drained.dtype), np.zeros(places, drained.dtype)
    left_flag, left_flag_before = np.zeros(places, np.uint8), np.zeros(places, np.uint8)
    top_flag, top_flag_before = np.zeros(places, np.uint8), np.zeros(places, np.uint8)
    multiplied, moved_right, moved_down = three_counters(places)
    registers = initial.copy().reshape(places)
    sums = np.zeros(places, drained.dtype)
    macs_before = tally[MACS]
    found = 0
    for cycle in range(activations.shape[1] + rows + cols - 2):
        left, left_before = left_before, left
        top, top_before = top_before, top
        left_flag, left_flag_before = left_flag_before, left_flag
        top_flag, top_flag_before = top_flag_before, top_flag
        shift(left, left_before, 1)
        shift(top, top_before, cols)
        shift(left_flag, left_flag_before, 1)
        shift(top_flag, top_flag_before, cols)
        feed_rows(left, left_flag, activations, rows, cols, cycle)
        feed_columns(top, top_flag, weights, cols, cycle)
        multiply_add(sums, registers, left, top)
        if leaves_range(sums, low, high):
            found = record(sums, rows, cols, low, high, cycle, pe_overflows, events, found)
            limit(sums, low, high, saturate)
        registers, sums = sums, registers
        tick_both(multiplied, left_flag, top_flag)
        tick(moved_right, left_flag)
        tick(moved_down, top_flag)
        if cycle % MAX_TICKS == MAX_TICKS - 1:
            add_ticks(tally, multiplied, moved_right, WEIGHT_WRITES, moved_down)
    add_ticks(tally, multiplied, moved_right, WEIGHT_WRITES, moved_down)
    tally[SUM_WRITES] += tally[MACS] - macs_before
    drain(registers, activations.shape[0], weights.shape[1], drained, tally)
    return found


@kernel
def step_output_stationary_folds(
    activations, weights, which, initial, low, high, saturate, drained, pe_overflows, events, found, tally
):
    """Step output-stationary folds of one depth and width, one after the other.

    Args:
        activations: (pieces, most rows used, depth); weights: (pieces, depth, cols used).
        which: (folds, 3), the piece of activations and that of weights that each fold works on, and the rows it uses.
        initial: (folds, rows, cols), what the sums start from; no folds: zeros.
        low, high, saturate: the accumulator's range and what it does outside.
        drained: (folds, rows, cols), takes the sums.
        pe_overflows: (folds, rows + 1, cols), counts are added.
        events: (folds, room, 3), takes each fold's events; found: (folds,), takes how many there were.
        tally: see the module.
    """
    zeros = np.zeros(drained.shape[1:], drained.dtype)
    for n in range(which.shape[0]):
        found[n] = step_output_stationary(
            activations[which[n, 0], : which[n, 2]], weights[which[n, 1]], initial[n] if initial.shape[0] else zeros,
            low, high, saturate, drained[n], pe_overflows[n], events[n], tally,
        )  # fmt: skip


@kernel
def drain(registers, rows_used, cols_used, drained, tally):
    """Shift the sums down and out, bottom row first, one row a cycle."""
    rows, cols = drained.shape
    below = np.zeros_like(registers)
    for cycle in range(rows):
        bottom = rows - 1 - cycle
        for c in range(cols):
            drained[bottom, c] = registers[(rows - 1) * cols + c]
        shift(below, registers, cols)
        registers[:] = below
        # the sums of rows 0 to bottom - 1 have moved down one row
        tally[SUM_WRITES] += min(bottom, rows_used) * cols_used


@kernel
def load_weights(stationary, flags, weights, rows, cols, tally):
    """Shift the weights down from the top, the bottom row's first, one row a cycle; ``weights`` (rows, cols used)."""
    used_rows, used_cols = weights.shape
    previous = np.zeros_like(stationary)
    previous_flags = np.zeros_like(flags)
    for cycle in range(rows):
        row = rows - 1 - cycle
        previous[:] = stationary
        previous_flags[:] = flags
        shift(stationary, previous, cols)
        shift(flags, previous_flags, cols)
        for c in range(cols):
            valid = row < used_rows and c < used_cols
            stationary[c] = weights[row, c] if valid else 0
            flags[c] = valid
        for p in range(flags.size):
            tally[WEIGHT_WRITES] += flags[p]


@kernel
def store_bottom(bottom, cycle, rows, cols_used, accumulators, tally):
    """Store the sums that leave the bottom row in this cycle of the stream: the first depth tile's.

    Column c holds stream index cycle - rows - c, if there is such a one.
    """
    begin = max(0, cycle - rows - accumulators.shape[0] + 1)
    end = min(cols_used, cycle - rows + 1)
    for c in range(begin, end):
        accumulators[cycle - rows - c, c] = bottom[c]
    tally[ACCUMULATOR_WRITES] += max(end - begin, 0)


@kernel
def add_bottom(
    bottom, cycle, rows, cols_used, accumulators, low, high, saturate, pe_overflows, out_overflows, events, found,
    tally,
):  # fmt: skip
    """Add the sums that leave the bottom row in this cycle of the stream: a later depth tile's."""
    begin = max(0, cycle - rows - accumulators.shape[0] + 1)
    end = min(cols_used, cycle - rows + 1)
    tally[ACCUMULATOR_WRITES] += max(end - begin, 0)
    tally[ACCUMULATOR_ADDS] += max(end - begin, 0)
    for c in range(begin, end):
        m = cycle - rows - c
        exact = np.int64(accumulators[m, c]) + bottom[c]
        if exact < low or exact > high:
            pe_overflows[rows, c] += 1
            out_overflows[m, c] += 1
            if found < events.shape[0]:
                events[found, 0] = rows + cycle
                events[found, 1] = rows
                events[found, 2] = c
            found += 1
            exact = min(max(exact, low), high) if saturate else ((exact - low) & (high - low)) + low
        accumulators[m, c] = exact
    return found


@kernel
def credit_outputs(sums, rows, cols, low, high, cycle, out_overflows):
    """Count this cycle's overflows also per output: PE(r, c) works on stream index cycle - r - c."""
    for r in range(rows):
        for c in range(cols):
            value = sums[r * cols + c]
            if value < low or value > high:
                out_overflows[cycle - r - c, c] += 1


@kernel
def step_weight_stationary(
    activations, weights, initial, accumulators, first, low, high, saturate, pe_overflows, out_overflows, events,
    tally,
):  # fmt: skip
    """Step one weight-stationary fold, with the accumulators under the array.

    Args:
        activations: (stream, rows used); weights: (rows used, cols used).
        initial: (stream, cols used), what enters the top of each column with stream index m; no rows: zeros.
        accumulators: (stream, cols used), stored into (``first``) or added to.
        low, high, saturate: the accumulator's range and what it does outside.
        pe_overflows: (rows + 1, cols); out_overflows: (stream, cols); counts are added.
        events, tally: see the module.
    """
    rows, cols = pe_overflows.shape[0] - 1, pe_overflows.shape[1]
    places = rows * cols
    stationary = np.zeros(places, accumulators.dtype)
    held = np.zeros(places, np.uint8)
    load_weights(stationary, held, weights, rows, cols, tally)
    left, left_before = np.zeros(places, accumulators.dtype), np.zeros(places, accumulators.dtype)
    left_flag, left_flag_before = np.zeros(places, np.uint8), np.zeros(places, np.uint8)
    sum_flag, sum_flag_before = np.zeros(places, np.uint8), np.zeros(places, np.uint8)
    registers = np.zeros(places, accumulators.dtype)
    above = np.zeros(places, accumulators.dtype)
    multiplied, moved_right, moved_down = three_counters(places)
    sums = np.zeros(places, accumulators.dtype)
    bottom, next_bottom = registers[places - cols :], sums[places - cols :]
    found = 0
    for cycle in range(activations.shape[0] + rows + cols - 1):
        left, left_before = left_before, left
        left_flag, left_flag_before = left_flag_before, left_flag
        sum_flag, sum_flag_before = sum_flag_before, sum_flag
        shift(left, left_before, 1)
        shift(left_flag, left_flag_before, 1)
        shift(above, registers, cols)
        shift(sum_flag, sum_flag_before, cols)
        feed_stream(left, left_flag, activations, rows, cols, cycle)
        feed_sums(above, sum_flag, initial, activations.shape[0], weights.shape[1], cols, cycle)
        multiply_add(sums, above, left, stationary)
        if leaves_range(sums, low, high):
            found = record(sums, rows, cols, low, high, rows + cycle, pe_overflows, events, found)
            credit_outputs(sums, rows, cols, low, high, cycle, out_overflows)
            limit(sums, low, high, saturate)
        # the bottom row still holds the sums of the cycle before; row by row, so that events stay in order
        if first:
            store_bottom(bottom, cycle, rows, weights.shape[1], accumulators, tally)
        else:
            found = add_bottom(
                bottom, cycle, rows, weights.shape[1], accumulators, low, high, saturate, pe_overflows,
                out_overflows, events, found, tally,
            )  # fmt: skip
        registers, sums = sums, registers
        bottom, next_bottom = next_bottom, bottom
        tick_both(multiplied, left_flag, held)
        tick(moved_right, left_flag)
        tick(moved_down, sum_flag)
        if cycle % MAX_TICKS == MAX_TICKS - 1:
            add_ticks(tally, multiplied, moved_right, SUM_WRITES, moved_down)
    add_ticks(tally, multiplied, moved_right, SUM_WRITES, moved_down)
    return found


@kernel
def step_weight_stationary_folds(
    streams, weights, initial, which, accumulators, low, high, saturate, pe_overflows, out_overflows, events, found,
    tally,
):  # fmt: skip
    """Step weight-stationary folds of any sizes, one after the other.

    Args:
        streams, weights, initial: words of all folds' activations (stream, rows used), weights (rows used, cols used)
            and starting values (stream, cols used), those of one fold after those of another.
        which: (folds, 8): the length of the stream, the rows and the columns that each fold uses, where its words
            begin in ``streams``, ``weights``, ``initial`` (-1: zeros) and ``accumulators``, and whether it stores.
        accumulators, out_overflows: words of (stream, cols used), stored into or added to.
        low, high, saturate: the accumulator's range and what it does outside.
        pe_overflows: (rows + 1, cols), counts are added.
        events: (folds, room, 3), takes each fold's events; found: (folds,), takes how many there were.
        tally: see the module.
    """
    for n in range(which.shape[0]):
        length, rows, cols, stream, held, start, sums, first = which[n]
        begun = length if start >= 0 else 0
        found[n] = step_weight_stationary(
            streams[stream : stream + length * rows].reshape(length, rows),
            weights[held : held + rows * cols].reshape(rows, cols),
            initial[max(start, 0) : max(start, 0) + begun * cols].reshape(begun, cols),
            accumulators[sums : sums + length * cols].reshape(length, cols),
            first != 0, low, high, saturate, pe_overflows,
            out_overflows[sums : sums + length * cols].reshape(length, cols),
            events[n], tally,
        )  # fmt: skip
