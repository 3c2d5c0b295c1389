"""The stored results of a sweep as tidy frames, all keyed by ``point``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from hwsim.results.layer_result import ENERGY_COLUMNS, LAYER_COLUMNS, OVERFLOW_COLUMNS, LayerResult
from hwsim.results.points import ARRAY_COLUMNS, OUTCOME_COLUMNS, point_columns, point_row
from hwsim.results.store import ResultStore, StoredPoint

_TEXT_COLUMNS = {"dataflow", "overflow", "status", "error"}
_FIGURES = [name for name in (*ARRAY_COLUMNS, *OUTCOME_COLUMNS) if name not in _TEXT_COLUMNS]


@dataclass(frozen=True, slots=True)
class SweepFrames:
    """A sweep's results.

    ``points`` has the columns of ``points.csv``; ``layers``, ``energy`` and ``overflows`` those of a run's
    frames behind the column ``point``. Failed points are in ``points`` only. ``dram_bytes_per_cycle`` is the bandwidth
    of each point's DRAM, ``pes`` the number of PEs of all its cores, ``batches`` how many samples its machine takes at
    once, by its number.
    """

    points: pd.DataFrame
    layers: pd.DataFrame
    energy: pd.DataFrame
    overflows: pd.DataFrame
    dram_bytes_per_cycle: Mapping[int, int]
    pes: Mapping[int, int]
    batches: Mapping[int, int]

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the store of a sweep's folder.

        Raises:
            ConfigError: the folder holds no store of this version.
        """
        with ResultStore(folder) as store:
            return cls.from_points(store.rows())

    @classmethod
    def from_points(cls, points: Sequence[StoredPoint]) -> Self:
        """Return the frames of these points."""
        return cls(
            points=_points_frame(points),
            layers=_layers_frame(points, LAYER_COLUMNS, lambda layer: [layer.figures()]),
            energy=_layers_frame(points, ENERGY_COLUMNS, LayerResult.energy_rows),
            overflows=_layers_frame(points, OVERFLOW_COLUMNS, LayerResult.overflow_rows),
            dram_bytes_per_cycle={stored.place.point: _bandwidth(stored) for stored in points},
            pes={stored.place.point: _pes(stored) for stored in points},
            batches={stored.place.point: stored.result.batch for stored in points if stored.result is not None},
        )

    @property
    def done(self) -> pd.DataFrame:
        """The points that ran to the end."""
        return self.points[self.points["status"] == "ok"].reset_index(drop=True)

    @property
    def integers(self) -> pd.DataFrame:
        """Those of them whose array computes with integers."""
        return self.done[self.done["weight_bits"].notna()].reset_index(drop=True)

    @property
    def energy_per_inference(self) -> pd.DataFrame:
        """``energy`` with the energy of one inference in place of a whole batch's."""
        return self.energy.assign(energy_pj=self.energy["energy_pj"] / self.energy["point"].map(self.batches))

    def of_point(self, frame: pd.DataFrame, point: int) -> pd.DataFrame:
        """Return the rows of ``frame`` that belong to one point."""
        return frame[frame["point"] == point]


def _bandwidth(stored: StoredPoint) -> int:
    return int(stored.config["dram"]["bytes_per_cycle"])


def _pes(stored: StoredPoint) -> int:
    array = stored.config["array"]
    return int(stored.config.get("cores", 1) * array["rows"] * array["cols"])


def _points_frame(points: Sequence[StoredPoint]) -> pd.DataFrame:
    frame = pd.DataFrame([point_row(stored) for stored in points], columns=point_columns(points))
    for name in _FIGURES:
        frame[name] = pd.to_numeric(frame[name])  # a column of None becomes NaN
    return frame


def _layers_frame(
    points: Iterable[StoredPoint],
    columns: Sequence[str],
    rows_of: Callable[[LayerResult], Iterable[Mapping[str, Any]]],
) -> pd.DataFrame:
    rows = [
        {"point": stored.place.point, **row}
        for stored in points
        if stored.result is not None
        for layer in stored.result.layer_results
        for row in rows_of(layer)
    ]
    return pd.DataFrame(rows, columns=["point", *columns])
