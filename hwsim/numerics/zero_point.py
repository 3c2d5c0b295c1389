"""The four terms of an integer matrix product with zero points.

sum((w - Z_w) (x - Z_x)) = sum(w x) - Z_x sum(w) - Z_w sum(x) + depth Z_w Z_x, all four inside the sum over depth.
The first is the array's; the second and fourth are constants; the third depends on the data and is 0 for Z_w = 0.
"""

from __future__ import annotations

from hwsim.numerics.formats import IntArray


def folded_constants(weights: IntArray, activation_zero_point: int, weight_zero_point: IntArray) -> IntArray:
    """Return ``depth Z_w Z_x - Z_x sum(w)`` per column.

    Args:
        weights: codes, shape (..., depth, out_cols).
        activation_zero_point: Z_x.
        weight_zero_point: Z_w, shape () or (out_cols,).
    """
    depth = weights.shape[-2]
    return activation_zero_point * (depth * weight_zero_point - weights.sum(axis=-2))


def row_sum_term(row_sums: IntArray, weight_zero_point: IntArray) -> IntArray:
    """Return ``-Z_w sum(x)``, shape (..., out_rows, out_cols): what a row-sum unit adds when Z_w is not 0.

    Args:
        row_sums: sum(x) of each output row, shape (..., out_rows).
        weight_zero_point: Z_w, shape (out_cols,).
    """
    return -row_sums[..., None] * weight_zero_point
