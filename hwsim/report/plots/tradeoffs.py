"""Two figures of every point against each other, with the Pareto front: energy, latency, accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from hwsim.metrics.pareto import pareto_front
from hwsim.report.design import BITS, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import accuracy_axis, energy_unit, latency_unit, panels

_FRONT_LINE: dict[str, Any] = {"color": "black", "linewidth": 1.2, "alpha": 0.7}
_LABEL_STEP_POINTS = 11
SAME = 1e-3  # figures closer than this, as a part of the greatest, are taken for equal


@dataclass(frozen=True, slots=True)
class _Cost:
    """A figure that should be low: its column, and what a unit is for a largest value."""

    column: str
    name: str
    label: str
    unit: Callable[[float], tuple[float, str]]

    def refuse_if_equal(self, space: DesignSpace) -> None:
        """Raise where no workload has two values of it."""
        values = space.points.groupby("workload")[self.column]
        if (values.min() >= (1 - SAME) * values.max()).all():
            raise NotApplicableError(f"all points of a workload take the same {self.name}, within a thousandth")

    def scaled(self, values: pd.Series[float]) -> tuple[float, str]:
        """Return how much of the column a unit is, and the label of an axis in it."""
        amount, sign = self.unit(values.max())
        return amount, f"{self.label} ({sign})"


_ENERGY = _Cost("energy_pj", "energy", "energy per inference", energy_unit)
_LATENCY = _Cost("latency_ms", "latency", "latency", latency_unit)


def energy_against_accuracy(frames: SweepFrames) -> Drawing:
    """One panel per workload: every point, and the front of those that no other beats in both figures."""
    return _against_accuracy(frames, _ENERGY)


def latency_against_accuracy(frames: SweepFrames) -> Drawing:
    """One panel per workload: every point, and the front of those that no other beats in both figures."""
    return _against_accuracy(frames, _LATENCY)


def energy_against_latency(frames: SweepFrames) -> Drawing:
    """One panel per workload: every point, and the front of those that no other beats in both figures."""
    space = _space(frames.done)
    for cost in (_LATENCY, _ENERGY):
        cost.refuse_if_equal(space)

    def set_up(panel: Axes, points: pd.DataFrame) -> float:
        energies = points[_ENERGY.column]
        amount, label = _ENERGY.scaled(energies)
        panel.set_ylabel(label)
        panel.set_ylim(_limits(energies / amount))
        _number_axis(panel, "y")
        return amount

    return _drawing(space, _LATENCY, _ENERGY.column, set_up, "Energy against latency")


def _against_accuracy(frames: SweepFrames, cost: _Cost) -> Drawing:
    done = frames.done
    labelled = done[done["accuracy"].notna()]
    if labelled.empty:
        raise NotApplicableError("no point has an accuracy: the workloads have no labels")
    space = _space(labelled)
    cost.refuse_if_equal(space)
    if (space.points.groupby("workload")["accuracy"].nunique() == 1).all():
        raise NotApplicableError("all points of a workload have the same accuracy")

    def set_up(panel: Axes, points: pd.DataFrame) -> float:
        accuracy_axis(panel, space.points["accuracy"])
        panel.set_ylabel("accuracy" if points["workload"].iloc[0] == space.workloads[0] else "")
        return 1.0

    return _drawing(space, cost, "accuracy", set_up, f"{cost.name.capitalize()} against accuracy")


def _space(points: pd.DataFrame) -> DesignSpace:
    space = DesignSpace.of(points)
    if len(space.points) == len(space.workloads):
        raise NotApplicableError("each workload has one point only")
    return space


def _drawing(
    space: DesignSpace, cost: _Cost, upward: str, set_up: Callable[[Axes, pd.DataFrame], float], title: str
) -> Drawing:
    """Draw a cost to the right and another column upwards; ``set_up`` prepares that axis and returns its unit."""
    encoding = Encoding.of(space, BITS if space.bits else None)
    share_y = upward == "accuracy"
    figure, axes = panels(len(space.workloads), share_y=share_y, width_inches=4.6, height_inches=4.2)
    fronts, labels = [], []
    for panel, workload in zip(axes, space.workloads, strict=True):
        points = space.of_workload(workload)
        front = _front(points, cost, upward)
        amount, label = cost.scaled(points[cost.column])
        up = set_up(panel, points)
        for line, looks in encoding.lines(points):
            panel.plot(line[cost.column] / amount, line[upward] / up, **(looks | {"linestyle": "none"}))
        across, upwards = front[cost.column] / amount, front[upward] / up
        panel.step(across, upwards, where="post", zorder=1.5, **_FRONT_LINE)
        panel.set(title=workload, xlabel=label)
        panel.set_xlim(_limits(points[cost.column] / amount))
        _number_axis(panel, "x")
        fronts.append(front)
        labels += _name_front(panel, space, front, list(zip(across, upwards, strict=True)), rises=share_y)
    encoding.legend(figure, [Line2D([], [], label=_front_name(space), **_FRONT_LINE)])
    figure.suptitle(title)
    _spread(figure, labels)
    on_front = space.points["point"].isin(pd.concat(fronts)["point"])
    return Drawing(figure, _data(space, (cost.column, upward), on_front))


def _front(points: pd.DataFrame, cost: _Cost, upward: str) -> pd.DataFrame:
    benefits = points[upward] if upward == "accuracy" else -points[upward]
    return points.iloc[pareto_front(points[cost.column].tolist(), benefits.tolist())]


def _front_name(space: DesignSpace) -> str:
    return f"Pareto front, with\n{space.bits.label}" if space.bits else "Pareto front, with\nnumber of the point"


def _name_front(
    panel: Axes, space: DesignSpace, front: pd.DataFrame, places: list[tuple[float, float]], *, rises: bool
) -> list[Annotation]:
    """Label the front's points; of neighbours with one name the last."""
    names = (front[BITS] if space.bits else "#" + front["point"].astype(str)).tolist()
    last_of_its_name = [name != following for name, following in zip(names, [*names[1:], None], strict=True)]
    return [
        _label(panel, name, place, left=rises)
        for name, place, last in zip(names, places, last_of_its_name, strict=True)
        if last
    ]


