"""Builders of QuantizeLinear, DequantizeLinear and of the float operators between them.

Products of codes are summed as integers on the array, whose overflows show. Outputs are those of ONNX Runtime, node by
node, whose float32 sums may lie on the other side of a tie (`network/float_sums.py`); everything else follows its
float32 kernels too. In the accumulator, a bias that is no integer on the grid of the sums is rounded to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.moves import Reshape
from hwsim.numerics.onnxruntime import functions
from hwsim.numerics.onnxruntime.float32 import Float32Array, dequantize
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx import elementwise, pools
from hwsim.readers.onnx.casts import sums_as_reals
from hwsim.readers.onnx.elementwise import bounds, pair, unary
from hwsim.readers.onnx.expressions import Expression, has_grid, leaf
from hwsim.readers.onnx.graph import Coded, Codes, Live
from hwsim.readers.onnx.lazy import Product, Reals
from hwsim.readers.onnx.products import Bias, Weights, convolution, dense, product_scale, stacked
from hwsim.readers.onnx.rescaled import folded, multiply, round_
from hwsim.readers.onnx.rows import layer_normalization, log_softmax, softmax
from hwsim.readers.onnx.site import Site
from hwsim.readers.onnx.words import clipped_word, holds

Builder = Callable[[Site, Reals], None]
Function = Callable[[Float32Array], Float32Array]


def dequantize_linear(site: Site, reals: Reals) -> None:
    """Inputs: codes, scale, zero point. A constant becomes an array of reals that remembers its codes."""
    if site.integer("block_size", 0):
        raise UnsupportedError(f"{site.label}: blocks of a scale each")
    if site.is_constant(0):
        _dequantize_constant(site)
        return
    live = site.live(0)
    if live.codes is None:
        raise ConfigError(f"{site.label}: its input is real")
    grid = site.grid(1, 2, word=live.codes.word)
    if grid.axis is not None:
        raise UnsupportedError(f"{site.label}: an activation with {grid.scale.size} scales")
    if live.codes.grid is not None and holds(grid.format, live.codes.word):
        grid = replace(grid, format=live.codes.word)
    if grid.format != live.codes.word:
        raise ConfigError(f"{site.label}: zero point of another type than its input")
    reals.put(site.output, leaf(site.graph.on_grid(live, grid)))


def _dequantize_constant(site: Site) -> None:
    codes = site.array(0)
    word = site.word(site.input(0), codes.dtype.name)
    axis = site.axis(site.integer("axis", 1), codes.ndim) if codes.ndim and site.array(1).size > 1 else None
    grid = site.grid(1, 2, word=word, axis=axis)
    if grid.axis is not None and codes.shape[grid.axis] != grid.scale.size:
        raise ConfigError(f"{site.label}: {grid.scale.size} scales along axis {axis} of {list(codes.shape)}")
    site.graph.coded[site.output] = Coded(codes, grid)
    site.graph.arrays[site.output] = dequantize(codes[np.newaxis], grid)[0]


def quantize_linear(site: Site, reals: Reals) -> None:
    """Inputs: reals, scale, zero point: what lies before becomes one operator that writes these codes."""
    if site.integer("block_size", 0):
        raise UnsupportedError(f"{site.label}: blocks of a scale each")
    grid = site.grid(1, 2)
    if grid.axis is not None:
        raise UnsupportedError(f"{site.label}: an activation with {grid.scale.size} scales")
    grid = replace(grid, format=clipped_word(site, grid.format))
    name = site.input(0)
    found = reals.peek(name)
    if isinstance(found, Product) and reals.readers(name) == 1:
        operator = folded(site.graph, found, grid) or (found.of_reals if found.rescaling is None else None)
        if operator is not None:
            output = Live(site.output, found.shape, found.order, Codes(grid.format, grid))
            site.graph.emit(replace(operator, output=site.output), output)
            return
    expression = reals.expression(name, site.label)
    if expression.is_leaf and has_grid(expression.leaves[0], grid):
        _rename(site, expression.leaves[0], grid)
        return
    reals.compute(expression, site.output, grid)


def _rename(site: Site, live: Live, grid: Quantization) -> None:
    """Quantizing what was dequantized by the same scale changes nothing."""
    output = replace(live, name=site.output, codes=Codes(grid.format, grid))
    ends = (live.name,), site.output, (live.name,)
    site.graph.emit(Reshape(site.node.name, *ends, live.stored_shape), output)


def _coded(site: Site, place: int, channel_axis: int) -> Weights:
    """Return constant weights that come from a DequantizeLinear."""
    name = site.input(place)
    if name not in site.graph.coded:
        raise UnsupportedError(f"{site.label}: input {place} is no constant with a DequantizeLinear")
    found = site.graph.coded[name]
    return Weights(found.codes, found.grid, channel_axis)


def _operand(site: Site, reals: Reals, place: int = 0) -> Live:
    """Return the codes of a product's activations."""
    expression = reals.expression(site.input(place), site.label)
    if not expression.is_leaf or expression.leaves[0].codes is None:
        raise UnsupportedError(f"{site.label}: its input {place} is no activation with a DequantizeLinear")
    return expression.leaves[0]


def _bias(site: Site, product_scale: np.ndarray, name: str) -> Bias:
    """Return a bias: its integers where they lie on the product's grid, else its reals."""
    found = site.graph.coded.get(name)
    if found is not None and found.grid.format.bits == 32 and not np.any(found.grid.zero_point):
        scale = found.grid.scale.astype(np.float32)
        if scale.size in (1, product_scale.size) and np.all(scale.reshape(-1) == product_scale.reshape(-1)):
            return Bias(integers=found.codes)
    if name not in site.graph.arrays:
        raise UnsupportedError(f"{site.label}: bias '{name[:80]}' is not constant")
    return Bias(reals=site.graph.arrays[name])


