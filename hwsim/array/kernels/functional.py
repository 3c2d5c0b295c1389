"""The same sums and overflow events without moving registers. Importing this module imports Numba.

Both kernels add in the order of their dataflow, check every add, and place each overflow in space and time with
the fold geometry. ``columns`` are the out_cols that need checking; sums are kept for those alone, in that order.

``placing`` is (rows, cols, interval, tiles, cutoff): the array, the cycles between folds, the column tiles
(output stationary) or depth tiles (weight stationary) of a row of folds, and the last cycle whose events are
kept. ``histogram`` counts events per cycle (length 0: not wanted). ``events`` takes (cycle, row, col).
"""

from __future__ import annotations

import numpy as np

from hwsim.array.kernels.common import add, kernel, leaves_range, scale_add, store


@kernel
def note(cycle, row, col, cutoff, histogram, events, kept):
    """Enter one event into the histogram and, up to the cutoff, into the list; return how many are kept."""
    if histogram.size:
        histogram[cycle] += 1
    if cycle <= cutoff and kept < events.shape[0]:
        events[kept, 0] = cycle
        events[kept, 1] = row
        events[kept, 2] = col
        kept += 1
    return kept


@kernel
def sum_output_stationary(
    activations,
    weights,
    columns,
    initial,
    low,
    high,
    saturate,
    placing,
    out,
    out_overflows,
    histogram,
    events,
):
    """Sum term after term, each output in its own PE.

    Args:
        activations: (out_rows, depth); weights: (depth, columns); initial: (out_rows, columns).
        out, out_overflows: (out_rows, columns), written and added to.
    """
    rows, cols, interval, tiles, cutoff = placing
    sums = np.zeros(weights.shape[1], out.dtype)
    kept = 0
    for i in range(activations.shape[0]):
        registers = out[i]
        registers[:] = initial[i]
        for k in range(activations.shape[1]):
            value = activations[i, k]
            if value == 0:
                continue  # adding zero to a register that is in range cannot overflow
            scale_add(sums, registers, value, weights[k])
            overflowed = leaves_range(sums, low, high)
            store(registers, sums, low, high, saturate, overflowed)
            if overflowed:
                for n in range(sums.size):
                    if sums[n] < low or sums[n] > high:
                        out_overflows[i, n] += 1
                        j = columns[n]
                        row, col = i % rows, j % cols
                        cycle = ((i // rows) * tiles + j // cols) * interval + k + row + col
                        kept = note(cycle, row, col, cutoff, histogram, events, kept)
    return kept


@kernel
def sum_weight_stationary(
    activations, weights, columns, initial, low, high, saturate, placing, out, out_overflows, pe_overflows,
    histogram, events,
):  # fmt: skip
    """Sum down the columns of the array, then over depth tiles in the accumulators under it.

    Args:
        activations: (out_rows, depth); weights: (depth, columns); initial: (out_rows, columns).
        out, out_overflows: (out_rows, columns), written and added to; pe_overflows: (rows + 1, cols), added to.
    """
    rows, _, _, tiles, _ = placing
    depth = activations.shape[1]
    sums = np.zeros(weights.shape[1], out.dtype)
    chain = np.zeros(weights.shape[1], out.dtype)
    kept = 0
    for i in range(activations.shape[0]):
        for tile in range(tiles):
            if tile == 0:
                chain[:] = initial[i]
            else:
                chain[:] = 0
            for k in range(tile * rows, min((tile + 1) * rows, depth)):
                value = activations[i, k]
                if value == 0:
                    continue  # adding zero to a register that is in range cannot overflow
                scale_add(sums, chain, value, weights[k])
                overflowed = leaves_range(sums, low, high)
                store(chain, sums, low, high, saturate, overflowed)
                if overflowed:
                    kept = place_weight_stationary(
                        sums, low, high, i, k % rows, tile, columns, placing, out_overflows, pe_overflows, histogram,
                        events, kept,
                    )  # fmt: skip
            if tile == 0:
                out[i] = chain
                continue
            add(sums, out[i], chain)
            overflowed = leaves_range(sums, low, high)
            store(out[i], sums, low, high, saturate, overflowed)
            if overflowed:
                kept = place_weight_stationary(
                    sums, low, high, i, rows, tile, columns, placing, out_overflows, pe_overflows, histogram, events,
                    kept,
                )  # fmt: skip
    return kept


@kernel
def place_weight_stationary(
    sums, low, high, i, row, tile, columns, placing, out_overflows, pe_overflows, histogram, events, kept
):
    """Credit the overflows of one array row (``rows`` is the accumulators) for output row ``i``."""
    rows, cols, interval, tiles, cutoff = placing
    for n in range(sums.size):
        if sums[n] < low or sums[n] > high:
            out_overflows[i, n] += 1
            j = columns[n]
            col = j % cols
            pe_overflows[row, col] += 1
            cycle = ((j // cols) * tiles + tile) * interval + rows + i + row + col
            kept = note(cycle, row, col, cutoff, histogram, events, kept)
    return kept
