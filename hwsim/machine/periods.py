"""Skips periods in which the machine repeats itself: exactly, by comparing its state where a fold could start."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from hwsim.machine.product import ProductRun
from hwsim.machine.units import Units
from hwsim.mapping.classes import TileClasses

MOST_STATES = 4096  # that are remembered at once


@dataclass(frozen=True, slots=True)
class Mark:
    """A state that was met: when, where every unit was in its work, and what had been counted by then."""

    cycle: int
    tile: int
    fold: int
    loaded: tuple[int, int]
    shares: tuple[int, ...]
    counts: dict[tuple[str, str], int]


class Periods:
    """Watches one product.

    The machine's future depends on its state, all that its units hold and wait for in cycles from now, and on the work
    to come. When a state comes again and the work ahead is like the work between, what happened between will happen
    again, and again, as long as the work stays alike: the clock, the counts and the positions move on by as many
    periods. Inside a tile a transfer from DRAM may last longer than a period: it goes on while nothing else touches
    the DRAM, and the skip ends before it does.
    """

    def __init__(self, units: Units, run: ProductRun) -> None:
        self._units, self._run = units, run
        self._folds: dict[Hashable, Mark] = {}
        self._tiles: dict[Hashable, Mark] = {}
        self._watched = -1
        self._classes = TileClasses(run.plan)

    def at_fold(self) -> None:
        """Compare the state with earlier ones, and skip what can be skipped."""
        if self._run.fold_number == 0:
            self._look(self._tiles, slow=True)
        if self._run.tile_number != self._watched:
            self._folds.clear()
            self._watched = self._run.tile_number
        if self._run.tile_number < self._run.plan.grid.count:
            self._look(self._folds, slow=False)

    def _look(self, states: dict[Hashable, Mark], *, slow: bool) -> None:
        state = self._state(slow=slow)
        mark = self._mark()
        before = states.get(state)
        if len(states) >= MOST_STATES:
            states.clear()
        states[state] = mark
        if before is None:
            return
        periods = self._tile_periods(before, mark) if slow else self._fold_periods(before, mark)
        if periods > 0:
            self._skip(before, mark, periods, slow=slow)
            states.clear()

    def _state(self, *, slow: bool) -> Hashable:
        units = self._units
        dram = units.dram.state() if slow else units.dram.requests
        return (units.clock.state(slow=slow), self._run.state(), units.timeline.state(), dram)

    def _mark(self) -> Mark:
        run, units = self._run, self._units
        return Mark(
            units.clock.now,
            run.tile_number,
            run.fold_number,
            (run.activations.position, run.weights.position),
            units.timeline.snapshot(),
            dict(units.counts),
        )

    def _fold_periods(self, before: Mark, now: Mark) -> int:
        """Return how many periods can be skipped inside a tile."""
        run, clock = self._run, self._units.clock
        folds = run.plan.folds(run.plan.grid.tile(now.tile))
        periods = folds.alike(before.fold, now.fold) // (now.fold - before.fold)
        if clock.slow_cycles is not None:
            room = clock.slow_cycles - 1 - clock.fast_cycles
            periods = min(periods, room // max(now.cycle - before.cycle, 1))
        return periods

    def _tile_periods(self, before: Mark, now: Mark) -> int:
        """Return how many periods can be skipped from tile to tile."""
        classes = self._classes
        periods = classes.alike(before.tile, now.tile) // (now.tile - before.tile)
        for was, is_at in zip(before.loaded, now.loaded, strict=True):
            if is_at > was:
                periods = min(periods, classes.alike(was, is_at) // (is_at - was))
        return periods

    def _skip(self, before: Mark, now: Mark, periods: int, *, slow: bool) -> None:
        run, units = self._run, self._units
        cycles = (now.cycle - before.cycle) * periods
        units.clock.skip(cycles, slow=slow)
        shares = np.subtract(now.shares, before.shares) * periods
        units.timeline.skip(cycles, shares.tolist())
        run.skip(cycles)
        if slow:
            units.dram.skip(cycles)
        for key, count in now.counts.items():
            units.counts[key] += (count - before.counts.get(key, 0)) * periods
        run.tile_number += (now.tile - before.tile) * periods
        run.fold_number += (now.fold - before.fold) * periods
        run.activations.position += (now.loaded[0] - before.loaded[0]) * periods
        run.weights.position += (now.loaded[1] - before.loaded[1]) * periods
