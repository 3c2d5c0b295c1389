"""The interface of an operator: shapes, values in floating point, and lowering to integer steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hwsim.errors import ConfigError
from hwsim.network.steps import BiasMode, Step, ZeroPointMode
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.profiles import Profile


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """What the hardware round the array is built as."""

    requantizer: RequantizerOptions = field(default_factory=RequantizerOptions)
    lut: LutOptions = field(default_factory=LutOptions)
    zero_point: ZeroPointMode = "folded"
    bias: BiasMode = "requantizer"
    profile: Profile | None = None
    """Whose arithmetic operators follow, bit by bit; None is the requantizer's and the LUT's own."""
    has_values: bool = True
    """Whether constants have values; without, steps say what is to be done and cannot do it."""


@dataclass(frozen=True)
class Operator(ABC):
    """One layer: reads activation tensors ``inputs`` and constants, writes tensor ``output``."""

    name: str
    inputs: tuple[str, ...]
    output: str

    keeps_quantization: ClassVar[bool] = False
    """Whether output codes stand for reals as the first input's do, so that both share one quantization."""

    @property
    def input(self) -> str:
        """The first input, of most operators the only one."""
        return self.inputs[0]

    @property
    def layer(self) -> str:
        """The workload's layer that the operator is, or is a part of."""
        return self.name

    @property
    def grid_source(self) -> str | None:
        """The input whose quantization the output shares, or None: the output has its own."""
        return self.input if self.keeps_quantization else None

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the constant tensors that the operator reads."""
        return ()

    @abstractmethod
    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the output's shape for these shapes of the inputs.

        Raises:
            ConfigError: the operator cannot take such inputs.
        """

    @abstractmethod
    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Return the output (samples, *output shape) for inputs, each (samples, *input shape)."""

    @abstractmethod
    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Return the integer step; every tensor that it touches has a quantization."""


def quantization_of(tensor: Tensor) -> Quantization:
    """Return a tensor's quantization.

    Raises:
        ConfigError: it has none.
    """
    if tensor.quantization is None:
        raise ConfigError(f"tensor '{tensor.name}' is not quantized")
    return tensor.quantization
