"""What the command line does with the RTL: ``check --rtl``, ``export rtl``, ``rtl area``, ``run --vcd``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hwsim.array.params import GemmShape
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.output import Column, print_json, print_lines, print_paths, print_table
from hwsim.cli.run_files import check_targets
from hwsim.cli.wording import one_of
from hwsim.compilation import lowering_options
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.rtl.area import area
from hwsim.rtl.design import SOURCES
from hwsim.rtl.layers import LayerProduct, compare_products, export_layers, layer_products, random_product
from hwsim.rtl.lockstep import Agreement
from hwsim.rtl.wave import write_vcd
from hwsim.samples import Samples, select_samples

MOST_GEMM = 4096


@dataclass(frozen=True, slots=True)
class RtlRequest:
    """The arguments of ``hwsim check --rtl``."""

    architecture: str
    workload: str | None
    inputs: Path | None
    calibration: Path | None
    gemm: str | None
    layer: str | None
    seed: int
    simulator: str | None
    overrides: tuple[str, ...]
    as_json: bool


def check_rtl(request: RtlRequest) -> None:
    """Compare the stepped engine with the RTL and print what agreed.

    Raises:
        CheckFailedError: they differ; the text names the first difference.
        ConfigError: a wrong argument, or no simulator.
    """
    simulator = request.simulator
    if simulator is not None:
        simulator = one_of(simulator, ["verilator", "icarus"], "simulator")
    agreements = compare_products(_products(request), simulator)
    if request.as_json:
        print_json({"differences": 0, "layers": {name: asdict(one) for name, one in agreements.items()}})
        return
    print_table(
        [
            Column("product", numeric=False),
            *map(Column, ("accumulators", "overflow events", "codes", "table codes", "array cycles", "MAC cycles")),
            Column("simulator", numeric=False),
        ],
        [_row(name, one) for name, one in agreements.items()],
    )
    print_lines("0 differences between the stepped engine and the RTL, cycle by cycle")


def _row(name: str, one: Agreement) -> list[str]:
    figures = (one.values, one.events, one.codes, one.table_codes, one.total_cycles, one.mac_cycles)
    return [name, *(f"{figure:,}" for figure in figures), one.simulator]


def _products(request: RtlRequest) -> list[LayerProduct]:
    """Return the products to compare: a random one, or layers of a workload's first sample or batch."""
    if request.gemm is not None and request.workload is not None:
        raise ConfigError("--gemm and a workload; allowed: one of them")
    if request.layer is not None and request.workload is None:
        raise ConfigError("--layer without a workload; allowed: both")
    if request.workload is not None:
        spec, workload = read_spec_and_workload(
            request.architecture, request.overrides, request.workload, request.calibration
        )
        values, _ = read_samples(workload, request.inputs, None)
        chosen = select_samples(workload, inputs=values, labels=None, samples=None)
        return layer_products(spec, chosen, request.layer)
    spec = load_arch(request.architecture, request.overrides)
    return [random_product(spec, _shape(request.gemm, spec), request.seed)]


def _shape(text: str | None, spec: ArchSpec) -> GemmShape:
    """Read ROWSxDEPTHxCOLS; by default a product with partial tiles in every direction."""
    rows, cols = spec.array.rows, spec.array.cols
    if text is None:
        return GemmShape(rows + 3, 2 * rows + 1, cols + 2)
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})x(\d{1,5})", text)
    sizes = [int(part) for part in found.groups()] if found else []
    if not sizes or not all(1 <= size <= MOST_GEMM for size in sizes):
        raise ConfigError(
            f"--gemm {text}; allowed: out_rows, depth and out_cols as in 20x64x16, each from 1 to {MOST_GEMM}"
        )
    return GemmShape(*sizes)


def export(
    architecture: str,
    workload: str,
    folder: Path,
    inputs: Path | None,
    calibration: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Write the configured RTL of every layer with its images and golden traces.

    Raises:
        ConfigError: a wrong argument, or something that has no RTL.
    """
    spec, read = read_spec_and_workload(architecture, overrides, workload, calibration)
    check_targets(folder)
    values, _ = read_samples(read, inputs, None)
    *layers, _ = export_layers(spec, select_samples(read, inputs=values, labels=None, samples=None), folder)
    print_paths(("layer", str(path)) for path in layers)
    print_lines(f"next: make -C {folder}")


def print_area(architecture: str, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Synthesize PE, requantizer and table with Yosys and print cells and flip-flops.

    Raises:
        ConfigError: Yosys is not installed, or the scheme has no RTL.
    """
    spec = load_arch(architecture, overrides)
    options = lowering_options(spec)
    product = random_product(spec, GemmShape(1, 1, 1), seed=0)
    found = area(
        product.params, requantizer=options.requantizer, lut=options.lut, output_bits=spec.array.activation_bits
    )
    units = {name: asdict(getattr(found, name)) for name in ("pe", "requantizer", "lut")}
    if as_json:
        print_json(units)
        return
    names: Mapping[str, str] = {
        "pe": f"PE, {spec.array.dataflow}",
        "requantizer": "requantizer lane",
        "lut": "LUT lane",
    }
    columns = list(units["pe"])
    print_table(
        [Column("unit", numeric=False), *(Column(name.replace("_", " ")) for name in columns)],
        [[names[unit], *(f"{figures[name]:,}" for name in columns)] for unit, figures in units.items()],
    )


def print_sources() -> None:
    """Print the SystemVerilog files."""
    print_lines(*(str(path) for path in sorted(SOURCES.glob("*.sv"))))


@dataclass(frozen=True, slots=True)
class WaveRequest:
    """What ``hwsim run --vcd`` draws: a layer (the first if None) and folds FIRST:END of its product."""

    file: Path
    layer: str | None
    folds: str


def write_waves(spec: ArchSpec, chosen: Samples, request: WaveRequest) -> Path:
    """Write the registers of some folds of one layer, for the first sample or batch, as a VCD file.

    Raises:
        ConfigError: no such layer or folds.
    """
    found = re.fullmatch(r"(\d+):(\d+)", request.folds)
    if not found or int(found[1]) >= int(found[2]):
        raise ConfigError(f"--vcd-folds {request.folds}; allowed: FIRST:END such as 0:1, END not included")
    first = layer_products(spec, chosen, request.layer)[0]
    partial = request.file.with_name(f"{request.file.name}.partial")
    write_vcd(first.params, first.activations, first.weights, partial, range(int(found[1]), int(found[2])))
    return partial.replace(request.file)
