"""From a layer of a workload's YAML to operators of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwsim.config.workload import (
    AddSpec,
    AnyLayer,
    AvgPool2dSpec,
    BatchNormSpec,
    Conv2dSpec,
    DenseSpec,
    FlattenSpec,
    GeluSpec,
    GlobalAvgPoolSpec,
    LayerNormSpec,
    LstmSpec,
    MatmulSpec,
    MaxPool2dSpec,
    PositionEmbeddingSpec,
    Relu6Spec,
    ReluSpec,
    SigmoidSpec,
    SoftmaxSpec,
    TanhSpec,
    TransposeSpec,
)
from hwsim.errors import ConfigError
from hwsim.network.operator import Operator
from hwsim.network.operators.arithmetic import Add, Mean, Pool2d
from hwsim.network.operators.attention import ActivationMatmul
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense, RowsDense
from hwsim.network.operators.elementwise import BatchNorm, Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.operators.functions import Softmax
from hwsim.network.operators.layer_norm import LayerNorm
from hwsim.network.operators.lstm_unroll import Lstm
from hwsim.network.operators.moves import Reshape, Transpose
from hwsim.network.operators.windows import image
from hwsim.network.tensor import Shape
from hwsim.numerics.lstm import GATES
from hwsim.numerics.tflite.pooling import Window

EnterConstant = Callable[[str, Shape], str]
"""Takes the name and the shape of a constant, makes a tensor of it, and returns the tensor's name."""

Chain = tuple[Operator, ...]
"""What a layer becomes: operators one behind the other; the last one's output is the layer's."""


def build_layer(layer: AnyLayer, sources: Sequence[str], shapes: Sequence[Shape], enter: EnterConstant) -> Chain:
    """Return the operators of a layer that reads tensors ``sources`` of these shapes.

    Raises:
        ConfigError: the layer cannot take such inputs.
    """
    inputs, shape = tuple(sources), shapes[0]
    if isinstance(layer, SoftmaxSpec):
        return _softmax(layer, inputs, shape)
    if isinstance(layer, ConstantsSpec):
        return (_with_constants(layer, inputs, shape, enter),)
    if isinstance(layer, MaxPool2dSpec | AvgPool2dSpec | GlobalAvgPoolSpec):
        return (_pool(layer, inputs, shape),)
    if isinstance(layer, MatmulSpec):
        return (_matmul(layer, inputs),)
    return (_elementwise(layer, inputs),)


ConstantsSpec = DenseSpec | Conv2dSpec | LstmSpec | BatchNormSpec | LayerNormSpec | PositionEmbeddingSpec


def _with_constants(
    layer: ConstantsSpec,
    inputs: tuple[str, ...],
    shape: Shape,
    enter: EnterConstant,
) -> Operator:
    if isinstance(layer, DenseSpec):
        return _dense(layer, inputs, shape, enter)
    if isinstance(layer, Conv2dSpec):
        return _conv2d(layer, inputs, shape, enter)
    if isinstance(layer, LstmSpec):
        return _lstm(layer, inputs, shape, enter)
    if isinstance(layer, LayerNormSpec):
        gamma, beta = (enter(f"{layer.name}.{part}", shape[-1:]) for part in ("gamma", "beta"))
        return LayerNorm(layer.name, inputs, layer.name, gamma, beta, layer.epsilon)
    if isinstance(layer, PositionEmbeddingSpec):
        return Add(layer.name, inputs, layer.name, (*inputs, enter(f"{layer.name}.embedding", shape)))
    return _batch_norm(layer, inputs, shape, enter)


def _pool(layer: MaxPool2dSpec | AvgPool2dSpec | GlobalAvgPoolSpec, inputs: tuple[str, ...], shape: Shape) -> Operator:
    name = layer.name
    image(name, shape)
    if isinstance(layer, MaxPool2dSpec):
        return MaxPool2d(name, inputs, name, layer.pool, layer.stride, layer.padding)
    if isinstance(layer, AvgPool2dSpec):
        return Pool2d(name, inputs, name, inputs, Window(*layer.pool, *layer.stride, layer.padding))
    return Mean(name, inputs, name, inputs, axes=(0, 1))


