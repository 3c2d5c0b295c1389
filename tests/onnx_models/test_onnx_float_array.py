"""Files of reals on an array of floats: what the other units compute is the exact result, rounded to the format."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from drawn_files import Drawn

from hwsim.config.load import load_arch
from hwsim.samples import choose_samples
from hwsim.simulate import run
from hwsim.simulate_float import float_tensors

TYPES = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16}


def network(drawn: Drawn) -> None:
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(4, 3, 3, 3), drawn.numbers(4)], "a", pads=[1, 1, 1, 1])
    node("Tanh", ["a"], "b")
    node("Conv", ["b", drawn.numbers(4, 4, 1, 1)], "r")
    node("Add", ["b", "r"], "c")
    node("AveragePool", ["c"], "d", kernel_shape=[2, 2], strides=[2, 2])
    node("GlobalAveragePool", ["d"], "e")
    node("Flatten", ["e"], "f")
    node("Softmax", ["f"], "g")
    node("LayerNormalization", ["g", drawn.positive(4), drawn.numbers(4)], "h")
    node("Gemm", ["h", drawn.numbers(4, 5), drawn.numbers(5)], "y")


@pytest.mark.parametrize("number_format", ["bf16", "fp16"])
def test_every_unit_rounds_once(tmp_path: Path, number_format: str) -> None:
    drawn = Drawn((3, 6, 8))
    network(drawn)
    spec = load_arch("edge16", [f"array.number_format={number_format}"])
    found = float_tensors(spec, choose_samples(drawn.read(tmp_path), inputs=drawn.inputs))
    reals = {name: values.astype(np.float64).reshape(6, *values.shape[2:]) for name, values in found.items()}
    powers = np.exp(reals["f"] - reals["f"].max(axis=-1, keepdims=True))
    exact = {
        "b": np.tanh(reals["a"]),
        "c": reals["b"] + reals["r"],
        "d": reals["c"].reshape(6, 3, 2, 4, 2, 4).mean(axis=(2, 4)),
        "e": reals["d"].mean(axis=(1, 2), keepdims=True),
        "f": reals["e"].reshape(6, 4),
        "g": powers / powers.sum(axis=-1, keepdims=True),
    }
    kind = TYPES[number_format]
    for name, values in exact.items():
        close = np.asarray(values, np.float32).astype(kind).astype(np.float64)
        assert np.mean(close != reals[name]) < 0.02, name  # float32 in between: sums of four in another order
        assert np.abs(close - reals[name]).max() <= float(ml_dtypes.finfo(kind).eps) * np.abs(close).max(), name


def test_wider_formats_lose_less(tmp_path: Path) -> None:
    ratios = []
    for number_format in ("bf16", "fp16", "fp32"):
        drawn = Drawn((3, 6, 8))
        network(drawn)
        result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs,
                     overrides=[f"array.number_format={number_format}"])  # fmt: skip
        assert result.sqnr_db is not None
        ratios.append(result.sqnr_db)
    assert ratios == sorted(ratios)
    assert ratios[0] > 30
    assert ratios[2] > 110


def test_other_units_work_in_floats(tmp_path: Path) -> None:
    """By hand, for 48 pixels of 4 channels: a sum; means of 4 and of 12; softmax and normalization of a row of 4."""
    drawn = Drawn((3, 6, 8))
    network(drawn)
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, overrides=["array.number_format=bf16"])
    found = result.energy.groupby(["component", "action"])["count"].sum()
    assert found["vector_unit", "float_add"] == 192 + 192 + 48 + 2 * 4 + 4 * 4
    assert found["vector_unit", "float_multiply"] == 48 + 4 + 4 + 3 * 4
    assert found["activation_lut", "lookup"] == 192 + (4 + 1) + 1
    assert ("vector_unit", "add") not in found.index
