"""Nodes that compute constants, as exporters leave them in files: ONNX Runtime computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_files import Drawn

from hwsim.errors import ConfigError

INT, FLOAT, BOOL = np.int64, np.float32, np.bool_
Case = tuple[str, list[tuple[object, type]], dict[str, Any]]
NUMBERS = [[-2.5, 0.5, 3.0], [1.0, 2.0, -0.25]]
CASES: list[Case] = [
    ("Abs", [(NUMBERS, FLOAT)], {}),
    ("Ceil", [(NUMBERS, FLOAT)], {}),
    ("Floor", [(NUMBERS, FLOAT)], {}),
    ("Neg", [(NUMBERS, FLOAT)], {}),
    ("Reciprocal", [(NUMBERS, FLOAT)], {}),
    ("Sqrt", [([2.0, 9.0, 0.0], FLOAT)], {}),
    ("Pow", [([2.0, 3.0, 4.0], FLOAT), ([3, 2, 0], INT)], {}),
    ("Max", [(NUMBERS, FLOAT), (0.25, FLOAT), ([1, 0, 0], FLOAT)], {}),
    ("Min", [(NUMBERS, FLOAT), ([0.25], FLOAT)], {}),
    ("Mod", [([-7, 7, 5], INT), ([3, -3, 5], INT)], {}),
    ("Mod", [([-7.5, 7.5, 5.0], FLOAT), ([2.0, 2.0, 2.0], FLOAT)], {"fmod": 1}),
    ("Div", [([-7, 7, 5], INT), ([2, 2, 2], INT)], {}),
    ("Div", [([-7, 7, 5], INT), ([2, -2, -9], INT)], {}),
    ("Equal", [([1, 2, 3], INT), ([1, 0, 3], INT)], {}),
    ("Greater", [(NUMBERS, FLOAT), (0.5, FLOAT)], {}),
    ("GreaterOrEqual", [(NUMBERS, FLOAT), (0.5, FLOAT)], {}),
    ("Less", [(NUMBERS, FLOAT), (0.5, FLOAT)], {}),
    ("LessOrEqual", [(NUMBERS, FLOAT), (0.5, FLOAT)], {}),
    ("And", [([True, False, True], BOOL), ([True, True, False], BOOL)], {}),
    ("Or", [([True, False, False], BOOL), ([True, True, False], BOOL)], {}),
    ("Not", [([True, False, True], BOOL)], {}),
    ("Where", [([True, False, True], BOOL), (NUMBERS, FLOAT), (0.0, FLOAT)], {}),
    ("Range", [(1, INT), (7, INT), (2, INT)], {}),
    ("Range", [(3.0, FLOAT), (0.0, FLOAT), (-1.0, FLOAT)], {}),
    ("Trilu", [(np.arange(6).reshape(2, 3), FLOAT)], {}),
    ("Trilu", [(np.arange(6).reshape(2, 3), FLOAT), (-1, INT)], {"upper": 0}),
    ("Tile", [([[1.0], [2.0]], FLOAT), ([1, 3], INT)], {}),
    ("Expand", [([[1.0], [2.0]], FLOAT), ([2, 3], INT)], {}),
    ("Expand", [(NUMBERS, FLOAT), ([1, 1], INT)], {}),
    ("ConstantOfShape", [([2, 3], INT)], {}),
    ("Size", [(NUMBERS, FLOAT)], {}),
    ("Shape", [(np.zeros((2, 5, 3)), FLOAT)], {"start": -3}),
]


@pytest.mark.parametrize(("kind", "constants", "attributes"), CASES)
def test_what_a_node_of_constants_computes(
    tmp_path: Path, kind: str, constants: list[tuple[object, type]], attributes: dict[str, Any]
) -> None:
    drawn = Drawn((2, 3))
    names = [drawn.file.constant(values, dtype) for values, dtype in constants]
    drawn.file.node(kind, names, "found", **attributes)
    drawn.file.node("Cast", ["found"], "numbers", to=1)
    drawn.file.node("Add", ["x", "numbers"], "y")
    assert drawn.check(tmp_path) == ["x", "y"]


def test_the_size_of_an_activation_is_a_constant(tmp_path: Path) -> None:
    """The file leaves the first size open; one sample runs at a time."""
    drawn = Drawn((2, 3))
    drawn.file.node("Size", ["x"], "size")
    drawn.file.node("Cast", ["size"], "number", to=1)
    drawn.file.node("Div", ["x", "number"], "y")
    assert drawn.check(tmp_path) == ["x", "y"]


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("Expand", [([1.0], FLOAT), ([1 << 20, 1 << 20], INT)]),
        ("ConstantOfShape", [([1 << 40], INT)]),
        ("Tile", [([1.0], FLOAT), ([1 << 40], INT)]),
        ("Tile", [([1.0, 2.0, 3.0, 4.0], FLOAT), ([1 << 62], INT)]),
        ("Gather", [(np.zeros((1, 1 << 11)), FLOAT), (np.zeros(1 << 10), INT)]),
        ("Add", [(np.zeros((1 << 11, 1)), FLOAT), (np.zeros(1 << 10), FLOAT)]),
        ("Clip", [(np.zeros((1 << 11, 1)), FLOAT), (np.zeros(1 << 10), FLOAT)]),
        ("MatMulInteger", [(np.zeros((1 << 11, 1)), np.int8), (np.zeros((1, 1 << 10)), np.int8)]),
        ("Range", [(0, INT), (1 << 40, INT), (1, INT)]),
    ],
)
def test_constants_larger_than_a_file_needs_are_refused(
    tmp_path: Path, kind: str, constants: list[tuple[object, type]]
) -> None:
    drawn = Drawn((2, 3))
    drawn.file.node(kind, [drawn.file.constant(values, dtype) for values, dtype in constants], "found")
    drawn.file.node("Add", ["x", "found"], "y")
    with pytest.raises(ConfigError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/model.onnx: node 0 ({kind}): too many elements"


@pytest.mark.parametrize("kind", ["Div", "Mod"])
def test_integers_are_not_divided_by_zero(tmp_path: Path, kind: str) -> None:
    drawn = Drawn((2, 3))
    drawn.file.node(kind, [drawn.integers(1, 2, 3), drawn.integers(2, 0, 1)], "found")
    drawn.file.node("Add", ["x", "found"], "y")
    with pytest.raises(ConfigError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/model.onnx: node 0 ({kind}): an integer divided by zero"
