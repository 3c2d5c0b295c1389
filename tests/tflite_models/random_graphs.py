"""Random models of one int8 operator: random shapes, scales, zero points, strides, paddings, dilations and clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from model_builder import Graph, Operator, Tensor, options
from operator_models import random_quantization
from product_models import ACTIVATIONS, random_activation, random_scale

from hwsim.numerics.quantization import Quantization

Random = np.random.Generator
Shape = tuple[int, ...]
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


def one_of(random: Random, *choices: object) -> object:
    return choices[random.integers(len(choices))]


def chance(random: Random, probability: float) -> bool:
    return bool(random.random() < probability)


def random_shape(random: Random, dimensions: int, largest: int = 8) -> Shape:
    return tuple(int(size) for size in random.integers(1, largest + 1, dimensions))


def clip(random: Random) -> int:
    return ACTIVATIONS[random_activation(random)]


def tensor(shape: Sequence[int], grid: Quantization) -> Tensor:
    return Tensor(tuple(shape), "int8", float(grid.scale), int(grid.zero_point))


def finished(graph: Graph, name: str, inputs: Sequence[int], results: Sequence[Tensor], table: object = None) -> Graph:
    """Add the operator and its outputs; the graph's inputs are those of the operator that have no data."""
    outputs = [graph.add(result) for result in results]
    graph.operators = [Operator(name, list(inputs), outputs, table)]
    graph.inputs = [number for number in inputs if number >= 0 and graph.tensors[number].data is None]
    graph.outputs = outputs
    return graph


def numbers(graph: Graph, values: object) -> int:
    return graph.constant(np.array(values, np.int32))


