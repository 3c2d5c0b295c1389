"""Reads the wave files that the tests compare."""

import re
from bisect import bisect_left
from pathlib import Path


class VcdFile:
    """Signals of a VCD file by full name, each a list of (time, value); an unknown value is None."""

    def __init__(self, file: Path) -> None:
        self.changes: dict[str, list[tuple[int, int | None]]] = {}
        self.widths: dict[str, int] = {}
        self._by_code: dict[str, list[str]] = {}
        header, values = file.read_text().split("$enddefinitions $end", 1)
        self._read_header(header)
        time = 0
        for line in values.splitlines():
            kind, rest = line[:1], line[1:]
            if kind == "#":
                time = int(rest)
            elif kind == "b":
                text, code = rest.split()
                self._change(code, time, text)
            elif kind in "01xXzZ" and kind:
                self._change(rest, time, kind)

    def _read_header(self, header: str) -> None:
        scope: list[str] = []
        for line in header.splitlines():
            words = line.split() or [""]
            if words[0] == "$scope":
                scope.append(words[2])
            elif words[0] == "$upscope":
                scope.pop()
            elif words[0] == "$var":
                self._declare(".".join([*scope, words[4]]), words[3], int(words[2]))

    def _declare(self, name: str, code: str, width: int) -> None:
        self.widths[name] = width
        self._by_code.setdefault(code, []).append(name)
        self.changes[name] = []

    def _change(self, code: str, time: int, text: str) -> None:
        value = int(text, 2) if re.fullmatch("[01]+", text) else None
        for name in self._by_code[code]:
            self.changes[name].append((time, value))

    def before(self, name: str, time: int) -> int | None:
        """Return the value that stood until ``time``."""
        place = bisect_left(self.changes[name], time, key=lambda change: change[0])
        return self.changes[name][place - 1][1] if place else None
