"""Steps off the array, on the vector unit and the activation LUT.

Values are codes of shape (samples, elements), as in :mod:`hwsim.network.steps`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.network.parts import ELEMENTS, UNDIVIDED, Parts
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import LookUpTable


@dataclass(frozen=True, eq=False)
class ElementwiseStep(Step):
    """A step that works on values as they are, off the array."""

    @abstractmethod
    def compute(self, *codes: IntArray) -> IntArray:
        """Return output codes (samples, outputs) for the codes (samples, elements) of each input."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Operations of the vector unit's lanes for one sample; 0 for a step that only renames."""

    @property
    def lookups(self) -> int:
        """Look-ups of the activation LUT's lanes for one sample, which follow the operations: none."""
        return 0

    @property
    @abstractmethod
    def counts(self) -> Counts:
        """Actions for one sample."""

    @property
    def parts(self) -> Parts:
        """Into which parts the work falls, for cores to share: one, unless a step knows more."""
        return UNDIVIDED

    @property
    def sample_count(self) -> int:
        """Of how many samples its work is, none of which needs another one."""
        return 1


@dataclass(frozen=True, eq=False)
class LutStep(ElementwiseStep):
    """A function by lookup table, on the activation LUT unit."""

    lut: LookUpTable

    def compute(self, *codes: IntArray) -> IntArray:
        """Look every code up."""
        return self.lut.look_up(*codes)

    @property
    def operations(self) -> int:
        """None."""
        return 0

    @property
    def lookups(self) -> int:
        """One an element."""
        return self.outputs

    @property
    def counts(self) -> Counts:
        """One look-up an element; with interpolation two entries are read."""
        return Counts({("activation_lut", "lookup"): self.outputs * self.lut.reads_per_lookup})

    @property
    def parts(self) -> Parts:
        """Each element by itself."""
        return ELEMENTS


@dataclass(frozen=True, eq=False)
class MaxStep(ElementwiseStep):
    """The greatest of each window, on the vector unit; ``windows`` (outputs, window) are input elements."""

    windows: IntArray

    def compute(self, *codes: IntArray) -> IntArray:
        """Take the maxima."""
        return np.asarray(codes[0][:, self.windows].max(axis=2))

    @property
    def operations(self) -> int:
        """One comparison for every element of a window but the first."""
        return self.outputs * (int(self.windows.shape[1]) - 1)

    @property
    def counts(self) -> Counts:
        """Comparisons."""
        return Counts({("vector_unit", "compare"): self.operations})

    @property
    def parts(self) -> Parts:
        """Windows lie in channels."""
        return Parts("channels", self.output_shape[-1])


@dataclass(frozen=True, eq=False)
class ClampStep(ElementwiseStep):
    """A clamp to [low, high], on the vector unit: a ReLU that no matrix product before it could take."""

    low: int
    high: int

    def compute(self, *codes: IntArray) -> IntArray:
        """Clamp."""
        return np.clip(codes[0], self.low, self.high)

    @property
    def operations(self) -> int:
        """One operation an element."""
        return self.outputs

    @property
    def counts(self) -> Counts:
        """Two comparisons an element."""
        return Counts({("vector_unit", "compare"): 2 * self.outputs})

    @property
    def parts(self) -> Parts:
        """Each element by itself."""
        return ELEMENTS


@dataclass(frozen=True, eq=False)
class FunctionStep(ElementwiseStep):
    """Integer arithmetic on whole tensors, on the vector unit, the activation LUT or both.

    ``function`` takes an array (samples, *shape) for each input, of the shapes in ``shapes``. ``actions`` are those
    of one sample; each but a shift, which is part of a multiplication, takes a lane of its unit for one cycle. A
    look-up reads ``reads_per_lookup`` entries at once. The units do not overlap: look-ups wait for the vector unit's
    actions. ``portions`` says for each input of how many equal parts one is read; left empty, inputs are read whole.
    ``own_parts`` is into which parts the work falls.
    """

    function: Callable[..., IntArray]
    shapes: tuple[Shape, ...]
    actions: Counts
    reads_per_lookup: int = 1
    portions: tuple[int, ...] = ()
    own_parts: Parts = UNDIVIDED

    def compute(self, *codes: IntArray) -> IntArray:
        """Give the tensors their shapes and evaluate the function."""
        operands = [one.reshape(-1, *shape) for one, shape in zip(codes, self.shapes, strict=True)]
        return np.asarray(self.function(*operands)).reshape(len(codes[0]), -1)

    def read_bits(self, place: int, bits: int) -> int:
        """Return the size of the part that it reads."""
        return bits // self.portions[place] if self.portions else bits

    @property
    def operations(self) -> int:
        """All actions of the vector unit but shifts."""
        return sum(
            int(count) for (unit, action), count in self.actions.items() if unit == "vector_unit" and action != "shift"
        )

    @property
    def lookups(self) -> int:
        """The entries that are read, over those of a look-up."""
        return int(self.actions.get(("activation_lut", "lookup"), 0)) // self.reads_per_lookup

    @property
    def counts(self) -> Counts:
        """The function's actions."""
        return self.actions

    @property
    def parts(self) -> Parts:
        """As given."""
        return self.own_parts


@dataclass(frozen=True, eq=False)
class FreeStep(ElementwiseStep):
    """A step that no unit works for."""

    @property
    def operations(self) -> int:
        """None."""
        return 0

    @property
    def counts(self) -> Counts:
        """None."""
        return Counts()

    @property
    def parts(self) -> Parts:
        """Each element by itself."""
        return ELEMENTS


@dataclass(frozen=True, eq=False)
class ConstantStep(FreeStep):
    """Codes (elements,) that depend on no input: they are only written."""

    codes: IntArray

    def compute(self, *codes: IntArray) -> IntArray:  # noqa: ARG002
        """Return them for one sample; those of all samples are the same."""
        return self.codes[np.newaxis]


@dataclass(frozen=True, eq=False)
class MoveStep(FreeStep):
    """A new shape for the same row of values: costs nothing."""

    def compute(self, *codes: IntArray) -> IntArray:
        """Return the codes as they are."""
        return codes[0]
