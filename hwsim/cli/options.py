"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Arch = Annotated[str, typer.Argument(metavar="ARCH", help="An architecture: a YAML file, or a shipped name.")]
Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help="A workload: a folder, a file, or a shipped name.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the architecture, e.g. array.rows=32; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Inputs = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Samples to run, .npy or .npz, first axis the sample; else the workload's."),
]
Calibration = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Samples to quantize a network of reals by, .npy; else the workload's."),
]
Labels = Annotated[Path | None, typer.Option(metavar="FILE", help="Class numbers of --inputs, .npy.")]
Samples = Annotated[int | None, typer.Option(metavar="N", help="Run the first N samples only.")]
