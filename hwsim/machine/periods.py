"""Skips periods in which the machine repeats itself: exactly, by comparing its state where a fold could start."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.machine.prefetch import WeightSupplies
from hwsim.machine.product import ProductRun
from hwsim.machine.units import Units
from hwsim.mapping.classes import TileClasses

MOST_STATES = 4096  # that are remembered at once


@dataclass(frozen=True, slots=True)
class Place:
    """Where a core is in its work: the tile and the fold that its array starts next, and what its loaders look at.

    ``ahead`` are the slices that lie ready where loaders run ahead without slots.
    ``free_bits`` is the room in its weight scratchpad, where the next layer's weights share it.
    """

    tile: int
    fold: int
    loaded: tuple[int, int]
    ahead: tuple[int, int]
    free_bits: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A state that was met: when, where every core was in its work, and what had been counted by then."""

    cycle: int
    places: tuple[Place, ...]
    shares: tuple[int, ...]
    counts: dict[tuple[str, str], int]


class Periods:
    """Watches one product, on all cores that share it.

    The machine's future depends on its state, all that its units hold and wait for in cycles from now, and on the work
    to come. When a state comes again and the work ahead is like the work between, what happened between will happen
    again, and again, as long as the work stays alike: the clock, the counts and the positions move on by as many
    periods. Inside a tile a transfer from DRAM may last longer than a period: it goes on while nothing else touches
    the DRAM, and the skip ends before it does.

    Slices of a loader that waits for no slot may become more or fewer from period to period: as long as no tile has to
    wait for one, their number changes nothing.

    States are compared where the first core that has folds left, the leader, could start one. The others may be
    anywhere in theirs: a fold that one of them has begun must be like the fold that it had begun a period ago.

    How far the loaders of the next layer's weights are belongs to the state: in a period they have done nothing. From
    tile to tile the room in a weight scratchpad may grow, as what stays is given back: a skip ends before there is
    enough for a slice that waits.

    Args:
        cores: those that share the product.
        runs: theirs.
        supplies: of all cores' weights.
    """

    def __init__(self, cores: Sequence[Units], runs: Sequence[ProductRun], supplies: Sequence[WeightSupplies]) -> None:
        self._cores, self._runs, self._supplies = cores, runs, supplies
        self._folds: dict[Hashable, Mark] = {}
        self._tiles: dict[Hashable, Mark] = {}
        self._leader = 0
        self._watched = -1
        self._classes = [TileClasses(run.plan) for run in runs]

    def watch(self) -> None:
        """Have the arrays tell when they could start a fold."""
        for number, run in enumerate(self._runs):
            run.at_fold = self._look_from(number)

    def _look_from(self, number: int) -> Callable[[], None]:
        return lambda: self._at_fold(number)

    def _at_fold(self, number: int) -> None:
        """Compare the state with earlier ones, and skip what can be skipped."""
        leader = next(place for place, run in enumerate(self._runs) if not run.is_over)
        if number != leader:
            return
        run = self._runs[leader]
        if leader != self._leader:
            self._tiles.clear()
            self._leader, self._watched = leader, -1
        if run.fold_number == 0:
            self._look(self._tiles, slow=True)
        if run.tile_number != self._watched:
            self._folds.clear()
            self._watched = run.tile_number
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
            states[state] = self._mark()  # the state is the same; longer periods may begin with earlier ones

    def _state(self, *, slow: bool) -> Hashable:
        one = self._cores[0]
        dram = one.dram.state() if slow else one.dram.requests
        runs = tuple(run.state() for run in self._runs)
        folds = tuple(run.fold_number for run in self._runs) if slow else ()
        ahead = () if slow else tuple((run.activations.ahead, run.weights.ahead) for run in self._runs)
        room = () if slow else tuple(run.weights.room.free_bits for run in self._runs)
        later = tuple(supplies.state() for supplies in self._supplies)
        return (one.clock.state(slow=slow), runs, folds, one.timeline.state(), dram, ahead, room, later)

    def _mark(self) -> Mark:
        one = self._cores[0]
        places = tuple(
            Place(
                run.tile_number,
                run.fold_number,
                (run.activations.position, run.weights.position),
                (run.activations.ahead, run.weights.ahead),
                run.weights.room.free_bits,
            )
            for run in self._runs
        )
        return Mark(one.clock.now, places, one.timeline.snapshot(), dict(one.counts))

    def _fold_periods(self, before: Mark, now: Mark) -> int:
        """Return how many periods can be skipped inside the tiles in which the arrays are."""
        clock, periods = self._cores[0].clock, None
        for number, (run, was, is_at) in enumerate(zip(self._runs, before.places, now.places, strict=True)):
            if is_at.tile != was.tile:
                return 0
            if is_at.fold == was.fold:
                continue
            folds = run.plan.folds(run.plan.grid.tile(is_at.tile))
            alike = folds.alike(was.fold, is_at.fold) - self._has_begun(number)
            periods = _least(periods, alike // (is_at.fold - was.fold))
        if clock.slow_cycles is not None:
            room = clock.slow_cycles - 1 - clock.fast_cycles
            periods = _least(periods, room // max(now.cycle - before.cycle, 1))
        return periods or 0

    def _tile_periods(self, before: Mark, now: Mark) -> int:
        """Return how many periods can be skipped from tile to tile."""
        periods = None
        for number, (classes, was, is_at) in enumerate(zip(self._classes, before.places, now.places, strict=True)):
            if is_at.tile > was.tile:
                alike = classes.alike(was.tile, is_at.tile) - self._has_begun(number)
                periods = _least(periods, alike // (is_at.tile - was.tile))
            for loaded, loads in zip(was.loaded, is_at.loaded, strict=True):
                if loads > loaded:
                    periods = _least(periods, classes.alike(loaded, loads) // (loads - loaded))
            taken = is_at.tile - was.tile + 1
            for ready, is_ready in zip(was.ahead, is_at.ahead, strict=True):
                if is_ready != ready:
                    periods = _least(periods, _periods_without_waiting(ready, is_ready - ready, taken))
            wanted, given = self._runs[number].weights.room.wanted_bits, is_at.free_bits - was.free_bits
            if wanted is not None and given:
                periods = _least(periods, _periods_without_room(wanted - is_at.free_bits, given))
        return periods or 0

    def _has_begun(self, number: int) -> bool:
        """Return whether a core may be in the middle of its fold and its tile: all but the leader may."""
        return number != self._leader

    def _skip(self, before: Mark, now: Mark, periods: int, *, slow: bool) -> None:
        one = self._cores[0]
        cycles = (now.cycle - before.cycle) * periods
        one.clock.skip(cycles, slow=slow)
        shares = np.subtract(now.shares, before.shares) * periods
        one.timeline.skip(cycles, shares.tolist())
        if slow:
            one.dram.skip(cycles)
        for key, count in now.counts.items():
            one.counts[key] += (count - before.counts.get(key, 0)) * periods
        for run, was, is_at in zip(self._runs, before.places, now.places, strict=True):
            activations, weights = (is_at.ahead[place] - was.ahead[place] for place in range(2))
            run.skip(cycles, (activations * periods, weights * periods))
            run.tile_number += (is_at.tile - was.tile) * periods
            run.fold_number += (is_at.fold - was.fold) * periods
            run.activations.position += (is_at.loaded[0] - was.loaded[0]) * periods
            run.weights.position += (is_at.loaded[1] - was.loaded[1]) * periods
            run.weights.room.skip((is_at.free_bits - was.free_bits) * periods)


def _periods_without_waiting(ready: int, change: int, taken: int) -> int | None:
    """Return for how many periods more no tile waits for a slice; None: for ever.

    Args:
        ready: slices that lay ready when the last period began.
        change: by how many they become more in a period.
        taken: how many of them tiles take in a period, at most.
    """
    if ready < taken:
        return 0  # one may have waited
    return (ready - taken) // -change if change < 0 else None


def _periods_without_room(lacking_bits: int, given_bits: int) -> int:
    """Return how many periods, each of which gives so many bits of a scratchpad back, a slice still lacks room."""
    return (lacking_bits - 1) // given_bits if given_bits > 0 else 0


def _least(first: int | None, second: int | None) -> int | None:
    """Return the smaller number; None is none."""
    return second if first is None else first if second is None else min(first, second)
