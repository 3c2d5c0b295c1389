"""Plots of a recurrent layer: its time steps are one bar."""

from __future__ import annotations

import pandas as pd

from hwsim.report.time_steps import labels


def test_steps_of_one_layer_share_a_label() -> None:
    rows = [("start", 0), *((f"cell_{step}", 0) for step in range(3)), ("logits", 10)]
    layers = pd.DataFrame(
        [{"layer": name, "out_rows": 1, "depth": 8, "out_cols": columns, "groups": 1} for name, columns in rows]
    )
    assert list(dict.fromkeys(labels(layers).values())) == ["start", "cell_0…2", "logits"]
