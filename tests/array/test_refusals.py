"""What an array refuses, and in which words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from hwsim.array.gemm import make_engine, simulate_gemm
from hwsim.array.params import ArrayParams, Dataflow, array_params
from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat

X, W = np.ones((2, 3), int), np.ones((3, 2), int)


def refusal(**options: Any) -> str:
    arguments = {"activations": X, "weights": W, "rows": 2, "cols": 2} | options
    with pytest.raises(ConfigError) as refused:
        simulate_gemm(**arguments)
    assert refused.value.exit_code == 2
    return str(refused.value)


@pytest.mark.parametrize("engine", ["stepped", "functional"])
@pytest.mark.parametrize(
    ("operands", "text"),
    [
        (
            {"activations": np.full((2, 3), 128)},
            "activations from 128 to 128; allowed: -128 to 127 (signed, 8 bits)",
        ),
        (
            {"weights": np.array([[-9], [0], [7]]), "weight_bits": 4},
            "weights from -9 to 7; allowed: -8 to 7 (signed, 4 bits)",
        ),
        (
            {"activations": -X, "activations_signed": False},
            "activations from -1 to -1; allowed: 0 to 255 (unsigned, 8 bits)",
        ),
        (
            {"activations": np.ones(3, int)},
            "activations of shape (3,); allowed: two dimensions, none of them empty",
        ),
        (
            {"weights": np.ones((3, 0), int)},
            "weights of shape (3, 0); allowed: two dimensions, none of them empty",
        ),
        (
            {"weights": np.ones((4, 2), int)},
            "activations (2, 3) and weights (4, 2) do not agree in depth: 3 and 4",
        ),
        ({"activations": X * 1.0}, "activations of type float64; allowed: integers up to 64 bits, signed"),
        ({"weights": W > 0}, "weights of type bool; allowed: integers up to 64 bits, signed"),
        ({"weights": W.astype(np.uint64)}, "weights of type uint64; allowed: integers up to 64 bits, signed"),
        ({"activations": X * 1j}, "activations of type complex128; allowed: integers up to 64 bits, signed"),
        ({"max_events": -1}, "max_events -1; allowed: 0 or more, or None for all"),
    ],
)
def test_operands_that_the_array_cannot_hold(engine: str, operands: dict[str, Any], text: str) -> None:
    assert refusal(engine=engine, **operands) == text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rows": 0}, "array of 0 x 2; allowed: 1 to 1024 rows and columns"),
        ({"cols": 1025}, "array of 2 x 1025; allowed: 1 to 1024 rows and columns"),
        ({"weight_bits": 17}, "weight_bits 17; allowed: 2 to 16"),
        ({"activation_bits": 1}, "activation_bits 1; allowed: 2 to 16"),
        ({"guard_bits": -5}, "guard_bits -5; allowed: -4 or more"),
        ({"guard_bits": 48}, "accumulator of 8 + 8 + 48 = 64 bits; allowed: 2 to 63"),
        (
            {"dataflow": "row_stationary"},
            "unknown dataflow 'row_stationary'; allowed: output_stationary, weight_stationary, input_stationary",
        ),
        ({"overflow": "clip"}, "unknown overflow 'clip'; allowed: wrap, saturate, error"),
        ({"fold_overlap": "half"}, "unknown fold_overlap 'half'; allowed: none, drain, full"),
        (
            {"fold_overlap": "drain", "dataflow": "weight_stationary"},
            "fold_overlap drain with weight_stationary; allowed: output_stationary",
        ),
        ({"engine": "steped"}, "unknown engine 'steped'; allowed: stepped, functional; did you mean 'stepped'?"),
    ],
)
def test_arrays_that_cannot_be_built(options: dict[str, Any], text: str) -> None:
    assert refusal(**options) == text


def test_words_that_no_pe_has() -> None:
    word = IntFormat(8)
    with pytest.raises(ConfigError, match=r"^operand of 18 bits in the PEs; allowed: 17$"):
        ArrayParams(2, 2, Dataflow.OUTPUT_STATIONARY, IntFormat(18), word, IntFormat(26))
    with pytest.raises(ConfigError, match=r"^unsigned accumulator; allowed: signed$"):
        ArrayParams(2, 2, Dataflow.OUTPUT_STATIONARY, word, word, IntFormat(24, signed=False))


@pytest.mark.parametrize("engine", ["stepped", "functional"])
@pytest.mark.parametrize("dataflow", list(Dataflow))
def test_starting_values_that_the_accumulator_cannot_hold(engine: str, dataflow: Dataflow) -> None:
    params = array_params(2, 2, dataflow, weight_bits=8, activation_bits=8, guard_bits=0)
    with pytest.raises(ConfigError) as refused:
        make_engine(engine).gemm(params, X, W, np.full((2, 2), 32768))
    assert str(refused.value) == "initial from 32768 to 32768; allowed: -32768 to 32767 (accumulator of 16 bits)"
    with pytest.raises(ConfigError) as refused:
        make_engine(engine).gemm(params, X, W, np.zeros(2, np.int64))
    assert str(refused.value) == "initial of shape (2,); allowed: (2, 2)"


def test_numba_is_imported_on_first_use() -> None:
    code = "import sys, hwsim.array.gemm, hwsim.numerics.requantize; print({'numba', 'pandas'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
