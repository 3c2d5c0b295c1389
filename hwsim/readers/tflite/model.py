"""What a ``.tflite`` file holds, as plain values: tensors and operators by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.network.tensor import Shape

OptionValue = int | float | bool
NO_TENSOR = -1
QUANTIZED = ("INT4", "INT8", "UINT8", "INT16")


@dataclass(frozen=True, slots=True, eq=False)
class FileTensor:
    """A tensor of the file. ``data`` holds a constant's values; ``scales`` is empty where there is no quantization."""

    index: int
    name: str
    shape: Shape
    dtype: str
    data: NDArray[np.generic] | None
    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    axis: int
    is_variable: bool


@dataclass(frozen=True, slots=True, eq=False)
class FileOperator:
    """An operator of the file; an input of -1 is one that is left out."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: Mapping[str, OptionValue]

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"operator {self.index} ({self.kind})"


@dataclass(frozen=True, slots=True, eq=False)
class FileModel:
    """The graph of a file; ``inputs`` and ``outputs`` are tensor numbers."""

    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def is_real(self) -> bool:
        """Whether no tensor is quantized: then hwsim may do it."""
        return not any(tensor.scales.size or tensor.dtype in QUANTIZED for tensor in self.tensors)
