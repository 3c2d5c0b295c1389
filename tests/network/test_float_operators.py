"""Float values of every operator against ONNX Runtime, on random shapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from onnx_operators import run_onnx

from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import BatchNorm, Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.operators.layer_norm import LayerNorm
from hwsim.network.tensor import Tensor

AUTO_PAD = {"same": "SAME_UPPER", "valid": "VALID"}
SEEDS = range(12)


def float_values(operator: Operator, values: np.ndarray, **constants: np.ndarray) -> np.ndarray:
    tensors: Mapping[str, Tensor] = {name: Tensor(name, data.shape, data) for name, data in constants.items()}
    result = operator.float_values([values], tensors)
    assert result.shape == (len(values), *operator.output_shape(values.shape[1:]))
    return result


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def random_convolution(random: np.random.Generator, groups: int, each: int, filters: int, padding: str) -> Conv2d:
    kernel, stride = (tuple(int(size) for size in random.integers(1, high, 2)) for high in (5, 4))
    return Conv2d("conv", ("x",), "y", "weight", "bias", groups=groups, filters=filters, kernel=kernel, stride=stride,
                  padding=padding)  # fmt: skip


def check_convolution(random: np.random.Generator, conv: Conv2d, channels: int) -> None:
    size = tuple(int(length) for length in random.integers(5, 11, 2))
    values = random.normal(size=(2, *size, channels))
    weight = random.normal(size=(*conv.kernel, channels // conv.groups, conv.filters))
    bias = random.normal(size=conv.filters)
    theirs = run_onnx("Conv", values, weight.transpose(3, 2, 0, 1), bias, auto_pad=AUTO_PAD[conv.padding],
                      strides=conv.stride, group=conv.groups)  # fmt: skip
    assert_same(float_values(conv, values, weight=weight, bias=bias), theirs)


@pytest.mark.parametrize("padding", AUTO_PAD)
@pytest.mark.parametrize("seed", SEEDS)
def test_convolution(seed: int, padding: str) -> None:
    random = np.random.default_rng(seed)
    check_convolution(random, random_convolution(random, 1, 1, 5, padding), channels=3)


@pytest.mark.parametrize("padding", AUTO_PAD)
@pytest.mark.parametrize("seed", SEEDS)
def test_grouped_convolution(seed: int, padding: str) -> None:
    random = np.random.default_rng(seed)
    check_convolution(random, random_convolution(random, 2, 2, 6, padding), channels=4)


@pytest.mark.parametrize("padding", AUTO_PAD)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution(multiplier: int, padding: str) -> None:
    random = np.random.default_rng(multiplier)
    check_convolution(random, random_convolution(random, 3, 1, 3 * multiplier, padding), channels=3)


@pytest.mark.parametrize(("activation", "limits"), [("none", (None, None)), ("relu", (0, None)), ("relu6", (0, 6))])
def test_dense_layer_with_a_fused_activation(activation: str, limits: tuple[int | None, int | None]) -> None:
    random = np.random.default_rng(3)
    values, weight, bias = random.normal(size=(4, 9)), 4 * random.normal(size=(9, 7)), random.normal(size=7)
    dense = Dense("fc", ("x",), "y", "weight", "bias", activation, units=7)
    theirs = run_onnx("Gemm", values, weight, bias)
    if activation != "none":
        theirs = np.clip(theirs, *limits)
    assert_same(float_values(dense, values, weight=weight, bias=bias), theirs)


def test_dense_layer_without_a_bias() -> None:
    random = np.random.default_rng(4)
    values, weight = random.normal(size=(2, 5)), random.normal(size=(5, 3))
    assert_same(
        float_values(Dense("fc", ("x",), "y", "weight", units=3), values, weight=weight),
        run_onnx("MatMul", values, weight),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_max_pool(seed: int) -> None:
    random = np.random.default_rng(seed)
    pool, stride = (tuple(int(size) for size in random.integers(1, 4, 2)) for _ in range(2))
    values = random.normal(size=(2, *random.integers(3, 9, 2), 3))
    theirs = run_onnx("MaxPool", values, kernel_shape=pool, strides=stride)
    assert_same(float_values(MaxPool2d("pool", ("x",), "y", pool, stride), values), theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_max_pool_over_the_edge(seed: int) -> None:
    """Also where all values are negative: padding is no zero."""
    random = np.random.default_rng(seed)
    pool = tuple(int(size) for size in random.integers(1, 4, 2))
    stride = tuple(int(random.integers(1, size + 1)) for size in pool)
    values = random.normal(size=(2, *random.integers(3, 9, 2), 3)) - 3
    theirs = run_onnx("MaxPool", values, kernel_shape=pool, strides=stride, auto_pad="SAME_UPPER")
    assert_same(float_values(MaxPool2d("pool", ("x",), "y", pool, stride, "same"), values), theirs)


@pytest.mark.parametrize("shape", [(3, 6), (2, 4, 3, 6)], ids=["vector", "image"])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    values, gamma, beta, mean = random.normal(size=shape), *random.normal(size=(3, 6))
    variance = random.random(6)
    norm = BatchNorm("bn", ("x",), "y", "gamma", "beta", "mean", "variance", epsilon=1e-3)
    ours = float_values(norm, values, gamma=gamma, beta=beta, mean=mean, variance=variance)
    assert_same(ours, run_onnx("BatchNormalization", values, gamma, beta, mean, variance, epsilon=1e-3))


@pytest.mark.parametrize(
    ("function", "operator", "attributes"),
    [
        ("sigmoid", "Sigmoid", {}),
        ("tanh", "Tanh", {}),
        ("gelu", "Gelu", {}),
        ("gelu_by_tanh", "Gelu", {"approximate": "tanh"}),
    ],
)
def test_functions_far_into_saturation(function: str, operator: str, attributes: dict[str, str]) -> None:
    values = np.linspace(-40, 40, 801).reshape(3, -1)
    ours = float_values(LutFunction("f", ("x",), "y", function), values)
    assert_same(ours, run_onnx(operator, values, **attributes))


def test_rows_brought_to_mean_0_and_variance_1() -> None:
    random = np.random.default_rng(0)
    values, gamma, beta = random.normal(2, 3, (4, 5, 6)), *random.normal(size=(2, 6))
    norm = LayerNorm("n", ("x",), "y", "gamma", "beta", epsilon=1e-3)
    ours = float_values(norm, values, gamma=gamma, beta=beta)
    assert_same(ours, run_onnx("LayerNormalization", values, gamma, beta, epsilon=1e-3))


@pytest.mark.parametrize(("activation", "limits"), [("relu", [0.0]), ("relu6", [0.0, 6.0])])
def test_rectifiers(activation: str, limits: list[float]) -> None:
    values = np.linspace(-9, 9, 37).reshape(1, -1)
    theirs = run_onnx("Clip", values, *(np.float32(limit) for limit in limits))
    assert_same(float_values(Rectify("r", ("x",), "y", activation), values), theirs)


def test_flatten_keeps_row_column_channel_order() -> None:
    values = np.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)
    assert np.array_equal(float_values(Flatten("f", ("x",), "y"), values), np.arange(48.0).reshape(2, 24))
