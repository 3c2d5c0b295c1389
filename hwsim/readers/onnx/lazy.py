"""Reals between DequantizeLinear and QuantizeLinear: kept as expressions until a node says which integers they become.

So a convolution with its activation and its requantization is one operator, and a softmax between two quantizations
one step on the vector unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import UnsupportedError
from hwsim.network.float_sums import FloatKernel
from hwsim.network.operators.file_nodes import FileNodes, FileStep, FileWindows
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.operators.real_function import RealFunction
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.onnxruntime.functions import relu
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.expressions import Expression, apply, leaf
from hwsim.readers.onnx.graph import Codes, Graph, Live, Order
from hwsim.readers.onnx.model import Array, FileNode

SUM_WORD = IntFormat(32)
TABLE_BITS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Rescaling:
    """What becomes of a product's sums: times ``multiplier``, one or one for each output channel, and the like."""

    multiplier: Float32Array
    is_rounded: bool = False
    is_rectified: bool = False

    def apply(self, sums: Expression) -> Expression:
        """Return the sums with all that done; channels are their last axis here."""
        multiplier, action = self.multiplier, "multiply"
        found = apply(sums, lambda values: values * multiplier, action)
        if self.is_rectified:
            found = apply(found, relu, "compare")
        return apply(found, np.rint, "multiply") if self.is_rounded else found


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A matrix product whose output's codes are not known yet; ``scale`` is that of its sums, per channel or one.

    ``kernel`` says how ONNX Runtime sums its reals; where a file multiplies integers, nobody asks.
    """

    operator: MatmulOperator
    shape: Shape
    order: Order
    scale: Float32Array
    kernel: FloatKernel
    rescaling: Rescaling | None = None
    is_exact: bool = False
    """Whether the file sums integers, whatever float32 holds."""

    @property
    def is_bare(self) -> bool:
        """Whether nothing is done with its sums yet but to add a bias."""
        return self.operator.activation == "none" and self.rescaling is None

    @property
    def of_reals(self) -> MatmulOperator:
        """The operator between DequantizeLinear and QuantizeLinear."""
        return replace(self.operator, float_kernel=self.kernel)

    def with_real_bias(self, bias: Array, *, is_first: bool = False) -> Product:
        """Return the product with a bias of reals, one or one a channel: added before the terms, or after them."""
        channels = np.broadcast_to(np.asarray(bias, np.float32).reshape(-1), (self.shape[self.order[-1]],))
        order = replace(self.kernel.order, starts_with_bias=is_first)
        return replace(self, kernel=replace(self.kernel, bias=channels, order=order))


Lazy = Expression | Product


class Reals:
    """The reals of a graph by name, and what they become; those ``inside`` a function of elements are no tensors."""

    def __init__(self, graph: Graph, inside: frozenset[str] = frozenset()) -> None:
        self._graph = graph
        self._inside = set(inside)
        self._lazy: dict[str, Lazy] = {}
        self.windows: dict[int, FileWindows] = {}
        """Those of nodes that average, by the nodes' numbers."""
        reads = [name for node in graph.model.nodes for name in node.inputs]
        self._readers = Counter([*reads, *(one.name for one in graph.model.outputs)])

    def __contains__(self, name: str) -> bool:
        return name in self._lazy or (name in self._graph.live and self._graph.live[name].codes is None)

    def keep(self, name: str) -> None:
        """Let reals be part of what reads them, no tensor of their own."""
        self._inside.add(name)

    def is_inside(self, names: Iterable[str]) -> bool:
        """Tell whether some of these are part of what reads them."""
        return not self._inside.isdisjoint(names)

    def readers(self, name: str) -> int:
        """Return how many inputs of nodes, and outputs of the graph, something is."""
        return self._readers[name]

    def put(self, name: str, found: Lazy) -> None:
        """Give reals a name."""
        self._lazy[name] = found

    def name_layer(self, node: FileNode) -> None:
        """Call what a node has made of reals by the node's name; in a network of reals, it is a tensor at once."""
        for output in node.outputs:
            found = self._lazy.get(output)
            if isinstance(found, Expression) and not found.is_leaf:
                named = replace(found, layer=node.name, written=self._written(node))
                self._lazy[output] = named
                if not self._graph.holds_codes and output not in self._inside:
                    self.compute(named, output, None)
                    del self._lazy[output]

    def _written(self, node: FileNode) -> FileNodes | None:
        """Return the nodes up to one, from tensors of the network on; None where one of them is not kept."""
        if node.domain or len(node.outputs) != 1:
            return None
        steps, sources, constants = dict[str, FileStep](), dict[str, str](), dict[str, Array]()
        for name in filter(None, node.inputs):
            before = self._lazy.get(name)
            if name in self._graph.arrays:
                constants[name] = self._graph.arrays[name]
            elif isinstance(before, Expression) and not before.is_leaf:
                if before.written is None:
                    return None
                steps |= {step.output: step for step in before.written.steps}
                sources |= before.written.sources
                constants |= before.written.constants
            elif isinstance(before, Expression) or name in self._graph.live:
                sources[name] = before.leaves[0].name if isinstance(before, Expression) else name
            else:
                return None
        last = FileStep(node.kind, node.inputs, node.outputs[0], node.attributes, self.windows.get(node.index))
        return FileNodes((*steps.values(), last), sources, constants, last.output, self._graph.model.opset)

    def peek(self, name: str) -> Lazy | None:
        """Return what is known by a name, not yet computed."""
        return self._lazy.get(name)

    def expression(self, name: str, label: str) -> Expression:
        """Return reals to compute with; a product becomes a tensor of its sums, what several read a tensor of reals.

        Raises:
            UnsupportedError: there are no such reals.
        """
        found = self._lazy.get(name)
        if found is None:
            if name not in self._graph.live:
                raise UnsupportedError(f"{label}: '{name[:80]}' is a constant; allowed: an activation")
            live = self._graph.live[name]
            if live.codes is not None:
                raise UnsupportedError(f"{label}: '{name[:80]}' holds integers without a scale; allowed: reals")
            return leaf(live)
        if isinstance(found, Product):
            sums = leaf(self.sums(found, name) if found.is_exact else self.real_sums(found, name))
            found = sums if found.rescaling is None else found.rescaling.apply(sums)
            self._lazy[name] = found
        elif not found.is_leaf and self.readers(name) > 1 and name not in self._inside:
            found = leaf(self.compute(found, name, None))
            self._lazy[name] = found
        return found

    def tensor(self, name: str, label: str) -> Live:
        """Return reals as a tensor.

        Raises:
            UnsupportedError: as `expression`.
        """
        found = self.expression(name, label)
        if found.is_leaf and found.leaves[0].codes is None:
            return found.leaves[0]
        return self.compute(found, self._graph.internal_name(name), None)

    def real_sums(self, product: Product, name: str) -> Live:
        """Return a product's sums as reals."""
        live = Live(self._graph.internal_name(name), product.shape, product.order, None)
        return self._graph.emit(replace(product.of_reals, output=live.name), live, internal=True)

    def sums(self, product: Product, name: str) -> Live:
        """Return a product's sums as 32-bit integers."""
        channels = None if product.scale.ndim == 0 else len(product.order) - 1
        grid = Quantization(
            product.scale.astype(np.float64), np.zeros(product.scale.shape, np.int64), SUM_WORD, channels
        )
        output = self._graph.internal_name(name)
        live = Live(output, product.shape, product.order, Codes(SUM_WORD, grid))
        return self._graph.emit(replace(product.operator, output=output), live, internal=True)

    def compute(self, found: Expression, name: str, grid: Quantization | None) -> Live:
        """Add the operator that computes an expression, as codes or as reals, and return its output."""
        codes = None if grid is None else Codes(grid.format, grid)
        live = Live(name, found.shape, found.order, codes)
        names = tuple(one.name for one in found.leaves)
        counts = found.counts or Counts({("vector_unit", "multiply"): found.elements})
        if _fits_a_table(found) and grid is not None:
            counts = Counts({("activation_lut", "lookup"): found.elements})
        self._graph.made += 1
        label = found.layer or f"convert_{self._graph.made}"
        if not self._graph.holds_codes:
            return self._graph.emit(_real(label, found, live), live)
        written = self._unchanged(found.leaves[0]) if found.is_leaf else found.written
        operator = InFloat32(label, names, name, names, live.stored_shape, found.body, counts, written)
        return self._graph.emit(operator, live)

    def _unchanged(self, source: Live) -> FileNodes:
        """Return no nodes: a tensor only changes its quantization."""
        return FileNodes((), {source.name: source.name}, {}, source.name, self._graph.model.opset)

    def finish(self, name: str) -> Live:
        """Return an output of the graph as a tensor."""
        if name in self._graph.live:
            return self._graph.live[name]
        found = self.expression(name, "an output")
        return self._graph.live.get(name) or self.compute(found, name, None)


def _real(label: str, found: Expression, live: Live) -> RealFunction:
    """Return the operator of a network of reals; a function of single elements is a look-up in codes."""
    counts = found.counts
    if found.pointwise and len(found.leaves) == 1:
        counts = Counts({("activation_lut", "lookup"): found.elements})
    names = tuple(one.name for one in found.leaves)
    shapes = tuple(one.stored_shape for one in found.leaves)
    return RealFunction(label, names, live.name, shapes, live.stored_shape, found.body, counts, found.written)


def _fits_a_table(found: Expression) -> bool:
    """Tell whether each output code depends on one code of few bits."""
    if not found.pointwise or len(found.leaves) != 1:
        return False
    codes = found.leaves[0].codes
    return codes is not None and codes.word.bits <= TABLE_BITS
