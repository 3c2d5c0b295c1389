"""From a convolution or fully connected operator of a ``.tflite`` file to a matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d, DepthwiseConv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.tensor import Shape
from hwsim.readers.tflite.source import Source
from hwsim.readers.tflite.types import PACKED

MAX_WINDOW_ELEMENTS = 1 << 26


def _kernel(source: Source) -> Shape:
    shape = source.tensor(1).shape
    if len(shape) != 4 or min(shape) < 1:
        raise ConfigError(f"{source.operator.label}: weights of shape {list(shape)}; allowed: four sizes")
    return shape


def _is_packed(source: Source) -> bool:
    return source.tensor(1).dtype == PACKED


def check_windows(source: Source, elements: int) -> None:
    """Refuse what would take unbounded memory: all windows of an operator written out."""
    outputs = int(np.prod(source.model.tensors[source.operator.outputs[0]].shape[:3]))
    if outputs * elements > MAX_WINDOW_ELEMENTS:
        raise ConfigError(
            f"{source.operator.label}: {outputs * elements} window elements; allowed: {MAX_WINDOW_ELEMENTS}"
        )


def build_conv_2d(source: Source) -> Sequence[Operator]:
    """Weights lie as (filters, height, width, channels)."""
    filters, height, width, depth = _kernel(source)
    channels = source.shape[-1] if source.shape else 0
    if channels % depth:
        raise ConfigError(f"{source.operator.label}: {channels} channels and weights for {depth}")
    return [_convolution(source, Conv2d, channels // depth, filters, (height, width))]


def build_depthwise_conv_2d(source: Source) -> Sequence[Operator]:
    """Weights lie as (1, height, width, channels): one group for each channel of the input."""
    _, height, width, filters = _kernel(source)
    channels = source.shape[-1] if source.shape else 0
    if not channels or filters % channels:
        raise ConfigError(f"{source.operator.label}: {channels} channels and {filters} filters")
    return [_convolution(source, DepthwiseConv2d, channels, filters, (height, width))]


def _convolution(source: Source, kind: type[Conv2d], groups: int, filters: int, kernel: tuple[int, int]) -> Conv2d:
    check_windows(source, kernel[0] * kernel[1] * source.shape[-1])
    return kind(
        source.name,
        source.inputs,
        source.output,
        str(source.tensor(1).index),
        source.bias,
        source.activation,
        groups=groups,
        packed=_is_packed(source),
        filters=filters,
        kernel=kernel,
        stride=source.pair("StrideH", "StrideW"),
        padding=source.padding,
        dilation=source.pair("DilationHFactor", "DilationWFactor"),
    )


def build_fully_connected(source: Source) -> Sequence[Operator]:
    """Weights lie as (units, depth)."""
    shape = source.tensor(1).shape
    if len(shape) != 2 or min(shape) < 1:
        raise ConfigError(f"{source.operator.label}: weights of shape {list(shape)}; allowed: two sizes")
    if source.number("WeightsFormat"):
        raise UnsupportedError(f"{source.operator.label}: shuffled weights")
    dense = RowsDense(
        source.name,
        source.inputs,
        source.output,
        str(source.tensor(1).index),
        source.bias,
        source.activation,
        packed=_is_packed(source),
        units=shape[0],
        depth=shape[1],
    )
    return [dense]
