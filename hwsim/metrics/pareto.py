"""Pareto fronts of cost against benefit."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(costs: Sequence[float], benefits: Sequence[float]) -> list[int]:
    """Return the indices of the points that no other beats: cost low, benefit high; cheapest first.

    A point is beaten by one that costs no more and brings no less, and is better in one of both. Equal
    points are all kept, in their order. Points with a NaN take no part.

    Raises:
        ValueError: not as many benefits as costs.
    """
    points = [
        (cost, -benefit, index)
        for index, (cost, benefit) in enumerate(zip(costs, benefits, strict=True))
        if not math.isnan(cost + benefit)
    ]
    front: list[int] = []
    last, best = (math.nan, math.nan), math.inf
    for cost, loss, index in sorted(points):
        if loss < best or (cost, loss) == last:
            front.append(index)
            last, best = (cost, loss), loss
    return front
