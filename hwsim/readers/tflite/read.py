"""From a ``.tflite`` file to a workload. Tensors are called by their number in the file, in decimal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.real import RealProduct
from hwsim.network.tensor import Shape, Tensor, Values
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.readers.tflite.builders import build
from hwsim.readers.tflite.model import FileModel, FileTensor
from hwsim.readers.tflite.parse import parse_file
from hwsim.readers.tflite.reals import weight_order
from hwsim.readers.tflite.source import Source
from hwsim.readers.tflite.types import REAL
from hwsim.readers.workload import Workload, refuse_operators, workload_of_file

_FORMATS = {"INT4": IntFormat(4), "INT8": IntFormat(8), "INT16": IntFormat(16), "INT32": IntFormat(32)}


def read_tflite(path: Path) -> Workload:
    """Return the network in a file, quantized already or of reals; it has no samples of its own.

    Raises:
        ConfigError: no such file, or one that is damaged or makes no sense.
        UnsupportedError: operators or types that are not supported; all of them are listed.
    """
    model = parse_file(path)
    return workload_of_file(path, lambda: _network(model, path.stem))


def _network(model: FileModel, name: str) -> Network:
    operators: list[Operator] = []
    tensors: dict[str, Tensor] = {}
    problems: list[str] = []
    runs: list[str] = []
    for one in model.operators:
        try:
            built, between = build(Source(model, one))
            tensors |= {tensor.name: tensor for tensor in between}
            runs.append(one.kind)
        except UnsupportedError as error:
            problems.append(str(error))
            continue
        operators += built
    refuse_operators(problems, runs, len(model.operators))
    for operator in operators:
        for tensor in (*operator.inputs, *operator.constants, operator.output):
            if tensor not in tensors:
                tensors[tensor] = _tensor(model.tensors[int(tensor)])
    operators = [_laid_out(operator, tensors) for operator in operators]
    for operator in operators:
        _check_shape(operator, tensors)
    ends = [tuple(str(number) for number in numbers) for numbers in (model.inputs, model.outputs)]
    for end in (*ends[0], *ends[1]):
        tensors.setdefault(end, _tensor(model.tensors[int(end)]))
    return Network(
        name,
        tensors,
        tuple(operators),
        ends[0],
        ends[1],
        holds_codes=not model.is_real,
        has_batch_axis=model.is_real,
    )


def _tensor(found: FileTensor) -> Tensor:
    """Return a tensor with its codes and its quantization; one without scales is real, or a list of numbers."""
    if found.data is None and 0 in found.shape:
        raise ConfigError(f"tensor {found.index}: shape {list(found.shape)}; allowed: sizes of 1 or more")
    return Tensor(str(found.index), found.shape, _data(found), _quantization(found))


def _data(found: FileTensor) -> Values | None:
    if found.data is None:
        return None
    return np.asarray(found.data, np.float64) if found.dtype == REAL else np.asarray(found.data, np.int64)


def _quantization(found: FileTensor) -> Quantization | None:
    if not found.scales.size or found.dtype not in _FORMATS:
        return None
    per_channel = found.scales.size > 1
    if per_channel and not (0 <= found.axis < len(found.shape) and found.shape[found.axis] == found.scales.size):
        raise ConfigError(f"tensor {found.index}: {found.scales.size} scales along axis {found.axis}")
    scales, zero_points = found.scales, found.zero_points
    if not per_channel:
        scales, zero_points = scales.reshape(()), zero_points.reshape(())
    try:
        return Quantization(scales, zero_points, _FORMATS[found.dtype], found.axis if per_channel else None)
    except ConfigError as error:
        raise ConfigError(f"tensor {found.index}: {problem}" for problem in error.problems) from None


def _laid_out(operator: Operator, tensors: dict[str, Tensor]) -> Operator:
    """Put weights into the layout of matrix products, output channels last, and check their sizes."""
    if not isinstance(operator, MatmulOperator) or tensors[operator.weight].is_internal:
        return operator
    weight = tensors[operator.weight]
    order = weight_order(operator)
    data = np.asarray(weight.data).transpose(order)
    if operator.bias is not None and tensors[operator.bias].shape != (data.shape[-1],):
        raise ConfigError(f"layer {operator.name}: bias of shape {list(tensors[operator.bias].shape)}")
    grids = weight.quantization, tensors[operator.input].quantization
    if not any(grids):
        grid = None
    elif grids[0] is None or grids[1] is None:
        raise ConfigError(f"layer {operator.name}: input or weights without a scale")
    else:
        grid = _weight_grid(operator, grids[0], order[-1], data.shape[-1])
    name = f"{operator.weight}.{operator.name}"  # a constant may be shared by operators with other layouts
    tensors[name] = replace(weight, name=name, shape=data.shape, data=data, quantization=grid, copy_of=operator.weight)
    return replace(operator, weight=name)


def _weight_grid(operator: MatmulOperator, grid: Quantization, axis: int, channels: int) -> Quantization:
    """Return the quantization of weights laid out, whose scales lie along ``axis`` of the file's."""
    if grid.axis is not None and grid.axis != axis:
        raise ConfigError(f"layer {operator.name}: weights with scales along axis {grid.axis}; allowed: {axis}")
    return _per_channel(grid, channels, spread=isinstance(operator, Conv2d))


def _per_channel(grid: Quantization, channels: int, *, spread: bool) -> Quantization:
    """Return the quantization along the last axis; one scale is spread over the channels of a convolution."""
    if grid.axis is None and not spread:
        return grid
    scale = np.broadcast_to(grid.scale, (channels,))
    return Quantization(scale, np.broadcast_to(grid.zero_point, (channels,)), grid.format, -1)


def _check_shape(operator: Operator, tensors: dict[str, Tensor]) -> None:
    """Refuse an output of another shape than the operator gives it."""
    shapes = _operand_shapes(operator, tensors)
    expected, found = operator.output_shape(*shapes), tensors[operator.output].shape
    like = operator.like if isinstance(operator, RealProduct) else operator
    if isinstance(like, Conv2d) and len(expected) < len(found):
        expected = (1, *expected)
    if isinstance(like, RowsDense):
        found = (int(np.prod(found[:-1])), found[-1] if found else 1)
    if expected != found:
        raise ConfigError(f"layer {operator.name}: output of shape {list(found)}; allowed: {list(expected)}")


def _operand_shapes(operator: Operator, tensors: dict[str, Tensor]) -> Sequence[Shape]:
    names = getattr(operator, "operands", operator.inputs)
    return [tensors[name].shape for name in names]
