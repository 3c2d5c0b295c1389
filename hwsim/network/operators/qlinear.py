"""ONNX Runtime's operators on 8-bit codes; each operator's formula stands with the function that it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError
from hwsim.network.operators.file_nodes import FileNodes
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values, in_float32
from hwsim.network.parts import PartsKind
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import pooling, qlinear
from hwsim.numerics.onnxruntime.float32 import Float32Array, dequantize
from hwsim.numerics.onnxruntime.pooling import PoolWindow
from hwsim.numerics.onnxruntime.qlinear import Single
from hwsim.numerics.tflite.profiles import Profile, check_profile

ONLY: tuple[Profile, ...] = ("onnxruntime",)
WHOLE = PoolWindow((1, 1), (1, 1))


@dataclass(frozen=True)
class OnnxOperator(QuantizedOperator):
    """An operator whose arithmetic is ONNX Runtime's alone."""

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """Refuse other profiles, then compute.

        Raises:
            UnsupportedError: another rounding profile.
        """
        check_profile(operands.profile, "an ONNX operator", ONLY)
        return self.codes(values, operands)

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """Return the output for operands of the shapes and types that the file has."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Pair(OnnxOperator):
    """Two tensors in, one out; the smaller one is repeated as NumPy does."""

    work_parts: ClassVar[PartsKind] = "elements"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The common shape of the operands.

        Raises:
            ConfigError: there is none.
        """
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            sizes = " and ".join(str(list(shape)) for shape in shapes)
            raise ConfigError(f"layer {self.name}: shapes {sizes} do not go together") from None


@dataclass(frozen=True)
class QLinearAdd(_Pair):
    """``a + b``; ``single`` says which operand the kernel takes as one number."""

    single: Single = "none"

    actions: ClassVar[Mapping[str, int]] = {"add": 2, "multiply": 2}

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.add`."""
        grids = operands.grid(0), operands.grid(1)
        return qlinear.add(values[0], values[1], grids, operands.output, self.single)


@dataclass(frozen=True)
class QLinearMul(_Pair):
    """``a b``."""

    actions: ClassVar[Mapping[str, int]] = {"multiply": 2, "add": 1}

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.multiply`."""
        return qlinear.multiply(values[0], values[1], (operands.grid(0), operands.grid(1)), operands.output)


@dataclass(frozen=True)
class QLinearTable(OnnxOperator):
    """A function of each code, in a table with an entry for every code."""

    work_parts: ClassVar[PartsKind] = "elements"

    function: Callable[[Float32Array], Float32Array] = field(default=np.positive)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.table`."""
        return qlinear.table(self.function, operands.source, operands.output).look_up(values[0])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """One look-up an element."""
        return Counts({("activation_lut", "lookup"): operands.outputs})


@dataclass(frozen=True)
class QLinearSoftmax(OnnxOperator):
    """Softmax along the last axis."""

    work_parts: ClassVar[PartsKind] = "rows"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.softmax`."""
        return qlinear.softmax(values[0], operands.source, operands.output)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """Greatest, exponential by look-up, sum and scaling for each element."""
        return softmax_work(operands.output_shape)


def softmax_work(shape: Shape) -> Counts:
    """Return the actions of a softmax along the last axis: one reciprocal a row, the rest for each element."""
    elements = int(np.prod(shape))
    return Counts(
        {
            ("vector_unit", "compare"): elements,
            ("vector_unit", "add"): 2 * elements,
            ("vector_unit", "multiply"): elements,
            ("activation_lut", "lookup"): elements + elements // shape[-1],
        }
    )


@dataclass(frozen=True)
class QLinearAveragePool(OnnxOperator):
    """The mean of each window of (1, height, width, channels)."""

    work_parts: ClassVar[PartsKind] = "channels"

    window: PoolWindow = WHOLE

    def output_shape(self, *shapes: Shape) -> Shape:
        """(1, output height, output width, channels)."""
        return (1, *self.window.out_size(*shapes[0][1:3]), shapes[0][3])

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.average` of float32 sums, row by row."""
        real = dequantize(values[0], operands.source)
        total = pooling.window_sums(real, self.window, "row_major")
        return qlinear.average(total, self.window.counts(*real.shape[2:4]), operands.output)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """An add for every element of a window but the first, and a multiplication."""
        outputs = operands.outputs
        return Counts({("vector_unit", "add"): outputs * self.window.size, ("vector_unit", "multiply"): outputs})


@dataclass(frozen=True)
class QLinearGlobalAveragePool(OnnxOperator):
    """The mean of each channel of (1, height, width, channels)."""

    work_parts: ClassVar[PartsKind] = "channels"

    def output_shape(self, *shapes: Shape) -> Shape:
        """(1, 1, ..., channels)."""
        return (1, *(1 for _ in shapes[0][1:-1]), shapes[0][-1])

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`qlinear.global_average`."""
        pixels = values[0].reshape(len(values[0]), -1, values[0].shape[-1])
        return qlinear.global_average(pixels, operands.source, operands.output)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """An add for every element, a multiplication for every channel."""
        return Counts({("vector_unit", "add"): int(np.prod(shapes[0])), ("vector_unit", "multiply"): operands.outputs})


@dataclass(frozen=True)
class MaxPoolCodes(OnnxOperator):
    """The greatest code of each window of (1, height, width, channels)."""

    work_parts: ClassVar[PartsKind] = "channels"

    window: PoolWindow = WHOLE

    def output_shape(self, *shapes: Shape) -> Shape:
        """(1, output height, output width, channels)."""
        return (1, *self.window.out_size(*shapes[0][1:3]), shapes[0][3])

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """`pooling.max_pool`."""
        return pooling.max_pool(values[0], self.window, operands.source.format.min)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """A comparison for every element of a window but the first."""
        return Counts({("vector_unit", "compare"): operands.outputs * (self.window.size - 1)})


@dataclass(frozen=True)
class ClampCodes(OnnxOperator):
    """A clamp of codes to [low, high]."""

    work_parts: ClassVar[PartsKind] = "elements"

    low: int = 0
    high: int = 0

    actions: ClassVar[Mapping[str, int]] = {"compare": 2}

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Clamp."""
        return np.clip(values[0], self.low, self.high)


@dataclass(frozen=True)
class InFloat32(OnnxOperator):
    """A part of a network in float32 between DequantizeLinear and QuantizeLinear, in one step.

    ``body`` takes the operands' reals, (samples, *shape) each, and returns the output's, of shape ``shape``; it works
    step by step as ONNX Runtime's kernels do. Without a quantization of the output it stays real. ``actions_once``
    are one sample's.
    """

    shape: Shape = ()
    body: Callable[[Sequence[Float32Array]], Float32Array] = field(default=lambda values: values[0])
    actions_once: Counts = field(default_factory=Counts)
    written: FileNodes | None = None
    """How the file says it, where that is known."""

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """What the file's operators make of it."""
        return self.shape

    def codes(self, values: Sequence[Values], operands: Operands) -> Values:
        """Dequantize, compute, quantize."""
        return in_float32(self.real_values, values, operands)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Compute."""
        with np.errstate(all="ignore"):  # infinities and what is not a number become codes as in the file
            return self.body([value.astype(np.float32) for value in values])

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """One sample's actions."""
        return self.actions_once
