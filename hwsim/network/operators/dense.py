"""Fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.gather import RowsGather
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape
from hwsim.numerics.tflite.schemes import ProductOperator


@dataclass(frozen=True)
class Dense(MatmulOperator):
    """``y = x W + b`` with W of shape (inputs, units): one output row."""

    units: int = 0

    @property
    def product(self) -> ProductOperator:
        """Fully connected."""
        return "fully_connected"

    def output_shape(self, *shapes: Shape) -> Shape:
        """(units,)."""
        input_shape = shapes[0]
        if len(input_shape) != 1:
            raise ConfigError(
                f"layer {self.name}: dense layer on an input of shape {list(input_shape)}; "
                "allowed: one dimension (put a flatten layer before it)"
            )
        return (self.units,)

    def gather(self, input_shape: Shape) -> RowsGather:
        """Every element, in order."""
        return RowsGather(1, input_shape[0])


@dataclass(frozen=True)
class RowsDense(Dense):
    """``y = x W + b`` for every row of a tensor: its elements are taken as rows of W's inputs."""

    depth: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:
        """(rows, units)."""
        elements = int(np.prod(shapes[0]))
        if elements % self.depth:
            raise ConfigError(f"layer {self.name}: {elements} elements; allowed: rows of {self.depth}")
        return (elements // self.depth, self.units)

    def gather(self, input_shape: Shape) -> RowsGather:
        """Every element, in order."""
        return RowsGather(int(np.prod(input_shape)) // self.depth, self.depth)
