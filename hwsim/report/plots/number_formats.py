"""What each number format of the MACs loses and costs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from hwsim.report.design import NUMBER_FORMAT, DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots.drawing import Drawing, NotApplicableError
from hwsim.report.style import PALETTE, energy_unit, panels

_FORMAT = "format"
_FIGURES = ("accuracy", "sqnr_db", "energy_pj", "latency_ms")
_PE = "pe_energy_pj"
_BARS = 0.84
_SHADE = "#00000070"


def number_formats(frames: SweepFrames) -> Drawing:
    """Accuracy, noise, energy and latency; a group of bars per format, a bar per workload, its most accurate point."""
    done = frames.done
    if NUMBER_FORMAT not in done or done[NUMBER_FORMAT].nunique() < 2:
        raise NotApplicableError("all points compute with one number format")
    points = _best(done, frames.energy)
    workloads = DesignSpace.of(done).workloads
    figure, axes = panels(len(_FIGURES), width_inches=4.6, height_inches=3.2, columns=2)
    pj_per_unit, unit = energy_unit(points["energy_pj"].max())
    shown = points.assign(
        accuracy=100 * points["accuracy"].astype(float),
        energy_pj=points["energy_pj"] / pj_per_unit,
        pe_energy_pj=points[_PE] / pj_per_unit,
    )
    titles = ("accuracy (%)", "SQNR of the outputs (dB)", f"energy per inference ({unit})", "latency (ms)")
    for panel, name, title in zip(axes, _FIGURES, titles, strict=True):
        _draw(panel, shown, name, workloads)
        panel.set_title(title)
    handles = [Patch(color=PALETTE[place], label=name) for place, name in enumerate(workloads)]
    figure.legend(handles=[*handles, Patch(color=_SHADE, label="of it in the PEs")], loc="outside right center")
    figure.suptitle("Number formats")
    return Drawing(figure, points[["point", "workload", NUMBER_FORMAT, _FORMAT, *_FIGURES, _PE]])


def _best(points: pd.DataFrame, energy: pd.DataFrame) -> pd.DataFrame:
    """Return the point of each workload and format that is most accurate; of equal ones that of least energy."""
    named = points.assign(**{_FORMAT: [_name(point) for _, point in points.iterrows()]})
    order = named.sort_values(["accuracy", "energy_pj", "point"], ascending=[False, True, True])
    best = order.drop_duplicates(["workload", _FORMAT]).sort_values("point")
    in_pes = energy[energy["component"] == "pe"].groupby("point")["energy_pj"].sum()
    return best.assign(pe_energy_pj=best["point"].map(in_pes).fillna(0.0))


def _name(point: pd.Series[Any]) -> str:
    """Return ``fp16``, ``int8``, or ``int4×8`` for weights of 4 and activations of 8 bits."""
    if pd.isna(point["weight_bits"]):
        return str(point[NUMBER_FORMAT])
    weights, activations = int(point["weight_bits"]), int(point["activation_bits"])
    return f"int{weights}" if weights == activations else f"int{weights}×{activations}"


def _draw(panel: Axes, points: pd.DataFrame, figure: str, workloads: list[str]) -> None:
    formats = list(dict.fromkeys(points[_FORMAT]))
    width = _BARS / len(workloads)
    for number, workload in enumerate(workloads):
        own = points[points["workload"] == workload].set_index(_FORMAT).reindex(formats)
        places = [place + (number - (len(workloads) - 1) / 2) * width for place in range(len(formats))]
        heights = own[figure].astype(float)
        bars = panel.bar(places, heights.fillna(0.0), width=width, color=PALETTE[number])
        texts = ["" if pd.isna(height) else f"{height:.3g}" for height in heights]
        panel.bar_label(bars, texts, fontsize=7, rotation=90, padding=2)
        if figure == "energy_pj":
            panel.bar(places, own[_PE].astype(float).fillna(0.0), width=width, color=_SHADE)
    panel.margins(y=0.16)
    panel.set_xticks(range(len(formats)), [name.replace("_", "\n") for name in formats])
    panel.grid(visible=False, axis="x")
