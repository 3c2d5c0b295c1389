"""Each cycle belongs to the first active class."""

from __future__ import annotations

import pytest
import simpy

from hwsim.machine.clock import Clock
from hwsim.machine.timeline import CLASSES, Span, Timeline


def shares(*spans: tuple[str, int, int], end: int = 10) -> dict[str, int]:
    """Note spans on a timeline that is ``end`` cycles long, each when it begins."""
    clock = Clock(simpy.Environment())
    timeline = Timeline(clock)
    for kind, start, stop in sorted(spans, key=lambda span: span[1]):
        _go_to(clock, start)
        timeline.add(kind, start, stop)
    _go_to(clock, end)
    return {kind: count for kind, count in timeline.cycles().items() if count}


def _go_to(clock: Clock, cycle: int) -> None:
    if cycle > clock.now:
        clock.env.run(cycle)


def test_cycles_side_by_side() -> None:
    assert shares(("fill", 0, 4), ("compute", 4, 10)) == {"fill": 4, "compute": 6}


def test_every_class_is_in_the_result() -> None:
    assert tuple(Timeline(Clock(simpy.Environment())).cycles()) == CLASSES


@pytest.mark.parametrize("first", range(len(CLASSES) - 1))
def test_the_earlier_class_takes_the_cycles_that_two_share(first: int) -> None:
    one, other = CLASSES[first], CLASSES[first + 1]
    assert shares((other, 0, 10), (one, 3, 8)) == {one: 5, other: 5}


def test_spans_of_one_class_count_their_union() -> None:
    assert shares(("drain", 0, 6), ("drain", 2, 4), ("drain", 5, 10)) == {"drain": 10}


def test_a_class_may_fill_several_gaps() -> None:
    found = shares(("compute", 2, 3), ("compute", 6, 7), ("write_stall", 0, 10))
    assert found == {"compute": 2, "write_stall": 8}


def test_what_lies_ahead_is_not_counted_yet() -> None:
    assert shares(("compute", 0, 6), ("vector", 4, 30)) == {"compute": 6, "vector": 4}


def test_a_span_may_end_when_nobody_knew() -> None:
    clock = Clock(simpy.Environment())
    timeline = Timeline(clock)
    waiting = timeline.begin("load_stall")
    clock.env.run(7)
    assert timeline.cycles()["load_stall"] == 7
    timeline.end(waiting)
    timeline.add("compute", 7, 9)
    clock.env.run(9)
    assert (timeline.cycles()["load_stall"], timeline.cycles()["compute"]) == (7, 2)


def test_many_spans_take_no_more_memory_than_few() -> None:
    """Ten thousand folds of three cycles; what is over is shared out, and forgotten."""
    clock = Clock(simpy.Environment())
    timeline = Timeline(clock)
    for start in range(0, 30_000, 3):
        timeline.add("fill", start, start + 1)
        timeline.add("compute", start + 1, start + 3)
        clock.env.run(start + 3)
        assert len(timeline._active) < 60
    assert (timeline.cycles()["fill"], timeline.cycles()["compute"]) == (10_000, 20_000)


def test_an_observer_is_told_every_span() -> None:
    clock = Clock(simpy.Environment())
    seen: list[Span] = []
    timeline = Timeline(clock, seen.append)
    waiting = timeline.begin("load_stall")
    clock.env.run(2)
    timeline.end(waiting)
    timeline.add("fill", 2, 5)
    timeline.add("drain", 5, 5)
    assert seen == [Span("load_stall", 0, 2), Span("fill", 2, 5)]


def test_a_hole_in_the_bookkeeping_is_an_error() -> None:
    with pytest.raises(ValueError, match="cycles 3 to 5 belong to no class"):
        shares(("compute", 0, 3), ("drain", 5, 10))
