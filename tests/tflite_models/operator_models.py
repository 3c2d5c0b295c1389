"""Random models of one operator without weights: what it reads, what it writes, and the codes it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from model_builder import Graph, Operator, Tensor
from product_models import ACTIVATIONS, random_activation, random_scale

from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.pooling import Padding, Window
from hwsim.numerics.tflite.scales import TfliteActivation
from hwsim.oracles.ask import Case

WORDS = {8: np.int8, 16: np.int16}


@dataclass
class Model:
    """Codes are int64; ``tensor`` is the output's number."""

    case: Case
    codes: list[np.ndarray]
    inputs: list[Quantization]
    output: Quantization
    tensor: int
    activation: TfliteActivation = "none"
    window: Window | None = None
    axes: tuple[int, ...] = ()
    number: float = 0.0


def random_quantization(
    random: np.random.Generator, bits: int, low: float = 1e-3, high: float = 1e-1, *, symmetric: bool = False
) -> Quantization:
    word = IntFormat(bits)
    zero_point = 0 if symmetric or bits == 16 else int(random.integers(word.min, word.max + 1))
    return Quantization(np.asarray(random_scale(random, low, high)), np.asarray(zero_point), word)


def random_codes(random: np.random.Generator, shape: Sequence[int], bits: int) -> np.ndarray:
    """Mostly even over the format, with the extreme codes among them."""
    word = IntFormat(bits)
    codes = random.integers(word.min, word.max + 1, tuple(shape))
    flat = codes.reshape(-1)
    flat[: min(2, flat.size)] = (word.min, word.max)[: min(2, flat.size)]
    return codes


def tensor(shape: Sequence[int], quantization: Quantization) -> Tensor:
    name = np.dtype(WORDS[quantization.format.bits]).name
    return Tensor(tuple(shape), name, float(quantization.scale), int(quantization.zero_point))


def model(
    name: str,
    codes: list[np.ndarray],
    inputs: list[Quantization],
    shape: Sequence[int],
    output: Quantization,
    options: object | None = None,
    constants: Sequence[np.ndarray] = (),
) -> Model:
    """Write a model of one operator; ``constants`` follow the inputs."""
    graph = Graph()
    graph.inputs = [graph.add(tensor(part.shape, q)) for part, q in zip(codes, inputs, strict=True)]
    fixed = [graph.constant(constant) for constant in constants]
    result = graph.add(tensor(shape, output))
    graph.operators = [Operator(name, [*graph.inputs, *fixed], [result], options)]
    graph.outputs = [result]
    words = [part.astype(WORDS[q.format.bits])[None] for part, q in zip(codes, inputs, strict=True)]
    return Model(Case(graph.build(), words), codes, inputs, output, result)


def random_binary(random: np.random.Generator, name: str, bits: int) -> Model:
    """ADD, SUB or MUL, sometimes broadcast."""
    shape = random.integers(1, [3, 8, 8, 20])
    small = np.where(random.random(4) < 0.5, 1, shape) if random.integers(3) == 0 else shape
    inputs = [random_quantization(random, bits) for _ in range(2)]
    scales = [float(part.scale) for part in inputs]
    spread = scales[0] * scales[1] * 2 ** (bits - 1) if name == "MUL" else max(scales)
    output = random_quantization(random, bits, 0.3 * spread, 3 * spread)
    options = getattr(schema, {"ADD": "AddOptionsT", "SUB": "SubOptionsT", "MUL": "MulOptionsT"}[name])()
    if name != "MUL":
        options.potScaleInt16 = False
    activation = random_activation(random)
    options.fusedActivationFunction = ACTIVATIONS[activation]
    codes = [random_codes(random, shape, bits), random_codes(random, small, bits)]
    built = model(name, codes, inputs, shape, output, options)
    built.activation = activation
    return built


def random_pool(random: np.random.Generator, name: str, bits: int) -> Model:
    batch, height, width, channels = (int(size) for size in random.integers(1, [3, 12, 12, 20]))
    filter_y, filter_x = int(random.integers(1, min(height, 5) + 1)), int(random.integers(1, min(width, 5) + 1))
    padding: Padding = "same" if random.integers(2) else "valid"
    stride_y, stride_x = (int(size) for size in random.integers(1, 4, 2))
    window = Window(filter_y, filter_x, stride_y, stride_x, padding)
    quantization = random_quantization(random, bits)
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.SAME if padding == "same" else schema.Padding.VALID
    options.strideH, options.strideW, options.filterHeight, options.filterWidth = stride_y, stride_x, filter_y, filter_x
    activation = random_activation(random)
    options.fusedActivationFunction = ACTIVATIONS[activation]
    codes = random_codes(random, (batch, height, width, channels), bits)
    shape = (batch, *window.out_size(height, width), channels)
    built = model(name, [codes], [quantization], shape, quantization, options)
    built.activation, built.window = activation, window
    return built


def random_mean(random: np.random.Generator, bits: int) -> Model:
    shape = random.integers(1, [3, 12, 12, 12])
    choices: list[tuple[int, ...]] = [(1, 2), (3,), (1,), (2, 3), (1, 2, 3)]
    axes = choices[random.integers(len(choices))]
    source = random_quantization(random, bits)
    output = random_quantization(random, bits, 0.3 * float(source.scale), 2 * float(source.scale))
    options = schema.ReducerOptionsT()
    options.keepDims = True
    out_shape = [1 if axis in axes else int(size) for axis, size in enumerate(shape)]
    codes = random_codes(random, shape, bits)
    built = model("MEAN", [codes], [source], out_shape, output, options, [np.array(axes, np.int32)])
    built.axes = axes
    return built


def every_code(bits: int) -> np.ndarray:
    word = IntFormat(bits)
    return np.arange(word.min, word.max + 1, dtype=np.int64).reshape(1, 1, 1, -1)


def random_unary(
    random: np.random.Generator, name: str, bits: int, options: object | None = None, out_bits: int = 0
) -> Model:
    """An operator of one input, asked about every code, whose output has a scale of its own."""
    codes = every_code(bits)
    source = random_quantization(random, bits)
    ratio = 2.0 ** (bits - (out_bits or bits))
    near = float(source.scale) * ratio
    output = random_quantization(random, out_bits or bits, 0.3 * near, 3 * near)
    return model(name, [codes], [source], codes.shape, output, options)
