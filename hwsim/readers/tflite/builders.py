"""From an operator of a ``.tflite`` file to operators of the network: one small function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import (
    Add,
    Dequantize,
    LeakyRelu,
    Mean,
    Mul,
    Pool2d,
    Quantize,
    QuantizedRectify,
    Requantize,
)
from hwsim.network.operators.elementwise import LutFunction, Rectify
from hwsim.network.operators.functions import Softmax, TableFunction
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.moves import Concatenation, Index, Pack, Pad, Reshape, Slice, Transpose
from hwsim.network.tensor import Tensor
from hwsim.numerics.tflite.nonlinear import NonlinearFunction
from hwsim.numerics.tflite.pooling import Window
from hwsim.numerics.tflite.scales import TfliteActivation
from hwsim.readers.tflite.lstm import build_lstm
from hwsim.readers.tflite.products import (
    build_conv_2d,
    build_depthwise_conv_2d,
    build_fully_connected,
    check_windows,
)
from hwsim.readers.tflite.reals import build_real_product
from hwsim.readers.tflite.source import Source
from hwsim.readers.tflite.types import REAL, check_types

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
MAX_POOL_WINDOW = 1 << 16


Built = Sequence[Operator]
Builder = Callable[[Source], Built]


def _add(source: Source, *, subtract: bool = False) -> Built:
    source.tensor(1)
    power_of_two = bool(source.number("PotScaleInt16"))
    return [Add(*_ends(source), source.activation, subtract=subtract, power_of_two=power_of_two)]


def _mul(source: Source) -> Built:
    source.tensor(1)
    return [Mul(*_ends(source), source.activation)]


def _ends(source: Source) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    return source.name, source.inputs, source.output, source.operands


def _first(source: Source) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    """As `_ends`, of an operator whose other inputs are read here."""
    first = (str(source.tensor(0).index),)
    if source.tensor(0).data is not None:
        raise UnsupportedError(f"{source.operator.label}: its input is a constant")
    return source.name, first, source.output, first


def _pool(source: Source, *, average: bool) -> Built:
    window = Window(
        *source.pair("FilterHeight", "FilterWidth"), *source.pair("StrideH", "StrideW"), padding=source.padding
    )
    check_windows(source, window.height * window.width * (source.shape[-1] if source.shape else 1))
    if window.height * window.width > MAX_POOL_WINDOW or len(source.shape) != 4:
        raise ConfigError(f"{source.operator.label}: a window of {window.height} x {window.width} elements")
    if window.padding == "valid" and (source.shape[1] < window.height or source.shape[2] < window.width):
        raise ConfigError(f"{source.operator.label}: a window that does not fit an input of {list(source.shape)}")
    return [Pool2d(*_first(source), window, source.activation, average)]


def _mean(source: Source) -> Built:
    axes = {source.axis(int(axis), len(source.shape)) for axis in source.constant(1).reshape(-1)}
    return [Mean(*_first(source), tuple(sorted(axes)), bool(source.operator.options["KeepDims"]))]


def _reshape(source: Source) -> Built:
    return [Reshape(*_first(source), source.model.tensors[int(source.output)].shape)]


def _transpose(source: Source) -> Built:
    order = source.constant(1).reshape(-1).tolist()
    return [Transpose(*_first(source), tuple(source.axis(axis, len(source.shape)) for axis in order))]


def _pad(source: Source) -> Built:
    amounts = source.constant(1)
    if amounts.shape != (len(source.shape), 2):
        raise ConfigError(f"{source.operator.label}: padding of shape {list(amounts.shape)}")
    return [Pad(*_first(source), tuple((before, after) for before, after in amounts.tolist()))]


def _concatenation(source: Source) -> Built:
    if source.activation != "none":
        raise UnsupportedError(f"{source.operator.label}: fused activation {source.activation}")
    axis = source.axis(source.number("Axis"), len(source.shape))
    return [Concatenation(*_ends(source), axis)]


def _pack(source: Source) -> Built:
    return [Pack(*_ends(source), source.axis(source.number("Axis"), len(source.shape) + 1))]


def _split_of(source: Source, place: int, axis: int, sizes: Sequence[int]) -> Built:
    if len(sizes) != len(source.operator.outputs):
        raise ConfigError(f"{source.operator.label}: {len(sizes)} parts and {len(source.operator.outputs)} outputs")
    whole = (str(source.tensor(place).index),)
    begins = np.cumsum([0, *sizes[:-1]]).tolist()
    return [
        Slice(f"{source.name}_{part}", whole, str(output), whole, axis, begin, size)
        for part, (output, begin, size) in enumerate(zip(source.operator.outputs, begins, sizes, strict=True))
    ]


def _split(source: Source) -> Built:
    """Inputs: axis, tensor; equal parts."""
    shape, parts = source.tensor(1).shape, len(source.operator.outputs)
    axis = source.axis(int(source.constant(0).reshape(-1)[0]), len(shape))
    if not parts or shape[axis] % parts:
        raise ConfigError(f"{source.operator.label}: {shape[axis]} elements in {parts} parts")
    return _split_of(source, 1, axis, [shape[axis] // parts] * parts)


def _split_v(source: Source) -> Built:
    """Inputs: tensor, sizes, axis; one size may be -1, for the rest."""
    axis = source.axis(int(source.constant(2).reshape(-1)[0]), len(source.shape))
    sizes = [int(size) for size in source.constant(1).reshape(-1)]
    rest = source.shape[axis] - sum(size for size in sizes if size >= 0)
    return _split_of(source, 0, axis, [rest if size < 0 else size for size in sizes])


def _unpack(source: Source) -> Built:
    axis = source.axis(source.number("Axis"), len(source.shape))
    if source.shape[axis] != len(source.operator.outputs):
        raise ConfigError(
            f"{source.operator.label}: {source.shape[axis]} entries, {len(source.operator.outputs)} outputs"
        )
    whole = (str(source.tensor(0).index),)
    return [
        Index(f"{source.name}_{part}", whole, str(output), whole, axis, part)
        for part, output in enumerate(source.operator.outputs)
    ]


def _quantize(source: Source) -> Built:
    from_real = source.tensor(0).dtype == REAL
    return [(Quantize if from_real else Requantize)(*_first(source))]


def _dequantize(source: Source) -> Built:
    """Of a constant, too: its codes are read from DRAM whenever the network runs."""
    only = (str(source.tensor(0).index),)
    return [Dequantize(source.name, only, source.output, only)]


def _rectify(activation: TfliteActivation) -> Builder:
    return lambda source: [QuantizedRectify(*_first(source), activation)]


def _clamp(activation: Literal["relu", "relu6"]) -> Builder:
    """In a network that hwsim quantizes, of the kind that is fused into the product before it."""

    def build_clamp(source: Source) -> Built:
        if source.model.is_real:
            return [Rectify(*_first(source)[:3], activation)]
        return [QuantizedRectify(*_first(source), activation)]

    return build_clamp


def _leaky_relu(source: Source) -> Built:
    return [LeakyRelu(*_first(source), float(source.operator.options["Alpha"]))]


def _function(function: NonlinearFunction) -> Builder:
    """In a network that hwsim quantizes, by the machine's own LUT."""

    def build_function(source: Source) -> Built:
        if source.model.is_real:
            return [LutFunction(*_first(source)[:3], "sigmoid" if function == "logistic" else function)]
        return [TableFunction(*_first(source), function)]

    return build_function


