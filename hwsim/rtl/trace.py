"""What a run shows from outside, as records in time: from the stepped engine and from the RTL's trace.txt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from hwsim.array.engine import Engine
from hwsim.array.results import GemmResult
from hwsim.array.stepped import SteppedEngine
from hwsim.numerics.formats import IntArray
from hwsim.rtl.design import Product
from hwsim.rtl.lanes import CODE_CYCLES, TABLE_CYCLES

Kind = Literal["E", "O", "Q", "L"]
_ORDER = {"E": 0, "O": 1, "Q": 2, "L": 3}


class Record(NamedTuple):
    """One thing that happened, in the array's own rows and columns.

    ``kind``: E an overflowing add in PE (row, col), O an output (row, col) that left the array with ``value``, Q its
    requantized code, L the table's code.
    """

    kind: str
    cycle: int
    row: int
    col: int
    value: int = 0

    def line(self) -> str:
        """Return the record as the test bench writes it."""
        value = "" if self.kind == "E" else f" {self.value}"
        return f"{self.kind} {self.cycle} {self.row} {self.col}{value}"


@dataclass(frozen=True, slots=True)
class Trace:
    """All records of a run, and its cycles."""

    records: tuple[Record, ...]
    total_cycles: int
    mac_cycles: int

    def count(self, kind: Kind) -> int:
        """Return how many records of a kind there are."""
        return sum(record.kind == kind for record in self.records)

    def text(self, cols: int) -> str:
        """Return the file that the test bench of an array with ``cols`` columns writes."""
        ordered = sorted(self.records, key=lambda record: _place_in_file(record, cols))
        lines = [record.line() for record in ordered]
        return "\n".join([*lines, f"C {self.total_cycles} {self.mac_cycles}"]) + "\n"


def _place_in_file(record: Record, cols: int) -> tuple[int, int, int, int]:
    """Within a cycle: events by row and column, then outputs lane by lane."""
    if record.kind == "E":
        return record.cycle, 0, record.row, record.col
    return record.cycle, 1, record.col % cols, _ORDER[record.kind]


def stepped_trace(product: Product, engine: Engine | None = None) -> Trace:
    """Return what the stepped engine, the requantizer and the table make of ``product``.

    Cycles of outputs follow from the timing of the folds.
    """
    result = (engine or SteppedEngine()).gemm(product.params, product.activations, product.weights)
    records = [Record("E", *(int(part) for part in event)) for event in result.overflow.events]
    cycles = output_cycles(product)
    records.extend(_outputs("O", cycles, result.output))
    records.extend(_lane_records(product, result, cycles))
    return Trace(tuple(records), result.total_cycles, result.mac_cycles)


def _lane_records(product: Product, result: GemmResult, cycles: IntArray) -> Iterator[Record]:
    lanes = product.lanes
    if lanes is None:
        return
    sums = result.output.T if product.transposed else result.output
    codes = lanes.requantizer.apply(sums + lanes.bias)
    yield from _outputs("Q", cycles + CODE_CYCLES, codes.T if product.transposed else codes)
    if lanes.lut is not None:
        looked_up = lanes.lut.look_up(codes)
        late = cycles + CODE_CYCLES + TABLE_CYCLES
        yield from _outputs("L", late, looked_up.T if product.transposed else looked_up)


def _outputs(kind: Kind, cycles: IntArray, values: IntArray) -> Iterator[Record]:
    rows, cols = np.indices(values.shape)
    columns = (part.ravel().tolist() for part in (cycles, rows, cols, values))
    for cycle, row, col, value in zip(*columns, strict=True):
        yield Record(kind, cycle, row, col, value)


def output_cycles(product: Product) -> IntArray:
    """Return (out_rows, out_cols): the cycle in which each output leaves the array.

    Output stationary: the bottom row first, from cycle ``rows + cols + depth - 2`` of its fold on, under full
    overlap column c from ``rows + depth - 1 + c``. Weight stationary: the cycle of the last add under the array.
    """
    params, interval = product.params, product.timing.interval
    rows, cols = np.indices((product.shape.out_rows, product.shape.out_cols))
    lane = cols % params.cols
    if product.output_stationary:
        fold = rows // params.rows * product.inner_tiles + cols // params.cols
        full = params.fold_overlap == "full"
        start = product.length + params.rows - 1 + (lane if full else params.cols - 1)
        return fold * interval + start + params.rows - 1 - rows % params.rows
    fold = cols // params.cols * product.inner_tiles + product.inner_tiles - 1
    return fold * interval + 2 * params.rows + rows + lane


def read_trace(file: Path) -> Trace:
    """Return the trace in ``file``; cycles are 0 where the run did not end."""
    return _parse(file.read_text(encoding="ascii").splitlines())


def _parse(lines: Iterable[str]) -> Trace:
    records = []
    cycles = (0, 0)
    for line in lines:
        kind, *numbers = line.split()
        if kind == "C":
            cycles = (_number(numbers[0]), _number(numbers[1]))
        else:
            records.append(Record(kind, *map(_number, numbers)))
    return Trace(tuple(records), *cycles)


def _number(text: str) -> int:
    """Read a decimal; an unknown value (x) of a simulator becomes one that no register holds."""
    return int(text) if text.lstrip("-").isdigit() else 1 << 63
