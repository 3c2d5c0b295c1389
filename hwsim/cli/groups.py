"""The commands that come in groups: ``analyze``, ``export``, ``rtl`` and ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hwsim.cli.options import Arch, AsJson, Calibration, Force, Inputs, Labels, Samples, Settings, Workload

analyze_app = typer.Typer(help="Find out why a result is as it is.", no_args_is_help=True, rich_markup_mode=None)
export_app = typer.Typer(help="Write designs for other tools.", no_args_is_help=True, rich_markup_mode=None)
rtl_app = typer.Typer(help="The array in SystemVerilog.", no_args_is_help=True, rich_markup_mode=None)
import_app = typer.Typer(help="Read designs of other tools.", no_args_is_help=True, rich_markup_mode=None)

OnnxFile = Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx file to write.")]
RealScales = Annotated[
    bool,
    typer.Option(
        "--real-scales",
        help="Multiply reals, as integer kernels are fused from and trainers write; float32 sums then round ties.",
    ),
]
EXACT_CODES = """

    {reader} computes every code as hwsim does with requantizer.rounding_profile=onnxruntime: products sum whole
    numbers, which float32 holds up to 2^24, and are multiplied once; wider activations are cut into parts whose sums
    are added as integers. --real-scales gives products the scales of their tensors instead: a sum within the rounding
    of float32 of a tie may give the next code.
    """


@analyze_app.command(name="error")
def analyze_error(
    architecture: Arch,
    workload: Workload,
    inputs: Inputs = None,
    labels: Labels = None,
    calibration: Calibration = None,
    samples: Samples = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write result.json, CSV tables and a plot here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare each layer's output with the float network's.

    Signal-to-quantization-noise ratio, mean and worst error, and how much the ranges clip, beside accuracy.
    """
    from hwsim.cli.analyze_error import ErrorRequest, analyze_error

    analyze_error(
        ErrorRequest(architecture, workload, inputs, labels, calibration, samples, tuple(settings or ()), out, as_json)
    )


@analyze_app.command(name="guard-bits")
def analyze_guard_bits(
    architecture: Arch,
    workload: Workload,
    inputs: Inputs = None,
    calibration: Calibration = None,
    samples: Samples = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Find the guard bits that each layer needs.

    Exactly for the samples, in the order in which the dataflow adds; and by two bounds: for the layer's weights with
    any activations, and for any operands of its widths and depth.
    """
    from hwsim.cli.analyze_guard_bits import GuardBitsRequest, analyze_guard_bits

    analyze_guard_bits(
        GuardBitsRequest(architecture, workload, inputs, calibration, samples, tuple(settings or ()), as_json)
    )


@export_app.command(name="rtl")
def export_rtl(
    architecture: Arch,
    workload: Workload,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    inputs: Inputs = None,
    calibration: Calibration = None,
    settings: Settings = None,
) -> None:
    """Write each layer's RTL with memory images, golden trace and a Makefile.

    `make` in the folder runs every layer with Verilator and Icarus; it needs no Python.
    """
    from hwsim.cli.rtl import export

    export(architecture, workload, folder, inputs, calibration, tuple(settings or ()))


def _add_onnx_command(kind: Literal["qdq", "qonnx"], purpose: str, reader: str) -> None:
    """Add the command that writes one kind of ONNX file."""

    @export_app.command(name=kind, help=purpose + EXACT_CODES.format(reader=reader))
    def export_onnx(
        architecture: Arch,
        workload: Workload,
        file: OnnxFile,
        calibration: Calibration = None,
        settings: Settings = None,
        real_scales: RealScales = False,
    ) -> None:
        from hwsim.cli.export import write_onnx

        write_onnx(kind, architecture, workload, file, calibration, tuple(settings or ()), real_scales=real_scales)


_add_onnx_command(
    "qdq",
    "Write the quantized network as ONNX with QuantizeLinear and DequantizeLinear (opset 21).",
    "ONNX Runtime",
)
_add_onnx_command("qonnx", "Write the quantized network as QONNX: Quant nodes of any width.", "QONNX's executor")


@rtl_app.command(name="area")
def rtl_area(architecture: Arch, settings: Settings = None, as_json: AsJson = False) -> None:
    """Synthesize PE, requantizer and LUT with Yosys, and count cells and flip-flops."""
    from hwsim.cli.rtl import print_area

    print_area(architecture, tuple(settings or ()), as_json=as_json)


@rtl_app.command(name="sources")
def rtl_sources() -> None:
    """Print where the SystemVerilog files lie."""
    from hwsim.cli.rtl import print_sources

    print_sources()


@import_app.command(name="scalesim")
def import_scalesim(
    config: Annotated[Path, typer.Argument(metavar="CFG", help="SCALE-Sim's configuration file.")],
    paths: Annotated[
        list[Path], typer.Argument(metavar="[TOPOLOGY] DIR", help="A topology to copy; the folder to write to.")
    ],
    force: Force = False,
) -> None:
    """Write a SCALE-Sim configuration as an architecture, and say what has no counterpart.

    A topology (.csv) is a workload as it is: hwsim run ARCH TOPOLOGY.csv.
    """
    from hwsim.cli.importing import import_scalesim as write

    write(config, paths, force=force)
