"""From operators on quantized tensors to integer steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import ClampStep, LutStep, MaxStep, MoveStep
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import BatchNorm, Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions

INT8 = IntFormat(8)


def grid(scale: float, zero_point: int = 0, word: IntFormat = INT8) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


def dense_tensors(weights: Quantization, *, bias: int = 100, activation_zero_point: int = -5) -> dict[str, Tensor]:
    return {
        "x": Tensor("x", (2,), quantization=grid(0.5, activation_zero_point)),
        "weight": Tensor("weight", (2, 1), np.array([[3], [-7]]), weights),
        "bias": Tensor("bias", (1,), np.array([bias]), None),
        "y": Tensor("y", (1,), quantization=grid(1.0)),
    }


DENSE = Dense("fc", ("x",), "y", "weight", "bias", units=1)


def test_folded_zero_points_join_the_bias() -> None:
    """100 + depth Z_x Z_w - Z_x sum(w) = 100 + 2 (-5) 2 - (-5)(-4) = 60; the data-dependent part stays outside."""
    step = DENSE.lower(dense_tensors(grid(0.1, 2)), LoweringOptions())
    assert step.bias.tolist() == [[60]]
    assert step.adds_row_sums
    assert step.operand_formats == (INT8, INT8)


def test_symmetric_weights_need_no_row_sums() -> None:
    step = DENSE.lower(dense_tensors(grid(0.1)), LoweringOptions())
    assert step.bias.tolist() == [[80]]
    assert not step.adds_row_sums


def test_zero_points_at_the_operand_widen_it_by_one_signed_bit() -> None:
    options = LoweringOptions(zero_point="operand")
    step = DENSE.lower(dense_tensors(grid(0.1)), options)
    assert step.bias.tolist() == [[100]]
    assert step.operand_formats == (IntFormat(9), INT8)
    unsigned = dense_tensors(grid(0.1, 130, IntFormat(8, signed=False)), activation_zero_point=0)
    assert DENSE.lower(unsigned, options).operand_formats == (INT8, IntFormat(9))


def test_a_tensor_without_quantization_is_named() -> None:
    tensors = dense_tensors(grid(0.1))
    tensors["y"] = Tensor("y", (1,))
    with pytest.raises(ConfigError) as refused:
        DENSE.lower(tensors, LoweringOptions())
    assert str(refused.value) == "tensor 'y' is not quantized"


def test_a_bias_beyond_63_bits_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        DENSE.lower(dense_tensors(grid(0.1), bias=5 << 60), LoweringOptions())
    assert str(refused.value) == "layer fc: bias and zero-point terms need more than 63 bits"


def test_all_operators_without_an_integer_form_are_listed() -> None:
    norms = [BatchNorm(name, ("x",), "x") for name in ("bn1", "bn2")]
    network = Network("n", {"x": Tensor("x", (4,), quantization=grid(1.0))}, tuple(norms), ("x",), ("x",))
    with pytest.raises(UnsupportedError) as refused:
        network.lower(LoweringOptions())
    assert str(refused.value) == (
        "layer bn1: batch_norm without a dense or conv2d layer right before it; allowed: after one\n"
        "layer bn2: batch_norm without a dense or conv2d layer right before it; allowed: after one"
    )
    assert refused.value.exit_code == 3


def pixels(shape: tuple[int, ...], quantization: Quantization) -> dict[str, Tensor]:
    return {name: Tensor(name, shape, quantization=quantization) for name in ("x", "y")}


def test_max_pool_compares_codes() -> None:
    tensors = pixels((2, 2, 2), grid(0.1, -7))
    tensors["y"] = replace(tensors["y"], shape=(1, 1, 2))
    step = MaxPool2d("pool", ("x",), "y").lower(tensors, LoweringOptions())
    assert isinstance(step, MaxStep)
    assert step.compute(np.array([[1, -8, 3, -9, 2, -6, 0, -7]])).tolist() == [[3, -6]]
    assert step.operations == 6  # 2 outputs, 3 comparisons each
    assert step.counts == {("vector_unit", "compare"): 6}


@pytest.mark.parametrize(("activation", "clamped"), [("relu", [-5, -5, 20, 127]), ("relu6", [-5, -5, 20, 55])])
def test_a_rectifier_of_its_own_clamps_codes(activation: str, clamped: list[int]) -> None:
    """Scale 0.1, zero point -5: 0 has the code -5 and 6 the code 55."""
    step = Rectify("r", ("x",), "y", activation).lower(pixels((4,), grid(0.1, -5)), LoweringOptions())
    assert isinstance(step, ClampStep)
    assert step.compute(np.array([[-128, -5, 20, 127]])).tolist() == [clamped]
    assert (step.operations, step.counts) == (4, {("vector_unit", "compare"): 8})


def test_flatten_moves_nothing() -> None:
    step = Flatten("f", ("x",), "y").lower(pixels((4,), grid(1.0)), LoweringOptions())
    assert isinstance(step, MoveStep)
    assert (step.operations, dict(step.counts)) == (0, {})


def test_a_function_becomes_a_table() -> None:
    """A table over the input's own range, as long as it has codes, holds round(256 f(x)) - 128 of every code."""
    tensors = pixels((256,), grid(1 / 16))
    tensors["y"] = replace(tensors["y"], quantization=grid(1 / 256, -128))
    step = LutFunction("s", ("x",), "y", "sigmoid").lower(tensors, LoweringOptions())
    assert isinstance(step, LutStep)
    codes = np.arange(-128, 128)[np.newaxis]
    expected = np.clip(np.rint(256 / (1 + np.exp(-codes / 16))) - 128, -128, 127)
    assert np.array_equal(step.compute(codes), expected)
    assert (step.operations, step.lookups, step.counts) == (0, 256, {("activation_lut", "lookup"): 256})


