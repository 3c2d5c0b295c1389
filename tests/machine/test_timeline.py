"""Each cycle belongs to the first active class."""

from __future__ import annotations

import pytest

from hwsim.machine.timeline import CLASSES, Span, split


def shares(*spans: Span, start: int = 0, end: int = 10) -> dict[str, int]:
    return {kind: count for kind, count in split(spans, start, end).items() if count}


def test_cycles_side_by_side() -> None:
    assert shares(Span("fill", 0, 4), Span("compute", 4, 10)) == {"fill": 4, "compute": 6}


def test_every_class_is_in_the_result() -> None:
    assert tuple(split([], 3, 3)) == CLASSES


@pytest.mark.parametrize("first", range(len(CLASSES) - 1))
def test_the_earlier_class_takes_the_cycles_that_two_share(first: int) -> None:
    one, other = CLASSES[first], CLASSES[first + 1]
    assert shares(Span(other, 0, 10), Span(one, 3, 8)) == {one: 5, other: 5}


def test_spans_of_one_class_count_their_union() -> None:
    assert shares(Span("drain", 0, 6), Span("drain", 2, 4), Span("drain", 5, 10)) == {"drain": 10}


def test_a_class_may_fill_several_gaps() -> None:
    found = shares(Span("compute", 2, 3), Span("compute", 6, 7), Span("write_stall", 0, 10))
    assert found == {"compute": 2, "write_stall": 8}


def test_what_lies_outside_is_cut_off() -> None:
    assert shares(Span("compute", -5, 6), Span("vector", 4, 30)) == {"compute": 6, "vector": 4}


def test_a_hole_in_the_bookkeeping_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 of cycles 0 to 10 belong to no class"):
        split([Span("compute", 0, 3), Span("drain", 5, 10)], 0, 10)
