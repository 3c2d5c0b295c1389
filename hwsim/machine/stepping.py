"""Folds whose operands have been read, on their way through the engine while the clock goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.array.engine import Engine, FoldOperands
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayParams, Dataflow
from hwsim.array.results import FoldsResult
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

BATCH_PE_CYCLES = 1 << 24  # some milliseconds of a thread
MOST_FOLDS = 64  # of a batch, whose events take memory
LONGEST_BATCH = 8  # times as many, where a chain is longer: what goes on with a chain waits for the batch before
BATCHES_PER_THREAD = 2

Action = Callable[[], None]
Outputs = tuple[int, int, int, int, int]
"""What a fold adds to: its group, and where its rows and its columns begin and end."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldWork:
    """A fold of a group, with its operands as the scratchpads held them."""

    group: int
    fold: Fold
    operands: FoldOperands

    @property
    def shape(self) -> tuple[int, ...]:
        """Depth and width."""
        return self.operands.weights.shape

    @property
    def outputs(self) -> Outputs:
        """What it adds to."""
        rows, cols = self.fold.out_rows, self.fold.out_cols
        return self.group, rows.start, rows.stop, cols.start, cols.stop


@dataclass(slots=True, eq=False)
class _Batch:
    """Folds that run together, and after each of them what is to be done once it is through.

    ``chains`` numbers the outputs that they add to, ``sums_of`` says which fold is the last that adds to them, and
    ``earlier`` holds, for folds that go on with the sums of another batch, that batch.
    """

    works: list[FoldWork] = field(default_factory=list)
    actions: list[list[Action]] = field(default_factory=list)
    chains: dict[Outputs, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    earlier: dict[int, _Batch] = field(default_factory=dict)
    pe_cycles: int = 0
    future: Future[FoldsResult] | None = None

    def add(self, work: FoldWork, pe_cycles: int) -> None:
        self.works.append(work)
        self.actions.append([])
        self.numbers.append(self.chains.setdefault(work.outputs, len(self.chains)))
        self.pe_cycles += pe_cycles

    def is_full(self, times: int) -> bool:
        """Tell whether it holds so many times what a batch holds."""
        return len(self.works) >= times * MOST_FOLDS or self.pe_cycles >= times * BATCH_PE_CYCLES

    def operands(self) -> list[FoldOperands]:
        """Return what the folds work on, once the batches that they go on with are through."""
        found = [one.operands for one in self.works]
        for place, batch in self.earlier.items():
            found[place] = replace(found[place], accumulators=batch.sums(self.works[place].outputs))
        return found

    def sums(self, outputs: Outputs) -> IntArray:
        """Wait, and return what the last of the folds that add to these outputs has left there."""
        assert self.future is not None  # noqa: S101  (a batch that others go on with was given to a thread)
        last = max(place for place, number in enumerate(self.numbers) if number == self.chains[outputs])
        found = self.future.result().sums[last]
        assert found is not None  # noqa: S101  (the last one's are never left out)
        return found


class FoldQueue:
    """Steps the folds of a product, and hands over what comes of them in the order in which the array ran them.

    If the engine has threads, folds are gathered, a chain of them whole if it is not too long, and run there. A fold
    that goes on with sums of an earlier batch waits for them in its thread.

    Args:
        engine: steps the folds.
        params: the array.
        timing: of all folds.
        max_events: how many overflow events to keep of each fold, the first by cycle.
        take: takes a fold that is through, its sums (None where a fold after it has gone on with them) and its events.
    """

    def __init__(
        self,
        engine: Engine,
        params: ArrayParams,
        timing: FoldTiming,
        max_events: int,
        take: Callable[[FoldWork, IntArray | None, IntArray], None],
    ) -> None:
        self._engine, self._params, self._timing, self._max_events = engine, params, timing, max_events
        self._take = take
        self._waiting = _Batch()
        self._running: deque[_Batch] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._has_one_shape = params.dataflow is Dataflow.OUTPUT_STATIONARY
        self._per_pe = np.zeros((params.rows + 1, params.cols), np.int64)
        self._counts = Counts()

    @property
    def per_pe(self) -> IntArray:
        """Overflow events of all folds by row and column, (rows + 1, cols)."""
        self.settle()
        return self._per_pe

    @property
    def counts(self) -> Counts:
        """What the engine counted."""
        self.settle()
        return self._counts

    def add(self, work: FoldWork) -> None:
        """Run a fold, now or later."""
        waiting = self._waiting
        if self._has_one_shape and waiting.works and waiting.works[0].shape != work.shape:
            self._start()
        self._go_on(work)
        self._waiting.add(work, self._pe_cycles(work))
        ends = self._waiting.is_full(1) and work.fold.last_in_chain
        if not self._engine.threads or ends or self._waiting.is_full(LONGEST_BATCH):
            self._start()

    def then(self, action: Action) -> None:
        """Do something once the folds so far are through."""
        last = self._waiting if self._waiting.works else self._running[-1] if self._running else None
        if last is None:
            action()
        else:
            last.actions[-1].append(action)

    def settle(self) -> None:
        """Return when all folds are through, and the threads have ended."""
        self._start()
        while self._running:
            self._finish()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _go_on(self, work: FoldWork) -> None:
        """Find the batch whose sums a fold goes on with; those that have been taken are in its accumulators."""
        waiting = self._waiting
        if work.fold.first_in_chain or work.outputs in waiting.chains:
            return
        found = next((one for one in reversed(self._running) if work.outputs in one.chains), None)
        if found is not None:
            waiting.earlier[len(waiting.works)] = found

    def _pe_cycles(self, work: FoldWork) -> int:
        """Return for how many cycles of how many PEs a fold is stepped, about."""
        (rows, depth), cols = work.operands.activations.shape, work.shape[1]
        passing = {Dataflow.OUTPUT_STATIONARY: depth, Dataflow.WEIGHT_STATIONARY: rows, Dataflow.INPUT_STATIONARY: cols}
        cycles = passing[self._params.dataflow] + self._timing.fill + self._timing.drain
        return cycles * self._params.rows * self._params.cols

    def _start(self) -> None:
        batch, self._waiting = self._waiting, _Batch()
        if not batch.works:
            return
        self._running.append(batch)
        if not self._engine.threads:
            self._finish()
            return
        self._pool = self._pool or ThreadPoolExecutor(self._engine.threads)
        batch.future = self._pool.submit(self._run, batch)
        while len(self._running) > BATCHES_PER_THREAD * self._engine.threads:
            self._finish()

    def _run(self, batch: _Batch) -> FoldsResult:
        folds, operands = [one.fold for one in batch.works], batch.operands()
        return self._engine.run_folds(self._params, folds, self._timing, operands, self._max_events, batch.numbers)

    def _finish(self) -> None:
        """Wait for the batch that was started first, and hand its folds over."""
        batch = self._running.popleft()
        result = self._run(batch) if batch.future is None else batch.future.result()
        batch.earlier.clear()  # or each batch would hold all before it
        self._per_pe += result.per_pe
        self._counts.update(result.counts)
        for work, sums, events, actions in zip(batch.works, result.sums, result.events, batch.actions, strict=True):
            self._take(work, sums, events)
            for action in actions:
                action()
