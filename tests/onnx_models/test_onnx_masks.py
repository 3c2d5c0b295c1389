"""Masks of attention scores, constants among joined tensors, pools over one axis: against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_files import Drawn
from onnx_files import ModelBuilder, compared, random_codes

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.simulate import run

LATER = np.triu(np.ones((4, 4), bool), 1)


def attention(drawn: Drawn, mask: str, low: float) -> None:
    """Four tokens of eight channels, each of which sees no later one."""
    node = drawn.file.node
    node("Transpose", ["x"], "keys", perm=[0, 2, 1])
    node("MatMul", ["x", "keys"], "sums")
    node("Mul", ["sums", drawn.number(8**-0.5)], "scores")
    if mask == "Add":
        node("Add", ["scores", drawn.file.constant(np.where(LATER, low, 0), np.float32)], "masked")
    elif mask == "Where":
        node("Where", [drawn.file.constant(LATER, np.bool_), drawn.number(low), "scores"], "masked")
    node("Softmax", ["masked" if mask else "scores"], "shares", axis=-1)
    node("MatMul", ["shares", "x"], "y")


@pytest.mark.parametrize("mask", ["Add", "Where"])
@pytest.mark.parametrize("low", [-np.inf, float(np.finfo(np.float32).min), -1e4])
def test_a_mask_is_part_of_its_softmax(tmp_path: Path, mask: str, low: float) -> None:
    """The scores keep the grid that they have without a mask, so that nothing is lost by it."""
    ratios = []
    for kind in (mask, ""):
        drawn = Drawn((4, 8))
        attention(drawn, kind, low)
        names = drawn.check(tmp_path)
        assert "masked" not in names
        assert {"scores", "shares", "y"} <= set(names)
        result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
        assert result.sqnr_db is not None
        ratios.append(result.sqnr_db)
    assert min(ratios) > 30
    assert ratios[0] == pytest.approx(ratios[1], abs=4)


def test_scores_that_others_read_too_are_not_masked(tmp_path: Path) -> None:
    drawn = Drawn((4, 4))
    drawn.file.node("Add", ["x", drawn.file.constant(np.where(LATER, -np.inf, 0), np.float32)], "masked")
    drawn.file.node("Softmax", ["masked"], "shares")
    drawn.file.node("Add", ["masked", "shares"], "y")
    with pytest.raises(ConfigError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/model.onnx: node 0 (Add): a constant that holds NaN or infinity"


def test_a_choice_between_an_activation_and_a_constant(tmp_path: Path) -> None:
    drawn = Drawn((4, 4))
    condition = drawn.file.constant(LATER, np.bool_)
    drawn.file.node("Where", [condition, "x", drawn.numbers(1, 4)], "a")
    drawn.file.node("Where", [condition, drawn.number(0.5), "a"], "y")
    assert drawn.check(tmp_path) == ["x", "a", "y"]


def test_a_choice_between_two_activations_is_refused(tmp_path: Path) -> None:
    drawn = Drawn((4, 4))
    drawn.file.node("Relu", ["x"], "a")
    drawn.file.node("Where", [drawn.file.constant(LATER, np.bool_), "x", "a"], "y")
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).splitlines()[0] == (
        f"{tmp_path}/model.onnx: node 1 (Where): two activations; allowed: one, and a constant"
    )


@pytest.mark.parametrize(("condition", "constant"), [((1, 8, 4), (1,)), ((1 << 20, 1), (1, 1 << 20))])
def test_a_choice_of_more_elements_than_the_activation_is_refused(
    tmp_path: Path, condition: tuple[int, ...], constant: tuple[int, ...]
) -> None:
    drawn = Drawn((1, 4))
    chooses = drawn.file.constant(np.ones(condition), np.bool_)
    drawn.file.node("Where", [chooses, "x", drawn.file.constant(np.zeros(constant), np.float32)], "y")
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).splitlines()[0] == (
        f"{tmp_path}/model.onnx: node 0 (Where): a constant of more elements than the activation"
    )


def test_constants_beside_activations_are_joined(tmp_path: Path) -> None:
    """A token of a class before those of an image, and channels last round it."""
    drawn = Drawn((8, 4, 4))
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(6, 8, 2, 2)], "patches", strides=[2, 2])
    node("Concat", [drawn.numbers(1, 1, 2, 2), "patches", drawn.numbers(1, 2, 2, 2)], "channels", axis=1)
    node("Flatten", ["channels"], "row", axis=2)
    node("Reshape", ["row", drawn.integers(1, 9, 4)], "tokens")
    node("Transpose", ["tokens"], "moved", perm=[0, 2, 1])
    node("Concat", [drawn.numbers(1, 1, 9), "moved"], "y", axis=1)
    assert {"patches", "channels", "y"} <= set(drawn.check(tmp_path))


@pytest.mark.parametrize("attributes", [{"pads": [1, 0]}, {"strides": [2]}, {"pads": [1, 1], "ceil_mode": 1}])
def test_pools_over_one_axis(tmp_path: Path, attributes: dict[str, object]) -> None:
    drawn = Drawn((3, 17))
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(4, 3, 3), drawn.numbers(4)], "a", pads=[1, 1])
    node("MaxPool", ["a"], "b", kernel_shape=[3], **attributes)
    node("AveragePool", ["b"], "c", kernel_shape=[4], **attributes)
    node("GlobalAveragePool", ["c"], "y")
    assert drawn.check(tmp_path) == ["x", "a", "b", "c", "y"]


@pytest.mark.parametrize("opset", [13, 19])
@pytest.mark.parametrize("kernel", [3, 17])
def test_averages_of_codes_over_one_axis(tmp_path: Path, opset: int, kernel: int) -> None:
    random, model = np.random.default_rng(0), ModelBuilder(opset=opset)
    model.input("x", np.int8, ("n", 5, 17))
    source, result = model.grid(0.031, 3, np.int8), model.grid(0.017, -5, np.int8)
    model.node("AveragePool", [model.dequantize("x", source)], "means", kernel_shape=[kernel])
    model.quantize("means", result, "a")
    model.node("GlobalAveragePool", [model.dequantize("a", result)], "mean")
    model.quantize("mean", result, "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    found = compared(path, {"x": random_codes(random, np.int8, (40, 5, 17))})
    assert (found.tensors, found.total) == (["x", "a", "y"], 0)
