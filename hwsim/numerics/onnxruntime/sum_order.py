"""In which order ONNX Runtime's float32 kernels for x86 add the products of a matrix product or a convolution.

MLAS multiplies an m x k matrix by a k x n one. For a convolution m are the filters of a group and n the output pixels,
for a MatMul or Gemm m are rows and n columns. The rules are those of one thread on a processor with AVX2 and FMA3, or
AVX-512: more threads cut n, and with it the blocks. Not here: the kernel that processors with AVX-512 have for 7 x 7
convolutions in steps of 2 with two filters to each of several channels.

Source: MLAS, ``sgemm.cpp``, ``convolve.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.onnxruntime.pooling import PoolWindow

Kind = Literal["chain", "fours", "lanes"]
Axis = Literal["rows", "columns"]

BLOCK = 128  # terms and columns of a panel, where both sizes are at least that
LEAST_PANEL_COLUMNS = 16


@dataclass(frozen=True, slots=True)
class SumOrder:
    """How each output's products are added.

    ``chain``: fused multiply-adds from 0 on, ``block`` terms at a time; each block's sum is added to the output.
    ``fours``: rounded products, four at a time. ``lanes``: rounded products in eight lanes; the lanes' sums are added
    as the place of the output ``along`` the product's rows or columns says (`lane_forms`).
    ``starts_with_bias``: the first sum is added to the bias; else the bias is added last. ``joins_groups``: the rows of
    all groups are those of one product.
    """

    kind: Kind
    block: int = 0
    along: Axis = "rows"
    starts_with_bias: bool = False
    joins_groups: bool = False


def dense_order(rows: int, depth: int, columns: int, *, is_transposed: bool = False) -> SumOrder:
    """Return the order of a MatMul or Gemm; ``is_transposed``: the weights lie in the file as (columns, depth)."""
    if rows == 1:
        return SumOrder("lanes", along="columns") if is_transposed else SumOrder("fours")
    if columns == 1 and not is_transposed:
        return SumOrder("lanes", along="rows")
    return SumOrder("chain", block=panel_depth(depth, columns))


def panel_depth(depth: int, second: int) -> int:
    """Return how many terms are added before the output is: panels of a narrow product are deeper."""
    columns, terms = BLOCK, BLOCK
    if second >= depth:
        while terms // 2 >= depth:
            terms //= 2
    else:
        while columns > LEAST_PANEL_COLUMNS and columns // 2 >= second:
            columns, terms = columns // 2, terms * 2
    return terms


def convolution_order(window: PoolWindow, width: int, pixels: int, channels: int, filters: int) -> SumOrder:
    """Return the order of one group: ``channels`` in, ``filters`` out, ``pixels`` outputs of an image that wide.

    A single channel that windows as wide as the image slide down is read where it lies: as a transposed matrix.
    """
    unmoved = window.stride == window.dilation == (1, 1) and window.padding == ((0, 0), (0, 0))
    is_transposed = unmoved and channels == 1 and window.size > 1 and window.kernel[1] == width
    if filters == 1:
        return SumOrder("lanes", along="rows") if is_transposed else SumOrder("fours")
    if pixels == 1 and (width == 1 or not is_transposed):
        return SumOrder("lanes", along="columns")
    return SumOrder("chain", block=panel_depth(window.size * channels, pixels))


def lane_forms(outputs: int) -> IntArray:
    """Return for each of so many outputs whether it is written in a group of four, of two, or alone."""
    forms = np.full(outputs, 1, np.int64)
    fours = outputs - outputs % 4
    forms[:fours] = 4
    if outputs % 4 >= 2:
        forms[fours : fours + 2] = 2
    return forms
