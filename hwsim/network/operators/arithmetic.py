"""Arithmetic on the codes of quantized tensors; each operator's formula stands with the function that it calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError
from hwsim.network.operators.matmul import activate
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.operators.windows import image
from hwsim.network.parts import Parts, PartsKind, parts_along
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime.pooling import LOOP_OPSET, PoolWindow, average_pool, global_average_pool
from hwsim.numerics.tflite import convert, elementwise, pooling, rectify
from hwsim.numerics.tflite.pooling import Window
from hwsim.numerics.tflite.scales import TfliteActivation, activation_clamp

WHOLE = Window(1, 1, 1, 1, "valid")


@dataclass(frozen=True)
class _Binary(QuantizedOperator):
    """Two tensors in, one out; the smaller one is repeated as NumPy does."""

    has_float32_form: ClassVar[bool] = True
    work_parts: ClassVar[PartsKind] = "elements"

    activation: TfliteActivation = "none"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The common shape of the operands."""
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            sizes = " and ".join(str(list(shape)) for shape in shapes)
            raise ConfigError(f"layer {self.name}: shapes {sizes} do not go together") from None


def _kind(operands: Operands) -> str:
    """Return what the name of an action begins with: nothing for codes."""
    return "float_" if operands.are_real else ""


def _aligned(values: Sequence[Values]) -> list[Values]:
    """Give operands as many dimensions, behind the axis of samples."""
    most = max(one.ndim for one in values)
    return [one.reshape(one.shape[0], *(1,) * (most - one.ndim), *one.shape[1:]) for one in values]


@dataclass(frozen=True)
class Add(_Binary):
    """``a + b`` or ``a - b``: both rescaled to a common grid, and the sum to the output's."""

    subtract: bool = False
    power_of_two: bool = False
    """Whether 16-bit operands whose scales are all powers of two are only shifted, where a profile does so."""

    actions: ClassVar[Mapping[str, int]] = {"add": 1, "multiply": 3, "shift": 3}
    real_actions: ClassVar[Mapping[str, int]] = {"float_add": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`elementwise.build_add`."""
        rule = elementwise.build_add(
            operands.profile,
            operands.grid(0),
            operands.grid(1),
            operands.output,
            self.activation,
            subtract=self.subtract,
            power_of_two=self.power_of_two,
        )
        return rule.apply(*_aligned(values))

    def real_values(self, values: Sequence[Values]) -> Values:
        """Add or subtract."""
        first, second = _aligned(values)
        return activate(first - second if self.subtract else first + second, self.activation)


@dataclass(frozen=True)
class Mul(_Binary):
    """``a b``."""

    actions: ClassVar[Mapping[str, int]] = {"multiply": 2, "shift": 1}
    real_actions: ClassVar[Mapping[str, int]] = {"float_multiply": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`elementwise.build_mul`."""
        rule = elementwise.build_mul(
            operands.profile, operands.grid(0), operands.grid(1), operands.output, self.activation
        )
        return rule.apply(*_aligned(values))

    def real_values(self, values: Sequence[Values]) -> Values:
        """Multiply."""
        first, second = _aligned(values)
        return activate(first * second, self.activation)


@dataclass(frozen=True)
class _Unary(QuantizedOperator):
    """One tensor in, one of the same shape out."""

    has_float32_form: ClassVar[bool] = True
    work_parts: ClassVar[PartsKind] = "elements"

    def real_values(self, values: Sequence[Values]) -> Values:
        """Keep the values."""
        return values[0]

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]


