"""Products between tensors of reals whose activations become codes at run time.

A layer is four operators: the least and the greatest value of its input (the min-max unit), its codes, the product of
codes on the array, whose sums leave it as they are, and their rescaling to reals. All arithmetic of reals is float32,
on the vector unit. The codes end with one element more, the code of 0, which is what padding reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.network.gather import PADDING, as_gather
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.operators.elementwise import MaxPool2d
from hwsim.network.operators.matmul import MatmulOperator, activate
from hwsim.network.operators.quantized import Values
from hwsim.network.operators.real import RECIPROCAL_ADDS, RECIPROCAL_MULTIPLICATIONS
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import GridRule
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.scales import Float32Array, TfliteActivation
from hwsim.numerics.tflite.schemes import ProductOperator

LIMITS_SHAPE = (2,)
EIGHT_BITS = GridRule(IntFormat(8), symmetric=False)


@dataclass(frozen=True, eq=False)
class DynamicGrid:
    """Grids of samples: ``scale``, its reciprocal ``inverse`` (float32), ``zero_point`` (int64), all (samples, 1)."""

    scale: Float32Array
    inverse: Float32Array
    zero_point: IntArray
    word: IntFormat

    @classmethod
    def of(cls, limits: Float32Array, rule: GridRule) -> DynamicGrid:
        """Choose the grids for ranges (samples, 2) that hold 0; a range of zero width has scale 1.

        Asymmetric: ``S = (max - min) / (q_max - q_min)``, ``Z = q_min + round(-min / S)``. Symmetric:
        ``S = max|r| / q_max``, Z = 0. Ties to even.
        """
        word, low, high = rule.format, limits[:, :1], limits[:, 1:]
        span, codes = (np.maximum(-low, high), word.max) if rule.symmetric else (high - low, word.max - word.min)
        scale = np.where(span > 0, span / np.float32(codes), np.float32(1)).astype(np.float32)
        inverse = (np.float32(1) / scale).astype(np.float32)
        zero = np.zeros(scale.shape, np.int64) if rule.symmetric else word.min + _rounded(-low * inverse)
        return cls(scale, inverse, word.saturate(zero), word)

    def quantize(self, values: Float32Array) -> IntArray:
        """Return ``clip(round(r / S) + Z)`` for (samples, elements)."""
        return self.word.saturate(_rounded(values * self.inverse) + self.zero_point)


def _rounded(values: Float32Array) -> IntArray:
    return np.rint(values).astype(np.int64)


def _limits(values: Float32Array) -> Values:
    """Return (samples, 2): least and greatest value, widened to hold 0."""
    flat = values.reshape(len(values), -1)
    return np.stack([np.minimum(flat.min(axis=1), 0), np.maximum(flat.max(axis=1), 0)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class DynamicRange(Operator):
    """The min-max unit: least and greatest value of a tensor."""

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """(2,)."""
        return LIMITS_SHAPE

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """Find them."""
        return _limits(inputs[0].astype(np.float32)).astype(np.float64)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Two comparisons an element."""
        shape = tensors[self.input].shape
        actions = Counts({("vector_unit", "float_compare"): 2 * int(np.prod(shape))})
        return FunctionStep(self.name, self.inputs, self.output, LIMITS_SHAPE, _limits, (shape,), actions)


@dataclass(frozen=True, slots=True, eq=False)
class _MakeCodes:
    rule: GridRule

    def __call__(self, values: Float32Array, limits: Float32Array) -> IntArray:
        grid = DynamicGrid.of(limits, self.rule)
        codes = grid.quantize(values.reshape(len(values), -1).astype(np.float32))
        return np.concatenate([codes, grid.zero_point], axis=1)


