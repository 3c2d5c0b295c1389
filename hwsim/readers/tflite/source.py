"""One operator of a ``.tflite`` file with the tensors and options round it, each checked when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntArray
from hwsim.numerics.tflite.pooling import Padding
from hwsim.numerics.tflite.scales import TfliteActivation
from hwsim.readers.tflite.model import NO_TENSOR, FileModel, FileOperator, FileTensor

ACTIVATIONS: dict[int, TfliteActivation] = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}
PADDINGS: dict[int, Padding] = {0: "same", 1: "valid"}


@dataclass(frozen=True, slots=True)
class Source:
    """One operator of the file with the tensors round it."""

    model: FileModel
    operator: FileOperator

    @property
    def name(self) -> str:
        """The layer's name."""
        return f"{self.operator.kind.lower()}_{self.operator.index}"

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of all inputs, constants among them."""
        return tuple(str(number) for number in self.operator.inputs if number != NO_TENSOR)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that are no constants."""
        return tuple(name for name in self.operands if self.model.tensors[int(name)].data is None)

    @property
    def output(self) -> str:
        """Name of the only output."""
        if len(self.operator.outputs) != 1:
            raise ConfigError(f"{self.operator.label} has {len(self.operator.outputs)} outputs; allowed: 1")
        return str(self.operator.outputs[0])

    @property
    def activation(self) -> TfliteActivation:
        """The fused activation."""
        number = self.number("FusedActivationFunction")
        if number not in ACTIVATIONS:
            raise UnsupportedError(f"{self.operator.label}: fused activation {number}")
        return ACTIVATIONS[number]

    @property
    def padding(self) -> Padding:
        """The padding of windows."""
        number = self.number("Padding")
        if number not in PADDINGS:
            raise ConfigError(f"{self.operator.label}: padding {number}; allowed: 0 (same), 1 (valid)")
        return PADDINGS[number]

    @property
    def is_quantizable_product(self) -> bool:
        """Whether a product of reals has weights to quantize, in a file where nothing else is quantized."""
        return self.model.is_real and self.tensor(1).data is not None

    def number(self, option: str) -> int:
        """An option that is a whole number."""
        return int(self.operator.options[option])

    def pair(self, vertical: str, horizontal: str) -> tuple[int, int]:
        """Two options that are sizes of 1 or more."""
        pair = self.number(vertical), self.number(horizontal)
        if min(pair) < 1:
            raise ConfigError(f"{self.operator.label}: {vertical} and {horizontal} {list(pair)}; allowed: 1 or more")
        return pair

    def tensor(self, place: int) -> FileTensor:
        """The input at a place."""
        if place >= len(self.operator.inputs) or self.operator.inputs[place] == NO_TENSOR:
            raise ConfigError(f"{self.operator.label} has no input {place}")
        return self.model.tensors[self.operator.inputs[place]]

    def constant(self, place: int) -> IntArray:
        """The numbers of a constant input."""
        found = self.tensor(place)
        if found.data is None:
            raise UnsupportedError(f"{self.operator.label}: input {place} (tensor {found.index}) is not constant")
        return np.asarray(found.data, np.int64)

    def axis(self, axis: int, dimensions: int) -> int:
        """An axis, counted from the end where it is negative."""
        if not -dimensions <= axis < dimensions:
            raise ConfigError(f"{self.operator.label}: axis {axis} of {dimensions}")
        return axis % dimensions

    @property
    def shape(self) -> Shape:
        """The first input's shape."""
        return self.tensor(0).shape

    @property
    def bias(self) -> str | None:
        """Name of the bias, if there is one."""
        if len(self.operator.inputs) < 3 or self.operator.inputs[2] == NO_TENSOR:
            return None
        self.constant(2)
        return str(self.tensor(2).index)
