"""The energy models of one table: each kind of action is one small class with its formula."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from math import exp, log
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from hwsim.config.base import Conflict, ListInput, Name, SchemaVersion, Spec
from hwsim.errors import ConfigError

Picojoules = Annotated[float, Field(ge=0)]
PositivePicojoules = Annotated[float, Field(gt=0)]


class IntMultiply(Spec):
    """Integer multiplier: ``pj_per_bit_product * b_w * b_a + pj_per_mean_bit * (b_w + b_a) / 2`` pJ."""

    pj_per_bit_product: Picojoules
    pj_per_mean_bit: Picojoules

    def energy_pj(self, weight_bits: int, activation_bits: int) -> float:
        """Return the energy of one multiplication of operands of these widths."""
        mean_bits = (weight_bits + activation_bits) / 2
        return self.pj_per_bit_product * weight_bits * activation_bits + self.pj_per_mean_bit * mean_bits


class IntAdd(Spec):
    """Integer adder: ``pj_per_bit * bits + pj_constant`` pJ."""

    pj_per_bit: Picojoules
    pj_constant: Picojoules

    def energy_pj(self, bits: int) -> float:
        """Return the energy of one addition at this width."""
        return self.pj_per_bit * bits + self.pj_constant


class FloatMultiply(Spec):
    """Floating-point multiplier: ``pj_per_square_bit * significand_bits**2 + pj_constant`` pJ.

    ``published`` names the formats whose figures determine the coefficients; others lie on the curve through them.
    """

    pj_per_square_bit: Picojoules
    pj_constant: float
    published: Annotated[tuple[Name, ...], ListInput]

    def energy_pj(self, significand_bits: int) -> float:
        """Return the energy of one multiplication of operands of this precision."""
        return self.pj_per_square_bit * significand_bits**2 + self.pj_constant


class FloatAdd(Spec):
    """Floating-point adder: ``pj_per_bit * significand_bits + pj_constant`` pJ; ``published`` as for the multiplier."""

    pj_per_bit: Picojoules
    pj_constant: float
    published: Annotated[tuple[Name, ...], ListInput]

    def energy_pj(self, significand_bits: int) -> float:
        """Return the energy of one addition at this precision."""
        return self.pj_per_bit * significand_bits + self.pj_constant


class PerBit(Spec):
    """An action whose energy is proportional to its width: ``pj_per_bit * bits`` pJ."""

    pj_per_bit: Picojoules

    def energy_pj(self, bits: float) -> float:
        """Return the energy of one action at this width, or of that many bits moved."""
        return self.pj_per_bit * bits


class SramPoint(Spec):
    """A published figure: one access of a memory of this capacity."""

    capacity_bytes: PositiveInt
    energy_pj: PositivePicojoules


class SramAccess(Spec):
    """Memory whose energy per access of ``access_bits`` bits is known at some capacities.

    Between two points, log energy is linear in log capacity. Below the first and above the last point the
    nearest segment is extended.
    """

    access_bits: PositiveInt
    points: Annotated[tuple[SramPoint, ...], ListInput, Field(min_length=2)]

    def conflicts(self) -> Iterator[Conflict]:
        """Capacities ascend, so that every capacity lies in one segment."""
        for index, (low, high) in enumerate(pairwise(self.points), start=1):
            if low.capacity_bytes >= high.capacity_bytes:
                allowed = f"allowed: more than the {low.capacity_bytes} of the point before"
                yield Conflict(("points", index, "capacity_bytes"), f"{high.capacity_bytes}; {allowed}")

    def energy_pj(self, capacity_bytes: float, bits: float) -> float:
        """Return the energy of reading or writing ``bits`` bits of a memory of ``capacity_bytes``.

        Raises:
            ConfigError: the capacity is not positive.
        """
        if capacity_bytes <= 0:
            raise ConfigError(f"a memory of {capacity_bytes} bytes cannot be accessed; allowed: more than 0 bytes")
        return self._access_pj(capacity_bytes) * bits / self.access_bits

    def _access_pj(self, capacity_bytes: float) -> float:
        inner_capacities = [point.capacity_bytes for point in self.points[1:-1]]
        segment = bisect_right(inner_capacities, capacity_bytes)
        low, high = self.points[segment : segment + 2]
        slope = log(high.energy_pj / low.energy_pj) / log(high.capacity_bytes / low.capacity_bytes)
        return low.energy_pj * exp(slope * log(capacity_bytes / low.capacity_bytes))


class Actions(Spec):
    """What a table knows; an action that is left out has no energy model and cannot be accounted for."""

    int_multiply: IntMultiply | None = None
    int_add: IntAdd | None = None
    float_multiply: FloatMultiply | None = None
    float_add: FloatAdd | None = None
    sram_access: SramAccess | None = None
    dram_access: PerBit | None = None
    register_write: PerBit | None = None
    shift: PerBit | None = None
    compare: PerBit | None = None


class TableFile(Spec):
    """The contents of an energy table file."""

    schema_version: SchemaVersion
    name: Name
    node_nm: PositiveFloat
    actions: Actions
