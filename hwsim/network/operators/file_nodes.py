"""The nodes of an ONNX file that an operator of the network was read from, so that they can be written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | Array


@dataclass(frozen=True, slots=True, eq=False)
class FileStep:
    """One node of the standard operators with one output, which has the name that the file gives it."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True, eq=False)
class FileNodes:
    """Nodes in order, of an operator set's version, up to the one that writes ``output``.

    ``sources`` says which tensor of the network is what of the file, ``constants`` what is constant.
    """

    steps: tuple[FileStep, ...]
    sources: Mapping[str, str]
    constants: Mapping[str, Array]
    output: str
    opset: int
