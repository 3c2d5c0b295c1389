"""Parts of tensors: Gather at constant places and Slice, of reals and of codes, against ONNX Runtime; and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_files import Drawn
from export.file_runs import FileRun
from onnx_files import ModelBuilder, compared, random_codes

from hwsim.errors import ConfigError
from hwsim.samples import with_calibration

PLACES: list[tuple[object, int]] = [
    (2, 1),
    (-1, 2),
    ([1], 1),
    ([1, 2, 3], 1),
    ([3, 0, 0, -2], 2),
    ([[0, 1], [3, 2], [1, 1]], 1),
    ([[2, 0]], -1),
]
# starts, ends, axes, steps
SLICES = [
    ([0], [1 << 40], [1], [2]),
    ([-1], [-(1 << 40)], [2], [-1]),
    ([1, 0], [-1, 3], [1, 2], [1, 1]),
    ([3, 4, 0], [0, -6, 9], [1, -1, 0], [-2, -1, 1]),
    ([0, 0], [99, 99], [1, 2], [1, 1]),
]


@pytest.mark.parametrize(("places", "axis"), PLACES)
def test_entries_at_constant_places(tmp_path: Path, places: object, axis: int) -> None:
    drawn = Drawn((4, 5))
    drawn.file.node("Relu", ["x"], "a")
    drawn.file.node("Gather", ["a", drawn.file.constant(places, np.int64)], "b", axis=axis)
    drawn.file.node("Relu", ["b"], "y")
    assert {"a", "b", "y"} <= set(drawn.check(tmp_path))


@pytest.mark.parametrize("slices", SLICES)
def test_slices_of_several_axes_in_steps(tmp_path: Path, slices: tuple[list[int], ...]) -> None:
    drawn = Drawn((4, 5))
    drawn.file.node("Slice", ["x", *(drawn.integers(*part) for part in slices)], "a")
    drawn.file.node("Relu", ["a"], "y")
    assert {"a", "y"} <= set(drawn.check(tmp_path))


def parts_of_images() -> Drawn:
    """Every second row and column, channels in another order, then one row."""
    drawn = Drawn((3, 8, 8))
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(4, 3, 3, 3)], "a", pads=[1, 1, 1, 1])
    node("Slice", ["a", *(drawn.integers(*part) for part in ([0, 1], [8, 8], [2, 3], [2, 2]))], "b")
    node("Gather", ["b", drawn.integers(3, 1, 0)], "c", axis=1)
    node("Conv", ["c", drawn.numbers(4, 3, 3, 3)], "d")
    node("Gather", ["d", drawn.file.constant(1, np.int64)], "y", axis=2)
    return drawn


def test_parts_of_images_lie_channels_last(tmp_path: Path) -> None:
    assert {"a", "b", "c", "d", "y"} <= set(parts_of_images().check(tmp_path))


def test_parts_of_codes(tmp_path: Path) -> None:
    random, model = np.random.default_rng(0), ModelBuilder()
    model.input("x", np.int8, ("n", 4, 6))
    model.node("Slice", ["x", *(model.constant(part, np.int64) for part in ([0], [9], [2], [2]))], "a")
    model.node("Gather", ["a", model.constant([[3, 1]], np.int64)], "b", axis=1)
    model.node("Gather", ["b", model.constant(0, np.int64)], "y", axis=-1)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    found = compared(path, {"x": random_codes(random, np.int8, (5, 4, 6))})
    assert (found.tensors, found.total) == (["x", "a", "b", "y"], 0)


@pytest.mark.parametrize(
    ("places", "text"),
    [([4], "places 4 to 4; allowed: -4 to 3"), ([], "0 places of int64; allowed: 1 to 1048576 integers")],
)
def test_places_beyond_the_axis_are_refused(tmp_path: Path, places: list[int], text: str) -> None:
    drawn = Drawn((4, 5))
    drawn.file.node("Gather", ["x", drawn.integers(*places)], "y", axis=1)
    with pytest.raises(ConfigError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/model.onnx: node 0 (Gather): {text}"


@pytest.mark.parametrize(
    ("slices", "text"),
    [
        (([0, 0], [1, 1], [1, -2], [1, 1]), "an axis twice"),
        (([0], [1], [1], [0]), "starts, ends, axes and steps that do not go together"),
        (([3], [1], [1], [1]), "elements 3 to 1 of 4"),
    ],
)
def test_slices_that_make_no_sense_are_refused(tmp_path: Path, slices: tuple[list[int], ...], text: str) -> None:
    drawn = Drawn((4, 5))
    drawn.file.node("Slice", ["x", *(drawn.integers(*part) for part in slices)], "y")
    with pytest.raises(ConfigError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/model.onnx: node 0 (Slice): {text}"


def test_parts_are_exported(tmp_path: Path) -> None:
    """ONNX Runtime computes hwsim's integers from the exported file."""
    drawn = parts_of_images()
    run = FileRun(with_calibration(drawn.read(tmp_path), drawn.inputs), {"x": drawn.inputs})
    differences, compared_codes = run.in_onnx_runtime()
    assert differences == 0
    assert compared_codes == 6 * (192 + 256 + 4 * 16 + 3 * 16 + 4 * 4 + 4 * 2)
