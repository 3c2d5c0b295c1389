"""What the energy goes into: over operand widths, or per layer where there is one width only."""

from __future__ import annotations

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from hwsim.energy.account import ACTION_ENERGIES
from hwsim.report.design import BITS, CAPTION_CHARACTERS, DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.plots.stacks import draw_columns, draw_rows, part_legend
from hwsim.report.style import BROWN, NEUTRAL, PALETTE, energy_unit, panels
from hwsim.report.time_steps import labels

_COMPONENTS = tuple(dict.fromkeys(component for component, _ in ACTION_ENERGIES))
_COLOURS = dict(zip(_COMPONENTS, (*PALETTE, NEUTRAL, BROWN), strict=True))


def energy_per_component(frames: SweepFrames) -> Drawing:
    """One panel per workload; all bars are designs that differ from the most accurate one in their width only."""
    space = DesignSpace.of(frames.done)
    if frames.energy.empty:
        raise NotApplicableError("no point has an account of its energy")
    bar = "layer" if space.bits is None else BITS
    tables = {workload: _energies(frames, space, workload, bar) for workload in space.workloads}
    most_bars = max(table[bar].nunique() for table in tables.values())
    figure, axes = panels(len(tables), width_inches=4.6, height_inches=3.8 if bar == BITS else 1.5 + 0.36 * most_bars)
    for panel, (workload, table) in zip(axes, tables.items(), strict=True):
        _draw_workload(panel, space, workload, _parts(table, bar), most_bars)
    data = pd.concat(tables.values())
    shown = {name: colour for name, colour in _COLOURS.items() if data["component"].eq(name).any()}
    part_legend(figure, shown, "energy", top_down=bar == BITS)
    figure.suptitle(f"Energy per component {'over operand width' if bar == BITS else 'and layer'}")
    return Drawing(figure, data.drop(columns=BITS, errors="ignore"))


def _energies(frames: SweepFrames, space: DesignSpace, workload: str, bar: str) -> pd.DataFrame:
    """Return the energy per component of each bar: of one width, or of one layer of the best design."""
    points, best = space.of_workload(workload), space.best(workload)
    for key in space.keys:
        if key != BITS:
            points = points[points[key].eq(best[key])]
    if space.bits is not None:
        points = points.sort_values(space.bits.column)
    points = points.drop_duplicates(BITS)  # two points of one design are equal
    energy = points[["point", "workload", "weight_bits", "activation_bits", BITS]]
    energy = energy.merge(frames.energy_per_inference, on="point")
    energy = energy.assign(layer=energy["layer"].map(labels(frames.of_point(frames.layers, best["point"]))))
    keys = ["point", "workload", "weight_bits", "activation_bits", bar, "component"]
    return energy.groupby(keys, sort=False)["energy_pj"].sum().reset_index()


def _parts(table: pd.DataFrame, bar: str) -> pd.DataFrame:
    """Return one row per bar, one column per component, both in drawing order."""
    parts = table.pivot_table(index=bar, columns="component", values="energy_pj", aggfunc="sum", fill_value=0.0)
    components = [name for name in _COLOURS if name in parts.columns]
    return parts.reindex(index=list(dict.fromkeys(table[bar])), columns=components)


def _draw_workload(panel: Axes, space: DesignSpace, workload: str, parts: pd.DataFrame, most_bars: int) -> None:
    pj_per_unit, unit = energy_unit(parts.sum(axis="columns").max())
    best = space.best(workload)
    panel.set_title(workload)
    if space.bits is None:
        draw_rows(panel, parts / pj_per_unit, _COLOURS, total_format="{:.3g}", room_for=most_bars)
        panel.set_xlabel(f"energy per inference ({unit})\n{space.caption(best)}")
        return
    draw_columns(panel, parts / pj_per_unit, _COLOURS)
    panel.set_ylabel(f"energy per inference ({unit})")
    fixed = fill(space.describe(best, without=(BITS,)), CAPTION_CHARACTERS)
    panel.set_xlabel("\n".join(filter(None, [space.bits.label, fixed])))
