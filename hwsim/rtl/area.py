"""Cells and flip-flops of the units at their configured widths, from Yosys."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.array.params import ArrayParams, Dataflow
from hwsim.errors import ConfigError
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.rtl.build import call
from hwsim.rtl.design import address_bits, pe_parameters, read_sources
from hwsim.rtl.lanes import BIAS_BITS, check_interpolation, rounding_code

# generic gates of two inputs, without a technology; memories stay memories
_SYNTHESIS = """\
read_verilog -sv {sources}
chparam {settings} {top}
hierarchy -check -top {top}
proc; flatten; opt -full; wreduce; alumacc; share; opt
tee -q -o memories.json stat -json
memory -nomap; opt_clean
techmap; opt -fast; abc -fast; opt -fast; clean
tee -q -o stat.json stat -json
"""


@dataclass(frozen=True, slots=True)
class UnitArea:
    """One unit in generic two-input gates: ``cells`` without flip-flops and memories, ``memory_bits`` of tables."""

    cells: int
    flip_flops: int
    memory_bits: int = 0


@dataclass(frozen=True, slots=True)
class Area:
    """One processing element, one requantizer lane, one activation table."""

    pe: UnitArea
    requantizer: UnitArea
    lut: UnitArea


def area(
    params: ArrayParams,
    *,
    requantizer: RequantizerOptions | None = None,
    lut: LutOptions | None = None,
    output_bits: int = 8,
) -> Area:
    """Synthesize PE, requantizer and table with Yosys at the widths of ``params`` and the options.

    ``output_bits`` is the width of the requantized codes, signed or unsigned.

    Raises:
        ConfigError: Yosys is not installed or refuses the design, or the scheme has no RTL.
    """
    if shutil.which("yosys") is None:
        raise ConfigError("Yosys is not installed; get it with `apt install yosys`")
    unit, table = requantizer or RequantizerOptions(), lut or LutOptions()
    check_interpolation(table)
    chip = params.transposed if params.dataflow is Dataflow.INPUT_STATIONARY else params
    pe = "os_pe" if chip.dataflow is Dataflow.OUTPUT_STATIONARY else "ws_pe"
    return Area(
        pe=_synthesize(pe, pe_parameters(chip)),
        requantizer=_synthesize("requantizer", _requantizer_parameters(chip, unit, output_bits)),
        lut=_synthesize("activation_lut", _lut_parameters(table, output_bits)),
    )


def _requantizer_parameters(params: ArrayParams, options: RequantizerOptions, output_bits: int) -> dict[str, int]:
    return {
        "ACC_BITS": params.accumulator.bits,
        "BIAS_BITS": BIAS_BITS,
        "MULTIPLIER_BITS": 1 if options.scheme == "power_of_two" else options.multiplier_bits,
        "OUT_BITS": output_bits + 1,
        "ROUNDING": rounding_code(options),
    }


def _lut_parameters(options: LutOptions, output_bits: int) -> dict[str, int]:
    return {
        "IN_BITS": output_bits + 1,
        "OUT_BITS": options.output_bits + 1,
        "ADDRESS_BITS": address_bits(options.entries),
        "LINEAR": int(options.interpolation == "linear"),
    }


def _synthesize(top: str, parameters: dict[str, int]) -> UnitArea:
    sources = {name: text for name, text in read_sources().items() if name in _needed(top)}
    settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    with tempfile.TemporaryDirectory(prefix="hwsim-area-") as work:
        for name, text in sources.items():
            (Path(work) / name).write_text(text, encoding="utf-8")
        script = _SYNTHESIS.format(sources=" ".join(sources), settings=settings, top=top)
        (Path(work) / "area.ys").write_text(script, encoding="ascii")
        call(["yosys", "-q", "-s", "area.ys"], Path(work))
        gates, memories = (_statistics(Path(work) / name) for name in ("stat.json", "memories.json"))
    return _count(gates["num_cells_by_type"], memories["num_memory_bits"])


def _needed(top: str) -> tuple[str, ...]:
    return (f"{top}.sv", "multiply.sv", "checked_add.sv") if top.endswith("_pe") else (f"{top}.sv",)


def _statistics(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))["design"]


def _count(cells: dict[str, int], memory_bits: int) -> UnitArea:
    flip_flops = sum(count for kind, count in cells.items() if "DFF" in kind)
    memories = sum(count for kind, count in cells.items() if kind.startswith("$mem"))
    return UnitArea(sum(cells.values()) - flip_flops - memories, flip_flops, memory_bits)
