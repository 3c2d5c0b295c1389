"""Puts problems of many layers together that have one reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MOST_LINES = 3  # that give one reason; beyond, layers are only named
MOST_NAMES = 8


def grouped(problems: Sequence[str]) -> Iterator[str]:
    """Yield lines; of many that give one reason, the first with the names of the other layers after it."""
    groups: dict[str, list[str]] = {}
    for line in problems:
        groups.setdefault(line.partition("; ")[2], []).append(line)
    for line in problems:
        alike = groups[line.partition("; ")[2]]
        if len(alike) <= MOST_LINES:
            yield line
        elif line is alike[0]:
            others = [one.partition(":")[0].removeprefix("layer ") for one in alike[1:]]
            more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
            yield line
            yield f"so it is with {len(others)} more layers: {', '.join(others[:MOST_NAMES])}{more}"
