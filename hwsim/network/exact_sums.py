"""Which products float32 sums exactly: those of whole numbers without a partial sum beyond 2**24."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.network.gather import as_gather
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.quantization import Quantization

EXACT_SUM = 1 << 24


@dataclass(frozen=True)
class SumBounds:
    """Bounds of one product's sums, whatever the activations; ``weight`` is a constant or the second activation."""

    operator: MatmulOperator
    source: Quantization
    source_shape: Shape
    weight: Tensor
    grid: Quantization
    bias: Tensor | None

    @property
    def weights(self) -> int:
        """The greatest sum of the magnitudes of what one output's activations are multiplied by."""
        if not self.operator.has_weights:
            return as_gather(self.operator.gather(self.source_shape)).depth * self.grid.largest_step
        steps = np.asarray(self.weight.data, np.int64) - self.grid.zero_point
        return int(np.abs(self.operator.weight_matrix(steps)).sum(axis=1).max(initial=1))

    @property
    def sums(self) -> int:
        """What no partial sum exceeds in magnitude, the bias counted, in whatever order the adds are."""
        bias = 0 if self.bias is None else int(np.abs(np.asarray(self.bias.data, np.int64)).max(initial=0))
        return self.source.largest_step * self.weights + bias

    @property
    def are_exact(self) -> bool:
        """Whether float32 holds every partial sum."""
        return self.sums <= EXACT_SUM
