"""Timelines drawn by hand, read as expectations.

One column of characters is one cycle. A digit beside ``PE(r,c)`` is an add in that PE (which term of the sum, or
which index of the stream); beside ``ACC(c)`` an add to the accumulator under column c. ``s`` is a store, ``.``
nothing; lines with other names (``load``, ``leaves``) are for the reader.
"""

from __future__ import annotations

import re

LINE = re.compile(r"^\s*(?:PE\((\d+),(\d+)\)|ACC\((\d+)\)) +(.*)$")


def adds_in(drawing: str, rows: int) -> list[tuple[int, int, int]]:
    """Return the (cycle, row, column) of every add that is drawn; the accumulators are row ``rows``."""
    adds = []
    for line in drawing.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        row, col, under, cells = match.groups()
        place = (rows, int(under)) if under else (int(row), int(col))
        adds += [(cycle, *place) for cycle, cell in enumerate(cells.split()) if cell.isdigit()]
    return sorted(adds)


def cycles_in(drawing: str) -> int:
    """Return how many cycles are drawn."""
    return max(len(match[4].split()) for match in map(LINE.match, drawing.splitlines()) if match)
