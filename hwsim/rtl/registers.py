"""Every register of the array, cycle by cycle, to be looked at: a slow twin of the compiled kernels.

The kernels step each fold by itself; here folds overlap as they do in hardware, with the control signals that this
takes. Whoever records is to compare the sums and events with the engine's (``wave`` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwsim.numerics.formats import IntArray
from hwsim.rtl.design import Product

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One cycle: what stands at each PE's ports before the clock edge that ends it.

    ``planes`` (rows, cols) by the name of the PE's port; ``overflow`` (rows + 1, cols); ``out_valid`` and
    ``out_sums`` (cols,), what leaves the array.
    """

    cycle: int
    planes: dict[str, IntArray]
    overflow: BoolArray
    out_valid: BoolArray
    out_sums: IntArray


def record(product: Product) -> Iterator[Snapshot]:
    """Yield the cycles of ``product``, from the first operand to the last output."""
    registers = _OutputStationary(product) if product.output_stationary else _WeightStationary(product)
    for cycle in range(product.total_cycles):
        yield registers.step(cycle)


@dataclass(eq=False)
class _Array:
    """What both dataflows share: the schedule, and registers that start at 0 after reset."""

    product: Product
    state: dict[str, IntArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        params = self.product.params
        self.rows, self.cols, self.length = params.rows, params.cols, self.product.length
        self.interval = self.product.timing.interval
        self.folds = self.product.outer_tiles * self.product.inner_tiles
        self.overlap = params.fold_overlap
        self.row: IntArray = np.arange(self.rows, dtype=np.int64)
        self.col: IntArray = np.arange(self.cols, dtype=np.int64)
        self.nothing = np.zeros(self.cols, np.int64)

    def step(self, cycle: int) -> Snapshot:
        """Return what stands at the ports in ``cycle`` and clock the registers."""
        raise NotImplementedError

    def place(self, times: IntArray, count: int) -> tuple[IntArray, IntArray, BoolArray]:
        """Return fold and place in it for times that count from the first fold's, and whether both exist."""
        fold, place = np.divmod(times, self.interval)
        return fold, place, (times >= 0) & (fold < self.folds) & (place < count)

    def held(self, name: str) -> IntArray:
        """Return a register plane."""
        return self.state.setdefault(name, np.zeros((self.rows, self.cols), np.int64))

    def from_left(self, name: str, entering: IntArray | BoolArray) -> IntArray:
        """Return what stands at the left ports: the neighbour's register, or what enters the row."""
        return np.concatenate([np.asarray(entering, np.int64)[:, None], self.held(name)[:, :-1]], axis=1)

    def from_above(self, name: str, entering: IntArray | BoolArray) -> IntArray:
        """Return what stands at the top ports: the register above, or what enters the column."""
        return np.concatenate([np.asarray(entering, np.int64)[None, :], self.held(name)[:-1]], axis=0)

    def checked(self, exact: IntArray) -> tuple[IntArray, BoolArray]:
        """Return what a register keeps of exact sums, and which of them overflow."""
        word, params = self.product.params.accumulator, self.product.params
        return word.fit(exact, params.overflow), (exact < word.min) | (exact > word.max)


def _fetch(matrix: IntArray, rows: IntArray, cols: IntArray, wanted: BoolArray) -> IntArray:
    """Return the elements at (rows, cols), 0 where none is wanted or the place lies past the matrix."""
    inside = wanted & (rows < matrix.shape[0]) & (cols < matrix.shape[1])
    return np.where(inside, matrix[np.where(inside, rows, 0), np.where(inside, cols, 0)], 0)


class _OutputStationary(_Array):
    """Sums stay; see os_pe.sv and os_sequencer.sv."""

    def step(self, cycle: int) -> Snapshot:
        """Return what stands at the ports in ``cycle`` and clock the registers."""
        planes = self._operands(cycle) | self._shifts(cycle)
        base = np.where(planes["first_in"] == 1, 0, self.held("accumulator"))
        following, outside = self.checked(base + planes["activation_in"] * planes["weight_in"])
        overflow = outside & (planes["valid_in"] == 1)
        sums = "accumulator" if self.overlap == "none" else "shadow"
        planes["sum_in"] = self.from_above(sums, self.nothing)
        planes["sum"] = self.held(sums).copy()
        planes["overflow"] = overflow.astype(np.int64)
        out_valid = self._draining(cycle) >= 0
        out_sums = planes["sum"][-1]
        self._clock(planes, following, sums)
        under = np.zeros((1, self.cols), np.bool_)
        return Snapshot(cycle, planes, np.concatenate([overflow, under]), out_valid, out_sums)

    def _operands(self, cycle: int) -> dict[str, IntArray]:
        product = self.product
        fold, k, valid = self.place(cycle - self.row, self.length)
        rows = fold // product.inner_tiles * self.rows + self.row
        planes = {
            "activation_in": self.from_left("activation_in", _fetch(product.activations, rows, k, valid)),
            "valid_in": self.from_left("valid_in", valid),
            "first_in": self.from_left("first_in", valid & (k == 0)),
        }
        if self.overlap != "none":
            planes["last_in"] = self.from_left("last_in", valid & (k == self.length - 1))
        fold, k, valid = self.place(cycle - self.col, self.length)
        cols = fold % product.inner_tiles * self.cols + self.col
        planes["weight_in"] = self.from_above("weight_in", _fetch(product.weights, k, cols, valid))
        return planes

    def _draining(self, cycle: int) -> IntArray:
        """Return how many rows have left each column before in the drain under way, -1 without one."""
        full = self.overlap == "full"
        start = self.length + self.rows - 1 + (self.col if full else self.nothing + self.cols - 1)
        _, drained, now = self.place(cycle - start, self.rows)
        return np.where(now, drained, -1)

    def _shifts(self, cycle: int) -> dict[str, IntArray]:
        """A row shifts as often as it has rows above."""
        drained = self._draining(cycle)[None, :]
        return {"shift_in": ((drained >= 0) & (drained < self.row[:, None])).astype(np.int64)}

    def _clock(self, planes: dict[str, IntArray], following: IntArray, sums: str) -> None:
        valid, shift = planes["valid_in"] == 1, planes["shift_in"] == 1
        added = np.where(valid, following, self.held("accumulator"))
        if sums == "accumulator":
            self.state["accumulator"] = np.where(shift, planes["sum_in"], added)
        else:
            shifted = np.where(shift, planes["sum_in"], self.held("shadow"))
            self.state["shadow"] = np.where(planes["last_in"] == 1, following, shifted)
            self.state["accumulator"] = added
        for name in ("activation_in", "weight_in", "valid_in", "first_in", "last_in"):
            if name in planes:
                self.state[name] = planes[name]


class _WeightStationary(_Array):
    """Weights stay; see ws_pe.sv, ws_sequencer.sv and accumulator_column.sv."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.accumulators = np.zeros((self.length, self.cols), np.int64)

    def step(self, cycle: int) -> Snapshot:
        """Return what stands at the ports in ``cycle`` and clock the registers."""
        planes = self._loads(cycle) | self._stream(cycle)
        weight, current = self.held("weight"), self.held("current")
        swapped = np.where(planes["swap_in"] == 1, weight, current)
        used = weight if self.overlap == "none" else swapped
        planes["sum_in"] = self.from_above("sum", self.nothing)
        following, outside = self.checked(planes["sum_in"] + planes["activation_in"] * used)
        overflow = outside & (planes["valid_in"] == 1)
        planes |= {"weight": weight, "sum": self.held("sum"), "overflow": overflow.astype(np.int64)}
        under, out_valid, out_sums = self._accumulate(cycle, planes["sum"][-1])
        self.state["sum"] = np.where(planes["valid_in"] == 1, following, self.held("sum"))
        self.state["weight"] = np.where(planes["load_in"] == 1, planes["weight_in"], weight)
        self.state["current"] = swapped
        for name in ("activation_in", "valid_in", "swap_in"):
            self.state[name] = planes[name]
        if self.overlap == "none":  # swap goes nowhere without a second weight
            self.state["swap_in"] = np.zeros_like(weight)
        return Snapshot(cycle, planes, np.concatenate([overflow, under[None]]), out_valid, out_sums)

    def _loads(self, cycle: int) -> dict[str, IntArray]:
        """The bottom row's weights come first, and a row takes none before those for it or for rows below."""
        skew = self.col if self.overlap == "full" else self.nothing
        fold, loaded, now = self.place(cycle - skew, self.rows)
        terms = fold % self.product.inner_tiles * self.rows + self.rows - 1 - loaded
        cols = fold // self.product.inner_tiles * self.cols + self.col
        entering = _fetch(self.product.weights, terms, cols, now)
        load = now[None, :] & (loaded[None, :] >= self.row[:, None])
        return {"weight_in": self.from_above("weight", entering), "load_in": load.astype(np.int64)}

    def _stream(self, cycle: int) -> dict[str, IntArray]:
        fold, index, valid = self.place(cycle - self.rows - self.row, self.length)
        terms = fold % self.product.inner_tiles * self.rows + self.row
        entering = _fetch(self.product.activations, index, terms, valid)
        return {
            "activation_in": self.from_left("activation_in", entering),
            "valid_in": self.from_left("valid_in", valid),
            "swap_in": self.from_left("swap_in", valid & (index == 0)),
        }

    def _accumulate(self, cycle: int, bottom: IntArray) -> tuple[BoolArray, BoolArray, IntArray]:
        """Store or add what leaves the bottom; return overflows, which columns are complete, and their sums."""
        fold, index, valid = self.place(cycle - 2 * self.rows - self.col, self.length)
        tile = fold % self.product.inner_tiles
        place = (np.where(valid, index, 0), self.col)
        kept = np.where(tile == 0, 0, self.accumulators[place])
        result, outside = self.checked(kept + bottom)
        self.accumulators[place] = np.where(valid, result, self.accumulators[place])
        overflow = valid & (tile != 0) & outside
        return overflow, valid & (tile == self.product.inner_tiles - 1), result
