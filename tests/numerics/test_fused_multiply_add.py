"""A product and a sum of float32 values, rounded once."""

from __future__ import annotations

import numpy as np

from hwsim.array.kernels import float32 as compiled
from hwsim.numerics.onnxruntime.float32 import fused_multiply_add

ULP = np.float32(2.0**-23)


def test_a_sum_just_below_a_tie_is_rounded_down() -> None:
    """(1 + u)(1 - u) u / 2 is a 2**-46 part below half a unit u; float64 alone would make it the tie, and that even."""
    first, second, addend = np.float32(1) + ULP, (np.float32(1) - ULP) * ULP / 2, np.float32(1) + ULP
    assert fused_multiply_add(first, second, addend) == addend
    assert np.float32(np.float64(first) * np.float64(second) + np.float64(addend)) == addend + ULP


def test_it_is_the_processors_instruction() -> None:
    """Values whose products and sums meet many ties: few bits, far apart."""
    random = np.random.default_rng(0)
    terms = (1 + random.integers(-4, 5, (3, 200_000)) * 2.0**-23) * 2.0 ** random.integers(-26, 3, (3, 200_000))
    first, second, addend = terms.astype(np.float32)
    expected = np.empty_like(first)
    for number in range(len(first)):
        sums = addend[number : number + 1].copy()
        compiled.add_one(sums, first[number], second[number : number + 1])
        expected[number] = sums[0]
    assert np.array_equal(fused_multiply_add(first, second, addend), expected)
