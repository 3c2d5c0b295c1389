"""Where the cycles of the best design go, layer by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from hwsim.report.design import DesignSpace, key_name
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.plots.stacks import draw_rows, part_legend
from hwsim.report.style import CYCLE_COLOURS, panels
from hwsim.report.time_steps import labels
from hwsim.results.layer_result import CYCLE_PARTS

# compute first, whatever is overhead after it
_PARTS = ("compute_cycles", *(part for part in CYCLE_PARTS if part != "compute_cycles"))
_COLOURS = {part: CYCLE_COLOURS[part.removesuffix("_cycles").replace("_", " ")] for part in _PARTS}


def latency_per_layer(frames: SweepFrames) -> Drawing:
    """One panel per workload: its most accurate design (then least energy), one bar per layer, time steps in one."""
    space = DesignSpace.of(frames.done)
    best = {workload: space.best(workload) for workload in space.workloads}
    layers = {workload: _rows(frames.of_point(frames.layers, point["point"])) for workload, point in best.items()}
    longest = max(len(rows) for rows in layers.values())
    if longest == 0:
        raise NotApplicableError("the workloads have no layers")
    figure, axes = panels(len(best), width_inches=5.2, height_inches=1.5 + 0.36 * longest)
    for panel, (workload, point) in zip(axes, best.items(), strict=True):
        parts = layers[workload].set_index("layer")[list(_PARTS)]
        draw_rows(panel, parts, _COLOURS, total_format="{:,.0f}", room_for=longest)
        panel.set_title(f"{workload}: {point['total_cycles']:,} cycles, {point['latency_ms']:.3g} ms")
        panel.set_xlabel(f"{cycles_label(frames.batches[point['point']])}\n{space.caption(point)}")
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    part_legend(figure, {_name(part): colour for part, colour in _COLOURS.items()}, "cycles", top_down=False)
    figure.suptitle(f"Latency per layer of {space.best_name}")
    return Drawing(figure, _data(layers))


def cycles_label(batch: int) -> str:
    """Return what cycles are counted for: the samples that the machine takes at once."""
    return "cycles per inference" if batch == 1 else f"cycles for {batch} inferences at once"


def _rows(layers: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each bar: a layer, or all time steps of one."""
    together = layers.assign(layer=layers["layer"].map(labels(layers)))
    return together.groupby(["point", "layer"], sort=False)[["total_cycles", *_PARTS]].sum().reset_index()


def _name(part: str) -> str:
    return key_name(part.removesuffix("_cycles"))


def _data(layers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["point", "workload", "layer", "total_cycles", *_PARTS]
    return pd.concat([rows.assign(workload=workload) for workload, rows in layers.items()])[columns]
