"""What dense layers and convolutions share: a matrix product with bias and fused activation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwsim import registry
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.float_sums import FloatKernel, FloatSums, Range
from hwsim.network.gather import Gather, as_gather
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import Activation, Requantizer, build_requantizer
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.profiles import Profile
from hwsim.numerics.tflite.scales import TfliteActivation, activation_clamp
from hwsim.numerics.tflite.schemes import ProductOperator, RawSums, scheme_name
from hwsim.numerics.zero_point import folded_constants

NARROW_BITS = 8  # activations up to here have 32-bit biases in TensorFlow Lite, wider ones 64-bit biases
SUM_BITS = 32  # of an output that keeps the sums as they are
RealArray = np.ndarray[Any, Any]
REAL_RANGES: dict[TfliteActivation, Range] = {
    "none": (None, None),
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


@dataclass(frozen=True)
class MatmulOperator(Operator):
    """An operator that gathers its one input into rows and multiplies them by a weight matrix.

    ``weight`` and ``bias`` name constant tensors; the last axis of the weight is the output channel. A ``bias`` of
    None adds nothing. ``activation`` is applied to the output.
    """

    weight: str = ""
    bias: str | None = None
    activation: TfliteActivation = "none"
    groups: int = 1
    packed: bool = False
    """Whether the weights lie in a file as two in a byte, which some kernels have arithmetic of their own for."""
    float_kernel: FloatKernel | None = None
    """How profile ``onnxruntime`` sums reals in place of codes; None: as the array sums."""

    matrices: ClassVar[int] = 1
    """How many weights lie side by side: each has a scale of its own where a tensor has one."""

    @property
    @abstractmethod
    def product(self) -> ProductOperator:
        """What a rounding profile calls this operator."""

    @property
    def constants(self) -> tuple[str, ...]:
        """Weight, and bias if there is one."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    @property
    def has_weights(self) -> bool:
        """Whether it multiplies by constants: else by another activation."""
        return self.weight in self.constants

    def input_quantization(self, tensors: Mapping[str, Tensor]) -> Quantization:
        """Return how the elements that the product reads stand for reals: as the whole input does."""
        return quantization_of(tensors[self.input])

    @abstractmethod
    def gather(self, input_shape: Shape) -> Gather | IntArray:
        """Return which input element is each operand, (groups, out_rows, depth)."""

    def weight_matrix(self, weight: np.ndarray) -> np.ndarray:
        """Return the weight tensor as (groups, depth, out_cols)."""
        depth = int(np.prod(weight.shape[:-1]))
        return weight.reshape(depth, self.groups, -1).transpose(1, 0, 2)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Multiply, add the bias, apply the activation."""
        bias = None if self.bias is None else np.asarray(constants[self.bias].data, np.float64)
        return self.products(inputs[0], np.asarray(constants[self.weight].data, np.float64), bias)

    def products(self, values: FloatArray, weight: FloatArray, bias: FloatArray | None) -> FloatArray:
        """Return the output (samples, *output shape) for an input, weights and a bias, in float64."""
        samples = values.shape[0]
        padded = np.concatenate([values.reshape(samples, -1), np.zeros((samples, 1))], axis=1)
        elements, matrices = as_gather(self.gather(values.shape[1:])), self.weight_matrix(weight)
        products = [padded[:, elements.indices(group)] @ matrices[group] for group in range(self.groups)]
        outputs = np.concatenate(products, axis=2)
        if bias is not None:
            outputs = outputs + bias
        return activate(outputs, self.activation).reshape(samples, *self.output_shape(values.shape[1:]))

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> MatmulStep:
        """Fold the constants of the zero points into the bias and build the requantizer."""
        weight = tensors[self.weight]
        inputs, weights = self.input_quantization(tensors), quantization_of(weight)
        output = self._output_grid(tensors, options)
        matrices = self._weight_codes(weight)
        zero_points = weights.zero_point
        return MatmulStep(
            name=self.name,
            inputs=self.inputs,
            output=self.output,
            output_shape=tensors[self.output].shape,
            gather=as_gather(self.gather(tensors[self.input].shape)),
            weights=matrices,
            bias=self._bias(tensors, matrices, options),
            activation_format=inputs.format,
            weight_format=weights.format,
            activation_zero_point=int(inputs.zero_point),
            weight_zero_point=zero_points,
            zero_point=options.zero_point,
            bias_mode=options.bias,
            requantizer=self._requantizer(inputs, weights, output, options),
            output_format=output.format,
            weight_name=self.weight,
            weight_index_bits=weight.index_bits,
            weight_decoding=weight.decoding,
            float_sums=self._float_sums(tensors, matrices, options),
        )

    def _output_grid(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Quantization:
        """Return the output's quantization; that of 32-bit integers where outputs are reals.

        Raises:
            UnsupportedError: reals in a profile that sums integers alone.
        """
        grid = tensors[self.output].quantization
        if grid is not None or self.float_kernel is None:
            return quantization_of(tensors[self.output])
        if options.profile != "onnxruntime":
            raise UnsupportedError(
                f"layer {self.name}: sums as reals in profile '{options.profile}'; available: onnxruntime"
            )
        return Quantization(np.asarray(1.0), np.asarray(0, np.int64), IntFormat(SUM_BITS))

    def _float_sums(
        self, tensors: Mapping[str, Tensor], matrices: IntArray, options: LoweringOptions
    ) -> FloatSums | None:
        if self.float_kernel is None or options.profile != "onnxruntime":
            return None
        weights, shape = quantization_of(tensors[self.weight]), (self.groups, 1, -1)
        zero_points = weights.zero_point if weights.zero_point.ndim == 0 else weights.zero_point.reshape(shape)
        bias = np.zeros(1, np.int64) if self.bias is None else np.asarray(tensors[self.bias].data, np.int64)
        return FloatSums(
            self.float_kernel,
            as_gather(self.gather(tensors[self.input].shape)).out_rows,
            self.input_quantization(tensors),
            matrices - zero_points,
            weights.scale.astype(np.float32),
            np.broadcast_to(bias, (self.groups * matrices.shape[2],)).reshape(self.groups, -1),
            REAL_RANGES[self.activation],
            tensors[self.output].quantization,
        )

    def _weight_codes(self, weight: Tensor) -> IntArray:
        """Return (groups, depth, out_cols); where only the shape is known, zeros that take no memory."""
        if weight.data is not None:
            return np.asarray(self.weight_matrix(np.asarray(weight.data, np.int64)))
        depth, channels = int(np.prod(weight.shape[:-1])), weight.shape[-1]
        return np.broadcast_to(np.int64(0), (self.groups, depth, channels // self.groups))

    def _bias(self, tensors: Mapping[str, Tensor], matrices: IntArray, options: LoweringOptions) -> IntArray:
        """Return (groups, out_cols): the bias, with the constants of the zero points where they are folded."""
        inputs, zero_points = self.input_quantization(tensors), quantization_of(tensors[self.weight]).zero_point
        bias = np.zeros((self.groups, matrices.shape[2]), np.int64)
        if not options.has_values:
            return bias
        if self.bias is not None:
            bias += np.asarray(tensors[self.bias].data, np.int64).reshape(bias.shape)
        if options.zero_point == "folded":
            per_group = zero_points if zero_points.ndim == 0 else zero_points.reshape(bias.shape)
            bias += folded_constants(matrices, int(inputs.zero_point), per_group)
        return bias

    def _requantizer(
        self, inputs: Quantization, weights: Quantization, output: Quantization, options: LoweringOptions
    ) -> Requantizer:
        """Build the requantizer that the machine has, or the one of a profile; none where the output holds sums.

        Raises:
            ConfigError: scales whose quotient the unit has no constants for.
        """
        if output.format.bits == SUM_BITS:
            return Requantizer(RawSums(), 0, output.format.min, output.format.max)
        try:
            return self._rescaling(inputs, weights, output, options)
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: requantizer: {error}") from None

    def _rescaling(
        self, inputs: Quantization, weights: Quantization, output: Quantization, options: LoweringOptions
    ) -> Requantizer:
        scales = float(inputs.scale), weights.scale
        if options.profile is None:
            return build_requantizer(*scales, output, _generic(self.name, self.activation), options.requantizer)
        scheme = registry.load(
            registry.REQUANTIZATION_SCHEMES, self._scheme_name(options.profile, inputs, per_channel=scales[1].ndim > 0)
        )
        built = scheme.build(*scales, float(output.scale), options.requantizer)
        return Requantizer(built, int(output.zero_point), *activation_clamp(output, self.activation))

    def _scheme_name(self, profile: Profile, inputs: Quantization, *, per_channel: bool) -> str:
        bits = 32 if inputs.format.bits <= NARROW_BITS else 64
        try:
            return scheme_name(
                profile, self.product, per_channel=per_channel, accumulator_bits=bits, packed=self.packed
            )
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {self.name}: {error}") from None


def _generic(layer: str, activation: TfliteActivation) -> Activation:
    if activation == "relu_n1_to_1":
        raise UnsupportedError(f"layer {layer}: activation relu_n1_to_1 without a rounding profile")
    return activation


def activate(values: RealArray, activation: TfliteActivation) -> RealArray:
    """Apply a fused activation to reals, in their precision."""
    return np.clip(values, *REAL_RANGES[activation])
