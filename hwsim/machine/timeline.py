"""What each unit was doing when, and how a layer's cycles are shared out among classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CLASSES = ("compute", "fill", "drain", "load_stall", "write_stall", "requantize", "vector")
"""Classes of cycles; a cycle in which several are active belongs to the first of them."""


@dataclass(frozen=True, slots=True)
class Span:
    """One class is active from cycle ``start`` up to, not including, ``end``."""

    kind: str
    start: int
    end: int


def split(spans: Iterable[Span], start: int, end: int) -> dict[str, int]:
    """Share out the cycles [start, end) among the classes; the parts add up to ``end - start``.

    Raises:
        ValueError: in some cycle no class is active, so that the machine's bookkeeping has a hole.
    """
    covered: list[tuple[int, int]] = []
    cycles = dict.fromkeys(CLASSES, 0)
    by_kind: dict[str, list[tuple[int, int]]] = {kind: [] for kind in CLASSES}
    for span in spans:
        by_kind[span.kind].append((max(span.start, start), min(span.end, end)))
    for kind in CLASSES:
        before = _length(covered)
        covered = _union([*covered, *by_kind[kind]])
        cycles[kind] = _length(covered) - before
    if _length(covered) != end - start:
        raise ValueError(f"{end - start - _length(covered)} of cycles {start} to {end} belong to no class")
    return cycles


def _union(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge intervals into disjoint ones, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _length(intervals: list[tuple[int, int]]) -> int:
    return sum(end - start for start, end in intervals)
