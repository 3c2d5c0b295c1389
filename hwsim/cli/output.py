"""What goes to stdout: JSON, lines of text, and tables that are plain text where stdout is no terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from hwsim.results.plain import plain

_WIDE = 1000  # columns; where stdout is no terminal nothing is wrapped
_FIRST_LINES = 10
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its header, whether it holds numbers, and whether a narrow terminal may do without it."""

    header: str
    numeric: bool = True
    optional: bool = False


def print_json(value: Any) -> None:
    """Print one JSON value; NaN and infinities become null."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_lines(*lines: str) -> None:
    """Print lines as they are, however long."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], total: Sequence[str] | None = None) -> None:
    """Print a table with an empty line behind it; ``total`` is its last row, set apart."""
    lines = [*rows, *([total] if total is not None else [])]
    width = _console().width
    kept = _fitting(columns, lines, width)
    shown = [columns[index] for index in kept]
    table = _table(shown, _widths(shown, [[line[index] for index in kept] for line in lines], width))
    for line in lines:
        if line is total:
            table.add_section()
        table.add_row(*(line[index] for index in kept), style="bold" if line is total else None)
    _print(table)
    print_lines("")


def print_paths(paths: Iterable[tuple[str, str]]) -> None:
    """Print ``name  path`` lines, the paths below each other and never broken."""
    pairs = list(paths)
    width = max((len(name) for name, _ in pairs), default=0)
    print_lines(*(f"{name:<{width}}  {path}" for name, path in pairs))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print ``name  text`` lines, the texts below each other and wrapped to the terminal."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        grid.add_row(name, text)
    _print(grid)


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = len(lines) - _FIRST_LINES
    return [*lines[:_FIRST_LINES], f"… and {more:,} more"] if more > 0 else list(lines)


def on_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return which columns fit next to each other; optional ones are left out, the last first, until they do."""
    kept = list(range(len(columns)))
    for index in reversed(range(len(columns))):
        needed = sum(_narrowest(columns[kept_one], [row[kept_one] for row in rows]) + _GAP for kept_one in kept) - _GAP
        if needed <= width:
            break
        if columns[index].optional:
            kept.remove(index)
    return kept


def _narrowest(column: Column, cells: Iterable[str]) -> int:
    """Return the width below which a cell, or a word of the header, would be broken."""
    return max(map(len, [*column.header.split(), *cells]))


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """Return widths that break no word: as wide as a whole header while there is room; None where nothing helps."""
    cells = [[row[index] for row in rows] for index in range(len(columns))]
    widths = [_narrowest(column, own) for column, own in zip(columns, cells, strict=True)]
    room = width - sum(widths) - _GAP * (len(columns) - 1)
    if room < 0:
        return [None] * len(columns)
    for index, column in enumerate(columns):
        more = max(len(column.header) - widths[index], 0)
        if more <= room:
            widths[index] += more
            room -= more
    return [*widths]


def _table(columns: Sequence[Column], widths: Iterable[int | None]) -> Table:
    """Return an empty table; columns are two spaces apart, one of them the box's."""
    if on_terminal():
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    else:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.header, justify="right" if column.numeric else "left", overflow="fold", width=width)
    return table


def _print(renderable: RenderableType) -> None:
    """Render with user's text left as it is, and without spaces at the ends of lines."""
    console = _console()
    with console.capture() as capture:
        console.print(renderable)
    print_lines(*(line.rstrip() for line in capture.get().removesuffix("\n").split("\n")))


def _console() -> Console:
    terminal = on_terminal()
    return Console(
        file=sys.stdout,
        force_terminal=terminal,
        width=None if terminal else _WIDE,
        color_system="auto" if terminal else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
