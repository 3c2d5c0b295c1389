"""The store of a sweep: what is put is there again, whatever happens meanwhile."""

from __future__ import annotations

import csv
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_result import ARCHITECTURE, failed_point, small_result, stored_point

from hwsim.errors import ConfigError
from hwsim.results.points import point_row, write_points_csv
from hwsim.results.store import STORE_NAME, ResultStore


def test_what_is_put_comes_back_in_point_order(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "sweep", create=True) as store:
        for point in (2, 0, 1):
            store.put(stored_point(point))
    with ResultStore(tmp_path / "sweep") as store:
        assert store.rows() == [stored_point(0), stored_point(1), stored_point(2)]
        assert store.rows(["key2", "key0", "elsewhere"]) == [stored_point(0), stored_point(2)]


def test_only_points_that_did_not_fail_are_done(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(stored_point(0))
        store.put(failed_point(1))
        assert store.done_keys() == {"key0"}
        assert [stored.error for stored in store.rows()] == ["", "does not fit,\nat all"]


def test_a_second_outcome_of_a_key_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(failed_point(0))
        store.put(stored_point(0))
        assert store.rows() == [stored_point(0)]


def test_a_changed_sweep_keeps_outcomes_and_lists_only_its_own_points(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        for point in range(3):
            store.put(stored_point(point))
        store.set_points([stored_point(0, key="key2").place, stored_point(1, key="new").place])
        assert store.rows() == [stored_point(0, key="key2")]
        assert store.done_keys() == {"key0", "key1", "key2"}


def test_two_points_of_one_key_share_its_outcome(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.set_points([stored_point(0, key="same").place, stored_point(1, key="same").place])
        store.put(stored_point(0, key="same"))
        assert [stored.place.point for stored in store.rows()] == [0, 1]


def test_clearing_forgets_everything(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(stored_point(0))
        store.clear()
        assert (store.rows(), store.done_keys()) == ([], set())


def test_a_reader_sees_the_points_written_so_far(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as writer, ResultStore(tmp_path) as reader:
        writer.put(stored_point(0))
        assert len(reader.rows()) == 1
        writer.put(stored_point(1))
        assert len(reader.rows()) == 2


def test_a_put_that_breaks_changes_nothing(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(stored_point(0))
        with pytest.raises(ConfigError, match="CHECK constraint failed"):
            store.put(stored_point(0, status="perhaps"))
        assert store.rows() == [stored_point(0)]


def problem_of(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        ResultStore(folder, create=True)
    (problem,) = caught.value.problems
    return problem


def test_a_file_that_is_no_database_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).write_text("point,workload\n" * 100)
    assert problem_of(tmp_path) == f"{tmp_path / STORE_NAME}: file is not a database"


def test_a_database_of_another_program_is_one_problem(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / STORE_NAME)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    assert problem_of(tmp_path) == f"{tmp_path / STORE_NAME}: is not a store of sweep results"


def test_another_schema_version_is_one_problem(tmp_path: Path) -> None:
    ResultStore(tmp_path, create=True).close()
    connection = sqlite3.connect(tmp_path / STORE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert problem_of(tmp_path) == (
        f"{tmp_path / STORE_NAME}: has schema version 99; allowed: 1 (start the sweep over in a new folder)"
    )


def test_a_folder_without_a_store_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ResultStore(tmp_path)
    assert str(caught.value) == f"{tmp_path / STORE_NAME}: no such file; allowed: a folder that a sweep has written"


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from small_result import stored_point
from hwsim.results.store import ResultStore
with ResultStore(sys.argv[1], create=True) as store:
    for point in range(1_000_000):
        store.put(stored_point(point))
        print(point, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_writer_leaves_all_points_that_it_had_put(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 20:
                break
        time.sleep(0.01)
        writer.kill()
        reported = [int(line), *map(int, writer.stdout)][-1]
    with ResultStore(tmp_path, create=True) as store:
        rows = store.rows()
        assert [stored.place.point for stored in rows] == list(range(len(rows)))
        assert len(rows) in {reported + 1, reported + 2}  # the last one may not have been reported any more
        assert all(stored == stored_point(stored.place.point) for stored in rows)
        store.put(stored_point(len(rows)))


DYING_WRITER = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # so that the file is written before the end of the transaction
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM outcomes")
for key in range(1000):
    connection.execute("INSERT INTO outcomes VALUES (?, ?, 'ok', '', NULL)", (str(key), "{}" * 1000))
os._exit(9)
"""


def test_a_reader_undoes_a_transaction_that_was_cut_off(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(stored_point(0))
    subprocess.run([sys.executable, "-c", DYING_WRITER, tmp_path / STORE_NAME], check=False)
    assert (tmp_path / f"{STORE_NAME}-journal").exists()
    with ResultStore(tmp_path) as store:
        assert store.rows() == [stored_point(0)]


DOCUMENTED_COLUMNS = [
    *("point", "workload", "array.guard_bits", "input_range"),
    *("dataflow", "rows", "cols", "weight_bits", "activation_bits", "guard_bits", "overflow"),
    *("accuracy", "float_accuracy", "sqnr_db", "total_cycles", "latency_ms", "inferences_per_second"),
    *("energy_pj", "overflow_events", "status", "error"),
]


def test_points_csv_has_the_documented_columns(tmp_path: Path) -> None:
    with ResultStore(tmp_path, create=True) as store:
        store.put(stored_point(0))
        store.put(failed_point(1))
    with write_points_csv(tmp_path).open(newline="") as file:
        done, failed = csv.DictReader(file)
    assert list(done) == DOCUMENTED_COLUMNS
    assert (done["point"], done["workload"], done["input_range"]) == ("0", "digits", "[-8, 8]")
    assert (done["dataflow"], done["accuracy"], done["total_cycles"]) == ("weight_stationary", "0.75", "200")
    assert float(done["latency_ms"]) == small_result().totals["latency_ms"]
    assert (float(done["inferences_per_second"]), done["overflow_events"]) == (pytest.approx(5000), "5")  # 200 at 1 MHz
    assert (failed["status"], failed["accuracy"], failed["rows"]) == ("failed", "", "2")
    assert failed["error"] == "does not fit,\nat all"


def test_inferences_per_second_count_all_of_a_batch() -> None:
    row = point_row(stored_point(0, result=small_result(architecture=ARCHITECTURE | {"mapping": {"batch": 4}})))
    assert (row["total_cycles"], row["latency_ms"]) == (200, pytest.approx(0.2))  # of four at once, at 1 MHz
    assert row["inferences_per_second"] == pytest.approx(20_000)


def test_shapes_alone_have_no_overflow_events_not_even_0() -> None:
    shapes = small_result(samples=0, engine="timing", accuracy=None)
    assert point_row(stored_point(0, result=shapes))["overflow_events"] is None
