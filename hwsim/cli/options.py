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
    typer.Option(metavar="FILE", help="Samples to quantize a network of reals by, .npy or .npz; else the workload's."),
]
Labels = Annotated[Path | None, typer.Option(metavar="FILE", help="Class numbers of --inputs, .npy.")]
Samples = Annotated[int | None, typer.Option(metavar="N", help="Run the first N samples only.")]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="stepped: every register, every cycle; functional: equal, faster.  [default: stepped]",
        show_default=False,
    ),
]
RunFolder = Annotated[Path | None, typer.Option(metavar="DIR", help="Write result.json and CSV tables here.")]
DumpTensors = Annotated[Path | None, typer.Option(metavar="FILE", help="Write every tensor's integers to this .npz.")]
Vcd = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the array's registers to this .vcd (waves).")]
VcdLayer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The layer that --vcd shows.  [default: the first]", show_default=False),
]
VcdFolds = Annotated[
    str | None,
    typer.Option(metavar="FIRST:END", help="The folds that --vcd shows.  [default: 0:1]", show_default=False),
]
RandomValues = Annotated[
    int | None,
    typer.Option(metavar="SEED", min=0, help="Fill a workload of shapes alone with random integers."),
]
Trace = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what each unit does when to this .json, for ui.perfetto.dev."),
]
Engines = Annotated[bool, typer.Option("--engines", help="Run both engines and compare all they compute.")]
Oracle = Annotated[
    str | None,
    typer.Option(
        metavar="ORACLE",
        help="Compare every tensor of a file with an installed interpreter's: tflm, litert_reference, "
        "litert_optimized or xnnpack (.tflite), onnxruntime (.onnx).",
    ),
]
Rtl = Annotated[bool, typer.Option("--rtl", help="Run the array in SystemVerilog too, and compare cycle by cycle.")]
Gemm = Annotated[
    str | None, typer.Option(metavar="RxDxC", help="--rtl: a random product, out_rows x depth x out_cols.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Of --rtl's random product or --against's samples.  [default: 0]",
        show_default=False,
    ),
]
Simulator = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="--rtl: verilator or icarus.  [default: by size]", show_default=False),
]