def test_a_function_may_come_from_one_table_of_the_sigmoid() -> None:
    tensors = pixels((256,), grid(1 / 16))
    tensors["y"] = replace(tensors["y"], quantization=grid(1 / 128))
    options = LoweringOptions(lut=LutOptions(output_bits=16, interpolation="tflite_int16"))
    step = LutFunction("t", ("x",), "y", "tanh").lower(tensors, options)
    codes = np.arange(-128, 128)[np.newaxis]
    assert isinstance(step, LutStep)
    assert np.abs(step.compute(codes) - np.clip(np.rint(128 * np.tanh(codes / 16)), -128, 127)).max() <= 1
    assert (step.lookups, step.counts) == (256, {("activation_lut", "lookup"): 2 * 256})


def test_matmul_steps_report_the_sizes_of_one_group() -> None:
    step = DENSE.lower(dense_tensors(grid(0.1)), LoweringOptions())
    assert isinstance(step, MatmulStep)
    assert (step.groups, step.shape.out_rows, step.shape.depth, step.shape.out_cols) == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("scheme", "scale", "problem"),
    [
        ("power_of_two", 1e-30, "right shift of 101; allowed: -31 to 94"),  # 0.5e-30 is about 2**-100.7
        ("power_of_two", 1e10, "right shift of -32; allowed: -31 to 94"),  # 0.5e10 is about 2**32.2
        ("fixed_point", 1e19, "right shift of -32; allowed: -31 to 94"),  # 0.5e19 is 0.54 * 2**63: 31 bits leave 2**32
        ("fixed_point", 1e-320, "requantization multiplier 0.0; allowed: positive and finite"),
    ],
)
def test_scales_that_no_shift_reaches_are_refused_with_their_layer(scheme: str, scale: float, problem: str) -> None:
    tensors = dense_tensors(grid(scale))
    if scale == 1e-320:
        tensors["y"] = Tensor("y", (1,), quantization=grid(1e10))
    options = LoweringOptions(requantizer=RequantizerOptions(scheme))
    with pytest.raises(ConfigError) as refused:
        DENSE.lower(tensors, options)
    assert str(refused.value) == f"layer fc: requantizer: {problem}"
