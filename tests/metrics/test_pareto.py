"""Pareto fronts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.metrics.pareto import pareto_front


def test_the_front_goes_from_cheap_to_good() -> None:
    assert pareto_front(costs=[5, 1, 3, 4], benefits=[0.9, 0.5, 0.8, 0.7]) == [1, 2, 0]


def test_a_point_that_costs_more_for_the_same_is_beaten() -> None:
    assert pareto_front(costs=[1, 2], benefits=[0.5, 0.5]) == [0]


def test_a_point_that_brings_less_at_the_same_cost_is_beaten() -> None:
    assert pareto_front(costs=[1, 1], benefits=[0.5, 0.6]) == [1]


def test_equal_points_are_all_kept() -> None:
    assert pareto_front(costs=[1, 0, 1], benefits=[0.5, 0.2, 0.5]) == [1, 0, 2]


def test_points_without_figures_take_no_part() -> None:
    assert pareto_front(costs=[1, math.nan, 0], benefits=[0.5, 1, math.nan]) == [0]
    assert pareto_front([], []) == []


def test_costs_and_benefits_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pareto_front([1, 2], [1])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_the_front_is_what_no_other_point_beats(points: list[tuple[int, int]]) -> None:
    def beaten(cost: int, benefit: int) -> bool:
        return any(
            other_cost <= cost and other_benefit >= benefit and (other_cost, other_benefit) != (cost, benefit)
            for other_cost, other_benefit in points
        )

    expected = {index for index, point in enumerate(points) if not beaten(*point)}
    costs, benefits = [cost for cost, _ in points], [benefit for _, benefit in points]
    front = pareto_front(costs, benefits)
    assert set(front) == expected
    assert len(front) == len(expected)
    assert [costs[index] for index in front] == sorted(costs[index] for index in front)
