"""Steps of several samples at once, as a machine runs them that brings each weight once for all.

Tensors hold one sample after the other. A product has the rows of all samples, one sample's below another's, so that
every row meets the same weights; a product of two activations, whose samples have weights of their own, has the groups
of all samples. Other steps do their work once a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from hwsim.counts import Counts
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.elementwise_steps import ElementwiseStep, MoveStep
from hwsim.network.gather import SampleGroups, SampleRows
from hwsim.network.parts import Parts
from hwsim.network.steps import ProductStep, Step
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray


def batched(
    steps: Sequence[Step],
    input_elements: Mapping[str, int],
    batch: int,
    shares: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """Return the steps for ``batch`` samples; their tensors have so many times the elements.

    Args:
        steps: of one sample.
        input_elements: of one sample, of each tensor that no step makes.
        batch: how many samples; 1 returns the steps as they are.
        shares: among how many cores the rows of all samples are shared, by the names of products.
    """
    if batch == 1:
        return tuple(steps)
    elements = dict(input_elements) | {step.output: step.outputs for step in steps}
    return tuple(
        _batched(step, [elements[name] for name in step.inputs], batch, shares.get(step.name, 1)) for step in steps
    )


def _batched(step: Step, elements: Sequence[int], batch: int, shares: int) -> Step:
    shape: Shape = (batch, *step.output_shape)
    if isinstance(step, ActivationMatmulStep):
        groups, sums = batch * step.groups, step.float_sums
        return replace(
            step,
            output_shape=shape,
            gather=SampleGroups(step.gather, batch, elements[0]),
            weight_gather=SampleGroups(step.weight_gather, batch, elements[1]),
            weights=np.broadcast_to(np.int64(0), (groups, *step.weights.shape[1:])),
            bias=np.zeros((groups, step.shape.out_cols), np.int64),
            samples=batch,
            float_sums=sums and replace(sums, samples=batch, bias_steps=np.tile(sums.bias_steps, (batch, 1))),
        )
    if isinstance(step, ProductStep):
        rows = SampleRows(step.gather, batch, elements[0])
        return replace(step, output_shape=shape, gather=rows, sample_shares=shares)
    if isinstance(step, MoveStep):
        return replace(step, output_shape=shape)
    assert isinstance(step, ElementwiseStep)  # noqa: S101  (there is no other kind of step)
    return RepeatedStep(step.name, step.inputs, step.output, shape, step, batch)


@dataclass(frozen=True, eq=False)
class RepeatedStep(ElementwiseStep):
    """The step of ``one`` sample, done for each of ``samples``."""

    one: ElementwiseStep
    samples: int

    def compute(self, *codes: IntArray) -> IntArray:
        """Compute all samples of all batches as what they are."""
        apart = [values.reshape(len(values) * self.samples, -1) for values in codes]
        outputs = self.one.compute(*apart)
        if len(outputs) == 1:
            outputs = np.repeat(outputs, self.samples, axis=0)  # of a step that depends on no input
        return outputs.reshape(-1, self.outputs)

    def read_bits(self, place: int, bits: int) -> int:
        """Return what each sample reads of its own part, added up."""
        return self.samples * self.one.read_bits(place, bits // self.samples)

    @property
    def operations(self) -> int:
        """Those of one, as often."""
        return self.samples * self.one.operations

    @property
    def lookups(self) -> int:
        """Those of one, as often."""
        return self.samples * self.one.lookups

    @property
    def counts(self) -> Counts:
        """Those of one, as often."""
        return self.one.counts.scaled(self.samples)

    @property
    def parts(self) -> Parts:
        """Those of one, whose sizes divide a sample."""
        return self.one.parts

    @property
    def sample_count(self) -> int:
        """All of them."""
        return self.samples
