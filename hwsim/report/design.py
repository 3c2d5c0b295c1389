"""What makes the points of a sweep differ, and how to say it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import prod
from textwrap import fill
from typing import Any, Self

import pandas as pd

from hwsim.results.points import ARRAY_COLUMNS, INTEGER_COLUMNS, OUTCOME_COLUMNS, PLACE_COLUMNS

BITS = "bits"
"""The column that names a point's operand widths; see ``BitsAxis``."""

SETTINGS = "settings"
"""The column that says in what a point departs from the first one, where points differ in many keys."""

REFERENCE = "reference"
"""What ``SETTINGS`` calls a point that departs in nothing."""

MOST_KEYS = 2
"""Swept keys, widths and the array's own left out, that are told apart one by one; more become ``SETTINGS``."""

GAP = "none"
"""What stands for a value that a point does not have."""

NUMBER_FORMAT = "array.number_format"
"""The column of what the MACs compute with, where it is swept."""

CAPTION_CHARACTERS = 52
"""How long a line may be that stands under a panel."""

_ABBREVIATIONS = {"dram", "lut", "pe"}
_ZIPPED = "weight bits / activation bits"
_LIST_SIGNS = str.maketrans("", "", '[]"')
_SPEC_ALIASES = {f"array.{name}" for name in ARRAY_COLUMNS}


@dataclass(frozen=True, slots=True)
class BitsAxis:
    """The operand width as an axis: ``column`` gives the positions, ``columns`` are the widths that it stands for."""

    column: str
    columns: tuple[str, ...]
    label: str

    @classmethod
    def of(cls, points: pd.DataFrame) -> Self | None:
        """Return the axis on which these points differ in width, or None if all have one width.

        When the widths of activations follow those of weights (zipped axes), both are one axis.
        """
        if any((points[name] == GAP).any() for name in _WIDTHS):
            return None  # floats among them, which have formats instead
        weights_differ, activations_differ = (points[name].nunique() > 1 for name in _WIDTHS)
        if weights_differ and activations_differ and _follows(points):
            return cls("weight_bits", _WIDTHS, _ZIPPED)
        if weights_differ:
            return cls("weight_bits", ("weight_bits",), "weight bits")
        if activations_differ:
            return cls("activation_bits", ("activation_bits",), "activation bits")
        return None

    def names(self, points: pd.DataFrame) -> pd.Series[str]:
        """Return the widths of each point as text: ``8``, or ``8/16`` when the axis stands for both."""
        parts = [points[name].astype(int).astype(str) for name in self.columns]
        return parts[0] if len(parts) == 1 else parts[0] + "/" + parts[1]

    def ticks(self, points: pd.DataFrame) -> dict[int, str]:
        """Return the positions on the axis and their names, ascending."""
        named = zip(points[self.column].astype(int), self.names(points), strict=True)
        return dict(sorted(named))


_WIDTHS = ("weight_bits", "activation_bits")


def _follows(points: pd.DataFrame) -> bool:
    return bool((points.groupby("weight_bits")["activation_bits"].nunique() == 1).all())


