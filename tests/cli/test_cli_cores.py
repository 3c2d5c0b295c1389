"""Which cores worked on each layer, as the command line says it."""

from __future__ import annotations

import pandas as pd
import pytest
from command_line import Hwsim, Outcome

from hwsim.cli.run_text import sharing_text

SPLIT_BY_ROWS = ("edge16", "digits_cnn", "--set", "cores=3", "--set", "mapping.split=out_rows")
SHARED = {
    "conv1": (3, "out_rows"),
    "pool1": (3, None),
    "conv2": (1, None),
    "conv3": (1, None),
    "fc1": (1, None),
    "logits": (1, None),
}
"""By hand: 64 output rows are four folds of 16 rows for three cores, 16 rows and fewer are one fold.

The pool has windows of several cores' rows, so that it is a layer of its own, without a product to split.
"""


def cells(outcome: Outcome, header: str) -> dict[str, str]:
    """Return the cells under a header by the first cell of their lines, of plain tables with two spaces between."""
    lines = [line for line in outcome.out.splitlines() if "  " in line]
    head = next(line for line in lines if line.startswith("layer "))
    start = head.index(f"  {header}  ") + 2
    table = lines[lines.index(head) + 1 :]
    return {line.split()[0]: line[start:].split("  ")[0] for line in table if line.split()[0] in (*SHARED, "total")}


def test_json_and_csv_say_how_many_cores_shared_each_layer_and_how(hwsim: Hwsim) -> None:
    outcome = hwsim("run", *SPLIT_BY_ROWS, "--samples", "1", "--json", "--out", "out")
    assert {one["layer"]: (one["cores"], one["split"]) for one in outcome.json["layers"]} == SHARED
    written = pd.read_csv("out/layers.csv")
    assert dict(zip(written["layer"], written["cores"], strict=True)) == {
        name: one for name, (one, _) in SHARED.items()
    }
    assert written["split"].dropna().tolist() == ["out_rows"]


@pytest.mark.parametrize("command", [("run", *SPLIT_BY_ROWS, "--samples", "1"), ("check", *SPLIT_BY_ROWS)])
def test_the_table_of_layers_has_a_column_of_cores(hwsim: Hwsim, command: tuple[str, ...]) -> None:
    shown = cells(hwsim(*command), "cores")
    assert shown.pop("total", "") == ""
    assert shown == {"conv1": "3 × out_rows", "pool1": "3", "conv2": "1", "conv3": "1", "fc1": "1", "logits": "1"}


@pytest.mark.parametrize("command", [("run", "--samples", "1"), ("check",)])
def test_one_core_is_not_worth_a_column(hwsim: Hwsim, command: tuple[str, ...]) -> None:
    name, *options = command
    assert "cores" not in hwsim(name, "edge16", "digits_cnn", *options).out


def test_layers_without_a_product_are_shared_by_their_parts_and_time_steps_say_each_way() -> None:
    assert sharing_text([(4, None)]) == "4"
    assert sharing_text([(2, "groups"), (2, "groups")]) == "2 × groups"
    assert sharing_text([(4, None), (4, None), (1, None)]) == "4 or 1"
