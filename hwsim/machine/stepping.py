"""Folds whose operands have been read, on their way through the engine while the clock goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from hwsim.array.engine import Engine, FoldOperands
from hwsim.array.folds import Fold, FoldTiming
from hwsim.array.params import ArrayParams, Dataflow
from hwsim.array.results import FoldsResult
from hwsim.counts import Counts
from hwsim.numerics.formats import IntArray

BATCH_PE_CYCLES = 1 << 24  # some milliseconds of a thread
MOST_FOLDS = 64  # of a batch, whose events take memory
BATCHES_PER_THREAD = 2

Action = Callable[[], None]


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


@dataclass(slots=True, eq=False)
class _Batch:
    """Folds of one depth and width, and after each of them what is to be done once it is through."""

    works: list[FoldWork] = field(default_factory=list)
    actions: list[list[Action]] = field(default_factory=list)
    future: Future[FoldsResult] | None = None


class FoldQueue:
    """Steps the folds of a product, and hands over what comes of them in the order in which the array ran them.

    Output-stationary folds do not depend on each other: they are gathered, and run in threads if the engine has any.
    Other folds go on with the sums of those before, and run one by one.

    Args:
        engine: steps the folds.
        params: the array.
        timing: of all folds.
        max_events: how many overflow events to keep of each fold, the first by cycle.
        take: takes a fold that is through, its sums and its events.
    """

    def __init__(
        self,
        engine: Engine,
        params: ArrayParams,
        timing: FoldTiming,
        max_events: int,
        take: Callable[[FoldWork, IntArray, IntArray], None],
    ) -> None:
        self._engine, self._params, self._timing, self._max_events = engine, params, timing, max_events
        self._take = take
        self._waiting = _Batch()
        self._running: deque[_Batch] = deque()
        gathers = engine.threads and params.dataflow is Dataflow.OUTPUT_STATIONARY
        self._pool = ThreadPoolExecutor(engine.threads) if gathers else None
        self._most_folds = max(1, min(MOST_FOLDS, BATCH_PE_CYCLES // (timing.duration * params.rows * params.cols)))
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
        waiting = self._waiting.works
        if waiting and waiting[0].shape != work.shape:
            self._start()
        self._waiting.works.append(work)
        self._waiting.actions.append([])
        if self._pool is None or len(self._waiting.works) >= self._most_folds:
            self._start()

    def then(self, action: Action) -> None:
        """Do something once the folds so far are through."""
        last = self._waiting if self._waiting.works else self._running[-1] if self._running else None
        if last is None:
            action()
        else:
            last.actions[-1].append(action)

    def settle(self) -> None:
        """Return when all folds are through."""
        self._start()
        while self._running:
            self._finish()

    def _start(self) -> None:
        batch, self._waiting = self._waiting, _Batch()
        if not batch.works:
            return
        self._running.append(batch)
        if self._pool is None:
            self._finish()
            return
        batch.future = self._pool.submit(self._run, batch)
        while len(self._running) > BATCHES_PER_THREAD * self._engine.threads:
            self._finish()

    def _run(self, batch: _Batch) -> FoldsResult:
        folds, operands = [one.fold for one in batch.works], [one.operands for one in batch.works]
        return self._engine.run_folds(self._params, folds, self._timing, operands, self._max_events)

    def _finish(self) -> None:
        """Wait for the batch that was started first, and hand its folds over."""
        batch = self._running.popleft()
        result = self._run(batch) if batch.future is None else batch.future.result()
        self._per_pe += result.per_pe
        self._counts.update(result.counts)
        for work, sums, events, actions in zip(batch.works, result.sums, result.events, batch.actions, strict=True):
            self._take(work, sums, events)
            for action in actions:
                action()
