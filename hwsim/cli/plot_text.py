"""What has become of the plots of a sweep, as lines or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.report.plots import PlotOutcome


def plots_json(outcomes: Iterable[PlotOutcome]) -> list[dict[str, Any]]:
    """Return plain values: each plot's name, its files, and why there are none."""
    return [
        {"name": one.name, "paths": [str(path) for path in one.paths], "skipped_reason": one.skipped_reason}
        for one in outcomes
    ]


def plot_facts(outcomes: Sequence[PlotOutcome]) -> Iterator[tuple[str, str]]:
    """Yield each plot's first file with the suffixes of the others, then what was skipped and why."""
    for one in outcomes:
        if one.paths:
            first, *others = one.paths
            also = ", ".join(path.suffix for path in others)
            yield "plot", f"{first} (also {also})" if also else str(first)
    for one in outcomes:
        if not one.paths:
            yield "skipped", f"{one.name}: {one.skipped_reason}"
