"""A worked example as data: one output of one layer, from codes to the sum, its rescaling, and the code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwsim.analysis.dot_product import Add
from hwsim.analysis.requantization import Rescaling
from hwsim.numerics.quantization import Quantization


@dataclass(frozen=True, slots=True)
class Grid:
    """How the codes of one tensor (of a weight: one channel) stand for reals: ``r = scale (q - zero_point)``."""

    tensor: str
    scale: float
    zero_point: int
    bits: int
    signed: bool

    @classmethod
    def of(cls, tensor: str, found: Quantization, channel: int) -> Grid:
        """Return the grid of a channel."""
        scale, zero_point = (np.ravel(one) for one in (found.scale, found.zero_point))
        place = channel if scale.size > 1 else 0
        return cls(tensor, float(scale[place]), int(zero_point[place]), found.format.bits, found.format.signed)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the sum: the operands as they enter the PE; ``place`` is the input element, None for padding."""

    place: tuple[int, ...] | None
    activation: int
    weight: int

    @property
    def product(self) -> int:
        """The exact product."""
        return self.activation * self.weight


@dataclass(frozen=True, slots=True)
class Constants:
    """What is added to the products: each part of ``sum((w - Z_w)(x - Z_x)) + bias`` that the array does not add.

    ``bias`` is the bias on the S_w S_x grid; ``zero_point_constants`` is ``depth Z_w Z_x - Z_x sum(w)``;
    ``row_sum`` is ``-Z_w sum(x)``. Where zero points are subtracted in front of the PE, the last two are 0.
    """

    bias: int
    weight_sum: int
    zero_point_constants: int
    row_sum: int


@dataclass(frozen=True, slots=True)
class Accumulation:
    """What the array does: ``starts_from`` is what the accumulator begins with, 0 or the preloaded constants."""

    dataflow: str
    accumulator_bits: int
    overflow: str
    starts_from: int
    terms: tuple[Term, ...]
    adds: tuple[Add, ...]

    @property
    def sum(self) -> int:
        """What the accumulator holds at the end."""
        return self.adds[-1].stored

    @property
    def overflow_events(self) -> int:
        """Adds that left the accumulator's range."""
        return sum(add.overflows for add in self.adds)


@dataclass(frozen=True, slots=True)
class Requantized:
    """From the sum with all constants to the code: rescaled, zero point added, clamped to ``clamp`` (low, high)."""

    sum: int
    rescaling: Rescaling
    with_zero_point: int
    clamp: tuple[int, int]

    @property
    def code(self) -> int:
        """The output."""
        low, high = self.clamp
        return min(max(self.with_zero_point, low), high)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A worked example: the output ``output`` of ``layer``, in the product the row ``out_row`` of ``channel``.

    ``multiplier`` is ``S_w S_x / S_y``, times the ``scale`` of a product of two activations. The requantized code
    equals what the network's run computes; ``real`` is what it stands for, ``exact_real`` what the sum stood for
    before it was rescaled, ``float_value`` the float network's (None where there is none).
    """

    architecture: str
    workload: str
    layer: str
    sample: int
    output: tuple[int, ...]
    out_row: int
    channel: int
    zero_point: str
    bias: str
    input_grid: Grid
    weight_grid: Grid
    output_grid: Grid
    accumulation: Accumulation
    constants: Constants
    requantized: Requantized
    float_value: float | None
    scale: float = 1.0

    @property
    def multiplier(self) -> float:
        """M as a real number."""
        return self.scale * self.input_grid.scale * self.weight_grid.scale / self.output_grid.scale

    @property
    def real(self) -> float:
        """What the code stands for."""
        return self.output_grid.scale * (self.requantized.code - self.output_grid.zero_point)

    @property
    def exact_real(self) -> float:
        """What the sum stands for."""
        return self.scale * self.input_grid.scale * self.weight_grid.scale * self.requantized.sum

    def to_json_dict(self) -> dict[str, Any]:
        """Return plain values, those that follow from others included."""
        array, requantized = self.accumulation, self.requantized
        plain = asdict(self) | {name: getattr(self, name) for name in ("multiplier", "real", "exact_real")}
        plain["accumulation"] |= {
            "terms": [asdict(term) | {"product": term.product} for term in array.terms],
            "adds": [asdict(add) | {"overflows": add.overflows} for add in array.adds],
            "sum": array.sum,
            "overflow_events": array.overflow_events,
        }
        plain["requantized"] |= {"code": requantized.code}
        return plain
