"""The picture of a trace with more slices than pixels."""

from __future__ import annotations

import pandas as pd
from matplotlib.collections import PolyCollection

from hwsim.report.trace_plot import by_pixels, draw_trace


def spans(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["name", "start", "end"])


def merged(*rows: tuple[str, float, float]) -> list[tuple[str, float, float]]:
    """The slices as pixels of 10 cycles show them."""
    return list(by_pixels(spans(*rows), 10).itertuples(index=False, name=None))


def test_slices_of_a_pixel_or_more_stay_as_they_are() -> None:
    assert merged(("fill", 0, 10), ("drain", 13, 40)) == [("fill", 0, 10), ("drain", 13, 40)]


def test_a_pixel_goes_to_the_name_with_most_cycles_in_it() -> None:
    assert merged(("fill", 0, 2), ("drain", 2, 7), ("fill", 7, 9)) == [("drain", 0, 10)]
    assert merged(("fill", 0, 2), ("drain", 2, 5), ("fill", 7, 9)) == [("fill", 0, 10)]


def test_neighbouring_pixels_of_one_name_are_one_slice() -> None:
    fills = [("fill", start, start + 1) for start in (0, 10, 20, 40)]
    assert merged(*fills, ("drain", 50, 59)) == [("fill", 0, 30), ("fill", 40, 50), ("drain", 50, 60)]


def test_a_hundred_thousand_slices_are_a_few_thousand_bars() -> None:
    names = ("fill", "compute", "drain", "c1")
    slices = pd.DataFrame(
        {"track": "array", "name": names[i % 4], "layer": "c1", "start": 3 * i, "end": 3 * i + 1 + i % 3}
        for i in range(100_000)
    )
    bars = [one for one in draw_trace(slices).figure.axes[0].collections if isinstance(one, PolyCollection)]
    assert 0 < sum(len(one.get_paths()) for one in bars) <= 1301
