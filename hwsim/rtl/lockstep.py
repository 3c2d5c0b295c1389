"""The stepped engine and the RTL on the same product, compared event for event and bit for bit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwsim.array.params import ArrayParams
from hwsim.errors import CheckFailedError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import Lut
from hwsim.numerics.requantize import Requantizer
from hwsim.rtl.build import SimulatorName, build, choose_simulator
from hwsim.rtl.design import Product, build_design, build_product
from hwsim.rtl.images import write_images
from hwsim.rtl.trace import Record, Trace, read_trace, stepped_trace

_NAMES = {"O": "accumulator", "Q": "requantized code", "L": "table's code"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was compared and found equal.

    ``values`` accumulators, each with the cycle in which it appears, ``events`` overflows (cycle, row, column),
    ``codes`` requantized and ``table_codes`` looked-up values, each with its cycle; ``total_cycles``, ``mac_cycles``.
    """

    values: int
    events: int
    codes: int
    table_codes: int
    total_cycles: int
    mac_cycles: int
    simulator: SimulatorName


def compare_gemm(
    params: ArrayParams,
    activations: IntArray,
    weights: IntArray,
    *,
    requantizer: Requantizer | None = None,
    lut: Lut | None = None,
    bias: IntArray | None = None,
    simulator: str | None = None,
    folder: Path | None = None,
    sources: Mapping[str, str] | None = None,
) -> Agreement:
    """Run (out_rows, depth) activations times (depth, out_cols) weights on both and compare everything.

    Under ``overflow: error`` both go on as if it were ``wrap``, so that all events are compared.

    Args:
        params: the array.
        activations, weights: integer codes inside their formats.
        requantizer: is applied to the sums (plus ``bias``, one per output column), and compared.
        lut: is applied to the requantized codes, and compared.
        bias: (out_cols,); 0 if None.
        simulator: ``verilator`` or ``icarus``; None chooses by size among those installed.
        folder: keeps memory images and trace; a temporary one if None.
        sources: other texts of the SystemVerilog files, by name.

    Raises:
        CheckFailedError: they differ; the text names the first difference in time.
        ConfigError: operands that the array cannot hold, something that has no RTL, no simulator.
    """
    product = build_product(params, activations, weights, requantizer, lut, bias)
    expected = stepped_trace(product)
    chosen = choose_simulator(simulator, params.rows * params.cols * product.total_cycles)
    found = run_rtl(product, chosen, folder, sources)
    difference = first_difference(product, expected, found)
    if difference:
        raise CheckFailedError(difference)
    return Agreement(
        values=expected.count("O"),
        events=expected.count("E"),
        codes=expected.count("Q"),
        table_codes=expected.count("L"),
        total_cycles=expected.total_cycles,
        mac_cycles=expected.mac_cycles,
        simulator=chosen,
    )


def run_rtl(
    product: Product,
    simulator: SimulatorName,
    folder: Path | None = None,
    sources: Mapping[str, str] | None = None,
) -> Trace:
    """Return what the RTL does with ``product``; ``folder`` keeps its files, a temporary one goes.

    Raises:
        ConfigError: the simulator refuses the sources or fails.
    """
    simulation = build(build_design(product, sources), simulator)
    with tempfile.TemporaryDirectory(prefix="hwsim-rtl-") as temporary:
        work = folder or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        write_images(work, product)
        simulation.run(work)
        return read_trace(work / "trace.txt")


def first_difference(product: Product, expected: Trace, found: Trace) -> str | None:
    """Name the first difference in time between engine and RTL, or return None."""
    engine, rtl = set(expected.records), set(found.records)
    if engine != rtl:
        first = min(engine ^ rtl, key=lambda record: (record.cycle, record.kind, record.row, record.col))
        return _describe(product, first, engine, rtl)
    if len(rtl) != len(found.records):
        return "the RTL reports something twice"
    for name in ("total_cycles", "mac_cycles"):
        ours, theirs = getattr(expected, name), getattr(found, name)
        if ours != theirs:
            return f"{name}: engine {ours}, RTL {theirs}"
    return None


def _describe(product: Product, first: Record, engine: set[Record], rtl: set[Record]) -> str:
    if first.kind == "E":
        place = f"row {first.row}, column {first.col}"
        sides = ("engine overflows", "RTL does not") if first in engine else ("engine does not overflow", "RTL does")
        return f"cycle {first.cycle}, {place}: {sides[0]}, {sides[1]}"
    ours, theirs = _same_place(first, engine), _same_place(first, rtl)
    row, col = (first.col, first.row) if product.transposed else (first.row, first.col)
    lane = f"column {first.col % product.params.cols} of the array"
    return (
        f"cycle {first.cycle}, {lane}: {_NAMES[first.kind]} of output ({row}, {col}): "
        f"engine {_value(ours, first)}, RTL {_value(theirs, first)}"
    )


def _same_place(first: Record, records: set[Record]) -> Record | None:
    for record in records:
        if (record.kind, record.row, record.col) == (first.kind, first.row, first.col):
            return record
    return None


def _value(record: Record | None, first: Record) -> str:
    if record is None:
        return "none"
    return str(record.value) if record.cycle == first.cycle else f"{record.value} in cycle {record.cycle}"
