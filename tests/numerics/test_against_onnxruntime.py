"""ONNX Runtime, unoptimized, as the oracle: QuantizeLinear, QLinearMatMul, QLinearConv."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions, build_requantizer

FORMATS = {np.int8: IntFormat(8), np.uint8: IntFormat(8, signed=False)}
# ONNX Runtime multiplies 8-bit codes in 16-bit pairs on processors without VNNI: 7-bit weights cannot saturate there
WEIGHT_LIMIT = 64


def run(operator: str, inputs: dict[str, np.ndarray], output: type[np.generic], **attributes: object) -> np.ndarray:
    """Run one operator whose first input is fed and whose other inputs are constants."""
    first, *constants = inputs
    node = helper.make_node(operator, list(inputs), ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info(first, helper.np_dtype_to_tensor_dtype(inputs[first].dtype), None)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(output)), None)],
        [numpy_helper.from_array(inputs[name], name) for name in constants],
    )
    assert graph.output[0].type.tensor_type.elem_type in (TensorProto.INT8, TensorProto.UINT8)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {first: inputs[first]})[0])


def random_codes(
    random: np.random.Generator, dtype: type[np.generic], shape: tuple[int, ...], limit: int = 1 << 16
) -> np.ndarray:
    word = FORMATS[dtype]
    return random.integers(max(word.min, -limit), min(word.max, limit) + 1, shape).astype(dtype)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_quantize_linear(dtype: type[np.generic], seed: int) -> None:
    """A scale of a power of two has exact quotients, and ties; it needs no float32 division to agree."""
    random = np.random.default_rng(seed)
    scale = np.float32(2.0 ** random.integers(-8, 3))
    zero_point = random_codes(random, dtype, ())
    real = (random.integers(-1200, 1200, 5000) / 4).astype(np.float32) * scale
    expected = run("QuantizeLinear", {"x": real, "scale": scale, "zero": zero_point}, dtype)
    ours = Quantization(np.asarray(scale, np.float64), zero_point.astype(np.int64), FORMATS[dtype])
    assert np.array_equal(ours.quantize(real), expected)


@pytest.mark.parametrize("dtype", FORMATS)
def test_quantize_linear_with_any_scale(dtype: type[np.generic]) -> None:
    """ONNX Runtime divides in float32, hwsim in float64: they may differ only where float32 lands on a tie."""
    random = np.random.default_rng(11)
    scale, zero_point = np.float32(0.0173), random_codes(random, dtype, ())
    real = random.normal(size=50_000).astype(np.float32)
    expected = run("QuantizeLinear", {"x": real, "scale": scale, "zero": zero_point}, dtype)
    ours = Quantization(np.asarray(scale, np.float64), zero_point.astype(np.int64), FORMATS[dtype]).quantize(real)
    on_a_tie = np.abs((real / scale) % 1 - np.float32(0.5)) == 0
    assert np.count_nonzero(on_a_tie) < 10
    assert np.array_equal(ours[~on_a_tie], expected[~on_a_tie])


def requantized(accumulators: np.ndarray, scales: tuple[np.ndarray, ...], zero: np.ndarray) -> np.ndarray:
    """Apply hwsim's float scheme; ``scales`` of input, weights, output."""
    scale_x, scale_w, scale_y = (np.asarray(scale, np.float64) for scale in scales)
    output = Quantization(scale_y, zero.astype(np.int64), FORMATS[zero.dtype.type])
    options = RequantizerOptions("float")
    return build_requantizer(float(scale_x), scale_w, output, "none", options).apply(accumulators)


def random_scales(random: np.random.Generator, depth: int, channels: int | None) -> tuple[np.ndarray, ...]:
    """Draw scales that spread the sums over the output's codes."""
    scale_x = np.asarray(random.uniform(0.01, 0.1), np.float32)
    scale_w = np.asarray(random.uniform(0.001, 0.01, channels), np.float32)
    return scale_x, scale_w, np.asarray(scale_x * scale_w.mean() * 40 * np.sqrt(depth), np.float32)


@pytest.mark.parametrize("dtype_x", FORMATS)
@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_float_scheme_is_qlinearmatmul(dtype_x: type[np.generic], per_column: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, depth, cols = random.integers(1, 40, 3)
    x, w = random_codes(random, dtype_x, (rows, depth)), random_codes(random, np.int8, (depth, cols), WEIGHT_LIMIT)
    scales = random_scales(random, depth, cols if per_column else None)
    zero_x, zero_y = random_codes(random, dtype_x, ()), random_codes(random, dtype_x, ())
    zero_w = np.zeros(scales[1].shape, np.int8)
    inputs = {
        "x": x, "x_scale": scales[0], "x_zero": zero_x,
        "w": w, "w_scale": scales[1], "w_zero": zero_w,
        "y_scale": scales[2], "y_zero": zero_y,
    }  # fmt: skip
    accumulators = (x.astype(np.int64) - zero_x.astype(np.int64)) @ w.astype(np.int64)
    expected = run("QLinearMatMul", inputs, dtype_x)
    assert np.array_equal(requantized(accumulators, scales, zero_y), expected)
    assert len(np.unique(expected)) > 1 or expected.size < 10


@pytest.mark.parametrize("dtype_x", FORMATS)
@pytest.mark.parametrize("seed", range(8))
def test_the_float_scheme_is_qlinearconv_with_padding(dtype_x: type[np.generic], seed: int) -> None:
    """Padding is the code of zero; weights have a scale per output channel; the bias is on the product's grid."""
    random = np.random.default_rng(100 + seed)
    channels, filters, size, kernel, pad = (
        int(random.integers(*ends)) for ends in ((1, 5), (1, 9), (5, 12), (1, 4), (0, 3))
    )
    x = random_codes(random, dtype_x, (1, channels, size, size))
    w = random_codes(random, np.int8, (filters, channels, kernel, kernel), WEIGHT_LIMIT)
    bias = random.integers(-3000, 3000, filters).astype(np.int32)
    scales = random_scales(random, channels * kernel**2, filters)
    zero_x, zero_y = random_codes(random, dtype_x, ()), random_codes(random, dtype_x, ())
    inputs = {
        "x": x, "x_scale": scales[0], "x_zero": zero_x,
        "w": w, "w_scale": scales[1], "w_zero": np.zeros(filters, np.int8),
        "y_scale": scales[2], "y_zero": zero_y, "bias": bias,
    }  # fmt: skip
    padded = np.pad(x[0].astype(np.int64), ((0, 0), (pad, pad), (pad, pad)), constant_values=int(zero_x))
    windows = np.lib.stride_tricks.sliding_window_view(padded - int(zero_x), (kernel, kernel), axis=(1, 2))
    accumulators = np.einsum("cyxij,fcij->yxf", windows, w.astype(np.int64)) + bias
    expected = run("QLinearConv", inputs, dtype_x, pads=[pad] * 4)
    assert np.array_equal(requantized(accumulators, scales, zero_y), expected[0].transpose(1, 2, 0))
