"""LSTMs as exporters write them: either direction or both, any outputs, every tensor against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_files import Drawn
from onnx import helper

from hwsim.errors import UnsupportedError
from hwsim.simulate import run

STEPS, WIDTH, CELLS = 7, 5, 6


def write(drawn: Drawn, direction: str, outputs: list[str], *, states: bool = False) -> None:
    """An LSTM behind the transposition of batches to the second place; states of zeros may be written out."""
    count = 2 if direction == "bidirectional" else 1
    drawn.file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [(4 * CELLS, WIDTH), (4 * CELLS, CELLS), (8 * CELLS,)]
    inputs = ["steps", *(drawn.numbers(count, *shape) for shape in weights)]
    if states:
        zeros = drawn.file.constant(np.zeros((count, 1, CELLS)), np.float32)
        inputs += ["", zeros, zeros]
    drawn.file.nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=CELLS, direction=direction))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_all_hidden_states_and_the_last_ones(tmp_path: Path, direction: str) -> None:
    drawn = Drawn((STEPS, WIDTH))
    write(drawn, direction, ["all", "last"], states=True)
    drawn.file.node("ReduceMean", ["all"], "mean", axes=[0], keepdims=0)
    drawn.file.node("Add", ["mean", "last"], "y")
    assert {"all", "last", "mean", "y"} <= set(drawn.check(tmp_path))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_outputs_that_nobody_reads_are_left_out(tmp_path: Path, direction: str) -> None:
    """PyTorch names all three, whatever is read."""
    drawn = Drawn((STEPS, WIDTH))
    write(drawn, direction, ["all", "last", "cells"])
    drawn.file.node("Relu", ["last"], "y")
    assert "all" not in drawn.check(tmp_path)


def test_both_directions_run_quantized(tmp_path: Path) -> None:
    drawn = Drawn((STEPS, WIDTH))
    write(drawn, "bidirectional", ["all"])
    drawn.file.node("Transpose", ["all"], "moved", perm=[2, 0, 1, 3])
    drawn.file.node("Reshape", ["moved", drawn.integers(0, 0, -1)], "rows")
    drawn.file.node("MatMul", ["rows", drawn.numbers(2 * CELLS, 4, scale=1.0)], "y")
    drawn.check(tmp_path)
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
    assert result.totals["macs"] == 2 * STEPS * (WIDTH + CELLS) * 4 * CELLS + STEPS * 2 * CELLS * 4
    assert result.sqnr_db is not None
    assert result.sqnr_db > 20


def test_last_cell_states_are_refused(tmp_path: Path) -> None:
    drawn = Drawn((STEPS, WIDTH))
    write(drawn, "forward", ["", "", "y"])
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).splitlines()[0] == (
        f"{tmp_path}/model.onnx: node 1 (LSTM): other outputs than all hidden states, or the last ones"
    )


def test_samples_may_be_the_second_axis(tmp_path: Path) -> None:
    """Steps first, as PyTorch has them unless told otherwise, with an open batch."""
    drawn = Drawn((STEPS, WIDTH))
    drawn.file.inputs.clear()
    drawn.file.input("x", np.float32, [STEPS, "batch", WIDTH])
    drawn.file.node("LSTM", ["x", drawn.numbers(1, 4 * CELLS, WIDTH), drawn.numbers(1, 4 * CELLS, CELLS)], "all",
                    hidden_size=CELLS)  # fmt: skip
    drawn.file.node("Squeeze", ["all", drawn.integers(1, 2)], "y")
    network = drawn.read(tmp_path).network
    assert network.sample_shape("x") == (STEPS, 1, WIDTH)
    assert network.sample_shape("y") == (STEPS, CELLS)
