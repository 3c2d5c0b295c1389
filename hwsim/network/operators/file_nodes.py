"""The nodes of an ONNX file that an operator of the network was read from, so that they can be written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.numerics.onnxruntime.pooling import LOOP_OPSET, PoolWindow, SumOrder

Array = np.ndarray[Any, Any]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | Array


@dataclass(frozen=True, slots=True, eq=False)
class FileWindows:
    """The windows of a node that averages images of a size."""

    window: PoolWindow
    height: int
    width: int

    def order(self, opset: int) -> SumOrder:
        """Return the order in which the float32 kernel of AveragePool of an operator set adds."""
        return "row_major" if opset >= LOOP_OPSET else self.window.float_sum_order(self.height, self.width)


@dataclass(frozen=True, slots=True, eq=False)
class FileStep:
    """One node of the standard operators with one output, which has the name that the file gives it."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]
    windows: FileWindows | None = None


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
