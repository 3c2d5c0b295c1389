"""Products of two activations: what stands in place of weights comes with each sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.counts import Counts
from hwsim.network.gather import Gather
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray
from hwsim.numerics.zero_point import folded_constants


@dataclass(frozen=True, eq=False)
class ActivationMatmulStep(MatmulStep):
    """A product whose second input stands in place of weights.

    ``weight_gather`` (groups, depth, out_cols) says which element of the second input is each of them. ``weights`` has
    their shape alone, and ``bias`` is 0: with the codes of a sample come the weights, and the constants that folded
    zero points need. These hold the sums of the weights' columns, from a column-sum unit at the weights' port.
    """

    weight_gather: Gather = field(kw_only=True)

    @property
    def adds_column_sums(self) -> bool:
        """Whether a column-sum unit adds the data-dependent term ``-Z_x sum(w)``."""
        return self.zero_point == "folded" and self.activation_zero_point != 0

    def requantizer_counts(self, scheme: str, rows: int, columns: int) -> Counts:
        """As for other products, with the column-sum unit's adds: one for each weight."""
        counts = super().requantizer_counts(scheme, rows, columns)
        if self.adds_column_sums:
            counts["requantizer", "column_sum_add"] = self.shape.depth * columns
        return counts

    def sample_weights(self, codes: IntArray, group: int) -> IntArray:
        """Return a group's weights (samples, depth, out_cols) for codes (samples, elements) of the second input."""
        return np.asarray(codes[:, self.weight_gather.indices(group)])

    def sample_constants(self, weights: IntArray) -> IntArray:
        """Return the constants of folded zero points (samples, out_cols) for a group's weights."""
        if self.zero_point == "operand":
            return np.zeros((weights.shape[0], weights.shape[2]), np.int64)
        return folded_constants(weights, self.activation_zero_point, self.weight_zero_point)

    def bind(self, codes: IntArray) -> MatmulStep:
        """Return the product by the second input's codes (elements,) of one sample."""
        weights = np.concatenate([self.sample_weights(codes[np.newaxis], group) for group in range(self.groups)])
        steps = weights - self.weight_zero_point
        float_sums = None if self.float_sums is None else replace(self.float_sums, weight_steps=steps)
        return replace(self, weights=weights, bias=self.sample_constants(weights), float_sums=float_sums)


def bound(step: MatmulStep, codes: list[IntArray]) -> MatmulStep:
    """Return a product as it is for one sample, whose inputs' codes are (elements,) each."""
    return step.bind(codes[1]) if isinstance(step, ActivationMatmulStep) else step
