"""Products that a file multiplies by a constant before it rounds them, as hwsim's exported files do.

Where all scales are powers of two and no sum is beyond 2**24, float32 holds every sum exactly: the product is one of
integers, and the constant is the requantizer's multiplier.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.network.exact_sums import SumBounds
from hwsim.network.operators.attention import ActivationProduct
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.float32 import Float32Array, is_power_of_two
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.elementwise import pair, unary
from hwsim.readers.onnx.graph import Graph
from hwsim.readers.onnx.lazy import Product, Reals, Rescaling
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site


def multiply(site: Site, reals: Reals) -> None:
    """A constant by which a product is multiplied may become its requantizer's."""
    for place in (0, 1):
        found = reals.peek(site.input(place))
        is_bare = isinstance(found, Product) and found.is_bare and reals.readers(site.input(place)) == 1
        if isinstance(found, Product) and is_bare and site.is_constant(1 - place):
            multiplier = _per_channel(found, site.array(1 - place))
            if multiplier is not None:
                reals.put(site.output, replace(found, rescaling=Rescaling(multiplier)))
                return
    pair(np.multiply, "multiply")(site, reals)


def round_(site: Site, reals: Reals) -> None:
    """Half to even; a product that is multiplied by a constant may be rounded by its requantizer."""
    found = reals.peek(site.input(0))
    if isinstance(found, Product) and found.rescaling is not None and reals.readers(site.input(0)) == 1:
        reals.put(site.output, replace(found, rescaling=replace(found.rescaling, is_rounded=True)))
        return
    unary(lambda _: np.rint, "multiply")(site, reals)


def _per_channel(product: Product, constant: Array) -> Float32Array | None:
    """Return a constant as one number, or as one for each output channel; None where it is neither."""
    values = np.asarray(constant, np.float32)
    if values.size == 1:
        return values.reshape(())
    shape: Shape = (1,) * (len(product.shape) - values.ndim) + values.shape
    wanted = [1] * len(product.shape)
    wanted[product.order[-1]] = product.shape[product.order[-1]]
    return values.reshape(-1) if list(shape) == wanted and product.operator.has_weights else None


def folded(graph: Graph, product: Product, output: Quantization) -> MatmulOperator | None:
    """Return the operator whose requantizer multiplies by the constant too; None where float32 may round a sum."""
    found, operator = product.rescaling or Rescaling(np.ones((), np.float32)), product.operator
    bounds = bounds_of(graph, operator)
    if not all(map(is_power_of_two, (bounds.source.scale, bounds.grid.scale, output.scale))):
        return None
    if (
        not (product.is_exact or bounds.are_exact)
        or np.any(found.multiplier <= 0)
        or (found.is_rounded and output.scale != 1)
    ):
        return None
    if found.is_rectified:
        operator = replace(operator, activation="relu")
    if isinstance(operator, ActivationProduct):
        return replace(operator, scale=operator.scale * float(found.multiplier))
    for name in operator.constants:
        graph.rescale(name, found.multiplier)
    return operator


def bounds_of(graph: Graph, operator: MatmulOperator) -> SumBounds:
    """Return the bounds of a product's sums."""
    source, weight = graph.tensors[operator.input], graph.tensors[operator.weight]
    bias = None if operator.bias is None else graph.tensors[operator.bias]
    grids = graph.grid(source.name), graph.grid(weight.name)
    return SumBounds(operator, grids[0], source.shape, weight, grids[1], bias)