def _softmax(source: Source) -> Built:
    beta = float(source.operator.options["Beta"])
    if not (np.isfinite(beta) and beta > 0):
        raise ConfigError(f"{source.operator.label}: beta {beta}; allowed: positive and finite")
    return [Softmax(*_first(source), beta)]


BUILDERS: dict[str, Builder] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": lambda source: _pool(source, average=True),
    "CONCATENATION": _concatenation,
    "CONV_2D": build_conv_2d,
    "DEPTHWISE_CONV_2D": build_depthwise_conv_2d,
    "DEQUANTIZE": _dequantize,
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": build_fully_connected,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _function("logistic"),
    "MAX_POOL_2D": lambda source: _pool(source, average=False),
    "MEAN": _mean,
    "MUL": _mul,
    "PACK": _pack,
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "RELU": _clamp("relu"),
    "RELU6": _clamp("relu6"),
    "RELU_N1_TO_1": _rectify("relu_n1_to_1"),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _reshape,
    "SUB": lambda source: _add(source, subtract=True),
    "TANH": _function("tanh"),
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}


def build(source: Source) -> tuple[Sequence[Operator], Sequence[Tensor]]:
    """Return the operators of the network that do what one of the file does, and tensors that only they know.

    Raises:
        UnsupportedError: the operator, or a type of its tensors, is not supported.
        ConfigError: its tensors or options make no sense.
    """
    if source.operator.kind == LSTM:
        return build_lstm(source)
    builder = BUILDERS.get(source.operator.kind)
    if builder is None:
        raise UnsupportedError(f"{source.operator.label}: no such operator here")
    check_types(source)
    operators = builder(source)
    product = operators[0]
    if isinstance(product, MatmulOperator) and source.tensor(0).dtype == REAL and not source.is_quantizable_product:
        return build_real_product(source, product)
    return operators, []
