"""Builders of ONNX Runtime's operators on codes: one small function for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.moves import Concatenation
from hwsim.network.operators.qlinear import (
    QLinearAdd,
    QLinearAveragePool,
    QLinearGlobalAveragePool,
    QLinearMul,
    QLinearSoftmax,
    QLinearTable,
)
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import functions
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.onnxruntime.qlinear import Single
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.graph import Codes, Live, Order, broadcast, channels_last, plain
from hwsim.readers.onnx.lazy import Product
from hwsim.readers.onnx.products import Bias, Weights, convolution, dense, stacked
from hwsim.readers.onnx.site import Site

CODE_BITS = 8


def source(site: Site, place: int = 0) -> Live:
    """Return an operand of codes with the scale and zero point in the two inputs after it."""
    live = site.live(place)
    grid = site.grid(place + 1, place + 2)
    if grid.axis is not None or grid.format.bits != CODE_BITS:
        raise UnsupportedError(f"{site.label}: input {place} of {grid.format.bits} bits or with several scales")
    return site.graph.on_grid(live, grid)


def result(site: Site, scale: int, zero_point: int, shape: Shape, order: Order) -> Live:
    """Return the output with the scale and zero point in two inputs."""
    grid = site.grid(scale, zero_point)
    if grid.axis is not None or grid.format.bits != CODE_BITS:
        raise UnsupportedError(f"{site.label}: output of {grid.format.bits} bits or with several scales")
    return Live(site.output, shape, order, Codes(grid.format, grid))


def finish(site: Site, product: Product, output: Live) -> None:
    """Add a product with its output."""
    site.graph.emit(replace(product.operator, output=output.name), output)


def weights(site: Site, place: int, channel_axis: int) -> Weights:
    """Return constant weights with the scales and zero points in the two inputs after them."""
    codes = site.array(place)
    word = site.word(site.input(place), codes.dtype.name)
    return Weights(codes, site.grid(place + 1, place + 2, word=word, axis=channel_axis), channel_axis)


def qlinear_conv(site: Site) -> None:
    """Inputs: x, scale, zero point, w, scales, zero points, scale and zero point of y, bias."""
    bias = Bias(site.array(8)) if site.has(8) else None
    product = convolution(site, source(site), weights(site, 3, 0), bias)
    finish(site, product, result(site, 6, 7, product.shape, product.order))


def qlinear_matmul(site: Site) -> None:
    """Inputs: a, scale, zero point, b, scales, zero points, scale and zero point of y."""
    if site.is_constant(3):
        product = dense(site, source(site), weights(site, 3, 1), None)
    else:
        product = stacked(site, source(site), source(site, 3))
    finish(site, product, result(site, 6, 7, product.shape, product.order))


def qgemm(site: Site) -> None:
    """Inputs: a, scale, zero point, b, scales, zero points, c (integers), scale and zero point of y."""
    if site.integer("transA", 0) or site.real("alpha", 1.0) != 1.0 or not site.has(7):
        raise UnsupportedError(f"{site.label}: transA, alpha other than 1, or an output of reals")
    found = weights(site, 3, 1)
    if site.integer("transB", 0):
        found = Weights(found.codes.T, found.grid, 1)
    product = dense(site, source(site), found, Bias(site.array(6)) if site.has(6) else None)
    finish(site, product, result(site, 7, 8, product.shape, product.order))


def _operand(site: Site, place: int, shape: Shape, order: Order) -> tuple[str, Quantization]:
    """Return the name of an operand, constant or not, laid out for a common shape and order."""
    if not site.is_constant(place):
        live = site.live(place)
        moved = site.graph.in_order(source(site, place), order if len(live.shape) == len(shape) else plain(live.shape))
        if len(moved.shape) != len(shape) and order != plain(shape):
            raise UnsupportedError(f"{site.label}: activations of {len(live.shape)} and {len(shape)} axes")
        codes = moved.codes
        assert codes is not None  # noqa: S101  (`source` gave it a grid)
        assert codes.grid is not None  # noqa: S101
        return moved.name, codes.grid
    values, grid = site.array(place), site.grid(place + 1, place + 2)
    values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape).transpose(order)
    name = f"{site.node.name}.operand{place}"
    return site.graph.add_constant(name, np.asarray(values, np.int64), grid), grid


def _binary(site: Site) -> tuple[tuple[str, str], tuple[Shape, Shape], Live]:
    """Return the operands' names and shapes in the file, and the output."""
    shapes = tuple(site.array(place).shape if site.is_constant(place) else site.live(place).shape for place in (0, 3))
    shape = broadcast(site.label, *shapes)
    whole = [site.live(place) for place in (0, 3) if not site.is_constant(place)]
    same = [live for live in whole if len(live.shape) == len(shape)]
    if not same:
        raise UnsupportedError(f"{site.label}: operands of fewer axes than the output")
    order = same[0].order if len(same) == len(whole) else plain(shape)
    names = tuple(_operand(site, place, shape, order)[0] for place in (0, 3))
    return (names[0], names[1]), (shapes[0], shapes[1]), result(site, 6, 7, shape, order)


