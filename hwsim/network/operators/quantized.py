"""Operators off the array that work on codes: what files that are quantized already hold, and integer LSTMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.parts import Parts, PartsKind, parts_along
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.onnxruntime.float32 import dequantize, quantize
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.profiles import Profile

FIXED_POINT_PROFILE: Profile = "tflm"

Values = np.ndarray[Any, Any]
"""Codes, or reals in float32 before a quantization and after a dequantization."""


@dataclass(frozen=True, eq=False)
class Operands:
    """What an operator computes with: the quantizations of its operands and of its output, shapes, the hardware."""

    grids: tuple[Quantization | None, ...]
    output_grid: Quantization | None
    output_shape: Shape
    options: LoweringOptions

    @property
    def profile(self) -> Profile:
        """Whose arithmetic to follow: where none is named, fixed point as in TensorFlow Lite for Microcontrollers."""
        return self.options.profile or FIXED_POINT_PROFILE

    @property
    def is_quantized_here(self) -> bool:
        """Whether hwsim has quantized the network, and no file says what kernels do."""
        return self.options.profile is None

    @property
    def are_real(self) -> bool:
        """Whether neither an operand nor the output is quantized."""
        return self.output_grid is None and not any(self.grids)

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return int(np.prod(self.output_shape))

    @property
    def source(self) -> Quantization:
        """The first operand's quantization."""
        return self.grid(0)

    @property
    def output(self) -> Quantization:
        """The output's quantization."""
        return _required(self.output_grid)

    def grid(self, number: int) -> Quantization:
        """The quantization of an operand."""
        return _required(self.grids[number])


def _required(grid: Quantization | None) -> Quantization:
    if grid is None:
        raise ConfigError("a tensor is not quantized")
    return grid


@dataclass(frozen=True)
class QuantizedOperator(Operator):
    """An operator on codes. ``operands`` names all that it reads, in order: ``inputs`` and constants."""

    operands: tuple[str, ...] = ()

    actions: ClassVar[Mapping[str, int]] = {}
    """Actions of the vector unit for one element of the output."""

    real_actions: ClassVar[Mapping[str, int]] = {}
    """The same where operands and output are reals."""

    has_float32_form: ClassVar[bool] = False
    """Whether profile ``onnxruntime`` computes it in float32 between DequantizeLinear and QuantizeLinear."""

    work_parts: ClassVar[PartsKind] = "whole"
    """Into which parts the work falls that need nothing of each other, along the last axis of the first operand."""

    @property
    def constants(self) -> tuple[str, ...]:
        """The operands that are no inputs."""
        return tuple(name for name in self.operands if name not in self.inputs)

    def reads_per_lookup(self, operands: Operands) -> int:  # noqa: ARG002
        """Return how many entries of a table a look-up reads."""
        return 1

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Return the output (samples, *output shape) for operands (samples, *shape), constants as one sample.

        Raises:
            UnsupportedError: there is no arithmetic of codes.
        """
        raise UnsupportedError("has no arithmetic of codes")

    def real_values(self, values: Sequence[Values]) -> Values:  # noqa: ARG002
        """As `integer_values` where operands and output are reals, in the precision of the operands.

        Raises:
            UnsupportedError: there is no arithmetic of reals.
        """
        raise UnsupportedError("has no values in floating point")

    def float32_values(self, values: Sequence[Values]) -> Values:
        """As `real_values` of float32, step by step as ONNX Runtime's kernels compute it."""
        return self.real_values(values)

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:  # noqa: ARG002
        """Return the actions for one sample."""
        outputs, actions = operands.outputs, self.real_actions if operands.are_real else self.actions
        return Counts({("vector_unit", action): count * outputs for action, count in actions.items()})

    def parts(self, shape: Shape) -> Parts:
        """Return into which parts the work falls where the first operand has this shape."""
        return parts_along(self.work_parts, shape[-1] if shape else 1)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Compute with reals; constants are what their codes stand for."""
        given: dict[str, Values] = dict(zip(self.inputs, inputs, strict=True))
        values = [given[name] if name in given else _real_constant(constants[name]) for name in self.operands]
        try:
            return self.real_values(values)
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {self.name}: {error}") from None

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Bind constants and quantizations."""
        output = tensors[self.output]
        operands = Operands(
            tuple(tensors[name].quantization for name in self.operands),
            output.quantization,
            output.shape,
            options,
        )
        shapes = [tensors[name].shape for name in self.operands]
        inputs = tuple(name for name in self.operands if name in self.inputs)
        input_shapes = tuple(tensors[name].shape for name in inputs)
        try:
            function = _Bound(
                self, operands, [None if name in inputs else _constant(tensors[name]) for name in self.operands]
            )
            if options.has_values:  # what fails, fails before a run
                function(*(_zeros(tensors[name]) for name in inputs))
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: {problem}" for problem in error.problems) from None
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {self.name}: {error}") from None
        actions = self.work(shapes, operands)
        reads = self.reads_per_lookup(operands)
        return FunctionStep(
            name=self.name,
            inputs=inputs,
            output=self.output,
            output_shape=output.shape,
            function=function,
            shapes=input_shapes,
            actions=actions,
            reads_per_lookup=reads,
            own_parts=self.parts(shapes[0]),
        )


@dataclass(frozen=True, eq=False)
class _Bound:
    """An operator with its constants: takes the inputs alone."""

    operator: QuantizedOperator
    operands: Operands
    constants: Sequence[Values | None]

    def __call__(self, *inputs: Values) -> Values:
        rest = iter(inputs)
        values = [next(rest) if one is None else one for one in self.constants]
        if self.operands.are_real:
            return self.operator.real_values(values)
        if self.operator.has_float32_form and self.operands.profile == "onnxruntime":
            return in_float32(self.operator.float32_values, values, self.operands)
        return self.operator.integer_values(values, self.operands)


def in_float32(function: Callable[[Sequence[Values]], Values], values: Sequence[Values], operands: Operands) -> Values:
    """Dequantize what is codes, compute reals in float32, quantize them unless the output is real."""
    reals = [
        value.astype(np.float32) if grid is None else dequantize(value, grid)
        for value, grid in zip(values, operands.grids, strict=True)
    ]
    result = function(reals)
    return result if operands.output_grid is None else quantize(result, operands.output)


def _zeros(tensor: Tensor) -> Values:
    """Return one sample of zeros: codes, or reals."""
    return np.zeros((1, *tensor.shape), np.float32 if tensor.quantization is None else np.int64)


def _constant(tensor: Tensor) -> Values | None:
    if tensor.data is None:
        return None
    kind = np.float32 if np.issubdtype(tensor.data.dtype, np.floating) else np.int64
    return tensor.data.astype(kind)[np.newaxis]


def _real_constant(tensor: Tensor) -> Values:
    """Return a constant's reals as one sample, in float64."""
    grid = tensor.quantization
    values = np.asarray(tensor.data, np.float64) if grid is None else grid.dequantize(np.asarray(tensor.data, np.int64))
    return values[np.newaxis]
