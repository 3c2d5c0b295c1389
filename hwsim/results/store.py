"""The SQLite store of a sweep: one row for each point that has run, written in one transaction.

One process writes; workers hand their results to it. A reader may open the store meanwhile. A writer that
dies in the middle of a point leaves the points before it whole: SQLite's rollback journal undoes the rest
at the next opening.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from hwsim.errors import ConfigError
from hwsim.results.plain import plain
from hwsim.results.run_result import RunResult

STORE_NAME = "results.sqlite"
SCHEMA_VERSION = 1
_APPLICATION_ID = 0x68777369  # "hwsi" in the file's header
_BUSY_SECONDS = 30.0

_SCHEMA = (
    "CREATE TABLE points (point INTEGER PRIMARY KEY, key TEXT NOT NULL, workload TEXT NOT NULL, swept TEXT NOT NULL)",
    "CREATE TABLE outcomes (key TEXT PRIMARY KEY, config TEXT NOT NULL,"
    " status TEXT NOT NULL CHECK (status IN ('ok', 'failed')), error TEXT NOT NULL, result TEXT)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_STORED_POINTS = (
    "SELECT point, key, workload, swept, config, status, error, result"
    " FROM points JOIN outcomes USING (key) ORDER BY point"
)


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point of a sweep: its index, the hash of its resolved configuration, and what makes it differ."""

    point: int
    key: str
    workload: str
    swept: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point that has run: ``config`` is the resolved configuration; a failed one has only an ``error``."""

    place: SweepPoint
    config: dict[str, Any]
    status: Literal["ok", "failed"]
    error: str = ""
    result: RunResult | None = None


class ResultStore:
    """The results of a sweep in ``folder / "results.sqlite"``.

    Outcomes are kept by key, so a changed sweep finds again what it has already run; ``set_points`` says
    which keys the sweep consists of now.
    """

    def __init__(self, folder: str | Path, *, create: bool = False) -> None:
        """Open the store of a folder; ``create`` makes folder and store where there is none.

        Raises:
            ConfigError: there is no store, the file is no SQLite database, not a store of hwsim's, or one of
                another schema version.
        """
        self.path = Path(folder) / STORE_NAME
        if create:
            _make_folder(self.path.parent)
        elif not self.path.is_file():
            raise ConfigError(f"{self.path}: no such file; allowed: a folder that a sweep has written")
        with _errors_named(self.path):
            mode = "rwc" if create else "rw"
            uri = f"{self.path.resolve().as_uri()}?mode={mode}"
            self._connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self._prepare(create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything put is already on the disk."""
        self._connection.close()

    def set_points(self, points: Iterable[SweepPoint]) -> None:
        """Make ``points`` the points of the sweep; outcomes of other keys are kept but no longer listed."""
        with self._transaction():
            self._connection.execute("DELETE FROM points")
            for point in points:
                self._put_place(point)

    def put(self, stored: StoredPoint) -> None:
        """Store one point in one transaction, in place of what its key had before."""
        result = None if stored.result is None else _to_json(stored.result.to_json_dict())
        row = (stored.place.key, _to_json(stored.config), stored.status, stored.error, result)
        with self._transaction():
            self._put_place(stored.place)
            self._connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)", row)

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction():
            self._connection.execute("DELETE FROM points")
            self._connection.execute("DELETE FROM outcomes")

    def done_keys(self) -> set[str]:
        """Return the keys that have run without failing; failed ones are to be run again."""
        with _errors_named(self.path):
            return {key for (key,) in self._connection.execute("SELECT key FROM outcomes WHERE status = 'ok'")}

    def rows(self, keys: Sequence[str] | None = None) -> list[StoredPoint]:
        """Return the points that have run, in point order; with ``keys`` only the points of these keys."""
        wanted = None if keys is None else set(keys)
        with _errors_named(self.path):
            rows = self._connection.execute(_STORED_POINTS).fetchall()
        return [_stored_point(row) for row in rows if wanted is None or row[1] in wanted]

    def _put_place(self, place: SweepPoint) -> None:
        row = (place.point, place.key, place.workload, _to_json(place.swept))
        self._connection.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _errors_named(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise

    def _prepare(self, create: bool) -> None:
        """Check that the file is a store of this version; give a new file its tables."""
        if create and self._is_empty():
            with self._transaction():
                if self._is_empty():  # no other writer was faster
                    for statement in _SCHEMA:
                        self._connection.execute(statement)
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if application != _APPLICATION_ID:
            raise ConfigError(f"{self.path}: is not a store of sweep results")
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path}: has schema version {version}; allowed: {SCHEMA_VERSION}"
                " (start the sweep over in a new folder)"
            )

    def _is_empty(self) -> bool:
        with _errors_named(self.path):
            (objects,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return bool(objects == 0)

    def _pragma(self, name: str) -> int:
        with _errors_named(self.path), closing(self._connection.execute(f"PRAGMA {name}")) as cursor:
            return int(cursor.fetchone()[0])


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line that names the file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: {error}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from error


def _to_json(value: dict[str, Any]) -> str:
    return json.dumps(plain(value), allow_nan=False)


def _stored_point(row: tuple[Any, ...]) -> StoredPoint:
    point, key, workload, swept, config, status, error, result = row
    return StoredPoint(
        place=SweepPoint(point, key, workload, json.loads(swept)),
        config=json.loads(config),
        status=status,
        error=error,
        result=None if result is None else RunResult.from_json_dict(json.loads(result)),
    )
