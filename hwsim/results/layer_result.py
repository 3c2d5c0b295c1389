"""What one layer of a run took: cycles, energy, overflows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hwsim.energy.account import EnergyEntry

CYCLE_PARTS = (
    "fill_cycles",
    "compute_cycles",
    "drain_cycles",
    "load_stall_cycles",
    "write_stall_cycles",
    "requantize_cycles",
    "vector_cycles",
)
"""The classes that every cycle of a layer belongs to one of; their sum is ``total_cycles``."""


@dataclass(frozen=True, slots=True)
class PeOverflow:
    """Overflow events of one PE; row R (one below the last PE) is the accumulator under the array."""

    row: int
    col: int
    overflow_events: int


def sparse_overflows(events_per_pe: NDArray[np.int64]) -> tuple[PeOverflow, ...]:
    """Return the entries of a (rows + 1, cols) array of event counts that are not 0, row by row."""
    places = np.argwhere(events_per_pe)
    return tuple(PeOverflow(int(row), int(col), int(events_per_pe[row, col])) for row, col in places.tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer: cycles, MACs and energy of a run of the machine, overflow events summed over all samples.

    A run of the machine is one inference, or a whole batch with ``mapping.batch``.

    The matrix product is out_rows × depth × out_cols for each of ``groups``; a layer without one has 0 MACs.
    ``array_cycles`` is the time of the array alone with all operands at hand. ``dram_row_misses`` are rows of DRAM that
    were opened, ``dram_row_hits`` bursts that found theirs open; 0 where the architecture has no ``dram.row_bytes``.
    ``cores`` is how many cores worked on the layer, ``split`` along what they shared its product, as ``mapping.split``
    names it; None on one core, and for a layer without a product.
    """

    layer: str
    out_rows: int
    depth: int
    out_cols: int
    groups: int
    macs: int
    array_cycles: int
    total_cycles: int
    fill_cycles: int
    compute_cycles: int
    drain_cycles: int
    load_stall_cycles: int
    write_stall_cycles: int
    requantize_cycles: int
    vector_cycles: int
    utilization: float
    energy_pj: float
    overflow_events: int
    preload_overflow_events: int
    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    dram_row_hits: int = 0
    dram_row_misses: int = 0
    cores: int = 1
    split: str | None = None
    energy: tuple[EnergyEntry, ...] = ()
    pe_overflows: tuple[PeOverflow, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Return the layer's own row: everything but the details per component and per PE."""
        return {name: getattr(self, name) for name in LAYER_COLUMNS}

    @classmethod
    def from_figures(
        cls, figures: dict[str, Any], energy: Iterable[EnergyEntry], overflows: Iterable[PeOverflow]
    ) -> Self:
        """Return the layer whose ``figures`` these are."""
        return cls(**figures, energy=tuple(energy), pe_overflows=tuple(overflows))

    def energy_rows(self) -> list[dict[str, Any]]:
        """Return one row per component and action."""
        return [{"layer": self.layer} | asdict(entry) for entry in self.energy]

    def overflow_rows(self) -> list[dict[str, Any]]:
        """Return one row per PE with overflow events."""
        return [{"layer": self.layer} | asdict(overflow) for overflow in self.pe_overflows]


_DETAILS = ("energy", "pe_overflows")
LAYER_COLUMNS = tuple(field.name for field in fields(LayerResult) if field.name not in _DETAILS)
ENERGY_COLUMNS = ("layer", *(field.name for field in fields(EnergyEntry)))
OVERFLOW_COLUMNS = ("layer", *(field.name for field in fields(PeOverflow)))
