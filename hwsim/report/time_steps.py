"""Per-layer tables in which the time steps of one layer are a single row."""

from __future__ import annotations

import pandas as pd

from hwsim.results.time_steps import rows_of

_SHAPE = ["out_rows", "depth", "out_cols", "groups"]


def labels(layers: pd.DataFrame) -> dict[str, str]:
    """Return the label under which each layer of one run is drawn."""
    names = layers["layer"].tolist()
    shapes = list(layers[_SHAPE].itertuples(index=False, name=None))
    return {names[place]: row.label for row in rows_of(names, shapes) for place in row.layers}