def _inputs(site: Site, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in site.graph.live)


def single_operand(first: Shape, second: Shape) -> Single:
    """Tell which operand ONNX Runtime's kernels take as one number for a run of the other's.

    Runs are along the last axis: an operand of size 1 there, where the other is longer, is one number.
    """
    ends = [shape[-1] if shape else 1 for shape in (first, second)]
    if ends[0] == 1 and ends[1] > 1:
        return "first"
    return "second" if ends[1] == 1 and ends[0] > 1 else "none"


def qlinear_add(site: Site) -> None:
    """Inputs: a, scale, zero point, b, scale, zero point, scale and zero point of y."""
    names, shapes, output = _binary(site)
    single = single_operand(*shapes)
    operator = QLinearAdd(site.node.name, _inputs(site, names), output.name, names, single)
    site.graph.emit(operator, output)


def qlinear_mul(site: Site) -> None:
    """Inputs as `qlinear_add`."""
    names, _, output = _binary(site)
    site.graph.emit(QLinearMul(site.node.name, _inputs(site, names), output.name, names), output)


def qlinear_average_pool(site: Site) -> None:
    """Inputs: x, scale, zero point, scale and zero point of y."""
    live = source(site)
    if site.integer("channels_last", 0) or len(live.shape) != 4:
        raise UnsupportedError(f"{site.label}: channels_last or other than four axes")
    window = replace(site.pool_window(live.shape), counts_padding=bool(site.integer("count_include_pad", 0)))
    moved = site.graph.in_order(live, channels_last(live.shape))
    height, width = window.out_size(live.shape[2], live.shape[3])
    shape = (1, live.shape[1], height, width)
    output = result(site, 3, 4, shape, channels_last(shape))
    site.graph.emit(QLinearAveragePool(site.node.name, (moved.name,), output.name, (moved.name,), window), output)


def qlinear_global_average_pool(site: Site) -> None:
    """Inputs as `qlinear_average_pool`."""
    live = source(site)
    if site.integer("channels_last", 0) or len(live.shape) < 3:
        raise UnsupportedError(f"{site.label}: channels_last or fewer than three axes")
    moved = site.graph.in_order(live, channels_last(live.shape))
    shape = (*live.shape[:2], *(1 for _ in live.shape[2:]))
    output = result(site, 3, 4, shape, channels_last(shape))
    site.graph.emit(QLinearGlobalAveragePool(site.node.name, (moved.name,), output.name, (moved.name,)), output)


def qlinear_softmax(site: Site) -> None:
    """Inputs as `qlinear_average_pool`; before opset 13 all axes from ``axis`` on are one row."""
    live = source(site)
    flattens = site.integer("opset", 13) < 13
    axis = site.axis(site.integer("axis", 1 if flattens else -1), len(live.shape))
    if any(size > 1 for size in (live.shape[axis + 1 :] if flattens else ())) or axis != len(live.shape) - 1:
        raise UnsupportedError(f"{site.label}: axis {axis} of {list(live.shape)}; allowed: the last one")
    moved = live if live.order[-1] == axis else site.graph.in_order(live, plain(live.shape))
    output = result(site, 3, 4, live.shape, moved.order)
    site.graph.emit(QLinearSoftmax(site.node.name, (moved.name,), output.name, (moved.name,)), output)


