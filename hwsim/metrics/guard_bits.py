"""Guard bits that suffice: how long a sum may get before the accumulator can overflow.

The accumulator is signed and has ``weight_bits + activation_bits + guard_bits`` bits. The bounds hold for
every order of the adds and for every operand of the given widths (full range), so they are what a designer
may rely on without knowing the network; ``accumulator_bits_needed`` is the bound for known weights.
"""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray

_LARGEST_EXACT_SUM = 2**62


def safe_depth_signed_signed(guard_bits: int) -> int:
    """Return the largest safe depth for signed operands of any widths: ``2^(M+1) − 1``.

    The largest product is the one of both minima, ``2^(Nw+Na−2)``; M guard bits hold one less than
    ``2^(M+1)`` of it.
    """
    return 2 ** (guard_bits + 1) - 1 if guard_bits >= 0 else 0


def safe_depth_unsigned_signed(unsigned_bits: int, guard_bits: int) -> int:
    """Return the largest safe depth when one operand is unsigned: ``floor(2^(N+M) / (2^N − 1))``.

    N is the unsigned operand's width; the signed one's, whose minimum is a power of two, cancels out.
    """
    exponent = unsigned_bits + guard_bits
    return 2**exponent // (2**unsigned_bits - 1) if exponent >= 0 else 0


def safe_depth_unsigned_unsigned(weight_bits: int, activation_bits: int, guard_bits: int) -> int:
    """Return the largest depth with ``depth·(2^Na − 1)(2^Nw − 1) ≤ 2^(P−1) − 1``, P accumulator bits."""
    accumulator_bits = weight_bits + activation_bits + guard_bits
    if accumulator_bits < 1:
        return 0
    largest_product = (2**activation_bits - 1) * (2**weight_bits - 1)
    return int((2 ** (accumulator_bits - 1) - 1) // largest_product)


def largest_safe_depth(
    weight_bits: int,
    activation_bits: int,
    guard_bits: int,
    *,
    weights_signed: bool = True,
    activations_signed: bool = True,
) -> int:
    """Return the largest depth of a sum of products that can never overflow; 0 if a single product can."""
    if weights_signed and activations_signed:
        return safe_depth_signed_signed(guard_bits)
    if weights_signed:
        return safe_depth_unsigned_signed(activation_bits, guard_bits)
    if activations_signed:
        return safe_depth_unsigned_signed(weight_bits, guard_bits)
    return safe_depth_unsigned_unsigned(weight_bits, activation_bits, guard_bits)


def guard_bits_that_suffice(
    depth: int,
    weight_bits: int,
    activation_bits: int,
    *,
    weights_signed: bool = True,
    activations_signed: bool = True,
) -> int:
    """Return the fewest guard bits with which no sum of ``depth`` products can overflow.

    Full-range operands never do with fewer than 0, so the search starts there.
    """
    return next(
        guard_bits
        for guard_bits in count(0)
        if largest_safe_depth(
            weight_bits,
            activation_bits,
            guard_bits,
            weights_signed=weights_signed,
            activations_signed=activations_signed,
        )
        >= depth
    )


def accumulator_bits_needed(weights: NDArray[np.integer], x_min: int, x_max: int) -> NDArray[np.int64]:
    """Return for each output column the fewest accumulator bits that hold every partial sum, in any order.

    ``weights`` has shape (depth, out_cols); the operands they meet are integers in [x_min, x_max]. With
    ``a_max = Σ max(0, w·x_min, w·x_max)`` and ``a_min = Σ min(0, w·x_min, w·x_max)`` the bits are
    ``ceil(log2(max(−a_min, 1 + a_max))) + 1``: exact, since some order of some operands reaches a_max and
    a_min.

    Raises:
        ValueError: the range is empty, or the sums might not fit 64 bits.
    """
    if x_min > x_max:
        raise ValueError(f"the operand range [{x_min}, {x_max}] is empty")
    wide = weights.astype(np.int64)
    largest = max(abs(x_min), abs(x_max)) * int(np.abs(wide).max(initial=0))
    if largest * len(wide) >= _LARGEST_EXACT_SUM:
        raise ValueError(f"sums of {len(wide)} products up to {largest} might not fit 64 bits")
    low, high = np.minimum(wide * x_min, wide * x_max), np.maximum(wide * x_min, wide * x_max)
    a_min, a_max = np.minimum(low, 0).sum(axis=0), np.maximum(high, 0).sum(axis=0)
    spans = np.maximum(-a_min, 1 + a_max)
    return np.array([_ceil_log2(span) + 1 for span in spans.tolist()], dtype=np.int64)


def _ceil_log2(value: int) -> int:
    """Return the exponent of the smallest power of two that is not below ``value`` (1 or more)."""
    return (value - 1).bit_length()
