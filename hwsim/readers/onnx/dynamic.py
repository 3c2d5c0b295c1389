"""Builders for files that are quantized dynamically: DynamicQuantizeLinear, MatMulInteger, ConvInteger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import UnsupportedError
from hwsim.network.operators.onnx_dynamic import RunTimeCodes, RunTimeOffset, RunTimeParameters
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.casts import cast, unscaled
from hwsim.readers.onnx.expressions import Expression
from hwsim.readers.onnx.graph import Codes, Live
from hwsim.readers.onnx.lazy import Product, Reals
from hwsim.readers.onnx.products import Weights, convolution, dense, stacked
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]
BYTE = IntFormat(8, signed=False)


def dynamic_quantize(site: Site, reals: Reals) -> None:
    """Outputs: codes, scale, zero point; the last two are one tensor here."""
    names = site.node.outputs
    if len(names) != 3 or not all(names):
        raise UnsupportedError(f"{site.label}: {len(names)} outputs; allowed: codes, scale and zero point")
    source = reals.tensor(site.input(0), site.label)
    parameters = Live(site.graph.internal_name(names[1]), (2,), (0,), None)
    ends, layer = (source.name,), site.node.name
    site.graph.emit(RunTimeParameters(f"{layer}_range", ends, parameters.name, ends), parameters, internal=True)
    both = (source.name, parameters.name)
    codes = replace(source, name=names[0], codes=Codes(BYTE, unscaled(BYTE)))
    site.graph.emit(RunTimeCodes(layer, both, names[0], both), codes)
    scale = Expression(
        (parameters,), lambda values: values[0][:, 0], (), (), Counts({("vector_unit", "move"): 1}), pointwise=False
    )
    reals.put(names[1], scale)
    site.graph.run_time[names[2]] = parameters


def matmul_integer(site: Site, reals: Reals) -> None:
    """Inputs: a, b, zero points; the output's integers are the products' sums."""
    if not site.is_constant(1):
        product = stacked(site, _with_zero_point(site, 0), _with_zero_point(site, 1))
        _renamed(site, replace(reals.sums(product, site.output), name=site.output))
        return
    _product(site, reals, 1, lambda source, weights: dense(site, source, weights, None))


def _with_zero_point(site: Site, place: int) -> Live:
    """Return an operand of two activations with its zero point, which is constant, two inputs further on."""
    live = site.live(place)
    if live.codes is None:
        raise UnsupportedError(f"{site.label}: its input {place} is real")
    zeros = site.array(place + 2) if site.has(place + 2) else np.zeros(1, np.int64)
    if zeros.size != 1:
        raise UnsupportedError(f"{site.label}: {zeros.size} zero points of an activation; allowed: 1")
    return site.graph.on_grid(live, unscaled(live.codes.word, int(zeros.reshape(-1)[0])))


def conv_integer(site: Site, reals: Reals) -> None:
    """Inputs as `matmul_integer`."""
    _product(site, reals, 0, lambda source, weights: convolution(site, source, weights, None))


def _product(site: Site, reals: Reals, axis: int, build: Callable[[Live, Weights], Product]) -> None:
    parameters = site.graph.run_time.get(site.input(2)) if site.has(2) else None
    live = site.live(0)
    if live.codes is None:
        raise UnsupportedError(f"{site.label}: its input is real")
    zero = 0 if parameters is not None or not site.has(2) else int(site.array(2).reshape(-1)[0])
    source = site.graph.on_grid(live, unscaled(live.codes.word, zero))
    product = build(source, _weights(site, axis))
    if parameters is None:
        sums = replace(reals.sums(product, site.output), name=site.output)
        _renamed(site, sums)
        return
    sums = reals.sums(product, site.output)
    both = (sums.name, parameters.name)
    operator = RunTimeOffset(f"{site.node.name}_offset", both, site.output, both, _weight_sums(site, product))
    site.graph.emit(operator, replace(sums, name=site.output))


def _renamed(site: Site, sums: Live) -> None:
    """Let the product write the node's output itself."""
    operator = site.graph.operators.pop()
    del site.graph.live[operator.output], site.graph.tensors[operator.output]
    site.graph.emit(replace(operator, output=sums.name), sums)


def _weights(site: Site, axis: int) -> Weights:
    codes = site.array(1)
    word = site.word(site.input(1), codes.dtype.name)
    zeros = np.asarray(site.array(3), np.int64).reshape(-1) if site.has(3) else np.zeros(1, np.int64)
    if zeros.size == 1:
        return Weights(codes, Quantization(np.asarray(1.0), zeros.reshape(()), word), axis)
    return Weights(codes, Quantization(np.ones(zeros.size), zeros, word, axis), axis)


def _weight_sums(site: Site, product: Product) -> np.ndarray:
    """Return the sum of the weights that each output element has multiplied: the product with an input of ones."""
    operator, tensors = product.operator, site.graph.tensors
    weight = tensors[operator.weight]
    assert weight.quantization is not None  # noqa: S101  (`_weights` gave it one)
    steps = np.asarray(weight.data, np.int64) - weight.quantization.zero_point
    constants = {operator.weight: Tensor(weight.name, weight.shape, steps.astype(np.float64))}
    ones = np.ones((1, *tensors[operator.input].shape))
    return np.rint(operator.float_values([ones], constants)).astype(np.int64).reshape(-1)


BUILDERS: dict[str, Builder] = {
    "Cast": cast,
    "ConvInteger": conv_integer,
    "DynamicQuantizeLinear": dynamic_quantize,
    "MatMulInteger": matmul_integer,
}
