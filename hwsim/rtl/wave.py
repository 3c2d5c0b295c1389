"""Waves: the array's registers as a VCD file, under the names that they have in the RTL's own waves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from hwsim.array.params import ArrayParams
from hwsim.array.results import GemmResult
from hwsim.array.stepped import SteppedEngine
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.rtl.design import Product, build_product
from hwsim.rtl.registers import Snapshot, record
from hwsim.rtl.trace import output_cycles

if TYPE_CHECKING:
    from vcd.writer import Variable, VCDWriter

BENCH = "testbench.configured.bench"
CYCLE_TIME = 10  # time units of a cycle, as in testbench.sv
CYCLE_BITS = 32


def write_vcd(
    params: ArrayParams,
    activations: IntArray,
    weights: IntArray,
    file: Path,
    folds: range = range(1),
) -> None:
    """Write the waves of some consecutive folds of (out_rows, depth) activations times (depth, out_cols) weights.

    A cycle takes 10 time units; time 10 * t is the start of cycle t, counted from the product's first operand, and
    what is shown is what stands there until the clock edge that ends it. PE(r, c) is ``….array.row[r].col[c].pe``.
    Input stationary is drawn as what it is, the weight-stationary array on the transposed product. All cycles up to
    the window's end are stepped, at some hundred microseconds each.

    Raises:
        ConfigError: operands that the array cannot hold, or folds that the product does not have.
        CheckFailedError: sums or events differ from the stepped engine's.
    """
    product = build_product(params, activations, weights)
    window = _window(product, folds)
    reference = _Reference(product)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("w", encoding="ascii") as stream:
            _write(product, window, reference, stream)
    except CheckFailedError:
        with suppress(OSError):
            file.unlink()
        raise


def _window(product: Product, folds: range) -> range:
    """Return the cycles of the folds, from the first's first to the last's last."""
    total = product.outer_tiles * product.inner_tiles
    if len(folds) == 0 or folds.step != 1 or folds.start < 0 or folds.stop > total:
        raise ConfigError(f"waves of folds {folds.start}:{folds.stop}; allowed: FIRST:END inside 0:{total}")
    timing = product.timing
    end = (folds.stop - 1) * timing.interval + timing.duration + timing.tail
    return range(folds.start * timing.interval, end)


def _write(product: Product, window: range, reference: _Reference, stream: TextIO) -> None:
    from vcd import VCDWriter

    with VCDWriter(stream, timescale="1 ns", init_timestamp=window.start * CYCLE_TIME) as writer:
        signals: _Signals | None = None
        for snapshot in record(product):
            if snapshot.cycle >= window.stop:
                break
            reference.check(snapshot)
            if snapshot.cycle in window:
                signals = signals or _Signals(writer, product, snapshot)
                signals.show(snapshot)
        writer.close(window.stop * CYCLE_TIME)


class _Reference:
    """The stepped engine's sums and events, to be met cycle by cycle."""

    def __init__(self, product: Product) -> None:
        self._result: GemmResult = SteppedEngine().gemm(product.params, product.activations, product.weights)
        self._cycles = output_cycles(product)
        self._cols = product.params.cols

    def check(self, snapshot: Snapshot) -> None:
        """Compare one cycle.

        Raises:
            CheckFailedError: an event or an output differs.
        """
        events = self._result.overflow.events
        first, last = np.searchsorted(events[:, 0], [snapshot.cycle, snapshot.cycle + 1])
        rows, cols = np.nonzero(snapshot.overflow)
        same_events = np.array_equal(events[first:last, 1:], np.stack([rows, cols], axis=1))
        rows, cols = np.nonzero(self._cycles == snapshot.cycle)
        lanes = cols % self._cols
        same_sums = np.array_equal(self._result.output[rows, cols], snapshot.out_sums[lanes])
        if not (same_events and same_sums and snapshot.out_valid[lanes].all()):
            raise CheckFailedError(f"cycle {snapshot.cycle}: recorded registers differ from the stepped engine's")


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of the design: its scope, name and width."""

    scope: str
    name: str
    bits: int


def core_scope(product: Product) -> str:
    """Return the scope of the core in the RTL's hierarchy."""
    return f"{BENCH}.{'output_stationary' if product.output_stationary else 'weight_stationary'}.core"


def port_bits(product: Product) -> dict[str, int]:
    """Return the width of each PE port; those that are not listed have one bit."""
    params = product.params
    operands = {"activation_in": params.activations.bits, "weight_in": params.weights.bits}
    sums = {"sum_in": params.accumulator.bits, "sum": params.accumulator.bits}
    return operands | sums | {"weight": params.weights.bits}


class _Signals:
    """The variables of a VCD file and how a snapshot fills them."""

    def __init__(self, writer: VCDWriter, product: Product, example: Snapshot) -> None:
        self._writer = writer
        core = core_scope(product)
        rows, cols = product.params.rows, product.params.cols
        bits = port_bits(product)
        self._cycle = self._register(Signal(BENCH, "cycle", CYCLE_BITS))
        self._overflow = self._register(Signal(core, "overflow", (rows + 1) * cols))
        self._out_valid = self._register(Signal(core, "out_valid", cols))
        self._ports = {
            (name, r, c): self._register(Signal(f"{core}.array.row[{r}].col[{c}].pe", name, bits.get(name, 1)))
            for name in example.planes
            for r in range(rows)
            for c in range(cols)
        }
        self._masks = {name: (1 << bits.get(name, 1)) - 1 for name in example.planes}

    def _register(self, signal: Signal) -> Variable[int]:
        return self._writer.register_var(signal.scope, signal.name, "wire", size=signal.bits, init=0)

    def show(self, snapshot: Snapshot) -> None:
        """Write what changes in this cycle."""
        time = snapshot.cycle * CYCLE_TIME
        for variable, value in self._values(snapshot):
            self._writer.change(variable, time, value)

    def _values(self, snapshot: Snapshot) -> Iterator[tuple[Variable[int], int]]:
        yield self._cycle, snapshot.cycle
        yield self._overflow, _bits(snapshot.overflow.ravel().tolist())
        yield self._out_valid, _bits(snapshot.out_valid.tolist())
        planes = {name: plane.tolist() for name, plane in snapshot.planes.items()}
        for (name, r, c), variable in self._ports.items():
            yield variable, planes[name][r][c] & self._masks[name]


def _bits(flags: list[bool]) -> int:
    """Return flags as a word, the first in bit 0."""
    return sum(1 << place for place, flag in enumerate(flags) if flag)
