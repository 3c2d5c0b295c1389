"""Operators off the array of networks that are quantized here: float32 between codes, and moves of elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.operators.file_nodes import FileNodes
from hwsim.network.operators.moves import Reshape, Slice, Take, Transpose
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.operators.quantized import Operands
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.rounding import FloatArray

FLOAT_ACTIONS = {"add": "float_add", "multiply": "float_multiply"}
Move = Reshape | Slice | Take | Transpose


def float_actions(actions: Counts) -> Counts:
    """Return actions between reals: additions and multiplications are float32's."""
    return Counts({(unit, FLOAT_ACTIONS.get(action, action)): count for (unit, action), count in actions.items()})


@dataclass(frozen=True)
class RealFunction(Operator):
    """A function of tensors in float32: codes are dequantized, the function evaluated, its value quantized.

    ``body`` takes one array (samples, *shape) for each input, of the shapes in ``shapes``, and returns (samples,
    *shape of the output). ``actions_once`` are one sample's.
    """

    shapes: tuple[Shape, ...] = ()
    shape: Shape = ()
    body: Callable[[Sequence[Float32Array]], Float32Array] = field(default=lambda values: values[0])
    actions_once: Counts = field(default_factory=Counts)
    written: FileNodes | None = None
    """How the file says it, where that is known."""

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """What the reader found."""
        return self.shape

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Evaluate in float32."""
        reals = [
            values.reshape(len(values), *shape).astype(np.float32)
            for values, shape in zip(inputs, self.shapes, strict=True)
        ]
        with np.errstate(all="ignore"):  # what is not finite is refused where a range is wanted of it
            return self.body(reals).reshape(len(inputs[0]), *self.shape).astype(np.float64)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Between DequantizeLinear and QuantizeLinear."""
        step = InFloat32(self.name, self.inputs, self.output, self.inputs, self.shape, self.body, self.actions_once)
        return step.lower(tensors, replace(options, profile="onnxruntime"))


@dataclass(frozen=True)
class MovedElements(Operator):
    """A move of elements, whatever they are: codes stand for the same reals after it."""

    move: Move | None = None

    keeps_quantization: ClassVar[bool] = True

    @property
    def _move(self) -> Move:
        assert self.move is not None  # noqa: S101  (a default only because the fields before have one)
        return self.move

    def output_shape(self, *shapes: Shape) -> Shape:
        """As the move says."""
        return self._move.output_shape(*shapes)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Move."""
        shape = constants[self.input].shape
        values = inputs[0].reshape(len(inputs[0]), *shape)
        operands = Operands((None,), None, self.output_shape(shape), LoweringOptions())
        return self._move.integer_values([values], operands)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Move codes."""
        return self._move.lower(tensors, options)
