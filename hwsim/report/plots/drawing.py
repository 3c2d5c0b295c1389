"""What a plot hands back, and how it becomes files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hwsim.report.style import PNG_DOTS_PER_INCH
from hwsim.results.files import write_bytes, write_text

SUFFIXES = (".png", ".svg", ".csv")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and the data behind it, in the units of the results."""

    figure: Figure
    data: pd.DataFrame


class NotApplicableError(Exception):
    """The sweep has nothing that this plot could show; the text says why. No error for the user."""


def write_drawing(drawing: Drawing, folder: Path, name: str) -> tuple[Path, ...]:
    """Write ``name`` as PNG, SVG and CSV, each at once; the same data gives the same bytes."""
    return (
        write_bytes(folder / f"{name}.png", _rendered(drawing.figure, "png", {"Software": None})),
        write_bytes(folder / f"{name}.svg", _rendered(drawing.figure, "svg", {"Date": None, "Creator": "hwsim"})),
        write_text(folder / f"{name}.csv", drawing.data.to_csv(index=False, lineterminator="\n")),
    )


def remove_drawing(folder: Path, name: str) -> None:
    """Remove the files that ``write_drawing`` wrote earlier: they show a sweep that is no more."""
    for suffix in SUFFIXES:
        (folder / f"{name}{suffix}").unlink(missing_ok=True)


def _rendered(figure: Figure, image_format: str, metadata: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=image_format, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()
