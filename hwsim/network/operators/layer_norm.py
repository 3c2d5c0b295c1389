"""Layer normalization: rows brought to mean 0 and variance 1, then scaled and shifted by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.parts import Parts
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray
from hwsim.numerics.layer_norm import RECIPROCAL_BITS, IntegerLayerNorm, build_layer_norm
from hwsim.numerics.onnxruntime.functions import LayerNormalization
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.square_root import ROOT_DIGITS

QUOTIENT_DIGITS = RECIPROCAL_BITS // 2 + 1  # of 2**61 over a root of 31 bits
VALUE_ACTIONS = {"add": 4, "multiply": 4, "shift": 2}
"""Of a value: sum, sum of squares, deviation, shift; square, times the length, over the root, factor."""
ROW_ACTIONS = {
    "add": 2 + ROOT_DIGITS + QUOTIENT_DIGITS,
    "multiply": 2,
    "compare": ROOT_DIGITS + QUOTIENT_DIGITS,
    "shift": 2,
}
"""Of a row: the variance from both sums, epsilon; a subtraction and a comparison a digit of root and reciprocal."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """A normalization of tensors (samples, *shape), whose last axes are a row."""

    rule: IntegerLayerNorm

    def __call__(self, codes: IntArray) -> IntArray:
        return self.rule.apply(codes.reshape(len(codes), -1, self.rule.gains.size)).reshape(codes.shape)


@dataclass(frozen=True)
class LayerNorm(Operator):
    """``gamma (x - mean) / sqrt(variance + epsilon) + beta`` along the last axes, which ``gamma`` and ``beta`` have.

    Codes are normalized in integers: `IntegerLayerNorm`. ``gamma`` and ``beta`` name constants that stay reals, as
    they become factors of the requantization.
    """

    gamma: str = ""
    beta: str = ""
    epsilon: float = 1e-5

    @property
    def constants(self) -> tuple[str, ...]:
        """Factors and shifts by channel."""
        return (self.gamma, self.beta)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's."""
        return shapes[0]

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Normalize each row."""
        gamma, beta = (np.asarray(constants[name].data, np.float64).reshape(-1) for name in self.constants)
        rows = inputs[0].reshape(len(inputs[0]), -1, gamma.size)
        deviations = rows - rows.mean(axis=2, keepdims=True)
        variance = np.square(deviations).mean(axis=2, keepdims=True)
        return (deviations / np.sqrt(variance + self.epsilon) * gamma + beta).reshape(inputs[0].shape)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Fold gamma and beta into the output's grid; of shapes alone they are 1 and 0.

        Profile ``onnxruntime`` normalizes reals in float32 instead.
        """
        if options.profile == "onnxruntime" and options.has_values:
            return self.in_float32(tensors).lower(tensors, options)
        shape, length = tensors[self.input].shape, int(np.prod(tensors[self.gamma].shape))
        gamma, beta = np.ones(length), np.zeros(length)
        if options.has_values:
            gamma, beta = (np.asarray(tensors[name].data, np.float64).reshape(-1) for name in self.constants)
        grids = quantization_of(tensors[self.input]), quantization_of(tensors[self.output])
        try:
            function = _Rows(build_layer_norm(*grids, gamma, beta, self.epsilon))
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: {error}") from None
        work, parts = _work(int(np.prod(shape)), length), Parts("rows", length)
        return FunctionStep(self.name, self.inputs, self.output, shape, function, (shape,), work, own_parts=parts)

    def in_float32(self, tensors: Mapping[str, Tensor]) -> InFloat32:
        """Return the normalization of reals."""
        shape, row = tensors[self.input].shape, tensors[self.gamma].shape
        axes = tuple(range(len(shape) + 1 - len(row), len(shape) + 1))
        scale, shift = (np.asarray(tensors[name].data, np.float32) for name in self.constants)
        function = LayerNormalization(axes, np.float32(self.epsilon), (scale, shift))
        counts = float_work(int(np.prod(shape)), int(np.prod(row)))
        ends = self.inputs, self.output, self.inputs
        return InFloat32(self.name, *ends, shape, lambda values: function(values[0]), counts)


def float_work(values: int, length: int) -> Counts:
    """Return the actions of a normalization of rows of a length in floating point, a reciprocal root a row."""
    actions = {("vector_unit", "add"): 4 * values, ("vector_unit", "multiply"): 3 * values}
    return Counts(actions | {("activation_lut", "lookup"): values // length})


def _work(values: int, length: int) -> Counts:
    actions = Counts({("vector_unit", action): count * values for action, count in VALUE_ACTIONS.items()})
    actions.update({("vector_unit", action): count * (values // length) for action, count in ROW_ACTIONS.items()})
    return actions
