"""The integer square root, digit by digit."""

from __future__ import annotations

import numpy as np

from hwsim.numerics.formats import IntArray

ROOT_DIGITS = 32  # binary digits of the root of a number of 63 bits, and so iterations


def integer_square_root(values: IntArray) -> IntArray:
    """Return the greatest r with ``r * r <= value``, for int64 values from 0 on.

    One binary digit of the root an iteration, from the highest on: with the root so far in ``root`` and the square
    that the next digit stands for in ``square``, the digit is 1 if ``root + square`` can be taken off the remainder.
    An iteration is a comparison and a subtraction, and there are always as many: I-BERT's algorithm 4 (Kim et al.,
    2021) finds the same number by Newton's method, in as many divisions as the value happens to need.

    Source: H. S. Warren, Hacker's Delight, 2nd ed. (2012), section 11-1, "hardware algorithm".
    """
    remainder = np.asarray(values, np.int64).copy()
    root = np.zeros_like(remainder)
    for digit in reversed(range(ROOT_DIGITS)):
        square = np.int64(1) << np.int64(2 * digit)
        is_one = remainder >= root + square
        remainder -= np.where(is_one, root + square, 0)
        root = (root >> 1) + np.where(is_one, square, 0)
    return root