def _limits(values: pd.Series[float]) -> tuple[float, float]:
    """Start at 0, unless the points lie so close together that they would stand on one line."""
    low, high = values.min(), values.max()
    spread = (high - low) or 0.1 * high or 1.0
    start = 0.0 if low < high / 2 else low - spread / 4
    return start, high + 0.06 * (high - start or spread)


def _number_axis(panel: Axes, which: Literal["x", "y"]) -> None:
    panel.ticklabel_format(axis=which, useOffset=False)
    panel.locator_params(axis=which, nbins=6)


def _label(panel: Axes, text: str, place: tuple[float, float], *, left: bool) -> Annotation:
    """Write above the point, left of a front that rises and right of one that falls, where there is room."""
    return panel.annotate(
        text,
        place,
        xytext=(-3 if left else 3, 5),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom",
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
    )


def _spread(figure: Figure, labels: list[Annotation]) -> None:
    """Raise labels until none covers one that stands already; a thin line leads back to the point."""
    figure.draw_without_rendering()
    standing: list[Bbox] = []
    for label in labels:
        for _ in labels:
            if not any(_text_box(label).overlaps(box) for box in standing):
                break
            right, up = label.get_position()
            label.set_position((right, up + _LABEL_STEP_POINTS))
        standing.append(_text_box(label).padded(1))


def _text_box(label: Annotation) -> Bbox:
    """Return where the text stands in a figure once laid out, without its line to the point."""
    return Text.get_window_extent(label)


def _data(space: DesignSpace, figures: tuple[str, str], on_front: pd.Series[bool]) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, *figures]
    return space.points[list(dict.fromkeys(columns))].assign(pareto_front=on_front)
