"""Groups of nodes that stand for one operator: functions of single elements, and layer normalizations, written out.

PyTorch's exporter writes a Gaussian error linear unit as ``x / 2 (1 + erf(x / sqrt(2)))`` or by tanh, a sigmoid linear
unit as ``x sigmoid(x)``, and before opset 17 a layer normalization by its means and a root.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwsim.readers.onnx.elementwise import PAIRS, UNARY
from hwsim.readers.onnx.model import FileModel, FileNode
from hwsim.readers.onnx.reads import Reads

OF_ELEMENTS = frozenset({"Add", "Clip", "Gelu", "Relu", *PAIRS, *UNARY})
MOST_NODES = 24


def inside_units(model: FileModel) -> frozenset[str]:
    """Return the tensors inside functions of single elements that read their input more than once."""
    reads, inside = Reads(model), set[str]()
    for last in reversed(model.nodes):
        if _is_of_elements(reads, last) and not inside.intersection(last.outputs):
            largest: list[str] = max(_units(reads, last), key=len, default=[])
            inside.update(largest)
    return frozenset(inside)


def _is_of_elements(reads: Reads, node: FileNode) -> bool:
    return not node.domain and node.kind in OF_ELEMENTS and any(reads.varies(name) for name in node.inputs)


def _units(reads: Reads, last: FileNode) -> Iterator[list[str]]:
    """Yield the inner tensors of each group of nodes up to ``last`` that depends on one tensor, read several times."""
    candidates = [name for node in _before(reads, last) for name in node.inputs if not reads.is_number(name)]
    for source in dict.fromkeys(candidates):
        group = _group(reads, last, source)
        if sum(source in node.inputs for node in group) + sum(node.inputs.count(source) > 1 for node in group) > 1:
            numbers = {node.index for node in group}
            names = [node.outputs[0] for node in group if node is not last]
            if names and all(reads.is_private(name, numbers) for name in names):
                yield names


def _before(reads: Reads, last: FileNode) -> list[FileNode]:
    """Return a node and those before it, the nearest first, through functions of single elements."""
    found = [last]
    for node in found:
        writers = (reads.writers.get(name) for name in node.inputs)
        found += [one for one in writers if one is not None and one not in found and _is_of_elements(reads, one)]
        if len(found) > MOST_NODES:
            break
    return found


def _group(reads: Reads, last: FileNode, source: str) -> list[FileNode]:
    """Return the nodes between a tensor and ``last``, none where something else is read besides numbers."""
    found = [last]
    for node in found:
        for name in node.inputs:
            if name == source or not name or reads.is_number(name):
                continue
            writer = reads.writers.get(name)
            if writer is None or not _is_of_elements(reads, writer) or len(found) > MOST_NODES:
                return []
            if writer not in found:
                found.append(writer)
    return found


@dataclass(frozen=True, slots=True)
class _Normalization:
    """A layer normalization that is written out: its nodes, and the one operator that they are."""

    nodes: tuple[FileNode, ...]
    whole: FileNode


def with_layer_norms(model: FileModel) -> FileModel:
    """Return the model with a LayerNormalization in place of each group that is one."""
    reads = Reads(model)
    found = [one for node in model.nodes if node.kind == "Sqrt" for one in _layer_norms(reads, node)]
    whole = {one.whole.index: one.whole for one in found}
    gone = {node.index for one in found for node in one.nodes}
    nodes = [whole.get(node.index, node) for node in model.nodes if node.index in whole or node.index not in gone]
    return replace(model, nodes=tuple(nodes))


def _layer_norms(reads: Reads, root: FileNode) -> Iterator[_Normalization]:
    """Yield what ``(x - mean) / sqrt(variance + epsilon)`` is that a square root belongs to."""
    add = reads.writer(root.inputs[0], "Add")
    shifted = [name for name in add.inputs if not reads.is_number(name)] if add else []
    second = reads.writer(shifted[0], "ReduceMean") if len(shifted) == 1 else None
    square = reads.writer(second.inputs[0], "Pow", "Mul") if second else None
    minus = reads.writer(square.inputs[0], "Sub") if square else None
    first = reads.writer(minus.inputs[1], "ReduceMean") if minus else None
    quotient = next(iter(reads.readers(root.outputs[0])), None)
    if add is None or second is None or square is None or minus is None or first is None or quotient is None:
        return
    count = _axes(reads, first)
    fits = first.inputs[0] == minus.inputs[0] and _is_square(reads, square) and count == _axes(reads, second) != 0
    if not fits or quotient.kind != "Div" or quotient.inputs != (minus.outputs[0], root.outputs[0]):
        return
    nodes = [first, minus, square, second, add, root, quotient]
    if not all(reads.is_private(node.outputs[0], {one.index for one in nodes}) for node in nodes[:-1]):
        return
    epsilon = float(reads.model.constants[reads.other(add, shifted[0])].item())
    yield _scaled(reads, nodes, count, epsilon)


def _is_square(reads: Reads, node: FileNode) -> bool:
    if node.kind == "Mul":
        return node.inputs[0] == node.inputs[1]
    return reads.is_number(node.inputs[1]) and reads.model.constants[node.inputs[1]].item() == 2


def _axes(reads: Reads, mean: FileNode) -> int:
    """Return over how many of the last axes a mean is that keeps them; 0 where it is another one."""
    given = reads.model.constants.get(mean.inputs[1]) if len(mean.inputs) > 1 else mean.attributes.get("axes")
    axes = [] if given is None or isinstance(given, int | float | str) else [int(axis) for axis in given]
    is_last = sorted(axes) == list(range(-len(axes), 0)) and mean.attributes.get("keepdims", 1) == 1
    return len(axes) if is_last else 0


def _scaled(reads: Reads, nodes: list[FileNode], count: int, epsilon: float) -> _Normalization:
    """Return a normalization with the scale and the shift that alone read it, constants of so many axes."""
    source, factors = nodes[0].inputs[0], ["", ""]
    for place, kind in enumerate(("Mul", "Add")):
        last = nodes[-1]
        readers = reads.readers(last.outputs[0])
        if len(readers) != 1 or readers[0].kind != kind or not reads.is_private(last.outputs[0], {readers[0].index}):
            continue
        constant = reads.model.constants.get(reads.other(readers[0], last.outputs[0]))
        if constant is not None and constant.ndim == count:
            factors[place] = reads.other(readers[0], last.outputs[0])
            nodes = [*nodes, readers[0]]
    attributes = {"axis": -count, "epsilon": epsilon}
    whole = replace(nodes[-1], kind="LayerNormalization", inputs=(source, *factors), attributes=attributes)
    return _Normalization(tuple(nodes), whole)