@dataclass(frozen=True)
class DynamicCodes(Operator):
    """Codes of a tensor (first input) by its limits (second), flat, and the code of 0."""

    rule: GridRule = EIGHT_BITS

    def output_shape(self, *shapes: Shape) -> Shape:
        """(elements + 1,)."""
        return (int(np.prod(shapes[0])) + 1,)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:  # noqa: ARG002
        """The values, and 0."""
        flat = inputs[0].reshape(len(inputs[0]), -1)
        return np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Scaling, zero point and clamp for each element; one grid."""
        shape = tensors[self.input].shape
        elements = int(np.prod(shape))
        actions = Counts(
            {
                ("vector_unit", "float_multiply"): elements + 2 + RECIPROCAL_MULTIPLICATIONS,
                ("vector_unit", "float_add"): 1 + RECIPROCAL_ADDS,
                ("vector_unit", "add"): elements + 1,
                ("vector_unit", "compare"): 2 * elements,
                ("vector_unit", "move"): 1,
            }
        )
        shapes = (shape, LIMITS_SHAPE)
        output = self.output_shape(shape)
        return FunctionStep(self.name, self.inputs, self.output, output, _MakeCodes(self.rule), shapes, actions)


@dataclass(frozen=True)
class DynamicProduct(MatmulOperator):
    """The product ``whole`` of codes, without bias and activation; ``source_shape`` is that of the reals."""

    whole: MatmulOperator | None = None
    source_shape: Shape = ()

    @property
    def product(self) -> ProductOperator:
        """As the whole product's."""
        return self._whole.product

    def output_shape(self, *shapes: Shape) -> Shape:  # noqa: ARG002
        """The whole product's."""
        return self._whole.output_shape(self.source_shape)

    def gather(self, input_shape: Shape) -> IntArray:
        """The whole product's; padding reads the last code."""
        gather = as_gather(self._whole.gather(self.source_shape))
        table = np.stack([gather.indices(group) for group in range(gather.groups)])
        return np.where(table == PADDING, input_shape[0] - 1, table)

    @property
    def _whole(self) -> MatmulOperator:
        assert self.whole is not None  # noqa: S101  (a default only because the fields before have one)
        return self.whole


@dataclass(frozen=True, slots=True, eq=False)
class _Rescale:
    """``(sum - Z weight_sums) S S_w + bias``, activated, in float32."""

    rule: GridRule
    weight_scale: Float32Array
    weight_sums: IntArray
    bias: Float32Array | None
    activation: TfliteActivation

    def __call__(self, sums: IntArray, limits: Float32Array) -> Values:
        grid = DynamicGrid.of(limits, self.rule)
        rows = sums.reshape(len(sums), -1, sums.shape[-1])
        inner = (rows - grid.zero_point[..., None] * self.weight_sums).astype(np.float32)
        reals = inner * (grid.scale[..., None] * self.weight_scale)
        if self.bias is not None:
            reals = reals + self.bias
        return activate(reals, self.activation).astype(np.float32).reshape(sums.shape)


@dataclass(frozen=True)
class DynamicRescale(Operator):
    """Reals from sums (first input) and the limits that their codes came from (second)."""

    weight: str = ""
    bias: str | None = None
    activation: TfliteActivation = "none"
    rule: GridRule = EIGHT_BITS

    @property
    def constants(self) -> tuple[str, ...]:
        """The bias, if there is one."""
        return () if self.bias is None else (self.bias,)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sums'."""
        return shapes[0]

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Add the bias, activate."""
        bias = 0.0 if self.bias is None else np.asarray(constants[self.bias].data, np.float64)
        return activate(inputs[0] + bias, self.activation)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Bind the weight's scales and sums."""
        weight, shape = tensors[self.weight], tensors[self.input].shape
        grid, codes = quantization_of(weight), np.asarray(weight.data, np.int64)
        sums = (codes - grid.zero_point).reshape(-1, codes.shape[-1]).sum(axis=0)
        bias = None if self.bias is None else np.asarray(tensors[self.bias].data, np.float32)
        function = _Rescale(self.rule, grid.scale.astype(np.float32), sums, bias, self.activation)
        return FunctionStep(
            self.name, self.inputs, self.output, shape, function, (shape, LIMITS_SHAPE), self._work(int(np.prod(shape)))
        )

    def _work(self, outputs: int) -> Counts:
        """An integer multiplication and addition, one or two of reals, a bias, perhaps a clamp for each output."""
        actions = Counts({("vector_unit", "float_multiply"): 2 * outputs})
        if not self.rule.symmetric:
            actions["vector_unit", "multiply"] = outputs
            actions["vector_unit", "add"] = outputs
        if self.bias is not None:
            actions["vector_unit", "float_add"] = outputs
        if self.activation != "none":
            actions["vector_unit", "float_compare"] = 2 * outputs
        return actions


@dataclass(frozen=True)
class RealMaxPool2d(MaxPool2d):
    """The same of reals, which cost another comparison."""

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:
        """Compare floats."""
        step = super().lower(tensors, options)
        shape = tensors[self.input].shape
        comparisons = step.outputs * (self.pool[0] * self.pool[1] - 1)
        actions = Counts({("vector_unit", "float_compare"): comparisons})
        return FunctionStep(self.name, self.inputs, self.output, step.output_shape, self._greatest, (shape,), actions)

    def _greatest(self, values: Float32Array) -> Values:
        flat = values.reshape(len(values), -1)
        return np.asarray(flat[:, self._windows(values.shape[1:])].max(axis=2))
