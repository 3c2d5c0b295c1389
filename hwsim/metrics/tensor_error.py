"""Errors of a tensor against the float network, summed up batch by batch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.numerics.formats import IntArray
from hwsim.numerics.number_formats import FloatFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.results.tensor_error import TensorError

BoolArray = NDArray[np.bool_]


class ErrorTally:
    """Sums up what is known of one tensor in words of ``bits`` bits."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._elements = self._saturated = self._clipped = 0
        self._signal = self._noise = self._sum = self._worst = 0.0

    def _enter(self, exact: FloatArray, reals: FloatArray, clipped: BoolArray, saturated: BoolArray) -> None:
        """Take one batch; noise is that of the elements that are finite."""
        finite = np.isfinite(reals)
        errors = reals[finite] - exact[finite]
        self._elements += exact.size
        self._signal += float(np.sum(exact[finite] ** 2))
        self._noise += float(np.sum(errors**2))
        self._sum += float(np.sum(errors))
        self._worst = max(self._worst, float(np.abs(errors).max(initial=0.0)))
        self._clipped += int(np.count_nonzero(clipped))
        self._saturated += int(np.count_nonzero(saturated))

    def result(self, layer: str, tensor: str) -> TensorError:
        """Return the figures of all batches.

        Raises:
            ValueError: there was no element.
        """
        if self._elements == 0:
            raise ValueError(f"tensor {tensor} has no elements to compare")
        has_ratio = self._signal > 0 and self._noise > 0
        return TensorError(
            layer=layer,
            tensor=tensor,
            bits=self._bits,
            elements=self._elements,
            sqnr_db=10 * math.log10(self._signal / self._noise) if has_ratio else None,
            mean_error=self._sum / self._elements,
            worst_error=self._worst,
            saturation_rate=self._saturated / self._elements,
            clipping_rate=self._clipped / self._elements,
        )


class CodeTally(ErrorTally):
    """Takes codes; ``quantization`` is that of one sample."""

    def __init__(self, quantization: Quantization) -> None:
        super().__init__(quantization.format.bits)
        axis = quantization.axis
        self._grid = quantization if axis is None else replace(quantization, axis=axis + 1)  # behind the samples

    def add(self, reference: FloatArray, codes: IntArray) -> None:
        """Take one batch: the float network's values, samples first, and as many codes for them."""
        exact, found = reference, codes.reshape(reference.shape)
        grid, word = self._grid, self._grid.format
        reals = grid.dequantize(found)
        scale, zero_point = grid.aligned(exact.ndim)
        wanted = np.rint(exact / scale) + zero_point
        clipped = (wanted < word.min) | (wanted > word.max)
        beyond = ((found == word.min) & (exact < reals)) | ((found == word.max) & (exact > reals))
        self._enter(exact, reals, clipped, beyond)


class FloatTally(ErrorTally):
    """Takes numbers of a float format; its ends are infinity and NaN."""

    def __init__(self, word: FloatFormat) -> None:
        super().__init__(word.bits)
        self._word = word

    def add(self, reference: FloatArray, values: np.ndarray[Any, Any]) -> None:
        """Take one batch: the float network's values and the array's for them, of the same number of elements."""
        exact, reals = reference.reshape(-1), values.reshape(-1).astype(np.float64)
        self._enter(exact, reals, ~np.isfinite(self._word.convert(exact)), ~np.isfinite(reals))
