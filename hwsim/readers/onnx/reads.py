"""Which nodes of a file write and read its tensors."""

from __future__ import annotations

from hwsim.readers.onnx.model import FileModel, FileNode


class Reads:
    """Who writes and who reads each tensor of a model."""

    def __init__(self, model: FileModel) -> None:
        self.model = model
        self.writers = {name: node for node in model.nodes for name in node.outputs}
        self._readers: dict[str, list[FileNode]] = {}
        for node in model.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)
        self._outputs = {one.name for one in model.outputs}

    def readers(self, name: str) -> list[FileNode]:
        """Return the nodes that read a tensor."""
        return self._readers.get(name, [])

    def is_private(self, name: str, readers: set[int]) -> bool:
        """Tell whether only nodes of these numbers read a tensor, which is no output of the graph."""
        return name not in self._outputs and all(node.index in readers for node in self.readers(name))

    def writer(self, name: str, *kinds: str) -> FileNode | None:
        """Return the node of ONNX's own operators that writes a tensor, if it is one of some kinds, or of any."""
        node = self.writers.get(name)
        return node if node is not None and not node.domain and (not kinds or node.kind in kinds) else None

    def is_number(self, name: str) -> bool:
        """Tell whether a tensor is a constant of one element."""
        return name in self.model.constants and self.model.constants[name].size == 1

    def varies(self, name: str) -> bool:
        """Tell whether a tensor is none of the file's constants."""
        return bool(name) and name not in self.model.constants

    def other(self, node: FileNode, name: str) -> str:
        """Return the operand of a node beside one."""
        return node.inputs[1 if node.inputs[0] == name else 0]
