"""What each unit was doing when, and how the cycles are shared out among classes as they pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import pairwise

from hwsim.machine.clock import Clock

CLASSES = ("compute", "fill", "drain", "load_stall", "write_stall", "requantize", "vector")
"""Classes of cycles; a cycle in which several are active belongs to the first of them."""

RANKS = {kind: rank for rank, kind in enumerate(CLASSES)}
MOST_OPEN = 48  # spans that are kept before the cycles that are over are shared out, or twice those that stay open


@dataclass(frozen=True, slots=True)
class Span:
    """One class is active from cycle ``start`` up to, not including, ``end``."""

    kind: str
    start: int
    end: int


@dataclass(slots=True, eq=False)
class Activity:
    """A span that may still be open."""

    kind: str
    start: int
    end: int | None


class Timeline:
    """Shares out cycles: memory and time do not grow with the number of spans.

    Args:
        clock: the machine's.
        observe: is told every span that ends, if given.
        share: is told, in order, to which class the cycles between two others belong, if given.
    """

    def __init__(
        self,
        clock: Clock,
        observe: Callable[[Span], None] | None = None,
        share: Callable[[Span], None] | None = None,
    ) -> None:
        self._clock, self._observe, self._share = clock, observe, share
        self._active: list[Activity] = []
        self._settled = clock.now
        self._cycles = [0] * len(CLASSES)
        self._most_open = MOST_OPEN

    def add(self, kind: str, start: int, end: int) -> None:
        """Note a span from now or later; its end is known."""
        if start < end:
            self._enter(Activity(kind, start, end))
            if self._observe is not None:
                self._observe(Span(kind, start, end))

    def begin(self, kind: str) -> Activity:
        """Note that a class is active from now on."""
        activity = Activity(kind, self._clock.now, None)
        self._enter(activity)
        return activity

    def end(self, activity: Activity) -> None:
        """Note that it is active no longer."""
        activity.end = self._clock.now
        if self._observe is not None and activity.start < activity.end:
            self._observe(Span(activity.kind, activity.start, activity.end))

    def cycles(self) -> dict[str, int]:
        """Return the cycles of each class so far.

        Raises:
            ValueError: in some cycle no class was active, so that the machine's bookkeeping has a hole.
        """
        self._settle()
        return dict(zip(CLASSES, self._cycles, strict=True))

    def snapshot(self) -> tuple[int, ...]:
        """Return the same as a row."""
        self._settle()
        return tuple(self._cycles)

    def state(self) -> tuple[Hashable, ...]:
        """Return what is active from now on."""
        now = self._clock.now
        return tuple(
            sorted(
                (RANKS[one.kind], max(one.start - now, 0), -1 if one.end is None else one.end - now)
                for one in self._active
                if one.end is None or one.end > now
            )
        )

    def skip(self, cycles: int, shares: list[int]) -> None:
        """Let cycles pass that are shared out like this; call it after the clock has skipped them."""
        self._settled += cycles
        self._cycles = [have + more for have, more in zip(self._cycles, shares, strict=True)]
        for one in self._active:
            one.start += cycles
            if one.end is not None:
                one.end += cycles

    def _enter(self, activity: Activity) -> None:
        if len(self._active) >= self._most_open:
            self._settle()
            self._most_open = max(MOST_OPEN, 2 * len(self._active))
        self._active.append(activity)

    def _settle(self) -> None:
        """Share out the cycles up to now: later spans begin later."""
        now = self._clock.now
        bounds = {self._settled, now}
        for one in self._active:
            for bound in (one.start, now if one.end is None else one.end):
                if self._settled < bound < now:
                    bounds.add(bound)
        times = sorted(bounds)
        for start, end in pairwise(times):
            ranks = [
                RANKS[one.kind] for one in self._active if one.start <= start and (one.end is None or one.end >= end)
            ]
            if not ranks:
                raise ValueError(f"cycles {start} to {end} belong to no class")
            self._cycles[min(ranks)] += end - start
            if self._share is not None:
                self._share(Span(CLASSES[min(ranks)], start, end))
        self._settled = now
        self._active = [one for one in self._active if one.end is None or one.end > now]
