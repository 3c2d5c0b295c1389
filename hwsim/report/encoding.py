"""Which colour, marker and line a point gets: points that differ are drawn as separate lines, never averaged."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Self

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.report.design import BITS, DesignSpace, key_name, value_name
from hwsim.report.style import LINE_STYLES, MARKERS, NEUTRAL, PALETTE, colours

_COLOUR_FIRST = ("guard_bits", "overflow")
_MARKER_FIRST = ("dataflow",)
_LEGEND_CHARACTERS = 22  # for which panels leave room
_MOST_LEGEND_CHARACTERS = 40
_INCHES_PER_CHARACTER = 0.07


@dataclass(frozen=True, slots=True)
class Key:
    """A column shown by colour or by marker, with its values in drawing order."""

    name: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, name: str, space: DesignSpace) -> Self:
        """Return the key with its values: numbers and widths ascending, names as they appear."""
        points = space.points
        if name == BITS and space.bits is not None:
            points = points.sort_values(space.bits.column, kind="stable")
        values = list(dict.fromkeys(points[name]))
        if pd.api.types.is_numeric_dtype(points[name]):
            values.sort()
        return cls(name, tuple(values))

    def label(self, space: DesignSpace) -> str:
        """Return the key's name for a legend."""
        return space.bits.label if self.name == BITS and space.bits is not None else key_name(self.name)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Colour shows one key, marker and line style another; further keys make lines that look the same."""

    space: DesignSpace
    colour: Key | None
    marker: Key | None
    further: tuple[str, ...]

    @classmethod
    def of(cls, space: DesignSpace, x_key: str | None, colour_first: Sequence[str] = _COLOUR_FIRST) -> Self:
        """Return the encoding of all keys but the one on the x axis."""
        keys = [key for key in space.keys if key != x_key]
        marker = _take(keys, _MARKER_FIRST, fallback=False)
        colour = _take(keys, colour_first) or marker
        marker = None if marker == colour else marker or _take(keys, ())
        return cls(
            space,
            None if colour is None else Key.of(colour, space),
            None if marker is None else Key.of(marker, space),
            tuple(keys),
        )

    def lines(self, points: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
        """Yield the points of each line with its looks, as keyword arguments of ``Axes.plot``."""
        shown = [key.name for key in (self.colour, self.marker) if key is not None]
        keys = [*shown, *self.further]
        if not keys:
            yield points, _line_looks(PALETTE[0], 0, 0.0)
            return
        for _, group in points.groupby(keys, sort=False):
            yield group, self._looks(group.iloc[0])

    def _looks(self, point: pd.Series[Any]) -> dict[str, Any]:
        """Return a point's colour, line style and marker, such that equal points stay visible.

        Later colours are drawn over earlier ones, and thinner; the first marker is filled, the others are
        larger and hollow.
        """
        colour, place = PALETTE[0], 0.0
        if self.colour is not None:
            value = point[self.colour.name]
            colour = self._colours()[value]
            place = self.colour.values.index(value) / max(1, len(self.colour.values) - 1)
        index = 0 if self.marker is None else self.marker.values.index(point[self.marker.name])
        return _line_looks(colour, index, 1 - place)

    def legend(self, figure: Figure, extra: Sequence[Line2D] = ()) -> None:
        """Put a legend of both keys, and of ``extra`` lines, at the right of the figure."""
        handles = [*self._colour_handles(), *self._marker_handles(), *extra]
        if self.further:
            names = ",\n".join(key_name(name) for name in self.further)
            handles.append(_heading(f"not told apart:\n{names}"))
        if handles:
            labels = [_wrapped(str(handle.get_label())) for handle in handles]
            longest = max(len(line) for label in labels for line in label.splitlines())
            further_inches = max(0, longest - _LEGEND_CHARACTERS) * _INCHES_PER_CHARACTER
            figure.set_size_inches(figure.get_figwidth() + further_inches, figure.get_figheight())
            legend = figure.legend(handles=handles, labels=labels, loc="outside right center")
            for handle, text in zip(handles, legend.get_texts(), strict=True):
                text.set_fontweight("bold" if handle.get_linestyle() == "None" else "normal")

    def _colours(self) -> dict[Hashable, str]:
        if self.colour is None:
            return {}
        values = self.colour.values
        ordered = self.colour.name == BITS or not any(isinstance(value, str) for value in values)
        return dict(zip(values, colours(len(values), ordered=ordered), strict=True))

    def _colour_handles(self) -> Iterator[Line2D]:
        if self.colour is None:
            return
        yield _heading(self.colour.label(self.space))
        for value, colour in self._colours().items():
            yield Line2D([], [], color=colour, linewidth=4, label=value_name(value))

    def _marker_handles(self) -> Iterator[Line2D]:
        if self.marker is None:
            return
        yield _heading(self.marker.label(self.space))
        for index, value in enumerate(self.marker.values):
            yield Line2D([], [], label=value_name(value), **_line_looks(NEUTRAL, index, 0.0))


def _take(keys: list[str], first: Sequence[str], *, fallback: bool = True) -> str | None:
    """Remove and return the first of ``first`` that is in ``keys``, else (``fallback``) the first key of all."""
    candidates = [key for key in first if key in keys] or (keys if fallback else [])
    if not candidates:
        return None
    keys.remove(chosen := candidates[0])
    return chosen


def _line_looks(colour: str, index: int, weight: float) -> dict[str, Any]:
    """Return the looks of a line with the marker of this index; ``weight`` goes from 0 (thin) to 1 (thick)."""
    return {
        "color": colour,
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "marker": MARKERS[index % len(MARKERS)],
        "linewidth": 1.3 + 1.2 * weight,
        "markersize": (4.5 if index == 0 else 7.5) + 2.5 * weight,
        "markerfacecolor": colour if index == 0 else "none",
        "markeredgewidth": 1.2,
        "zorder": 3 - weight,
    }


def _wrapped(label: str) -> str:
    return "\n".join(fill(line, _MOST_LEGEND_CHARACTERS) for line in label.splitlines())


def _heading(text: str) -> Line2D:
    return Line2D([], [], linestyle="none", label=text)
