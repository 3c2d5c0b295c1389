"""The time steps of a recurrent layer take one row of a table, whose figures are their sums."""

from __future__ import annotations

from command_line import Hwsim

from hwsim.results.time_steps import Row, rows_of


def test_steps_of_one_shape_are_one_row_where_the_first_of_them_stood() -> None:
    names = ["start", "in_0", "re_0", "in_1", "re_1", "in_2", "re_2", "out"]
    shapes = ["-", "a", "b", "a", "b", "a", "b", "c"]
    assert rows_of(names, shapes) == [
        Row("start", (0,)),
        Row("in_0…2", (1, 3, 5)),
        Row("re_0…2", (2, 4, 6)),
        Row("out", (7,)),
    ]


def test_layers_of_other_shapes_or_with_gaps_in_their_numbers_keep_their_rows() -> None:
    for names, shapes in ((["c_0", "c_1", "c_2"], "aab"), (["c_1", "c_2", "c_3"], "aaa"), (["c_0", "c_1"], "aa")):
        assert [row.label for row in rows_of(names, shapes)] == names


def test_the_rows_of_a_run_add_up_to_its_totals(hwsim: Hwsim) -> None:
    totals = hwsim("run", "edge16", "digits_lstm", "--samples", "1", "--json").json["totals"]
    shown = hwsim("run", "edge16", "digits_lstm", "--samples", "1").out.splitlines()
    rows = [line.replace(",", "").split() for line in shown if line.startswith(("lstm_", "logits"))]
    assert [row[0] for row in rows] == ["lstm_input", "lstm_start", "lstm_recurrent_0…7", "lstm_cell_0…7", "logits"]
    assert sum(int(row[-4]) for row in rows) == totals["total_cycles"]
    assert sum(int(row[-5]) for row in rows) == totals["macs"]