def window(random: Random, size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Return a dilation with which a valid window fits, and how many outputs there are."""
    if padding == SAME:
        return dilation, -(-size // stride)
    if dilation * (kernel - 1) + 1 > size:
        dilation = 1
    return dilation, (size - dilation * (kernel - 1) - 1) // stride + 1


def convolution(random: Random, *, depthwise: bool) -> Graph:
    height, width = (int(size) for size in random.integers(1, 11, 2))
    kernel = tuple(int(random.integers(1, min(size, 5) + 1)) for size in (height, width))
    stride = tuple(int(step) for step in random.integers(1, 4, 2))
    dilation = tuple(int(step) for step in random.integers(1, 4, 2)) if chance(random, 0.3) else (1, 1)
    padding = one_of(random, SAME, VALID)
    assert isinstance(padding, int)
    fits = [window(random, *sizes, padding) for sizes in zip((height, width), kernel, stride, dilation, strict=True)]
    groups = int(random.integers(2, 4)) if not depthwise and chance(random, 0.2) else 1
    channels = groups * int(random.integers(1, 5))
    multiplier = int(random.integers(1, 4))
    filters = channels * multiplier if depthwise else groups * int(random.integers(1, 7))
    shape = (1, *kernel, filters) if depthwise else (filters, *kernel, channels // groups)
    graph = Graph()
    source = random_quantization(random, 8)
    depth = int(np.prod(kernel)) * (1 if depthwise else channels // groups)
    inputs = [graph.add(tensor((1, height, width, channels), source))]
    inputs += weights(random, graph, shape, 3 if depthwise else 0, float(source.scale))
    fields = {
        "padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": clip(random),
        "dilationHFactor": fits[0][0], "dilationWFactor": fits[1][0],
    }  # fmt: skip
    more = {"depthMultiplier": multiplier} if depthwise else {}
    table = options("DepthwiseConv2D" if depthwise else "Conv2D", **fields, **more)
    result = tensor((1, fits[0][1], fits[1][1], filters), product_grid(random, graph, inputs, depth))
    return finished(graph, "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, [result], table)


def weights(random: Random, graph: Graph, shape: Shape, axis: int, input_scale: float) -> list[int]:
    """Add weights and, mostly, a bias; scales are one for each channel or one for all."""
    channels = shape[axis]
    spread = [random_scale(random, 1e-3, 3e-2) for _ in range(channels)]
    scales = np.array(spread if chance(random, 0.7) else spread[:1], np.float32)
    codes = random.integers(-127, 128, shape).astype(np.int8)
    added = [graph.constant(codes, scales, axis)]
    if chance(random, 0.8):
        bias = random.integers(-8000, 8000, channels).astype(np.int32)
        added.append(graph.constant(bias, np.float32(input_scale) * scales))
    return added


def product_grid(random: Random, graph: Graph, inputs: Sequence[int], depth: int) -> Quantization:
    """Return an output grid on which typical sums of ``depth`` products spread over the codes."""
    scales = [float(np.max(np.asarray(graph.tensors[number].scale))) for number in inputs[:2]]
    near = scales[0] * scales[1] * 74 * 74 * np.sqrt(depth) / 64
    return random_quantization(random, 8, 0.3 * near, 3 * near)


def fully_connected(random: Random) -> Graph:
    depth, units = (int(size) for size in random.integers(1, [80, 24]))
    rows = random_shape(random, int(random.integers(1, 3)), 4)
    graph = Graph()
    source = random_quantization(random, 8)
    inputs = [graph.add(tensor((*rows, depth), source))]
    inputs += weights(random, graph, (units, depth), 0, float(source.scale))
    keep = len(rows) > 1
    shape = (*rows, units) if keep else (int(np.prod(rows)), units)
    table = options("FullyConnected", fusedActivationFunction=clip(random), keepNumDims=keep)
    return finished(
        graph, "FULLY_CONNECTED", inputs, [tensor(shape, product_grid(random, graph, inputs, depth))], table
    )


def binary(random: Random, name: str) -> Graph:
    """Two tensors, or a tensor and a constant, sometimes repeated along axes of size 1."""
    shape = random_shape(random, 4, 6)
    other = tuple(1 if chance(random, 0.5) else size for size in shape) if chance(random, 0.4) else shape
    graph = Graph()
    grids = [random_quantization(random, 8, 1e-2, 1e-1) for _ in range(2)]
    first = graph.add(tensor(shape, grids[0]))
    second = tensor(other, grids[1])
    if chance(random, 0.2):
        second.data = random.integers(-128, 128, other).astype(np.int8)
    scales = [float(grid.scale) for grid in grids]
    near = scales[0] * scales[1] * 64 if name == "MUL" else max(scales)
    output = tensor(shape, random_quantization(random, 8, 0.3 * near, 3 * near))
    table = options(name.capitalize(), fusedActivationFunction=clip(random))
    return finished(graph, name, [first, graph.add(second)], [output], table)


def pool(random: Random, name: str) -> Graph:
    height, width, channels = (int(size) for size in random.integers(1, [12, 12, 10]))
    sizes = tuple(int(random.integers(1, min(size, 5) + 1)) for size in (height, width))
    strides = tuple(int(step) for step in random.integers(1, 4, 2))
    padding = one_of(random, SAME, VALID)
    assert isinstance(padding, int)
    parts = zip((height, width), sizes, strides, strict=True)
    outputs = [window(random, size, kernel, stride, 1, padding)[1] for size, kernel, stride in parts]
    graph, grid = Graph(), random_quantization(random, 8)
    source = graph.add(tensor((1, height, width, channels), grid))
    table = options(
        "Pool2D", padding=padding, strideH=strides[0], strideW=strides[1], filterHeight=sizes[0],
        filterWidth=sizes[1], fusedActivationFunction=clip(random),
    )  # fmt: skip
    return finished(graph, name, [source], [tensor((1, *outputs, channels), grid)], table)


def mean(random: Random) -> Graph:
    shape = (1, *random_shape(random, 3))
    axes = one_of(random, (1, 2), (3,), (1,), (2, 3), (1, 2, 3))
    assert isinstance(axes, tuple)
    keep = chance(random, 0.5)
    after = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid)), numbers(graph, axes)]
    output = random_quantization(random, 8, 0.3 * float(grid.scale), 2 * float(grid.scale))
    return finished(graph, "MEAN", inputs, [tensor(after, output)], options("Reducer", keepDims=keep))


def unary(random: Random, name: str) -> Graph:
    """An operator that gives every element codes on another grid."""
    graph, grid = Graph(), random_quantization(random, 8)
    shape = (1, *random_shape(random, int(random.integers(1, 4)), 12))
    output = random_quantization(random, 8, 0.3 * float(grid.scale), 3 * float(grid.scale))
    table = options("LeakyRelu", alpha=float(np.float32(random.uniform(-0.5, 1.5)))) if name == "LEAKY_RELU" else None
    code = "QUANTIZE" if name == "REQUANTIZE" else name
    return finished(graph, code, [graph.add(tensor(shape, grid))], [tensor(shape, output)], table)


def function(random: Random, name: str) -> Graph:
    """Logistic, tanh or softmax: their outputs have fixed grids."""
    graph, grid = Graph(), random_quantization(random, 8, 3e-3, 0.2)
    shape = (1, *random_shape(random, int(random.integers(1, 4)), 12))
    output = Tensor(shape, "int8", 1 / 128, 0) if name == "TANH" else Tensor(shape, "int8", 1 / 256, -128)
    table = options("Softmax", beta=float(np.float32(random.uniform(0.3, 2)))) if name == "SOFTMAX" else None
    return finished(graph, name, [graph.add(tensor(shape, grid))], [output], table)


def real(random: Random, name: str) -> Graph:
    """Between real numbers and codes."""
    graph, grid = Graph(), random_quantization(random, 8)
    shape = (1, *random_shape(random, int(random.integers(1, 4)), 12))
    ends = [Tensor(shape, "float32"), tensor(shape, grid)]
    source, result = ends if name == "QUANTIZE" else ends[::-1]
    return finished(graph, name, [graph.add(source)], [result])


def pad(random: Random) -> Graph:
    shape = (1, *random_shape(random, 3, 6))
    amounts = [(0, 0), *(tuple(int(size) for size in random.integers(0, 4, 2)) for _ in range(3))]
    after = [size + sum(around) for size, around in zip(shape, amounts, strict=True)]
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid)), numbers(graph, amounts)]
    return finished(graph, "PAD", inputs, [tensor(after, grid)], options("Pad"))


def transpose(random: Random) -> Graph:
    shape = (1, *random_shape(random, 3, 6))
    order = [0, *(int(axis) for axis in random.permutation(3) + 1)]
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid)), numbers(graph, order)]
    return finished(graph, "TRANSPOSE", inputs, [tensor([shape[axis] for axis in order], grid)], options("Transpose"))


def reshape(random: Random, name: str) -> Graph:
    shape = (1, *random_shape(random, 3, 6))
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid))]
    if name == "SQUEEZE":
        shape = (*shape[:2], 1, shape[3])
        graph.tensors[0].shape = shape
        after, table = (*shape[:2], shape[3]), options("Squeeze", squeezeDims=[2])
    elif name == "EXPAND_DIMS":
        axis = int(random.integers(1, 4))
        inputs.append(numbers(graph, [axis]))
        after, table = (*shape[:axis], 1, *shape[axis:]), options("ExpandDims")
    else:
        after, table = (1, shape[1] * shape[3], shape[2]), options("Reshape")
        inputs.append(numbers(graph, after))
    return finished(graph, name, inputs, [tensor(after, grid)], table)


def concatenation(random: Random) -> Graph:
    shape, axis = (1, *random_shape(random, 3, 6)), int(random.integers(1, 4))
    graph, grid = Graph(), random_quantization(random, 8)
    sizes = random.integers(1, 6, int(random.integers(2, 5))).tolist()
    inputs = [graph.add(tensor((*shape[:axis], size, *shape[axis + 1 :]), grid)) for size in sizes]
    after = (*shape[:axis], sum(sizes), *shape[axis + 1 :])
    counted = axis - 4 if chance(random, 0.3) else axis
    return finished(graph, "CONCATENATION", inputs, [tensor(after, grid)], options("Concatenation", axis=counted))


def pack(random: Random) -> Graph:
    shape, axis = (1, *random_shape(random, 2, 6)), int(random.integers(1, 4))
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid)) for _ in range(int(random.integers(2, 5)))]
    after = (*shape[:axis], len(inputs), *shape[axis:])
    return finished(graph, "PACK", inputs, [tensor(after, grid)], options("Pack", valuesCount=len(inputs), axis=axis))


def unpack(random: Random) -> Graph:
    shape, axis = (1, *random_shape(random, 3, 5)), int(random.integers(1, 4))
    graph, grid = Graph(), random_quantization(random, 8)
    inputs = [graph.add(tensor(shape, grid))]
    parts = [tensor((*shape[:axis], *shape[axis + 1 :]), grid)] * shape[axis]
    return finished(graph, "UNPACK", inputs, parts, options("Unpack", num=shape[axis], axis=axis))


def split(random: Random, name: str) -> Graph:
    axis, count = int(random.integers(1, 4)), int(random.integers(1, 4))
    each = int(random.integers(1, 4))
    sizes = [each] * count if name == "SPLIT" else random.integers(1, 5, count).tolist()
    shape = [1, *random_shape(random, 3, 5)]
    shape[axis] = sum(sizes)
    graph, grid = Graph(), random_quantization(random, 8)
    source, place = graph.add(tensor(shape, grid)), numbers(graph, [axis])
    inputs = [place, source] if name == "SPLIT" else [source, numbers(graph, sizes), place]
    parts = [tensor((*shape[:axis], size, *shape[axis + 1 :]), grid) for size in sizes]
    return finished(graph, name, inputs, parts, options("Split" if name == "SPLIT" else "SplitV", numSplits=count))


KINDS: dict[str, Callable[[Random], Graph]] = {
    "CONV_2D": lambda random: convolution(random, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda random: convolution(random, depthwise=True),
    "FULLY_CONNECTED": fully_connected,
    **{name: lambda random, name=name: binary(random, name) for name in ("ADD", "SUB", "MUL")},
    **{name: lambda random, name=name: pool(random, name) for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D")},
    "MEAN": mean,
    **{name: lambda random, name=name: unary(random, name) for name in ("RELU", "RELU6", "LEAKY_RELU", "REQUANTIZE")},
    **{name: lambda random, name=name: function(random, name) for name in ("LOGISTIC", "TANH", "SOFTMAX")},
    **{name: lambda random, name=name: real(random, name) for name in ("QUANTIZE", "DEQUANTIZE")},
    "PAD": pad,
    "TRANSPOSE": transpose,
    **{name: lambda random, name=name: reshape(random, name) for name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")},
    "CONCATENATION": concatenation,
    "PACK": pack,
    "UNPACK": unpack,
    **{name: lambda random, name=name: split(random, name) for name in ("SPLIT", "SPLIT_V")},
}
PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def random_graph(seed: int, *, always_bias: bool) -> Graph:
    """Every other model is a matrix product; the others take the other operators in turn.

    ``always_bias`` gives convolutions without a bias one of zeros, without which LiteRT refuses them or dies.
    """
    random = np.random.default_rng([seed, 500])
    names = PRODUCTS if seed % 2 else [name for name in KINDS if name not in PRODUCTS]
    graph = KINDS[names[seed // 2 % len(names)]](random)
    (operator,) = graph.operators
    if always_bias and "CONV" in operator.name and len(operator.inputs) == 2:
        source, weight = (graph.tensors[number] for number in operator.inputs)
        scales = np.float32(source.scale) * np.asarray(weight.scale, np.float32)
        zeros = np.zeros(weight.shape[weight.axis], np.int32)
        operator.inputs = [*operator.inputs, graph.constant(zeros, scales)]
    return graph
