"""Errors of a tensor's codes against the float network, summed up batch by batch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.results.tensor_error import TensorError


class ErrorTally:
    """Takes notice of batches of one tensor; ``quantization`` is that of one sample."""

    def __init__(self, quantization: Quantization) -> None:
        axis = quantization.axis
        self._grid = quantization if axis is None else replace(quantization, axis=axis + 1)  # behind the samples
        self._elements = self._saturated = self._clipped = 0
        self._signal = self._noise = self._sum = self._worst = 0.0

    def add(self, reference: FloatArray, codes: IntArray) -> None:
        """Take one batch: the float network's values, samples first, and as many codes for them."""
        exact, found = reference, codes.reshape(reference.shape)
        grid, word = self._grid, self._grid.format
        reals = grid.dequantize(found)
        errors = reals - exact
        scale, zero_point = grid.aligned(exact.ndim)
        wanted = np.rint(exact / scale) + zero_point
        self._elements += exact.size
        self._signal += float(np.sum(exact**2))
        self._noise += float(np.sum(errors**2))
        self._sum += float(np.sum(errors))
        self._worst = max(self._worst, float(np.abs(errors).max(initial=0.0)))
        self._clipped += int(np.count_nonzero((wanted < word.min) | (wanted > word.max)))
        beyond = ((found == word.min) & (exact < reals)) | ((found == word.max) & (exact > reals))
        self._saturated += int(np.count_nonzero(beyond))

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
            bits=self._grid.format.bits,
            elements=self._elements,
            sqnr_db=10 * math.log10(self._signal / self._noise) if has_ratio else None,
            mean_error=self._sum / self._elements,
            worst_error=self._worst,
            saturation_rate=self._saturated / self._elements,
            clipping_rate=self._clipped / self._elements,
        )
