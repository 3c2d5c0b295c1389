"""Layers that are the time steps of one: a recurrent layer's rows of a table, drawn together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_STEPS = 3
_NUMBERED = re.compile(r"(.*_)(\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of layers: its label, and the positions of the layers that it sums up."""

    label: str
    layers: tuple[int, ...]


def rows_of(names: Sequence[str], shapes: Sequence[object]) -> list[Row]:
    """Return one row for each layer, but one for all steps of a layer that is unrolled in time.

    Steps are layers ``name_0``, ``name_1``, … without a gap, three or more, of one shape; their row is called
    ``name_0…n`` and stands where the first of them stood.
    """
    families: dict[tuple[str, object], list[int]] = {}
    for place, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        found = _NUMBERED.fullmatch(name)
        if found is not None:
            families.setdefault((found[1], shape), []).append(place)
    together = {
        members[0]: members
        for (stem, _), members in families.items()
        if len(members) >= FEWEST_STEPS and [names[place] for place in members] == _steps(stem, len(members))
    }
    hidden = {place for members in together.values() for place in members[1:]}
    return [
        Row(f"{name}…{len(together[place]) - 1}", tuple(together[place])) if place in together else Row(name, (place,))
        for place, name in enumerate(names)
        if place not in hidden
    ]


def _steps(stem: str, count: int) -> list[str]:
    return [f"{stem}{step}" for step in range(count)]
