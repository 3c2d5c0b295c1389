"""Operators that files write out node by node: functions of single elements, and layer normalizations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_files import Drawn
from onnx_files import ModelBuilder, compared

from hwsim.network.operators.layer_norm import LayerNorm
from hwsim.simulate import run

Write = Callable[[Drawn], object]


def gelu_by_powers(drawn: Drawn) -> None:
    """By tanh, as PyTorch's exporter writes it from opset 18 on."""
    node = drawn.file.node
    node("Pow", ["x", drawn.number(3.0)], "cube")
    node("Mul", ["cube", drawn.number(0.044715)], "part")
    node("Add", ["x", "part"], "sum")
    node("Mul", ["sum", drawn.number((2 / np.pi) ** 0.5)], "inner")
    node("Tanh", ["inner"], "tanh")
    node("Add", ["tanh", drawn.number(1.0)], "shares")
    node("Mul", ["x", drawn.number(0.5)], "half")
    node("Mul", ["half", "shares"], "y")


def gelu_by_erf(drawn: Drawn) -> None:
    node = drawn.file.node
    node("Mul", [drawn.number(0.5), "x"], "half")
    node("Mul", ["x", drawn.number(0.5**0.5)], "inner")
    node("Erf", ["inner"], "erf")
    node("Add", [drawn.number(1.0), "erf"], "shares")
    node("Mul", ["shares", "half"], "y")


def sigmoid_unit(drawn: Drawn) -> None:
    drawn.file.node("Sigmoid", ["x"], "shares")
    drawn.file.node("Mul", ["x", "shares"], "y")


def mish(drawn: Drawn) -> None:
    drawn.file.node("Softplus", ["x"], "a")
    drawn.file.node("Tanh", ["a"], "b")
    drawn.file.node("Mul", ["x", "b"], "y")


def hard_swish(drawn: Drawn) -> None:
    drawn.file.node("Add", ["x", drawn.number(3.0)], "a")
    drawn.file.node("Clip", ["a", drawn.number(0.0), drawn.number(6.0)], "b")
    drawn.file.node("Mul", ["x", "b"], "c")
    drawn.file.node("Div", ["c", drawn.number(6.0)], "y")


@pytest.mark.parametrize("write", [gelu_by_powers, gelu_by_erf, sigmoid_unit, mish, hard_swish])
def test_a_function_of_one_element_is_one_look_up(tmp_path: Path, write: Write) -> None:
    drawn = Drawn((5, 8))
    write(drawn)
    assert drawn.check(tmp_path) == ["x", "y"]
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
    counts = result.energy.groupby(["component", "action"])["count"].sum()
    assert counts["activation_lut", "lookup"] == 40
    assert "vector_unit" not in {component for component, _ in counts.index}


def test_what_lies_inside_may_be_read_by_nobody_else(tmp_path: Path) -> None:
    drawn = Drawn((5, 8))
    drawn.file.node("Sigmoid", ["x"], "shares")
    drawn.file.node("Mul", ["x", "shares"], "unit")
    drawn.file.node("ReduceMean", ["shares"], "mean", axes=[-1])
    drawn.file.node("Add", ["unit", "mean"], "y")
    assert drawn.check(tmp_path) == ["x", "shares", "unit", "mean", "y"]


def test_a_function_of_two_tensors_stays_apart(tmp_path: Path) -> None:
    drawn = Drawn((5, 8))
    drawn.file.node("MatMul", ["x", drawn.numbers(8, 8)], "gate")
    drawn.file.node("Sigmoid", ["gate"], "shares")
    drawn.file.node("Mul", ["x", "shares"], "y")
    assert drawn.check(tmp_path) == ["x", "gate", "shares", "y"]


def normalization(
    drawn: Drawn, *, axes: tuple[int, ...] = (-1,), squares: str = "Pow", scale: bool = True, shift: bool = True
) -> None:
    """As PyTorch's exporter writes it before opset 17."""
    node, row = drawn.file.node, [drawn.inputs.shape[axis] for axis in axes]
    node("ReduceMean", ["x"], "mean", axes=list(axes))
    node("Sub", ["x", "mean"], "d")
    node(squares, ["d", drawn.number(2.0) if squares == "Pow" else "d"], "squares")
    node("ReduceMean", ["squares"], "variance", axes=list(axes))
    node("Add", ["variance", drawn.number(1e-5)], "sum")
    node("Sqrt", ["sum"], "root")
    node("Div", ["d", "root"], "scaled")
    if scale:
        node("Mul", ["scaled", drawn.positive(*row)], "scaled.twice")
    source = "scaled.twice" if scale else "scaled"
    node("Add", [source, drawn.numbers(*row)], "y") if shift else node("Identity", [source], "y")


