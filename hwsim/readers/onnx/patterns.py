"""Groups of nodes that stand for one operator: a Gaussian error linear unit written out by the error function.

``x / 2 (1 + erf(x / sqrt(2)))``, as PyTorch's exporter writes it before opset 20, is one look-up for each code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hwsim.readers.onnx.model import FileModel, FileNode

TOLERANCE = 1e-6  # of constants in float32


def with_gelus(model: FileModel) -> FileModel:
    """Return the model with a Gelu in place of each such group, where nothing else reads what lies between."""
    graph = _Reads(model)
    found = {last.index: (x, group) for x, last, group in graph.gelus()}
    inside = {node.index for _, group in found.values() for node in group}
    nodes = [
        replace(node, kind="Gelu", inputs=(found[node.index][0],), attributes={}) if node.index in found else node
        for node in model.nodes
        if node.index in found or node.index not in inside
    ]
    return replace(model, nodes=tuple(nodes))


class _Reads:
    """Who writes and who reads each tensor of a model."""

    def __init__(self, model: FileModel) -> None:
        self.model = model
        self._writers = {name: node for node in model.nodes for name in node.outputs}
        self._readers: dict[str, list[FileNode]] = {}
        for node in model.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)
        self._outputs = {one.name for one in model.outputs}

    def gelus(self) -> Iterator[tuple[str, FileNode, list[FileNode]]]:
        """Yield the input, the last node and the other nodes of each group."""
        for erf in self.model.nodes:
            if erf.kind == "Erf" and len(erf.inputs) == 1:
                yield from self._gelu(erf)

    def _gelu(self, erf: FileNode) -> Iterator[tuple[str, FileNode, list[FileNode]]]:
        inner, sum_ = self._writers.get(erf.inputs[0]), self._only_reader(erf)
        if inner is None or sum_ is None or self._only_reader(inner) is None or self._other(sum_, "Add", 1.0) is None:
            return
        x = self._other(inner, "Div", math.sqrt(2.0)) or self._other(inner, "Mul", math.sqrt(0.5))
        product = self._only_reader(sum_)
        if x is None or product is None or product.kind != "Mul" or len(product.inputs) != 2:
            return
        factor = product.inputs[1 if product.inputs[0] == sum_.outputs[0] else 0]
        half, last = self._writers.get(factor), self._only_reader(product)
        if factor == x and last is not None and self._other(last, "Mul", 0.5) == product.outputs[0]:
            yield x, last, [inner, erf, sum_, product]
        elif half is not None and self._only_reader(half) is not None and self._other(half, "Mul", 0.5) == x:
            yield x, product, [inner, erf, sum_, half]

    def _only_reader(self, node: FileNode) -> FileNode | None:
        """Return the node that alone reads what a node writes; None if it is an output of the graph."""
        readers = [one for name in node.outputs for one in self._readers.get(name, ())]
        return readers[0] if len(readers) == 1 and not self._outputs.intersection(node.outputs) else None

    def _other(self, node: FileNode, kind: str, value: float) -> str | None:
        """Return the operand of a node beside a constant; None if it is of another kind or by another constant."""
        if node.kind != kind or node.domain or len(node.inputs) != 2:
            return None
        for place in (1,) if kind == "Div" else (0, 1):
            constant = self.model.constants.get(node.inputs[place])
            if constant is not None and constant.size == 1 and np.isclose(constant.item(), value, rtol=TOLERANCE):
                return node.inputs[1 - place]
        return None
