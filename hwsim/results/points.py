"""A sweep's points as one table: what ``points.csv`` holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hwsim.results.files import write_text
from hwsim.results.store import ResultStore, StoredPoint

POINTS_NAME = "points.csv"

PLACE_COLUMNS = ("point", "workload")
ARRAY_COLUMNS = ("dataflow", "rows", "cols", "weight_bits", "activation_bits", "guard_bits", "overflow")
INTEGER_COLUMNS = ("weight_bits", "activation_bits", "guard_bits", "overflow")
"""Those of the array's columns that mean nothing for floats."""
INTEGER = "integer"
OUTCOME_COLUMNS = (
    "accuracy",
    "float_accuracy",
    "sqnr_db",
    "total_cycles",
    "latency_ms",
    "inferences_per_second",
    "energy_pj",
    "overflow_events",
    "status",
    "error",
)
"""As ``RunResult`` explains them: cycles and latency are a whole batch's, energy is one inference's.

``overflow_events`` is empty where a workload has no values that could overflow.
"""

Cell = str | int | float | None


def swept_columns(points: Iterable[StoredPoint]) -> list[str]:
    """Return the swept keys of all points, in the order of their first appearance."""
    fixed = {*PLACE_COLUMNS, *ARRAY_COLUMNS, *OUTCOME_COLUMNS}
    return list(dict.fromkeys(key for stored in points for key in stored.place.swept if key not in fixed))


def point_columns(points: Iterable[StoredPoint]) -> list[str]:
    """Return the columns of the table of points: place, swept keys, array, outcome."""
    return [*PLACE_COLUMNS, *swept_columns(points), *ARRAY_COLUMNS, *OUTCOME_COLUMNS]


def point_row(stored: StoredPoint) -> dict[str, Cell]:
    """Return one point's row; what a failed point does not have is None."""
    place: dict[str, Cell] = {"point": stored.place.point, "workload": stored.place.workload}
    swept = {key: _cell(value) for key, value in stored.place.swept.items()}
    array = _array_cells(stored.config.get("array", {}))
    return place | swept | array | _outcome(stored)


def _array_cells(array: dict[str, Any]) -> dict[str, Cell]:
    """Return the array's columns; those of integers are empty where it computes with floats."""
    cells = {name: _cell(array.get(name)) for name in ARRAY_COLUMNS}
    if array.get("number_format", INTEGER) != INTEGER:
        cells |= dict.fromkeys(INTEGER_COLUMNS)
    return cells


def _outcome(stored: StoredPoint) -> dict[str, Cell]:
    figures: dict[str, Any] = {}
    if stored.result is not None:
        result = stored.result
        totals = result.totals
        named = {
            "accuracy": result.accuracy,
            "float_accuracy": result.float_accuracy,
            "sqnr_db": result.sqnr_db,
            "inferences_per_second": totals["inferences_per_second"],
            "overflow_events": totals["overflow_events"] if result.samples else None,
        }
        figures = totals | named
    figures |= {"status": stored.status, "error": stored.error}
    return {name: figures.get(name) for name in OUTCOME_COLUMNS}


def _cell(value: Any) -> Cell:
    """Return a value that fits one cell: lists and mappings as JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value)


def write_points_csv(folder: str | Path) -> Path:
    """Write the folder's ``points.csv`` from its store, at once, and return its path.

    Raises:
        ConfigError: the folder holds no store, or the file cannot be written.
    """
    with ResultStore(folder) as store:
        points = store.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, point_columns(points), lineterminator="\n")
    writer.writeheader()
    writer.writerows(point_row(stored) for stored in points)
    return write_text(Path(folder) / POINTS_NAME, text.getvalue())