def _table(site: Site, live: Live, output: Live, function: Callable[[Float32Array], Float32Array]) -> Live:
    operator = QLinearTable(site.node.name, (live.name,), output.name, (live.name,), function)
    return site.graph.emit(operator, output)


def qlinear_sigmoid(site: Site) -> None:
    """Inputs as `qlinear_average_pool`."""
    live = source(site)
    _table(site, live, result(site, 3, 4, live.shape, live.order), functions.sigmoid)


def qlinear_leaky_relu(site: Site) -> None:
    """Inputs as `qlinear_average_pool`."""
    live = source(site)
    slope = np.float32(site.real("alpha", 0.01))
    _table(site, live, result(site, 3, 4, live.shape, live.order), functions.LeakyRelu(slope))


def qlinear_concat(site: Site) -> None:
    """Inputs: scale and zero point of y, then for each tensor itself, scale, zero point."""
    places = range(2, len(site.node.inputs), 3)
    if not places:
        raise ConfigError(f"{site.label} has nothing to join")
    lives = [source(site, place) for place in places]
    shapes = {len(live.shape) for live in lives}
    if len(shapes) != 1:
        raise ConfigError(f"{site.label}: shapes {[list(live.shape) for live in lives]} do not go together")
    grid, order = site.grid(0, 1), lives[0].order
    axis = site.axis(site.integer("axis", 1), len(order))
    parts = [_on_output_grid(site, site.graph.in_order(live, order), grid, place) for place, live in enumerate(lives)]
    shape = (*lives[0].shape[:axis], sum(live.shape[axis] for live in lives), *lives[0].shape[axis + 1 :])
    names = tuple(part.name for part in parts)
    operator = Concatenation(site.node.name, names, site.output, names, order.index(axis))
    output = Live(site.output, shape, order, Codes(grid.format, grid))
    if operator.output_shape(*(part.stored_shape for part in parts)) != output.stored_shape:
        raise ConfigError(f"{site.label}: shapes {[list(live.shape) for live in lives]} do not go together")
    site.graph.emit(operator, output)


def _on_output_grid(site: Site, live: Live, grid: Quantization, number: int) -> Live:
    """Return codes on the output's grid: looked up where their own is another one."""
    codes = live.codes
    assert codes is not None  # noqa: S101  (`source` gave it a grid)
    assert codes.grid is not None  # noqa: S101
    if float(codes.grid.scale) == float(grid.scale) and int(codes.grid.zero_point) == int(grid.zero_point):
        return live
    name = site.graph.internal_name(live.name)
    moved = replace(live, name=name, codes=Codes(grid.format, grid))
    operator = QLinearTable(f"{site.node.name}_{number}", (live.name,), name, (live.name,), functions.identity)
    return site.graph.emit(operator, moved, internal=True)


MICROSOFT = "com.microsoft"
BUILDERS: dict[tuple[str, str], Callable[[Site], None]] = {
    ("", "QLinearConv"): qlinear_conv,
    ("", "QLinearMatMul"): qlinear_matmul,
    (MICROSOFT, "QGemm"): qgemm,
    (MICROSOFT, "QLinearAdd"): qlinear_add,
    (MICROSOFT, "QLinearAveragePool"): qlinear_average_pool,
    (MICROSOFT, "QLinearConcat"): qlinear_concat,
    (MICROSOFT, "QLinearGlobalAveragePool"): qlinear_global_average_pool,
    (MICROSOFT, "QLinearLeakyRelu"): qlinear_leaky_relu,
    (MICROSOFT, "QLinearMul"): qlinear_mul,
    (MICROSOFT, "QLinearSigmoid"): qlinear_sigmoid,
    (MICROSOFT, "QLinearSoftmax"): qlinear_softmax,
}
