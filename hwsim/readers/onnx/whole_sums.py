"""Products whose activations a file cuts into parts of few bits, so that float32 holds the sums of each part.

``Cast(bias + Cast(low W) + 2**b Cast(high W))`` with ``high = Floor(x / 2**b)`` and ``low = x - 2**b high``, as hwsim's
exported files have it, is one product ``x W + bias`` of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.readers.onnx.model import FileModel, FileNode
from hwsim.readers.onnx.reads import Reads

FLOAT, INT32 = 1, 6  # of the attribute of Cast
MOST_NODES = 64  # of a group
LARGEST_FACTOR = 2.0**31
PRODUCTS = ("Conv", "Gemm", "MatMul")


def with_whole_sums(model: FileModel) -> FileModel:
    """Return the model with one product in place of each such group, where nothing else reads what lies between."""
    graph = _Graph(model)
    found = {node.index: group for node in model.nodes if (group := graph.group(node)) is not None}
    inside = {node.index for group in found.values() for node in group.nodes}
    nodes = [found[node.index].whole(node) if node.index in found else node for node in model.nodes]
    return replace(model, nodes=tuple(node for node in nodes if node.index not in inside))


@dataclass
class _Group:
    """Products of parts of ``source``, the lowest first, each with a power of two; ``nodes`` are all but the last."""

    nodes: list[FileNode] = field(default_factory=list)
    parts: list[tuple[int, FileNode]] = field(default_factory=list)
    biases: list[str] = field(default_factory=list)
    source: str = ""

    @property
    def are_alike(self) -> bool:
        """Whether there are products, all by the same weights in the same way, and one bias at most."""
        if not self.parts or len(self.biases) > 1:
            return False
        plain = [{name: repr(value) for name, value in one.attributes.items()} for _, one in self.parts]
        said = [(one.kind, one.inputs[1:], given) for (_, one), given in zip(self.parts, plain, strict=True)]
        return all(one == said[0] for one in said)

    def whole(self, last: FileNode) -> FileNode:
        """Return the product that takes the group's place."""
        first = self.parts[0][1]
        inputs = (self.source, first.inputs[1], *self.biases)
        return replace(first, inputs=inputs, outputs=last.outputs, index=last.index, sums_integers=True)


class _Graph:
    """The model in which groups are looked for."""

    def __init__(self, model: FileModel) -> None:
        self._constants, self._reads = model.constants, Reads(model)

    def group(self, last: FileNode) -> _Group | None:
        """Return the group that ends in a node."""
        found = _Group()
        if not _is_cast(last, FLOAT) or not self._add_terms(last.inputs[0], 1, found) or not found.are_alike:
            return None
        found.parts.sort(key=lambda part: part[0])
        if not self._join_parts(found) or not all(self._is_bias(name, found.parts[0][1].kind) for name in found.biases):
            return None
        inside = {last.index, *(node.index for node in found.nodes)}
        inner = (name for node in found.nodes for name in node.outputs)
        return found if all(self._reads.is_private(name, inside) for name in inner) else None

    def _add_terms(self, name: str, factor: int, group: _Group) -> bool:
        """Add what a sum is made of; return False where it is made of something else."""
        if name in self._constants:
            group.biases.append(name)
            return True
        node = self._reads.writer(name)
        if node is None or not node.inputs or len(group.nodes) > MOST_NODES:
            return False
        group.nodes.append(node)
        if node.kind == "Add":
            return all(self._add_terms(term, factor, group) for term in node.inputs)
        if node.kind == "Mul" and factor == 1:
            power = self._number(node, "Mul") or 0.0
            return 1 < power < LARGEST_FACTOR and self._add_terms(node.inputs[0], int(power), group)
        product = self._reads.writer(node.inputs[0])
        if not _is_cast(node, INT32) or product is None or product.kind not in PRODUCTS or len(product.inputs) != 2:
            return False
        group.nodes.append(product)
        group.parts.append((factor, product))
        return True

    def _join_parts(self, group: _Group) -> bool:
        """Find what the parts are parts of; return False where they are not."""
        factors = [factor for factor, _ in group.parts]
        sources = [product.inputs[0] for _, product in group.parts]
        rest = group.source = sources[0]
        for place, low in enumerate(sources[:-1]):
            size, cut = factors[place + 1] // factors[place], self._reads.writer(low)
            if cut is None or cut.kind != "Sub" or len(cut.inputs) != 2:
                return False
            back = self._reads.writer(cut.inputs[1])
            high = None if back is None or not back.inputs else self._reads.writer(back.inputs[0])
            is_floor = high is not None and high.kind == "Floor" and len(high.inputs) == 1
            quotient = None if high is None or not is_floor else self._reads.writer(high.inputs[0])
            if back is None or high is None or quotient is None:
                return False
            if self._number(back, "Mul") != size or self._number(quotient, "Mul") != 1 / size:
                return False
            if quotient.inputs[0] != cut.inputs[0] or (place and cut.inputs[0] != rest):
                return False
            group.source = group.source if place else cut.inputs[0]
            rest = high.outputs[0]
            group.nodes += [cut, back, high, quotient]
        return factors[0] == 1 and rest == sources[-1]

    def _is_bias(self, name: str, kind: str) -> bool:
        """Tell whether a constant has a number for each output channel, which are images' first axis or the last."""
        values = self._constants[name]
        behind = values.shape[-2:] if kind == "Conv" else ()
        if values.dtype.kind != "i" or values.ndim <= len(behind) or not set(behind) <= {1}:
            return False
        return values.size == values.shape[-1 - len(behind)]

    def _number(self, node: FileNode, kind: str) -> float | None:
        """Return the one number that a node's second input is; None if it is of another kind or has another input."""
        if node.kind != kind or len(node.inputs) != 2:
            return None
        values = self._constants.get(node.inputs[1])
        return None if values is None or np.size(values) != 1 else float(np.asarray(values).reshape(-1)[0])


def _is_cast(node: FileNode, kind: int) -> bool:
    return (node.kind, node.domain, len(node.inputs), node.attributes.get("to")) == ("Cast", "", 1, kind)
