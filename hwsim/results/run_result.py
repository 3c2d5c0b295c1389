"""The result of running one workload on one architecture."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from hwsim.energy.account import EnergyEntry
from hwsim.results.layer_result import (
    CYCLE_PARTS,
    ENERGY_COLUMNS,
    LAYER_COLUMNS,
    OVERFLOW_COLUMNS,
    LayerResult,
    PeOverflow,
)
from hwsim.results.plain import plain
from hwsim.results.tensor_error import ERROR_COLUMNS, TensorError

if TYPE_CHECKING:
    import pandas as pd

_SUMMED = (
    "macs",
    "array_cycles",
    "total_cycles",
    *CYCLE_PARTS,
    "energy_pj",
    "overflow_events",
    "preload_overflow_events",
)


@dataclass(frozen=True, slots=True)
class OverflowEvent:
    """One add of the first run of the machine, of one sample or one batch, that left the accumulator's range.

    ``cycle`` counts from the layer's array start; row R is the accumulator under the array.
    """

    layer: str
    cycle: int
    row: int
    col: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Cycles, energy, overflows and accuracy of one run.

    Layers are those of one run of the machine, which takes ``batch`` samples at once; in ``totals`` MACs and energy are
    per inference, cycles and latency the batch's. Overflow events are summed over ``samples``. ``accuracy`` and
    ``float_accuracy`` are fractions, None without labels; ``sqnr_db`` compares the integer network's logits
    with the float network's and is None without one. ``architecture`` is the resolved configuration.
    ``events_kept`` are the first overflow events of the first batch; ``events_left_out`` is how many more it
    had. ``tensor_errors`` compare each layer with the float network, where that was asked for. Frames are built on
    access.
    """

    version: str
    architecture: dict[str, Any]
    workload: str
    engine: str
    samples: int
    accuracy: float | None
    float_accuracy: float | None
    sqnr_db: float | None
    layer_results: tuple[LayerResult, ...]
    events_kept: tuple[OverflowEvent, ...] = ()
    events_left_out: int = 0
    tensor_errors: tuple[TensorError, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two layers of one name: their rows could not be told apart."""
        names = [layer.layer for layer in self.layer_results]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"layer names must differ; more than once: {', '.join(twice)}")

    @property
    def batch(self) -> int:
        """How many samples the machine takes at once."""
        return int(self.architecture.get("mapping", {}).get("batch", 1))

    @property
    def layers(self) -> pd.DataFrame:
        """One row per layer, in order."""
        return _frame((layer.figures() for layer in self.layer_results), LAYER_COLUMNS)

    @property
    def energy(self) -> pd.DataFrame:
        """One row per layer, component and action."""
        return _frame(self._energy_rows(), ENERGY_COLUMNS)

    @property
    def overflows(self) -> pd.DataFrame:
        """One row per layer and PE with overflow events; row R is the accumulator under the array."""
        return _frame(self._overflow_rows(), OVERFLOW_COLUMNS)

    @property
    def events(self) -> pd.DataFrame:
        """One row per kept overflow event of the first batch."""
        return _frame(map(asdict, self.events_kept), [field.name for field in fields(OverflowEvent)])

    @property
    def errors(self) -> pd.DataFrame:
        """One row per layer with its errors against the float network."""
        return _frame((error.row() for error in self.tensor_errors), ERROR_COLUMNS)

    def sums(self, layers: Sequence[LayerResult]) -> dict[str, Any]:
        """Add up what can be added of some of the layers, and the utilization that they have together."""
        sums = {name: sum(getattr(layer, name) for layer in layers) for name in _SUMMED}
        array, cores = self.architecture["array"], self.architecture.get("cores", 1)
        pes = cores * array["rows"] * array["cols"]
        return sums | {"utilization": utilization(sums["macs"], pes, sums["total_cycles"])}

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the layers, and what follows from them and the architecture.

        MACs and energy are per inference, cycles and latency the whole batch's. ``inferences_per_second`` is infinite
        without cycles, ``energy_per_mac_pj`` NaN without MACs.
        """
        sums = self.sums(self.layer_results)
        seconds = sums["total_cycles"] / self.architecture["clock_hz"]
        macs, energy_pj = sums["macs"] // self.batch, sums["energy_pj"] / self.batch
        return sums | {
            "macs": macs,
            "energy_pj": energy_pj,
            "latency_ms": 1e3 * seconds,
            "inferences_per_second": self.batch / seconds if seconds else math.inf,
            "energy_per_mac_pj": energy_pj / macs if macs else math.nan,
        }

    def to_json_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values; NaN and infinities become None.

        ``batch`` is how many samples a run of the machine takes at once, 1 unless ``mapping.batch`` says more. All
        figures in ``layers`` and ``energy`` are those of one run, so of a whole batch. So are cycles and ``latency_ms``
        in ``totals``, whose ``macs``, ``energy_pj`` and ``energy_per_mac_pj`` are one inference's: the sums over the
        layers divided by ``batch``. ``overflow_events`` and ``overflows`` count the events of all ``samples``, while
        ``events`` lists those of the first run only (the first sample or batch), up to a limit; ``events_left_out`` is
        how many more that run had. An array of floats counts events and lists none.
        """
        result = {
            "version": self.version,
            "workload": self.workload,
            "engine": self.engine,
            "samples": self.samples,
            "batch": self.batch,
            "accuracy": self.accuracy,
            "float_accuracy": self.float_accuracy,
            "sqnr_db": self.sqnr_db,
            "totals": self.totals,
            "layers": [layer.figures() for layer in self.layer_results],
            "energy": self._energy_rows(),
            "overflows": self._overflow_rows(),
            "events": [asdict(event) for event in self.events_kept],
            "events_left_out": self.events_left_out,
            "errors": [error.row() for error in self.tensor_errors],
            "architecture": self.architecture,
        }
        return plain(result)

    @classmethod
    def from_json_dict(cls, stored: dict[str, Any]) -> Self:
        """Return the result that ``to_json_dict`` wrote.

        Raises:
            KeyError, TypeError: ``stored`` is not such an object.
        """
        energy, overflows = _by_layer(stored["energy"]), _by_layer(stored["overflows"])
        return cls(
            **{name: stored[name] for name in _STORED_AS_THEY_ARE},
            layer_results=tuple(
                LayerResult.from_figures(
                    figures,
                    energy=[EnergyEntry(**row) for row in energy[figures["layer"]]],
                    overflows=[PeOverflow(**row) for row in overflows[figures["layer"]]],
                )
                for figures in stored["layers"]
            ),
            events_kept=tuple(OverflowEvent(**event) for event in stored["events"]),
            tensor_errors=tuple(TensorError(**error) for error in stored.get("errors", ())),
        )

    def _energy_rows(self) -> list[dict[str, Any]]:
        return [row for layer in self.layer_results for row in layer.energy_rows()]

    def _overflow_rows(self) -> list[dict[str, Any]]:
        return [row for layer in self.layer_results for row in layer.overflow_rows()]


_STORED_AS_THEY_ARE = tuple(
    field.name for field in fields(RunResult) if field.name not in {"layer_results", "events_kept", "tensor_errors"}
)


def utilization(macs: int, pes: int, total_cycles: int) -> float:
    """Return the fraction of the cycles of all PEs that did a MAC of the workload; 0 without cycles."""
    return macs / (pes * total_cycles) if total_cycles else 0.0


def _by_layer(rows: list[dict[str, Any]]) -> defaultdict[str, list[dict[str, Any]]]:
    """Return the rows of each layer, without the layer's name."""
    grouped: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["layer"]].append({name: value for name, value in row.items() if name != "layer"})
    return grouped


def _frame(rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> pd.DataFrame:
    import pandas as pd  # on access: an import of pandas takes longer than a small run

    return pd.DataFrame(list(rows), columns=list(columns))
