"""The commands and their options. Bodies are elsewhere, so that ``hwsim --help`` imports none of what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim import __version__
from hwsim.cli.command_group import Commands
from hwsim.cli.groups import analyze_app, export_app, import_app, rtl_app
from hwsim.cli.options import (
    Arch,
    AsJson,
    Calibration,
    DumpTensors,
    Engine,
    Engines,
    Force,
    Gemm,
    Inputs,
    Labels,
    Oracle,
    RandomValues,
    Rtl,
    RunFolder,
    Samples,
    Seed,
    Settings,
    Simulator,
    Trace,
    Vcd,
    VcdFolds,
    VcdLayer,
    Workload,
)

EPILOG = """\b
Exit codes:
  0    ok
  2    wrong usage, configuration or input file
  3    unsupported workload
  4    a check failed
  5    some points of a sweep failed
  6    an accumulator overflowed under overflow: error
  130  interrupted
"""

app = typer.Typer(
    cls=Commands,
    help="Simulate integer neural-network accelerators round a systolic array, cycle by cycle and bit for bit.",
    epilog=EPILOG,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hwsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    architecture: Arch,
    workload: Workload,
    inputs: Inputs = None,
    labels: Labels = None,
    calibration: Calibration = None,
    samples: Samples = None,
    engine: Engine = None,
    settings: Settings = None,
    out: RunFolder = None,
    dump_tensors: DumpTensors = None,
    vcd: Vcd = None,
    vcd_layer: VcdLayer = None,
    vcd_folds: VcdFolds = None,
    random_values: RandomValues = None,
    trace: Trace = None,
    as_json: AsJson = False,
) -> None:
    """Run a workload on an architecture.

    Prints cycles, utilization, energy and overflow events of each layer, and latency and accuracy of the whole.

    With mapping.batch, figures of layers, cycles and latency are a whole batch's; MACs and energy in the totals of
    --json are one inference's. Overflow events are counted over all samples, and listed one by one (--json, --out) for
    the first sample or batch.
    """
    from hwsim.cli.run import RunRequest, run_once

    run_once(
        RunRequest(
            architecture,
            workload,
            inputs,
            labels,
            calibration,
            samples,
            engine,
            tuple(settings or ()),
            out,
            dump_tensors,
            vcd,
            vcd_layer,
            vcd_folds,
            random_values,
            trace,
            as_json,
        )
    )


@app.command()
def sweep(
    file: Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep: a YAML file, or a shipped name.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results go.  [default: results/NAME]", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Processes.  [default: one per processor]", show_default=False)
    ] = None,
    samples: Annotated[int | None, typer.Option(metavar="N", help="Run the first N samples at each point.")] = None,
    calibration: Calibration = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and list the points; run none.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored points first; else they are kept.")] = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw plots at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run the points of a sweep, and plot them.

    Points that are stored already are not run again, so a sweep that was interrupted goes on where it stopped.
    """
    from hwsim.cli.sweep import SweepRequest, sweep_points

    sweep_points(SweepRequest(file, out, jobs, samples, calibration, dry_run, fresh, plots, as_json))


@app.command()
def plot(
    path: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a sweep's or a run's results, or the file of a trace.")
    ],
    as_json: AsJson = False,
) -> None:
    """Draw the plots of a sweep's stored results, or of a single run's, or a picture of a trace."""
    from hwsim.cli.plot import draw_plots

    draw_plots(path, as_json=as_json)


@app.command()
def check(
    architecture: Arch,
    workload: Annotated[
        str | None, typer.Argument(metavar="WORKLOAD", help="A workload: a folder, a file, or a shipped name.")
    ] = None,
    engines: Engines = False,
    against: Oracle = None,
    inputs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Samples for --engines, --against or --rtl, .npy or .npz.")
    ] = None,
    calibration: Calibration = None,
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Samples that are compared.  [default: --engines 1, --against all of --inputs or 10 random ones]",
            show_default=False,
        ),
    ] = None,
    rtl: Rtl = False,
    gemm: Gemm = None,
    named_workload: Annotated[
        str | None, typer.Option("--workload", metavar="WORKLOAD", help="The same as the argument.")
    ] = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="--rtl: this layer only.")] = None,
    seed: Seed = None,
    simulator: Simulator = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check an architecture, and that a workload fits it.

    With a workload, each layer's plan is shown, with the accumulator bits that suffice for its weights.
    """
    from hwsim.cli.check import CheckRequest, RtlOptions, check_all

    check_all(
        CheckRequest(
            architecture,
            workload,
            named_workload,
            engines,
            against,
            inputs,
            calibration,
            samples,
            seed,
            tuple(settings or ()),
            as_json,
            RtlOptions(rtl, gemm, layer, simulator),
        )
    )


@app.command()
def explain(
    architecture: Arch,
    workload: Workload,
    layer: Annotated[str, typer.Option(metavar="NAME", help="The dense layer or convolution.")],
    output: Annotated[
        str, typer.Option(metavar="INDEX", help="Which output: a number, row-major, or an index such as 0,3,5.")
    ] = "0",
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="Which sample.")] = 0,
    terms: Annotated[int, typer.Option(metavar="N", min=0, help="How many of the first terms to show.")] = 8,
    inputs: Inputs = None,
    calibration: Calibration = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Work one output of a layer out by hand, as a textbook does.

    Scales and zero points, the sum term by term, the requantization stage by stage; compared with the network's run.
    """
    from hwsim.cli.explain import ExplainRequest, explain_output

    explain_output(
        ExplainRequest(
            architecture, workload, layer, output, sample, terms, inputs, calibration, tuple(settings or ()), as_json
        )
    )


@app.command()
def schema(kind: Annotated[str, typer.Argument(metavar="KIND", help="arch, sweep or workload.")]) -> None:
    """Print the JSON Schema of a kind of YAML file."""
    from hwsim.cli.files import print_schema

    print_schema(kind)


@app.command(name="list")
def list_names(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="architectures, sweeps, workloads, dataflows, energy-tables, calibrators, repairs, "
            "requantization-schemes or formats (of numbers).",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List what there is by name."""
    from hwsim.cli.listing import print_names

    print_names(kind, as_json=as_json)


@app.command()
def init(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="arch, sweep or workload.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write; for a workload, the folder.")],
    force: Force = False,
) -> None:
    """Write a commented YAML file to start from."""
    from hwsim.cli.files import write_template

    write_template(kind, path, force=force)


app.add_typer(analyze_app, name="analyze")
app.add_typer(export_app, name="export")
app.add_typer(import_app, name="import")
app.add_typer(rtl_app, name="rtl")
