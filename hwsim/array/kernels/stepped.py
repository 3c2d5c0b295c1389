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

from hwsim.array.kernels.common import count_both, kernel, leaves_range, multiply_add, shift, store

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
    """Let the operand of row r, delayed by r cycles, enter the first column; ``operands`` is (rows used, stream)."""
    used, length = operands.shape
    for r in range(rows):
        k = cycle - r
        valid = r < used and k >= 0 and k < length
        plane[r * cols] = operands[r, k] if valid else 0
        flags[r * cols] = valid


@kernel
def feed_columns(plane, flags, operands, cols, cycle):
    """Let the operand of column c, delayed by c cycles, enter the first row; ``operands`` is (stream, cols used)."""
    length, used = operands.shape
    for c in range(cols):
        k = cycle - c
        valid = c < used and k >= 0 and k < length
        plane[c] = operands[k, c] if valid else 0
        flags[c] = valid


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
    padded = (places + 7) // 8 * 8
    lefts = np.zeros((2, places), drained.dtype)
    tops = np.zeros((2, places), drained.dtype)
    left_flags = np.zeros((2, padded), np.uint8)
    top_flags = np.zeros((2, padded), np.uint8)
    registers = initial.copy().reshape(places)
    sums = np.zeros(places, drained.dtype)
    found = 0
    for cycle in range(activations.shape[1] + rows + cols - 2):
        now = cycle & 1
        left, top, left_flag, top_flag = lefts[now], tops[now], left_flags[now], top_flags[now]
        shift(left, lefts[1 - now], 1)
        shift(top, tops[1 - now], cols)
        shift(left_flag[:places], left_flags[1 - now], 1)
        shift(top_flag[:places], top_flags[1 - now], cols)
        feed_rows(left, left_flag, activations, rows, cols, cycle)
        feed_columns(top, top_flag, weights, cols, cycle)
        multiply_add(sums, registers, left, top)
        overflowed = leaves_range(sums, low, high)
        if overflowed:
            found = record(sums, rows, cols, low, high, cycle, pe_overflows, events, found)
        store(registers, sums, low, high, saturate, overflowed)
        macs = count_both(left_flag, top_flag)
        tally[MACS] += macs
        tally[SUM_WRITES] += macs
        tally[ACTIVATION_WRITES] += count_both(left_flag, left_flag)
        tally[WEIGHT_WRITES] += count_both(top_flag, top_flag)
    drain(registers, activations.shape[0], weights.shape[1], drained, tally)
    return found


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
        shift(flags[: rows * cols], previous_flags, cols)
        for c in range(cols):
            valid = row < used_rows and c < used_cols
            stationary[c] = weights[row, c] if valid else 0
            flags[c] = valid
        tally[WEIGHT_WRITES] += count_both(flags, flags)


@kernel
def accumulate_bottom(
    bottom, cycle, rows, cols_used, accumulators, first, low, high, saturate, pe_overflows, out_overflows,
    events, found, tally,
):  # fmt: skip
    """Store (first depth tile) or add the sums that leave the bottom row in this cycle of the stream."""
    for c in range(cols_used):
        m = cycle - rows - c
        if m < 0 or m >= accumulators.shape[0]:
            continue
        tally[ACCUMULATOR_WRITES] += 1
        if first:
            accumulators[m, c] = bottom[c]
            continue
        tally[ACCUMULATOR_ADDS] += 1
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
        activations: (rows used, stream), the stream of each row; weights: (rows used, cols used).
        initial: (stream, cols used), what enters the top of each column with stream index m.
        accumulators: (stream, cols used), stored into (``first``) or added to.
        low, high, saturate: the accumulator's range and what it does outside.
        pe_overflows: (rows + 1, cols); out_overflows: (stream, cols); counts are added.
        events, tally: see the module.
    """
    rows, cols = pe_overflows.shape[0] - 1, pe_overflows.shape[1]
    places = rows * cols
    padded = (places + 7) // 8 * 8
    stationary = np.zeros(places, accumulators.dtype)
    held = np.zeros(padded, np.uint8)
    load_weights(stationary, held, weights, rows, cols, tally)
    lefts = np.zeros((2, places), accumulators.dtype)
    left_flags = np.zeros((2, padded), np.uint8)
    sum_flags = np.zeros((2, padded), np.uint8)
    registers = np.zeros(places, accumulators.dtype)
    above = np.zeros(places, accumulators.dtype)
    sums = np.zeros(places, accumulators.dtype)
    found = 0
    for cycle in range(activations.shape[1] + rows + cols - 1):
        now = cycle & 1
        left, left_flag, sum_flag = lefts[now], left_flags[now], sum_flags[now]
        shift(left, lefts[1 - now], 1)
        shift(left_flag[:places], left_flags[1 - now], 1)
        shift(above, registers, cols)
        shift(sum_flag[:places], sum_flags[1 - now], cols)
        feed_rows(left, left_flag, activations, rows, cols, cycle)
        feed_columns(above, sum_flag, initial, cols, cycle)
        multiply_add(sums, above, left, stationary)
        overflowed = leaves_range(sums, low, high)
        if overflowed:
            found = record(sums, rows, cols, low, high, rows + cycle, pe_overflows, events, found)
            credit_outputs(sums, rows, cols, low, high, cycle, out_overflows)
        # the bottom row still holds the sums of the cycle before; row by row, so that events stay in order
        found = accumulate_bottom(
            registers[places - cols :], cycle, rows, weights.shape[1], accumulators, first, low, high, saturate,
            pe_overflows, out_overflows, events, found, tally,
        )  # fmt: skip
        store(registers, sums, low, high, saturate, overflowed)
        tally[MACS] += count_both(left_flag, held)
        tally[ACTIVATION_WRITES] += count_both(left_flag, left_flag)
        tally[SUM_WRITES] += count_both(sum_flag, sum_flag)
    return found