@pytest.mark.parametrize("axes", [(-1,), (-2, -1)])
@pytest.mark.parametrize("squares", ["Pow", "Mul"])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shift", [True, False])
def test_a_layer_normalization_that_is_written_out(
    tmp_path: Path, axes: tuple[int, ...], squares: str, scale: bool, shift: bool
) -> None:
    drawn = Drawn((3, 4, 8))
    normalization(drawn, axes=axes, squares=squares, scale=scale, shift=shift)
    assert "mean" not in drawn.check(tmp_path)
    kinds = {type(operator) for operator in drawn.read(tmp_path).network.operators}
    assert LayerNorm in kinds
    assert len(kinds) == (1 if shift else 2)  # Identity is a move


def test_a_written_out_normalization_runs_in_integers(tmp_path: Path) -> None:
    """As the operator that opset 17 has for it, integer for integer."""
    results = []
    for write in (normalization, _whole):
        drawn = Drawn((3, 4, 8))
        write(drawn)
        results.append(run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs))
    first, second = results
    assert first.sqnr_db == pytest.approx(second.sqnr_db, abs=0.01)
    assert first.sqnr_db > 30
    assert first.totals == second.totals


def _whole(drawn: Drawn) -> None:
    drawn.number(2.0), drawn.number(1e-5)
    drawn.file.node("LayerNormalization", ["x", drawn.positive(8), drawn.numbers(8)], "y")


@pytest.mark.parametrize("axes", [(1,), (-2,)])
def test_means_along_other_axes_stay_means(tmp_path: Path, axes: tuple[int, ...]) -> None:
    drawn = Drawn((3, 4, 8))
    normalization(drawn, axes=axes, scale=False, shift=False)
    assert {"mean", "d", "variance", "root", "scaled"} <= set(drawn.check(tmp_path))


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Abs", {}),
        ("Celu", {"alpha": 0.7}),
        ("Elu", {"alpha": 1.3}),
        ("Exp", {}),
        ("Mish", {}),
        ("Neg", {}),
        ("Softplus", {}),
        ("Softsign", {}),
    ],
)
def test_functions_of_elements(tmp_path: Path, kind: str, attributes: dict[str, float]) -> None:
    drawn = Drawn((5, 8))
    drawn.file.opset = 20
    drawn.file.node(kind, ["x"], "y", **attributes)
    assert drawn.check(tmp_path) == ["x", "y"]


def test_functions_of_positive_elements_and_of_two(tmp_path: Path) -> None:
    drawn = Drawn((5, 8))
    node = drawn.file.node
    node("Exp", ["x"], "a")
    node("Sqrt", ["a"], "b")
    node("Log", ["b"], "c")
    node("Reciprocal", ["b"], "d")
    node("Pow", ["d", drawn.number(1.5)], "e")
    node("Max", ["c", "e"], "f")
    node("Min", ["f", drawn.positive(8)], "g")
    node("PRelu", ["g", drawn.numbers(5, 1)], "h")
    node("LogSoftmax", ["h"], "y", axis=-1)
    assert drawn.check(tmp_path) == ["x", "a", "b", "f", "g", "h", "y"]  # c, d, e are of b alone


@pytest.mark.parametrize(
    "kind",
    ["Abs", "Celu", "Elu", "Exp", "Mish", "Neg", "Softplus", "Softsign", "LogSoftmax"],
)
def test_functions_of_codes_equal_onnx_runtimes(tmp_path: Path, kind: str) -> None:
    """All 256 codes between DequantizeLinear and QuantizeLinear."""
    model = ModelBuilder(opset=20)
    model.input("x", np.int8, ("n", 256))
    source, result = model.grid(0.031, 3, np.int8), model.grid(0.047, -5, np.int8)
    model.node(kind, [model.dequantize("x", source)], "reals")
    model.quantize("reals", result, "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    found = compared(path, {"x": np.arange(-128, 128).astype(np.int8)[np.newaxis]})
    assert (found.tensors, found.total) == (["x", "y"], 0)
