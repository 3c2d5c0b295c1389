"""The machine's time: SimPy's, plus the cycles of periods that were skipped; and what every unit is waiting for.

All waits of all units go through the clock, so that the state of the machine between two events can be compared with
an earlier one.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass, field
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]


@dataclass(slots=True, eq=False)
class Wait:
    """A unit waits: until a cycle, or for an event. ``is_slow`` marks waits that may outlast many folds."""

    unit: Hashable
    end: int | None
    event: simpy.Event
    is_slow: bool = False
    alarm: simpy.Event | None = None


@dataclass(slots=True, eq=False)
class _Book:
    """Cycles that were skipped, and the waits that are under way, in the order in which they began."""

    skipped: int = 0
    waits: dict[int, Wait] = field(default_factory=dict)
    number: int = 0


class Clock:
    """Time, and the waits that are under way.

    Args:
        env: SimPy's.
        core: the core whose units wait, where there are several: its number goes with all that they wait for.
        book: of the clock that is shared.
    """

    def __init__(self, env: simpy.Environment, core: int | None = None, book: _Book | None = None) -> None:
        self.env = env
        self._core, self._book = core, book or _Book()

    def of_core(self, core: int) -> Clock:
        """Return the same clock for the units of one of several cores."""
        return Clock(self.env, core, self._book)

    @property
    def now(self) -> int:
        """The current cycle."""
        return int(self.env.now) + self._book.skipped

    def pause(self, unit: Hashable, cycles: int) -> Process:
        """Let time pass. ``unit`` says who waits for what, with all that the waiter will need to know."""
        yield from self._wait(Wait(unit, self.now + cycles, self.env.timeout(cycles)))

    def until(self, unit: Hashable, event: simpy.Event) -> Process:
        """Wait for an event that another unit brings about."""
        yield from self._wait(Wait(unit, None, event))

    def transfer(self, unit: Hashable, cycles: int) -> Process:
        """Let the time of a transfer pass: a slow wait, which shrinks while periods of faster units are skipped."""
        wait = Wait(unit, self.now + cycles, self.env.event(), is_slow=True)
        self._set_alarm(wait)
        yield from self._wait(wait)

    def state(self, *, slow: bool) -> tuple[Hashable, ...]:
        """Return what all units wait for, times from now on; unless ``slow``, slow waits by the cycle of their end."""
        now = self.now
        return tuple(
            (wait.unit, wait.event.triggered, wait.end and (wait.end if wait.is_slow and not slow else wait.end - now))
            for wait in self._book.waits.values()
        )

    @property
    def slow_cycles(self) -> int | None:
        """Cycles to the end of the slow wait that ends first; None without one."""
        return min(
            (wait.end - self.now for wait in self._book.waits.values() if wait.is_slow and wait.end), default=None
        )

    @property
    def fast_cycles(self) -> int:
        """Cycles to the end of the other waits that ends last."""
        ends = (wait.end - self.now for wait in self._book.waits.values() if not wait.is_slow and wait.end is not None)
        return max(ends, default=0)

    def skip(self, cycles: int, *, slow: bool) -> None:
        """Let cycles pass that changed nothing but counts; slow waits shrink, or are part of what repeated."""
        self._book.skipped += cycles
        for wait in self._book.waits.values():
            if wait.end is None:
                continue
            if wait.is_slow and not slow:
                self._set_alarm(wait)
            else:
                wait.end += cycles

    def _wait(self, wait: Wait) -> Process:
        if self._core is not None:
            wait.unit = (self._core, wait.unit)
        self._book.number += 1
        number = self._book.number
        self._book.waits[number] = wait
        yield wait.event
        del self._book.waits[number]

    def _set_alarm(self, wait: Wait) -> None:
        assert wait.end is not None  # noqa: S101  (slow waits have one)
        alarm = self.env.timeout(wait.end - self.now)
        wait.alarm = alarm
        assert alarm.callbacks is not None  # noqa: S101  (it has not happened yet)

        def ring(_: simpy.Event) -> None:
            if wait.alarm is alarm:  # not set anew meanwhile
                wait.event.succeed()

        alarm.callbacks.append(ring)
