"""Files of reals with ranges found at run time: products of codes, and everything else between reals in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from drawn_files import Drawn

from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.numerics.onnxruntime import functions
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

DYNAMIC = "quantization.mode=dynamic"


def network(drawn: Drawn) -> None:
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(4, 3, 3, 3), drawn.numbers(4)], "a", pads=[1, 1, 1, 1])
    node("Conv", ["a", drawn.numbers(4, 1, 3, 3)], "b", group=4, pads=[1, 1, 1, 1])
    node("Add", ["a", "b"], "c")
    node("Relu", ["c"], "d")
    node("Tanh", ["d"], "e")
    node("GlobalAveragePool", ["e"], "f")
    node("Flatten", ["f"], "g")
    node("LayerNormalization", ["g", drawn.positive(4), drawn.numbers(4)], "h")
    node("Softmax", ["h"], "i")
    node("MatMul", ["i", drawn.numbers(4, 5)], "y")


def test_what_lies_between_products_is_float32s(tmp_path: Path) -> None:
    drawn = Drawn((3, 6, 8))
    network(drawn)
    chosen = choose_samples(drawn.read(tmp_path), inputs=drawn.inputs)
    found = integer_tensors(load_arch("edge16", [DYNAMIC]), chosen)
    assert all(found[name].dtype == np.float32 for name in "abcdefghiy")
    np.testing.assert_array_equal(found["c"], found["a"] + found["b"])
    np.testing.assert_array_equal(found["d"], np.maximum(found["c"], 0))
    np.testing.assert_allclose(found["e"], np.tanh(found["d"]), rtol=1e-6)
    np.testing.assert_allclose(found["g"], found["e"].mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(found["i"], functions.softmax(found["h"]))


def test_a_run_takes_the_products_on_the_array(tmp_path: Path) -> None:
    """The stepped machine's values are compared with the functional array's."""
    drawn = Drawn((3, 6, 8))
    network(drawn)
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, overrides=[DYNAMIC])
    assert result.totals["macs"] == 48 * 4 * 27 + 48 * 4 * 9 + 4 * 5
    assert result.sqnr_db is not None
    assert result.sqnr_db > 35


def test_additions_and_multiplications_are_float32s(tmp_path: Path) -> None:
    """By hand: 192 sums; means of 4 channels over 48 pixels; a normalization of 4 values."""
    drawn = Drawn((3, 6, 8))
    network(drawn)
    steps = compile_workload(load_arch("edge16", [DYNAMIC]), drawn.read(tmp_path)).steps
    found = {step.name: dict(step.actions) for step in steps if isinstance(step, FunctionStep)}
    assert found["add_2"] == {("vector_unit", "float_add"): 192}
    assert found["relu_3"] == {("vector_unit", "float_compare"): 2 * 192}
    assert found["globalaveragepool_5"] == {
        ("vector_unit", "float_add"): 192, ("vector_unit", "float_multiply"): 4,
    }  # fmt: skip
    assert found["layernormalization_7"] == {
        ("vector_unit", "float_add"): 16, ("vector_unit", "float_multiply"): 12, ("activation_lut", "lookup"): 1,
    }  # fmt: skip