@dataclass(frozen=True, slots=True)
class DesignSpace:
    """The points of a sweep with the columns (``keys``) in which they differ, besides the workload.

    ``points`` has the further column ``bits``, the operand widths as text; ``keys`` has ``bits`` in place
    of the widths that the axis stands for. Where points differ in more than ``MOST_KEYS`` swept keys that are not
    crossed, as those do that vary one of many things at a time, the column ``settings`` stands for all of these.
    """

    points: pd.DataFrame
    keys: tuple[str, ...]
    bits: BitsAxis | None

    @classmethod
    def of(cls, points: pd.DataFrame) -> Self:
        """Return the design space that these points span."""
        points, merged = _with_settings(_with_named_gaps(points))
        bits = BitsAxis.of(points)
        names = points["weight_bits"].astype(str) if bits is None else bits.names(points)
        merged |= _told_by_format(points) if bits is None else set(bits.columns)
        differing = [name for name in _design_columns(points) if points[name].nunique(dropna=False) > 1]
        keys = [BITS] * (bits is not None) + [name for name in differing if name not in merged]
        return cls(points.assign(**{BITS: names}), tuple(keys), bits)

    @property
    def workloads(self) -> list[str]:
        """The workloads in the order of their points."""
        return list(dict.fromkeys(self.points["workload"]))

    def of_workload(self, workload: str) -> pd.DataFrame:
        """Return the points of one workload."""
        return self.points[self.points["workload"] == workload]

    def best(self, workload: str) -> pd.Series[Any]:
        """Return the workload's point of highest accuracy; of equal ones the one of least energy, then cycles."""
        order = ["accuracy", "energy_pj", "total_cycles", "point"]
        return self.of_workload(workload).sort_values(order, ascending=[False, True, True, True]).iloc[0]

    @property
    def best_name(self) -> str:
        """What ``best`` is the best in."""
        labelled = bool(self.points["accuracy"].notna().any())
        return "the most accurate design" if labelled else "the design of least energy"

    def describe(self, point: pd.Series[Any], *, without: tuple[str, ...] = ()) -> str:
        """Return what sets this point apart, e.g. ``4/4 bits, guard bits 2, output stationary``."""
        return ", ".join(self._say(key, point[key]) for key in self.keys if key not in without)

    def caption(self, point: pd.Series[Any]) -> str:
        """Return the point's number and what sets it apart, in lines short enough to stand under a panel."""
        described = ": ".join(filter(None, [f"point {point['point']}", self.describe(point)]))
        return fill(described, CAPTION_CHARACTERS)

    def _say(self, key: str, value: Any) -> str:
        if key == BITS and self.bits is not None:
            return f"{value} bits" if len(self.bits.columns) > 1 else f"{self.bits.label} {value}"
        return value_name(value) if key in ("dataflow", SETTINGS) else f"{key_name(key)} {value_name(value)}"


def _told_by_format(points: pd.DataFrame) -> set[str]:
    """Return the columns of integers that say no more than the number format does: empty for floats."""
    if NUMBER_FORMAT not in points:
        return set()
    values = points.groupby(NUMBER_FORMAT)[list(INTEGER_COLUMNS)].nunique()
    return {name for name in INTEGER_COLUMNS if (values[name] == 1).all()}


def _design_columns(points: pd.DataFrame) -> list[str]:
    fixed = {*PLACE_COLUMNS, *ARRAY_COLUMNS, *OUTCOME_COLUMNS} | _SPEC_ALIASES
    return [*ARRAY_COLUMNS, *(name for name in points.columns if name not in fixed)]


def _with_named_gaps(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points with ``none`` for what a swept key leaves out: a missing value equals nothing, not itself."""
    gaps = [name for name in _design_columns(points) if points[name].isna().any()]
    return points.assign(**{name: points[name].astype(object).fillna(GAP) for name in gaps})


def _with_settings(points: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """Return the points with the column ``settings`` if they differ in many keys, and the keys that it stands for."""
    keys = [name for name in _design_columns(points) if name not in ARRAY_COLUMNS and points[name].nunique() > 1]
    if len(keys) <= MOST_KEYS or _are_crossed(points, keys):
        return points, set()
    first = points.iloc[0]
    texts = [_departures(point, first, keys) for _, point in points.iterrows()]
    return points.assign(**{SETTINGS: texts}), set(keys)


def _are_crossed(points: pd.DataFrame, keys: list[str]) -> bool:
    """Tell whether every combination of the keys' values is there."""
    return len(points[keys].drop_duplicates()) == prod(points[name].nunique() for name in keys)


def _departures(point: pd.Series[Any], first: pd.Series[Any], keys: list[str]) -> str:
    departing = [key for key in keys if point[key] != first[key]]
    alike = (tuple(group) for _, group in groupby(departing, key=lambda key: str(point[key])))
    return ", ".join(_setting(group, point[group[0]]) for group in alike) or REFERENCE


def _setting(keys: tuple[str, ...], value: Any) -> str:
    """Say that these keys have this value."""
    names = [_short(key) for key in keys]
    if value is True or value is False:
        return ", ".join(names if value else (f"not {name}" for name in names))
    return f"{' and '.join(names)} {value_name(value)}"


def _short(key: str) -> str:
    return key_name(key.removeprefix("quantization."))


def key_name(key: str) -> str:
    """Return a column's name as a reader would say it: ``guard bits`` for ``guard_bits``."""
    words = key.removeprefix("array.").replace(".", "_").split("_")
    return " ".join(word.upper() if word in _ABBREVIATIONS else word for word in words)


def value_name(value: Any) -> str:
    """Return a cell as a reader would say it: ``output stationary``, ``4`` rather than ``4.0``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).replace("_", " ")
    return text if not text.startswith("[") else text.translate(_LIST_SIGNS) or "none"