def _matmul(layer: MatmulSpec, inputs: tuple[str, ...]) -> ActivationMatmul:
    ends = inputs, layer.name, inputs[1]
    return ActivationMatmul(layer.name, *ends, groups=layer.heads, scale=layer.scale, transposed=layer.transpose)


ElementwiseSpec = FlattenSpec | ReluSpec | Relu6Spec | SigmoidSpec | TanhSpec | GeluSpec | AddSpec | TransposeSpec


def _elementwise(layer: ElementwiseSpec, inputs: tuple[str, ...]) -> Operator:
    name = layer.name
    if isinstance(layer, FlattenSpec):
        return Flatten(name, inputs, name)
    if isinstance(layer, AddSpec):
        return Add(name, inputs, name, inputs)
    if isinstance(layer, TransposeSpec):
        return Transpose(name, inputs, name, inputs, layer.order)
    if isinstance(layer, GeluSpec):
        return LutFunction(name, inputs, name, "gelu" if layer.approximate == "none" else "gelu_by_tanh")
    if isinstance(layer, ReluSpec | Relu6Spec):
        return Rectify(name, inputs, name, layer.type)
    return LutFunction(name, inputs, name, layer.type)


def _dense(layer: DenseSpec, inputs: tuple[str, ...], shape: Shape, enter: EnterConstant) -> Dense:
    weight = enter(f"{layer.name}.weight", (shape[-1], layer.units)) if len(shape) <= 2 else ""
    bias = enter(f"{layer.name}.bias", (layer.units,)) if layer.bias else None
    if len(shape) == 2:
        return RowsDense(layer.name, inputs, layer.name, weight, bias, units=layer.units, depth=shape[1])
    return Dense(layer.name, inputs, layer.name, weight, bias, units=layer.units)


def _conv2d(layer: Conv2dSpec, inputs: tuple[str, ...], shape: Shape, enter: EnterConstant) -> Conv2d:
    weight = ""
    if len(shape) == 3 and shape[2] % layer.groups == 0:
        weight = enter(f"{layer.name}.weight", (*layer.kernel, shape[2] // layer.groups, layer.filters))
    bias = enter(f"{layer.name}.bias", (layer.filters,)) if layer.bias else None
    return Conv2d(
        layer.name,
        inputs,
        layer.name,
        weight,
        bias,
        groups=layer.groups,
        filters=layer.filters,
        kernel=layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
    )


def _lstm(layer: LstmSpec, inputs: tuple[str, ...], shape: Shape, enter: EnterConstant) -> Lstm:
    columns = len(GATES) * layer.units
    parts = {"input_weight": (shape[-1], columns), "recurrent_weight": (layer.units, columns), "bias": (columns,)}
    fits = len(shape) == 2  # else the layer refuses its input
    weight, recurrent, bias = (enter(f"{layer.name}.{part}", size) if fits else "" for part, size in parts.items())
    return Lstm(layer.name, inputs, layer.name, weight, recurrent, bias, layer.units, layer.return_sequences)


def _batch_norm(layer: BatchNormSpec, inputs: tuple[str, ...], shape: Shape, enter: EnterConstant) -> BatchNorm:
    gamma, beta, mean, variance = (
        enter(f"{layer.name}.{part}", shape[-1:]) for part in ("gamma", "beta", "mean", "variance")
    )
    return BatchNorm(layer.name, inputs, layer.name, gamma, beta, mean, variance, layer.epsilon)


def _softmax(layer: SoftmaxSpec, inputs: tuple[str, ...], shape: Shape) -> Chain:
    """One row for each head, so that each has a sum of its own."""
    if shape[-1] % layer.heads:
        raise ConfigError(f"layer {layer.name}: {layer.heads} heads of {shape[-1]}; allowed: heads that divide it")
    if layer.heads == 1:
        return (Softmax(layer.name, inputs, layer.name, inputs),)
    rows, functions = f"{layer.name}.rows", f"{layer.name}.softmax"
    split = (*shape[:-1], layer.heads, shape[-1] // layer.heads)
    return (
        Reshape(rows, inputs, rows, inputs, split),
        Softmax(layer.name, (rows,), functions, (rows,)),
        Reshape(f"{layer.name}.together", (functions,), layer.name, (functions,), shape),
    )
