"""Compiled sums of float32 products in the order and with the roundings of ONNX Runtime's kernels for x86.

Each kernel fills ``out`` (rows, columns), which holds what a sum starts from, with the sums of one matrix product.
``operands`` (rows, depth) are codes; ``terms`` says in which order they are taken. A term is
``float32(code - zero_point) scale`` times a weight, and ``weights`` (depth, columns) lie in the order of ``terms``.

Source: MLAS, ``sgemm.cpp``, ``SgemmKernelM1Avx.S``, ``SgemmKernelM1TransposeBAvx.S``; held against the library in
tests.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.core.extending import intrinsic

from hwsim.array.kernels.common import kernel

LANES = 8
QUAD = 4


@intrinsic
def fused_multiply_add(typing_context, first, second, addend):  # noqa: ARG001  (Numba's signature)
    """Return ``first second + addend``, rounded once, as the processor's instruction does."""

    def emit(context, builder, signature, arguments):  # noqa: ARG001
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), emit


@kernel
def chain(out, operands, zero_point, scale, terms, weights, block):
    """Add ``block`` terms at a time by fused multiply-adds from 0 on, and each block's sum to what is there."""
    depth, columns = weights.shape
    row_terms = np.empty(depth, np.float32)
    sums = np.empty(columns, np.float32)
    for row in range(len(operands)):
        take(row_terms, operands[row], zero_point, scale, terms)
        for start in range(0, depth, block):
            sums[:] = 0
            stop = min(start + block, depth)
            whole = stop - (stop - start) % QUAD
            for term in range(start, whole, QUAD):
                add_four(sums, row_terms[term : term + QUAD], weights[term : term + QUAD])
            for term in range(whole, stop):
                add_one(sums, row_terms[term], weights[term])
            for column in range(columns):
                out[row, column] += sums[column]


@kernel
def fours(out, operands, zero_point, scale, terms, weights):
    """Add rounded products four at a time, then two, then one, and each such sum to what is there."""
    depth, columns = weights.shape
    row_terms = np.empty(depth, np.float32)
    for row in range(len(operands)):
        take(row_terms, operands[row], zero_point, scale, terms)
        term = 0
        while term < depth:
            left = depth - term
            count = 4 if left >= 4 else (2 if left >= 2 else 1)
            for column in range(columns):
                total = row_terms[term] * weights[term, column]
                for other in range(term + 1, term + count):
                    total = total + row_terms[other] * weights[other, column]
                out[row, column] = total + out[row, column]
            term += count


@kernel
def lanes(out, operands, zero_point, scale, terms, weights, row_forms, column_forms):
    """Add rounded products in eight lanes, then the lanes' sums in one of three ways (`total_of_lanes`)."""
    depth, columns = weights.shape
    row_terms = np.empty(depth, np.float32)
    sums = np.empty(LANES, np.float32)
    for row in range(len(operands)):
        take(row_terms, operands[row], zero_point, scale, terms)
        for column in range(columns):
            sums[:] = 0
            for term in range(depth):
                sums[term % LANES] = sums[term % LANES] + row_terms[term] * weights[term, column]
            out[row, column] = total_of_lanes(sums, max(row_forms[row], column_forms[column])) + out[row, column]


@kernel
def take(row_terms, operands, zero_point, scale, terms):
    """Write the reals of one row in the order of ``terms``."""
    for place in range(terms.size):
        row_terms[place] = np.float32(operands[terms[place]] - zero_point) * scale


@kernel
def add_one(sums, left, rights):
    """Add one term to every column."""
    for column in range(sums.size):
        sums[column] = fused_multiply_add(left, rights[column], sums[column])


@kernel
def add_four(sums, lefts, rights):
    """Add four terms to every column, one after the other."""
    first, second, third, fourth = rights[0], rights[1], rights[2], rights[3]
    for column in range(sums.size):
        total = fused_multiply_add(lefts[0], first[column], sums[column])
        total = fused_multiply_add(lefts[1], second[column], total)
        total = fused_multiply_add(lefts[2], third[column], total)
        sums[column] = fused_multiply_add(lefts[3], fourth[column], total)


@kernel
def total_of_lanes(sums, form):
    """Return the sum of eight lanes: outputs that the kernel writes four, two or one at a time are added unlike."""
    if form == 4:
        low, high = ((sums[0] + sums[1]) + sums[2]) + sums[3], ((sums[4] + sums[5]) + sums[6]) + sums[7]
        return low + high
    if form == 2:
        return ((sums[0] + sums[2]) + (sums[4] + sums[6])) + ((sums[1] + sums[3]) + (sums[5] + sums[7]))
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
