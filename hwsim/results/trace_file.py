"""Traces for Perfetto (ui.perfetto.dev) and chrome://tracing: JSON in the Trace Event Format.

One microsecond of the viewer is one cycle, so that times stay whole numbers. Each unit is a thread of one process;
slices are complete events (``X``), levels counters (``C``). Events are written as they come: the file may be larger
than memory. Source: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hwsim.machine.tracing import Level, Slice
from hwsim.results.files import replacing

PROCESS = 1


class TraceFile:
    """Takes slices and levels and writes them as events."""

    def __init__(self, file: BinaryIO, properties: Mapping[str, Any]) -> None:
        self._file = file
        self._threads: dict[str, int] = {}
        others = {"one_microsecond_is": "one cycle"} | dict(properties)
        self._file.write(f'{{"otherData": {json.dumps(others)}, "traceEvents": [\n'.encode())
        self._write({"ph": "M", "name": "process_name", "args": {"name": "hwsim"}}, first=True)

    def __call__(self, one: Slice | Level) -> None:
        """Write one event, and its track's name before the first of a track."""
        if isinstance(one, Level):
            self._write({"ph": "C", "name": one.name, "ts": one.cycle, "args": {"value": one.value}})
            return
        self._write(
            {
                "ph": "X",
                "name": one.name,
                "ts": one.start,
                "dur": one.end - one.start,
                "tid": self._thread(one.track),
                "args": dict(one.details),
            }
        )

    def close(self) -> None:
        """End the list of events."""
        self._file.write(b"\n]}\n")

    def _thread(self, track: str) -> int:
        number = self._threads.get(track)
        if number is None:
            number = self._threads[track] = len(self._threads) + 1
            for name, key, value in (("thread_name", "name", track), ("thread_sort_index", "sort_index", number)):
                self._write({"ph": "M", "name": name, "tid": number, "args": {key: value}})
        return number

    def _write(self, event: dict[str, Any], *, first: bool = False) -> None:
        text = json.dumps({"pid": PROCESS} | event)
        self._file.write((text if first else f",\n{text}").encode())


@contextmanager
def trace_file(path: str | Path, properties: Mapping[str, Any]) -> Iterator[TraceFile]:
    """Give something that takes slices and levels; the file is there, whole, at the end, or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    with replacing(path) as file:
        trace = TraceFile(file, properties)
        yield trace
        trace.close()
