"""Random models of one matrix product: convolution, depthwise convolution, fully connected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from model_builder import Graph, Operator, Tensor

from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.scales import TfliteActivation
from hwsim.oracles.ask import Case

ACTIVATIONS: dict[TfliteActivation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
    "relu_n1_to_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}

NAMES = {
    "convolution": "CONV_2D",
    "grouped_convolution": "CONV_2D",
    "depthwise_convolution": "DEPTHWISE_CONV_2D",
    "fully_connected": "FULLY_CONNECTED",
}


@dataclass
class Product:
    """One model, its input codes and everything that its arithmetic needs."""

    case: Case
    operator: str
    input_scale: float
    input_zero_point: int
    weight_scale: np.ndarray
    accumulators: np.ndarray
    output: Quantization
    activation: TfliteActivation
    output_tensor: int

    @property
    def per_channel(self) -> bool:
        return self.weight_scale.ndim == 1


def random_scale(random: np.random.Generator, low: float, high: float) -> float:
    """A float32 between the bounds, even on a log scale."""
    return float(np.float32(np.exp(random.uniform(np.log(low), np.log(high)))))


def random_activation(random: np.random.Generator) -> TfliteActivation:
    return list(ACTIVATIONS)[random.integers(len(ACTIVATIONS))]


def quantization(scale: float, zero_point: int, bits: int = 8) -> Quantization:
    return Quantization(np.asarray(scale, np.float64), np.asarray(zero_point), IntFormat(bits))


def random_convolution(random: np.random.Generator, *, depthwise: bool, bits: int = 8) -> Product:
    batch, height, width, channels = (int(random.integers(1, limit)) for limit in (3, 9, 9, 6))
    kernel_y, kernel_x = (int(random.integers(1, limit + 1)) for limit in (min(height, 4), min(width, 4)))
    outputs = channels * int(random.integers(1, 4)) if depthwise else int(random.integers(1, 9))
    dilated = bool(random.integers(4) == 0)
    stride, dilation = (1, int(random.integers(1, 3))) if dilated else (int(random.integers(1, 4)), 1)
    reach = dilation * (max(kernel_y, kernel_x) - 1) + 1
    same = bool(random.integers(2)) or reach > min(height, width)
    shape = (1, kernel_y, kernel_x, outputs) if depthwise else (outputs, kernel_y, kernel_x, channels)
    weights = random.integers(-127, 128, shape).astype(np.int8)
    zero_point = int(random.integers(-128, 128)) if bits == 8 else 0
    codes = _codes(random, (batch, height, width, channels), bits)
    windows = _windows(codes.astype(np.int64) - zero_point, (kernel_y, kernel_x), stride, dilation, same)
    plain = weights.astype(np.int64)
    if depthwise:
        repeated = np.repeat(windows, outputs // channels, axis=-1)
        sums = np.einsum("nyxklo,klo->nyxo", repeated, plain[0])
    else:
        sums = np.einsum("nyxklc,oklc->nyxo", windows, plain)
    padding = schema.Padding.SAME if same else schema.Padding.VALID
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = padding, stride, stride
    options.dilationHFactor = options.dilationWFactor = dilation
    if depthwise:
        options.depthMultiplier = outputs // channels
    operator = "depthwise_convolution" if depthwise else "convolution"
    scales = np.array([random_scale(random, 1e-4, 1e-1) for _ in range(outputs)])
    return _product(random, operator, codes, zero_point, weights, scales, 3 if depthwise else 0, sums, options)


def random_fully_connected(random: np.random.Generator, *, per_channel: bool, bits: int = 8) -> Product:
    batch, depth, outputs = (int(random.integers(1, limit)) for limit in (6, 60, 20))
    outputs += per_channel  # one scale means per tensor
    weights = random.integers(-127, 128, (outputs, depth)).astype(np.int8)
    zero_point = int(random.integers(-128, 128)) if bits == 8 else 0
    codes = _codes(random, (batch, depth), bits)
    sums = (codes.astype(np.int64) - zero_point) @ weights.T.astype(np.int64)
    scales = np.array([random_scale(random, 1e-4, 1e-1) for _ in range(outputs)])
    scale = scales if per_channel else scales[0]
    options = schema.FullyConnectedOptionsT()
    return _product(random, "fully_connected", codes, zero_point, weights, scale, 0, sums, options)


def _product(
    random: np.random.Generator,
    operator: str,
    codes: np.ndarray,
    zero_point: int,
    weights: np.ndarray,
    weight_scale: np.ndarray,
    axis: int,
    sums: np.ndarray,
    options: object,
) -> Product:
    """Add a bias, choose an output scale that spreads the accumulators over the codes, write the model."""
    wide = codes.dtype == np.int16
    outputs = sums.shape[-1]
    input_scale = random_scale(random, 1e-3, 1e-1)
    bias = random.integers(-5000, 5000, outputs).astype(np.int64 if wide else np.int32)
    sums = sums + bias
    real = np.abs(sums * (input_scale * weight_scale)).max() + 1e-9
    code_span = 32767 if wide else 127
    output_scale = float(np.float32(real / code_span * random.uniform(0.3, 3)))
    output_zero = 0 if wide else int(random.integers(-128, 128))
    activation = random_activation(random)
    setattr(options, "fusedActivationFunction", ACTIVATIONS[activation])  # noqa: B010 (a generated class)
    output = quantization(output_scale, output_zero, 16 if wide else 8)
    return _model(
        operator, codes, (input_scale, zero_point), weights, weight_scale, axis, bias, sums, output, activation, options
    )


def _model(
    operator: str,
    codes: np.ndarray,
    input_quantization: tuple[float, int],
    weights: np.ndarray,
    weight_scale: np.ndarray,
    axis: int,
    bias: np.ndarray,
    sums: np.ndarray,
    output: Quantization,
    activation: TfliteActivation,
    options: object,
) -> Product:
    graph = Graph()
    input_scale, zero_point = input_quantization
    x = graph.add(Tensor(codes.shape, codes.dtype.name, input_scale, zero_point))
    w = graph.constant(weights, weight_scale, axis)
    b = graph.constant(bias, input_scale * weight_scale)
    y = graph.add(Tensor(sums.shape, codes.dtype.name, float(output.scale), int(output.zero_point)))
    graph.operators = [Operator(NAMES[operator], [x, w, b], [y], options)]
    graph.inputs, graph.outputs = [x], [y]
    weight_scales = np.asarray(weight_scale, np.float32).astype(np.float64)
    case = Case(graph.build(), [codes[None]])
    return Product(case, operator, input_scale, zero_point, weight_scales, sums, output, activation, y)


def _codes(random: np.random.Generator, shape: tuple[int, ...], bits: int) -> np.ndarray:
    if bits == 8:
        return random.integers(-128, 128, shape).astype(np.int8)
    return random.integers(-(1 << 15), 1 << 15, shape).astype(np.int16)


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME: the odd one goes to the end."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _windows(values: np.ndarray, kernel: tuple[int, int], stride: int, dilation: int, same: bool) -> np.ndarray:
    """Return the valid taps of every output as (batch, out_y, out_x, kernel_y, kernel_x, channel), zero outside."""
    if same:
        pads = [
            same_padding(size, taps, stride, dilation) for size, taps in zip(values.shape[1:3], kernel, strict=True)
        ]
        values = np.pad(values, [(0, 0), *pads, (0, 0)])
    reach = tuple(dilation * (taps - 1) + 1 for taps in kernel)
    windows = np.lib.stride_tricks.sliding_window_view(values, reach, axis=(1, 2))
    windows = windows[:, ::stride, ::stride, :, ::dilation, ::dilation]
    return np.moveaxis(windows, 3, -1)


def near_ties(random: np.random.Generator, operator: str, *, per_channel: bool = True, outputs: int = 600) -> Product:
    """A product whose sums are 0 and whose biases lie next to the ties of its requantization.

    There the precision of the multiplier and every rounding step show. Fully connected may have one scale.
    """
    zero_point = int(random.integers(-128, 128))
    input_scale = random_scale(random, 1e-3, 1e-1)
    weight_scales = np.array([random_scale(random, 1e-4, 1e-2) for _ in range(outputs if per_channel else 1)])
    output_scale = random_scale(random, 0.5, 20.0)
    ratio = output_scale / (input_scale * weight_scales)
    ties = random.integers(-120, 121, outputs) + 0.5
    bias = (np.rint(ties * ratio) + random.integers(-1, 2, outputs)).clip(-(1 << 31), (1 << 31) - 1).astype(np.int32)
    full = operator == "fully_connected"
    depthwise = operator == "depthwise_convolution"
    channels = 2 if operator == "grouped_convolution" else 1
    codes = np.full((1, 1) if full else (1, 1, 1, channels), zero_point, np.int8)
    weights = np.full((outputs, 1) if full else (1, 1, 1, outputs) if depthwise else (outputs, 1, 1, 1), 3, np.int8)
    options = schema.FullyConnectedOptionsT() if full else schema.Conv2DOptionsT()
    if depthwise:
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = outputs
    if not full:
        options.strideH = options.strideW = 1
    scale = weight_scales if per_channel else weight_scales[0]
    sums = bias.astype(np.int64).reshape((1, outputs) if full else (1, 1, 1, outputs))
    output = quantization(output_scale, 0)
    axis = 3 if depthwise else 0
    quantized = (input_scale, zero_point)
    return _model(operator, codes, quantized, weights, scale, axis, bias, sums, output, "none", options)


def beyond_32_bits(random: np.random.Generator, operator: str, outputs: int = 64) -> Product:
    """A product whose sums with bias leave int32 on either side in about half of the channels."""
    full, depthwise = operator == "fully_connected", operator == "depthwise_convolution"
    signs = random.choice([-1, 1], outputs)
    edge = (1 << 31) - 1 - random.integers(0, 60000, outputs)
    bias = (signs * edge).astype(np.int32)
    weights = (127 * signs).astype(np.int8)
    sums = bias.astype(np.int64) + 255 * weights.astype(np.int64)
    options = schema.FullyConnectedOptionsT() if full else schema.Conv2DOptionsT()
    if depthwise:
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = outputs
    if not full:
        options.strideH = options.strideW = 1
    shape = (outputs, 1) if full else (1, 1, 1, outputs) if depthwise else (outputs, 1, 1, 1)
    corner = (1, 1) if full else (1, 1, 1, 1)
    codes = np.full(corner, 127, np.int8)
    sums = sums.reshape(*corner[:-1], outputs)
    scales = np.full(outputs, 1e-4)
    axis = 3 if depthwise else 0
    output = quantization(100.0, 0)
    return _model(
        operator, codes, (0.01, -128), weights.reshape(shape), scales, axis, bias, sums, output, "none", options
    )
