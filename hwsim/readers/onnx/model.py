"""What an ``.onnx`` file holds, as plain values: nodes and constants by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.network.tensor import Shape

Array = np.ndarray[Any, Any]
AttributeValue = int | float | str | tuple[int, ...] | tuple[float, ...] | Array


@dataclass(frozen=True, slots=True, eq=False)
class FileInput:
    """An input or output of the graph; a size of 0 in its shape is one that the file leaves open."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True, eq=False)
class FileNode:
    """A node of the graph; an input called "" is one that is left out.

    ``sums_integers`` says of a product that it stands for several whose sums are integers; no node of a file does.
    """

    index: int
    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]
    sums_integers: bool = False

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"node {self.index} ({self.kind})"

    @property
    def name(self) -> str:
        """The layer's name."""
        return f"{self.kind.lower()}_{self.index}"


@dataclass(frozen=True, slots=True, eq=False)
class FileModel:
    """The graph of a file. ``constants`` are what the file holds; `FileNode`s of kind Constant are among them."""

    nodes: tuple[FileNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[FileInput, ...]
    outputs: tuple[FileInput, ...]
    opset: int
    stored_bits: Mapping[str, int]
    """Widths of constants that NumPy keeps in a wider type."""
