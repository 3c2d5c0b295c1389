"""Into which parts the work of a step falls that need nothing of each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

PartsKind = Literal["elements", "rows", "channels", "whole"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a step's input and output belongs together.

    ``elements``: each by itself. ``rows``: ``size`` consecutive ones, such as those that a softmax adds up.
    ``channels``: those whose numbers leave the same remainder by ``size``, such as those that a pool compares, where
    the channel is the last of ``size`` long. ``whole``: all of them.
    """

    kind: PartsKind
    size: int = 1

    def count(self, elements: int) -> int:
        """Return how many parts an output of so many elements has."""
        return {
            "elements": elements,
            "rows": elements // self.size,
            "channels": self.size,
            "whole": 1,
        }[self.kind]

    def lie_in_rows(self, columns: int) -> bool:
        """Return whether no part has elements of two rows of a matrix of so many columns."""
        return self.kind == "elements" or (self.kind == "rows" and columns % self.size == 0)

    def lie_in_columns(self, columns: int) -> bool:
        """Return whether no part has elements of two columns."""
        return self.kind == "elements" or (self.kind == "channels" and self.size % columns == 0)


ELEMENTS = Parts("elements")
UNDIVIDED = Parts("whole")


def common_parts(steps: Iterable[Parts]) -> Parts:
    """Return the parts of a chain of steps: those of all that are not elements, if they are the same."""
    found = {one for one in steps if one.kind != "elements"}
    if not found:
        return ELEMENTS
    return found.pop() if len(found) == 1 else UNDIVIDED


def parts_along(kind: PartsKind, length: int) -> Parts:
    """Return parts of a kind of a tensor whose last axis has this length."""
    return Parts(kind, length if kind in ("rows", "channels") else 1)


def even_parts(count: int, most: int) -> tuple[slice, ...]:
    """Return slices of ``count`` places, as equal as can be: as many as asked for, but none of them empty."""
    parts = max(min(most, count), 1)
    return tuple(slice(*ends) for ends in pairwise(count * number // parts for number in range(parts + 1)))