@dataclass(frozen=True)
class Requantize(_Unary):
    """Codes of one quantization to codes of another."""

    actions: ClassVar[Mapping[str, int]] = {"multiply": 1, "shift": 1, "add": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`convert.requantize`."""
        return convert.requantize(operands.profile, values[0], operands.source, operands.output)


@dataclass(frozen=True)
class Quantize(_Unary):
    """Reals in float32 to codes."""

    actions: ClassVar[Mapping[str, int]] = {"float_multiply": 1, "add": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`convert.quantize`."""
        return convert.quantize(operands.profile, values[0].astype(np.float32), operands.output)


@dataclass(frozen=True)
class Dequantize(_Unary):
    """Codes to reals in float32."""

    actions: ClassVar[Mapping[str, int]] = {"add": 1, "float_multiply": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`convert.dequantize`."""
        return convert.dequantize(operands.profile, values[0], operands.source)


@dataclass(frozen=True)
class QuantizedRectify(_Unary):
    """A ReLU that stands alone."""

    activation: TfliteActivation = "relu"

    actions: ClassVar[Mapping[str, int]] = {"multiply": 1, "shift": 1, "compare": 2}
    real_actions: ClassVar[Mapping[str, int]] = {"float_compare": 2}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`rectify.rectify`."""
        return rectify.rectify(operands.profile, self.activation, values[0], operands.source, operands.output)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Clamp."""
        return activate(values[0], self.activation)


@dataclass(frozen=True)
class LeakyRelu(_Unary):
    """``x``, or ``slope x`` where x is negative."""

    slope: float = 0.0

    actions: ClassVar[Mapping[str, int]] = {"multiply": 1, "shift": 1, "compare": 1}
    real_actions: ClassVar[Mapping[str, int]] = {"float_multiply": 1, "float_compare": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`rectify.leaky_rectify`."""
        return rectify.leaky_rectify(operands.profile, self.slope, values[0], operands.source, operands.output)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Multiply what is negative."""
        (real,) = values
        return np.where(real > 0, real, real * real.dtype.type(np.float32(self.slope)))


@dataclass(frozen=True)
class Pool2d(QuantizedOperator):
    """Average or maximum of windows of an image; input and output share a quantization."""

    work_parts: ClassVar[PartsKind] = "channels"

    keeps_quantization: ClassVar[bool] = True
    has_float32_form: ClassVar[bool] = True

    window: Window = WHOLE
    activation: TfliteActivation = "none"
    average: bool = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """Output height, output width, channels, behind a batch axis where the input has one."""
        (shape,) = shapes
        height, width, channels = image(self.name, shape[-3:])
        return (*shape[:-3], *self.window.out_size(height, width), channels)

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`pooling.average_pool`, `pooling.max_pool`."""
        pool = pooling.average_pool if self.average else pooling.max_pool
        pixels = values[0].reshape(-1, *values[0].shape[-3:])
        return pool(pixels, self.window, *activation_clamp(operands.output, self.activation))

    def real_values(self, values: Sequence[Values]) -> Values:
        """`pooling.real_average_pool`, `pooling.real_max_pool`."""
        (real,) = values
        pool = pooling.real_average_pool if self.average else pooling.real_max_pool
        pooled = pool(real.reshape(-1, *real.shape[-3:]), self.window)
        return activate(pooled.reshape(len(real), *self.output_shape(real.shape[1:])), self.activation)

    def float32_values(self, values: Sequence[Values]) -> Values:
        """`onnxruntime.pooling.average_pool` for the average, whose sums have an order."""
        if not self.average:
            return self.real_values(values)
        (real,) = values
        height, width, channels = real.shape[-3:]
        images, window = real.reshape(-1, 1, height, width, channels), self.onnx_window(height, width)
        pooled = average_pool(images, window, LOOP_OPSET)
        return activate(pooled.reshape(len(real), *self.output_shape(real.shape[1:])), self.activation)

    def onnx_window(self, height: int, width: int) -> PoolWindow:
        """Return the window with its padding in elements."""
        one = self.window
        padding = (
            pooling.padding_amounts(height, one.height, one.stride_y, 1, one.padding),
            pooling.padding_amounts(width, one.width, one.stride_x, 1, one.padding),
        )
        return PoolWindow((one.height, one.width), (one.stride_y, one.stride_x), padding)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """One add or comparison for every element of a window but the first; a multiplication for the average."""
        outputs, kind = operands.outputs, _kind(operands)
        taps = outputs * (self.window.height * self.window.width - 1)
        if not self.average:
            return Counts({("vector_unit", f"{kind}compare"): taps})
        return Counts({("vector_unit", f"{kind}add"): taps, ("vector_unit", f"{kind}multiply"): outputs})


@dataclass(frozen=True)
class Mean(QuantizedOperator):
    """The mean over some axes."""

    axes: tuple[int, ...] = ()
    keeps_axes: bool = False

    has_float32_form: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's with the axes left out, or 1 long."""
        sizes = [1 if axis in self.axes else size for axis, size in enumerate(shapes[0])]
        return tuple(size for axis, size in enumerate(sizes) if self.keeps_axes or axis not in self.axes)

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """`pooling.mean`."""
        axes = tuple(axis + 1 for axis in self.axes)
        found = pooling.mean(operands.profile, values[0], axes, operands.source, operands.output)
        return found.reshape(-1, *operands.output_shape)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Take the mean."""
        axes = tuple(axis + 1 for axis in self.axes)
        return values[0].mean(axis=axes, keepdims=self.keeps_axes, dtype=values[0].dtype)

    def float32_values(self, values: Sequence[Values]) -> Values:
        """As GlobalAveragePool of the axes in one row."""
        (real,) = values
        axes = tuple(axis + 1 for axis in self.axes)
        kept = [axis for axis in range(real.ndim) if axis not in axes]
        rows = real.transpose(*kept, *axes).reshape(len(real), 1, -1, 1, math.prod(real.shape[axis] for axis in axes))
        found = global_average_pool(rows.swapaxes(2, 4))
        return found.reshape(len(real), *self.output_shape(real.shape[1:]))

    def parts(self, shape: Shape) -> Parts:
        """Each channel by itself, unless channels are among what is added up."""
        adds_channels = len(shape) - 1 in self.axes
        return parts_along("whole" if adds_channels else "channels", shape[-1])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """An add for every element of the input, a multiplication and a shift for every one of the output."""
        outputs = operands.outputs
        if operands.are_real:
            adds = ("vector_unit", "float_add"), int(np.prod(shapes[0]))
            return Counts(dict([adds, (("vector_unit", "float_multiply"), outputs)]))
        return Counts(
            {
                ("vector_unit", "add"): int(np.prod(shapes[0])),
                ("vector_unit", "multiply"): outputs,
                ("vector_unit", "shift"): outputs,
            }
        )