def conv(site: Site, reals: Reals) -> None:
    """Inputs: x, w, bias."""
    source, weights = _operand(site, reals), _coded(site, 1, 0)
    bias = _bias(site, product_scale(site, source, weights.grid), site.input(2)) if site.has(2) else None
    product = replace(convolution(site, source, weights, bias), is_exact=site.node.sums_integers)
    reals.put(site.output, product.with_real_bias(site.array(2)) if site.has(2) else product)


def matmul(site: Site, reals: Reals) -> None:
    """Inputs: a, b, of which b may be another activation."""
    if not site.is_constant(1):
        product = stacked(site, _operand(site, reals), _operand(site, reals, 1))
        reals.put(site.output, replace(product, is_exact=site.node.sums_integers))
        return
    source, weights = _operand(site, reals), _coded(site, 1, 1)
    bias = _bias(site, product_scale(site, source, weights.grid), site.input(2)) if site.has(2) else None
    reals.put(site.output, replace(dense(site, source, weights, bias), is_exact=site.node.sums_integers))


def gemm(site: Site, reals: Reals) -> None:
    """Inputs: a, b, c; transposed b, factors of 1."""
    if site.real("alpha", 1.0) != 1.0 or site.real("beta", 1.0) != 1.0 or site.integer("transA", 0):
        raise UnsupportedError(f"{site.label}: alpha, beta other than 1, or transA")
    source, weights = _operand(site, reals), _coded(site, 1, 1)
    is_transposed = bool(site.integer("transB", 0))
    if is_transposed and weights.codes.ndim == 2:
        grid = weights.grid
        swapped = Quantization(grid.scale, grid.zero_point, grid.format, None if grid.axis is None else 1 - grid.axis)
        weights = Weights(weights.codes.T, swapped, 1)
    bias = _bias(site, product_scale(site, source, weights.grid), site.input(2)) if site.has(2) else None
    product = dense(site, source, weights, bias, is_transposed=is_transposed)
    product = replace(product, is_exact=site.node.sums_integers)
    reals.put(site.output, product.with_real_bias(site.array(2), is_first=True) if site.has(2) else product)


def add(site: Site, reals: Reals) -> None:
    """A constant that is added to a product is its bias where it lies on the product's grid; else float32."""
    for place in (0, 1):
        found = reals.peek(site.input(place))
        other = site.input(1 - place)
        if _takes_bias(found) and other in site.graph.coded and reals.readers(site.input(place)) == 1:
            assert isinstance(found, Product)  # noqa: S101  (see above)
            biased = _with_bias(site, found, other)
            if biased is not None:
                reals.put(site.output, biased)
                return
        elif other in site.graph.arrays:
            sums_as_reals(site, reals, place, site.array(1 - place))
    pair(np.add, "add")(site, reals)


def _takes_bias(found: Expression | Product | None) -> bool:
    if not isinstance(found, Product) or not found.operator.has_weights or found.rescaling is not None:
        return False
    return found.operator.bias is None and found.operator.activation == "none"


def _with_bias(site: Site, product: Product, name: str) -> Product | None:
    """Return the product with a bias; None where it does not lie on the grid of the sums."""
    found = site.graph.coded[name]
    bias = _bias(site, product.scale, name)
    channels = product.operator.units if hasattr(product.operator, "units") else 0
    if bias.integers is None or found.codes.size not in (1, channels) or found.codes.shape[-1:] != found.codes.shape:
        return None
    scale = np.broadcast_to(product.scale, (channels,)).astype(np.float64)
    grid = Quantization(scale, np.zeros(channels, np.int64), found.grid.format, 0)
    values = np.broadcast_to(np.asarray(found.codes, np.int64), (channels,))
    entered = site.graph.add_constant(f"{product.operator.name}.bias", values, grid)
    biased = replace(product, operator=replace(product.operator, bias=entered))
    return biased.with_real_bias(site.graph.arrays[name])


def relu(site: Site, reals: Reals) -> None:
    """Part of a product before it where nothing else reads that."""
    found = reals.peek(site.input(0))
    if isinstance(found, Product) and found.rescaling is not None and reals.readers(site.input(0)) == 1:
        reals.put(site.output, replace(found, rescaling=replace(found.rescaling, is_rectified=True)))
        return
    if isinstance(found, Product) and _can_take(reals, site, found):
        reals.put(site.output, replace(found, operator=replace(found.operator, activation="relu")))
        return
    unary(lambda _: functions.relu, "compare")(site, reals)


def clip(site: Site, reals: Reals) -> None:
    """Bounds as inputs (opset 11) or attributes; [0, 6] after a product is part of it."""
    low, high = bounds(site)
    found = reals.peek(site.input(0))
    if isinstance(found, Product) and (low, high) == (0.0, 6.0) and _can_take(reals, site, found):
        reals.put(site.output, replace(found, operator=replace(found.operator, activation="relu6")))
        return
    unary(lambda _: functions.Clip(np.float32(low), np.float32(high)), "compare")(site, reals)


def _can_take(reals: Reals, site: Site, product: Product) -> bool:
    return product.is_bare and reals.readers(site.input(0)) == 1


BUILDERS: dict[str, Builder] = {
    **elementwise.BUILDERS,
    **pools.BUILDERS,
    "Add": add,
    "Clip": clip,
    "Conv": conv,
    "DequantizeLinear": dequantize_linear,
    "Gemm": gemm,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": log_softmax,
    "MatMul": matmul,
    "Mul": multiply,
    "QuantizeLinear": quantize_linear,
    "Relu": relu,
    "Round": round_,
    "Softmax": softmax,
}
