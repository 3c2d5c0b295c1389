"""What a sweep has shown: for each workload the points that no other beats, and where the files are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.cli.output import Column, print_json, print_lines, print_paths, print_table
from hwsim.cli.plot_text import plot_facts, plots_json
from hwsim.cli.wording import NOTHING, counted, energy_unit, percent, significant
from hwsim.config.load import LoadedSweep
from hwsim.config.sweep import expand
from hwsim.metrics.pareto import pareto_front
from hwsim.results.points import ARRAY_COLUMNS, OUTCOME_COLUMNS, PLACE_COLUMNS, Cell
from hwsim.sweep.runner import SweepOutcome

if TYPE_CHECKING:
    from hwsim.report.plots import PlotOutcome

Row = dict[str, Cell]

_MOST_ROWS = 20
_FIXED = {*PLACE_COLUMNS, *ARRAY_COLUMNS, *OUTCOME_COLUMNS}
_OPERANDS = ("array.weight_bits", "array.activation_bits")


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """A sweep that has run: what was done, the rows of ``points.csv``, and the plots."""

    outcome: SweepOutcome
    rows: Sequence[Row]
    plots: Sequence[PlotOutcome]


def print_dry_run(loaded: LoadedSweep, folder: Path, errors: Mapping[int, str], *, as_json: bool) -> None:
    """Print the points of a sweep that has been checked and is not run; ``errors`` are those of points, by number."""
    points = expand(loaded.spec)
    if as_json:
        print_json(
            {
                "name": loaded.spec.name,
                "folder": folder,
                "total": len(points),
                "points": [
                    {
                        "point": point.index,
                        "workload": point.workload,
                        "swept": point.overrides,
                        "error": errors.get(point.index, ""),
                    }
                    for point in points
                ],
            }
        )
        return
    print_lines(f"{loaded.spec.name}: {counted(len(points), 'point')}; results would go to {folder}", "")
    keys, shown = loaded.spec.keys, points[:_MOST_ROWS]
    columns = [Column("point"), Column("workload", numeric=False), *(Column(_short(key, keys)) for key in keys)]
    print_table(
        columns, [[str(one.index), one.workload, *(_text(one.overrides.get(key)) for key in keys)] for one in shown]
    )
    if len(points) > len(shown):
        print_lines(f"… and {len(points) - len(shown):,} more")


def print_summary(summary: SweepSummary, *, as_json: bool) -> None:
    """Print the best points of each workload, then the paths of all files."""
    if as_json:
        print_json({**asdict(summary.outcome), "points": summary.rows, "plots": plots_json(summary.plots)})
        return
    done = [row for row in summary.rows if row["status"] == "ok"]
    workloads = list(dict.fromkeys(str(row["workload"]) for row in done))
    for workload in workloads[:_MOST_ROWS]:
        _print_front(workload, [row for row in done if row["workload"] == workload], _MOST_ROWS // len(workloads))
    outcome = summary.outcome
    print_paths(
        [
            ("points", f"{outcome.points_csv} ({counted(len(summary.rows), 'point')}, {outcome.ran:,} run now)"),
            *plot_facts(summary.plots),
        ]
    )


def _print_front(workload: str, rows: Sequence[Row], most_rows: int) -> None:
    """Print the points of one workload that no other beats, or some of them, evenly spread.

    They are compared in energy, and in accuracy where that differs, else in latency.
    """
    by_accuracy = len({row["accuracy"] for row in rows}) > 1
    benefits = [_number(row["accuracy"]) if by_accuracy else -_number(row["latency_ms"]) for row in rows]
    front = [rows[index] for index in pareto_front([_number(row["energy_pj"]) for row in rows], benefits)]
    shown = _spread(front, max(most_rows, 1))
    against = "accuracy" if by_accuracy else "latency"
    some = "" if len(shown) == len(front) else f"{len(shown)} of "
    points = f"{some}{counted(len(front), 'point')}"
    print_lines(f"{workload}: {points} that no other of {len(rows):,} beats in energy and {against}", "")
    _print_points(shown)


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """Return at most so many rows, with the first and the last."""
    if len(rows) <= most:
        return list(rows)
    if most == 1:
        return [rows[-1]]
    return [rows[round(index * (len(rows) - 1) / (most - 1))] for index in range(most)]


def _print_points(rows: Sequence[Row]) -> None:
    keys = [key for key in rows[0] if key not in _FIXED]
    merged = all(key in keys for key in _OPERANDS) and all(row[_OPERANDS[0]] == row[_OPERANDS[1]] for row in rows)
    if merged:
        keys.remove(_OPERANDS[1])
    picojoules, unit = energy_unit(_number(row["energy_pj"]) for row in rows)
    columns = [
        Column("point"),
        *(Column("operand bits" if merged and key == _OPERANDS[0] else _short(key, keys)) for key in keys),
        Column("accuracy"),
        Column("SQNR dB", optional=True),
        Column("latency ms", optional=True),
        Column("inferences/s", optional=True),
        Column(f"energy {unit}"),
        Column("overflow events", optional=True),
    ]
    batched = _has_batches(rows)
    cells = [[str(row["point"]), *_cells(row, keys, picojoules, batched=batched)] for row in rows]
    told = [place for place in range(len(columns)) if any(line[place] != NOTHING for line in cells)]
    print_table([columns[place] for place in told], [[line[place] for place in told] for line in cells])


def _has_batches(rows: Iterable[Row]) -> bool:
    """Return whether a machine takes several samples at once: then latency alone does not say its throughput."""
    return any(_number(row["inferences_per_second"]) * _number(row["latency_ms"]) > 1.5e3 for row in rows)


def _cells(row: Row, keys: Iterable[str], picojoules: float, *, batched: bool) -> list[str]:
    return [
        *(_text(row[key]) for key in keys),
        percent(_number(row["accuracy"])),
        significant(_number(row["sqnr_db"])),
        significant(_number(row["latency_ms"])),
        significant(_number(row["inferences_per_second"])) if batched else NOTHING,
        significant(_number(row["energy_pj"]) / picojoules),
        NOTHING if row["overflow_events"] is None else f"{row['overflow_events']:,}",
    ]


def _short(key: str, keys: Sequence[str]) -> str:
    """Return the last part of a dotted key in words, which may be wrapped; two parts where keys share the last."""
    last = key.rpartition(".")[2]
    shared = sum(other.rpartition(".")[2] == last for other in keys) > 1
    return " ".join(key.split(".")[-2 if shared else -1 :]).replace("_", " ")


def _text(value: Any) -> str:
    """Return a swept value; of a dataflow, only what stays where it is."""
    return NOTHING if value is None else str(value).removesuffix("_stationary")


def _number(cell: Cell) -> float:
    return math.nan if cell is None else float(cell)
