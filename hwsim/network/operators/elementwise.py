"""Operators off the array: pooling, shapes, activations, batch normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import ClampStep, LutStep, MaxStep, MoveStep
from hwsim.network.gather import PADDING
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.operators.matmul import activate
from hwsim.network.operators.windows import Axis, axis, image, window_elements
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import FUNCTIONS
from hwsim.numerics.requantize import Activation, activation_range
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.sigmoid_lut import build_function_lut


@dataclass(frozen=True)
class MaxPool2d(Operator):
    """The greatest value of each window of (height, width, channels); padding never is the greatest."""

    pool: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)
    padding: str = "valid"

    keeps_quantization: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """(output height, output width, channels)."""
        height, width, channels = image(self.name, shapes[0])
        try:
            vertical, horizontal = self.axes(height, width)
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: {error}") from None
        return (vertical.outputs, horizontal.outputs, channels)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return where windows lie, vertically and horizontally.

        Raises:
            ConfigError: no window fits.
        """
        return (
            axis(height, self.pool[0], self.stride[0], self.padding),
            axis(width, self.pool[1], self.stride[1], self.padding),
        )

    def _windows(self, input_shape: Shape) -> IntArray:
        """Return input elements (outputs, window); in place of padding another element of the window stands again."""
        height, width, channels = image(self.name, input_shape)
        pixels = window_elements(*self.axes(height, width))
        pixels = np.where(pixels == PADDING, pixels.max(axis=1, keepdims=True), pixels)
        elements = pixels[:, None, :] * channels + np.arange(channels)[None, :, None]
        return elements.reshape(-1, pixels.shape[1])

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Take the maxima."""
        (values,) = inputs
        samples, shape = values.shape[0], values.shape[1:]
        greatest = values.reshape(samples, -1)[:, self._windows(shape)].max(axis=2)
        return np.asarray(greatest).reshape(samples, *self.output_shape(shape))

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Compare codes: scale and zero point do not change an order."""
        shapes = tensors[self.input].shape, tensors[self.output].shape
        return MaxStep(self.name, self.inputs, self.output, shapes[1], self._windows(shapes[0]))


@dataclass(frozen=True)
class Flatten(Operator):
    """All values in one row: row, column, channel."""

    keeps_quantization: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """(elements,)."""
        return (int(np.prod(shapes[0])),)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Change the shape."""
        return inputs[0].reshape(inputs[0].shape[0], -1)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Nothing to compute: tensors lie flat anyway."""
        return MoveStep(self.name, self.inputs, self.output, tensors[self.output].shape)


@dataclass(frozen=True)
class Rectify(Operator):
    """ReLU ``max(0, x)`` or ReLU6 ``min(max(0, x), 6)``; fused into a matrix product before it where there is one."""

    activation: Activation = "relu"

    keeps_quantization: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Clamp reals."""
        return activate(inputs[0], self.activation)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Clamp codes."""
        low, high = activation_range(quantization_of(tensors[self.output]), self.activation)
        return ClampStep(self.name, self.inputs, self.output, tensors[self.output].shape, low, high)


@dataclass(frozen=True)
class LutFunction(Operator):
    """A function of each element by lookup table; ``function`` is a name in ``hwsim.numerics.lut.FUNCTIONS``."""

    function: str = "sigmoid"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Evaluate the function itself."""
        return FUNCTIONS[self.function](inputs[0])

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Tabulate the function for this input and output quantization."""
        source, output = quantization_of(tensors[self.input]), quantization_of(tensors[self.output])
        lut = build_function_lut(self.function, source, output, options.lut)
        return LutStep(self.name, self.inputs, self.output, tensors[self.output].shape, lut)


@dataclass(frozen=True)
class BatchNorm(Operator):
    """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` per channel: folded away before quantization."""

    gamma: str = ""
    beta: str = ""
    mean: str = ""
    variance: str = ""
    epsilon: float = 1e-5

    @property
    def constants(self) -> tuple[str, ...]:
        """The four statistics."""
        return (self.gamma, self.beta, self.mean, self.variance)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def factors(self, constants: Mapping[str, Tensor]) -> tuple[FloatArray, FloatArray]:
        """Return (multiplier, offset) per channel, so that the output is ``x * multiplier + offset``."""
        gamma, beta, mean, variance = (np.asarray(constants[name].data, np.float64) for name in self.constants)
        multiplier = gamma / np.sqrt(variance + self.epsilon)
        return multiplier, beta - mean * multiplier

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Normalize."""
        multiplier, offset = self.factors(constants)
        return inputs[0] * multiplier + offset

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Refuse.

        Raises:
            UnsupportedError: always; a batch normalization runs only as part of the matrix product before it.
        """
        raise UnsupportedError(
            f"layer {self.name}: batch_norm without a dense or conv2d layer right before it; allowed: after one"
        )
