"""Energy against accuracy, with the Pareto front."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from hwsim.metrics.pareto import pareto_front
from hwsim.report.design import BITS, DesignSpace
from hwsim.report.encoding import Encoding
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import accuracy_axis, energy_unit, panels

_FRONT_LINE: dict[str, Any] = {"color": "black", "linewidth": 1.2, "alpha": 0.7}
_LABEL_STEP_POINTS = 11
SAME_ENERGY = 1e-3


def energy_against_accuracy(frames: SweepFrames) -> Drawing:
    """One panel per workload: every point, and the front of those that no other beats in both figures."""
    done = frames.done
    space = DesignSpace.of(done[done["accuracy"].notna()])
    if space.points.empty:
        raise NotApplicableError("no point has an accuracy: the workloads have no labels")
    if len(space.points) == len(space.workloads):
        raise NotApplicableError("each workload has one point only")
    if _energies_are_equal(space):
        raise NotApplicableError("all points of a workload take the same energy, within a thousandth")
    encoding = Encoding.of(space, BITS if space.bits else None)
    figure, axes = panels(len(space.workloads), share_y=True, width_inches=4.6, height_inches=4.2)
    fronts = {workload: _front(space.of_workload(workload)) for workload in space.workloads}
    labels = [
        label
        for panel, workload in zip(axes, space.workloads, strict=True)
        for label in _draw_workload(panel, space, workload, fronts[workload], encoding)
    ]
    axes[0].set_ylabel("accuracy")
    encoding.legend(figure, [Line2D([], [], label=_front_name(space), **_FRONT_LINE)])
    figure.suptitle("Energy against accuracy")
    _spread(figure, labels)
    on_front = pd.concat(fronts.values())["point"]
    return Drawing(figure, _data(space, space.points["point"].isin(on_front)))


def _energies_are_equal(space: DesignSpace) -> bool:
    energies = space.points.groupby("workload")["energy_pj"]
    return bool((energies.min() >= (1 - SAME_ENERGY) * energies.max()).all())


def _front(points: pd.DataFrame) -> pd.DataFrame:
    return points.iloc[pareto_front(points["energy_pj"].tolist(), points["accuracy"].tolist())]


def _front_name(space: DesignSpace) -> str:
    return f"Pareto front, with\n{space.bits.label}" if space.bits else "Pareto front, with\nnumber of the point"


def _draw_workload(
    panel: Axes, space: DesignSpace, workload: str, front: pd.DataFrame, encoding: Encoding
) -> list[Annotation]:
    points = space.of_workload(workload)
    pj_per_unit, unit = energy_unit(points["energy_pj"].max())
    for line, looks in encoding.lines(points):
        panel.plot(line["energy_pj"] / pj_per_unit, line["accuracy"], **(looks | {"linestyle": "none"}))
    energies, accuracies = front["energy_pj"] / pj_per_unit, front["accuracy"]
    panel.step(energies, accuracies, where="post", zorder=1.5, **_FRONT_LINE)
    panel.set(title=workload, xlabel=f"energy per inference ({unit})")
    _energy_axis(panel, points["energy_pj"] / pj_per_unit)
    accuracy_axis(panel, space.points["accuracy"])
    names = (front[BITS] if space.bits else "#" + front["point"].astype(str)).tolist()
    last_of_its_name = [name != following for name, following in zip(names, [*names[1:], None], strict=True)]
    return [
        _label(panel, name, (energy, accuracy))
        for name, energy, accuracy, last in zip(names, energies, accuracies, last_of_its_name, strict=True)
        if last
    ]


def _energy_axis(panel: Axes, energies: pd.Series[float]) -> None:
    """Start at 0, unless the points lie so close together that they would stand on one line."""
    low, high = energies.min(), energies.max()
    spread = (high - low) or 0.1 * high or 1.0
    left = 0.0 if low < high / 2 else low - spread / 4
    panel.set_xlim(left, high + 0.06 * (high - left or spread))
    panel.ticklabel_format(axis="x", useOffset=False)
    panel.xaxis.set_major_locator(MaxNLocator(6))


def _label(panel: Axes, text: str, place: tuple[float, float]) -> Annotation:
    """Write above and left of the point, where the front leaves room."""
    return panel.annotate(
        text,
        place,
        xytext=(-3, 5),
        textcoords="offset points",
        ha="right",
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


def _data(space: DesignSpace, on_front: pd.Series[bool]) -> pd.DataFrame:
    keys = [key for key in space.keys if key != BITS]
    columns = ["point", "workload", "weight_bits", "activation_bits", *keys, "energy_pj", "accuracy"]
    return space.points[list(dict.fromkeys(columns))].assign(pareto_front=on_front)
