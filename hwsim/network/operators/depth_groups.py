"""A matrix product whose weights have a scale for each group of depth terms.

An integer accumulator cannot add terms of different scales. So every group of ``group_size`` consecutive depth terms is
a product of its own on the array; its sums leave as they are, and the vector unit multiplies each by its group's
multiplier, adds them up exactly, and rounds once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import FunctionStep
from hwsim.network.gather import PADDING, as_gather
from hwsim.network.operator import LoweringOptions, Operator, quantization_of
from hwsim.network.operators.matmul import SUM_BITS, MatmulOperator, activate
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.fixed_point import quantize_multiplier
from hwsim.numerics.formats import IntArray
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import Activation, RequantizerOptions, activation_range
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.schemes import ProductOperator
from hwsim.numerics.wide import ShiftRounding, shift_right

WIDE_LIMIT = 1 << 62
LARGEST_SHIFT = 62
SUM_SUFFIX = ".sum"
_ROUNDINGS: dict[str, ShiftRounding] = {"single": "half_up", "floor": "floor", "half_even": "half_even"}


@dataclass(frozen=True)
class DepthProducts(MatmulOperator):
    """The partial products of ``whole``, one for each of ``groups`` groups of depth terms.

    The weight is (group_size, groups times output channels), so that a group's channel is a channel like any other;
    the output's last axis holds the groups' channels one after the other. What is missing in the last group is padding.
    """

    whole: MatmulOperator | None = None
    group_size: int = 1

    @property
    def product(self) -> ProductOperator:
        """As the whole product's."""
        assert self.whole is not None  # noqa: S101  (given by whoever splits a product)
        return self.whole.product

    def output_shape(self, *shapes: Shape) -> Shape:
        """As the whole product's, with as many channels in each group."""
        assert self.whole is not None  # noqa: S101
        *places, channels = self.whole.output_shape(*shapes)
        return (*places, self.groups * channels)

    def gather(self, input_shape: Shape) -> IntArray:
        """The whole product's operands, cut into groups of terms."""
        assert self.whole is not None  # noqa: S101
        table = as_gather(self.whole.gather(input_shape)).indices(0)
        out_rows, depth = table.shape
        missing = self.groups * self.group_size - depth
        padded = np.pad(table, ((0, 0), (0, missing)), constant_values=PADDING)
        return padded.reshape(out_rows, self.groups, self.group_size).transpose(1, 0, 2)


@dataclass(frozen=True, slots=True, eq=False)
class GroupRescale:
    """``clamp(round((offset + sum over groups of sums * mantissas) / 2**shift) + zero_point)``, all in 64 bits.

    ``mantissas`` (groups, channels), ``offset`` and ``shift`` (channels,).
    """

    mantissas: IntArray
    offset: IntArray
    shift: IntArray
    rounding: ShiftRounding
    zero_point: int
    low: int
    high: int

    def __call__(self, sums: IntArray) -> IntArray:
        """Return codes (..., channels) for the groups' sums (..., groups times channels)."""
        apart = sums.reshape(*sums.shape[:-1], *self.mantissas.shape)
        total = (apart * self.mantissas).sum(axis=-2) + self.offset
        return np.clip(shift_right(total, self.shift, self.rounding) + self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class DepthSum(Operator):
    """Adds up the partial products of a ``DepthProducts``: rescaled, with the bias and the fused activation.

    ``source`` and ``weight`` are the tensors that the product reads; their scales make the multipliers.
    """

    source: str = ""
    weight: str = ""
    bias: str | None = None
    activation: Activation = "none"
    groups: int = 1

    @property
    def layer(self) -> str:
        """The layer whose product is added up."""
        return self.name.removesuffix(SUM_SUFFIX)

    @property
    def constants(self) -> tuple[str, ...]:
        """The bias, if there is one."""
        return () if self.bias is None else (self.bias,)

    def output_shape(self, *shapes: Shape) -> Shape:
        """One group's."""
        *places, channels = shapes[0]
        return (*places, channels // self.groups)

    def float_values(self, inputs: Sequence[FloatArray], constants: Mapping[str, Tensor]) -> FloatArray:
        """Add, activate."""
        (partial,) = inputs
        total = partial.reshape(*partial.shape[:-1], self.groups, -1).sum(axis=-2)
        if self.bias is not None:
            total = total + np.asarray(constants[self.bias].data, np.float64)
        return activate(total, self.activation)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> FunctionStep:
        """Choose the multipliers: those of a channel share one shift, so that their products add up exactly.

        Raises:
            UnsupportedError: a requantizer that rounds before the groups are added up.
            ConfigError: the sum might not fit 62 bits.
        """
        self._check(options)
        output, partial = tensors[self.output], tensors[self.input].shape
        function = self._rescale(tensors, quantization_of(output), options.requantizer)
        outputs = int(np.prod(output.shape))
        actions = Counts(
            {
                ("vector_unit", "multiply"): outputs * self.groups,
                ("vector_unit", "add"): outputs * self.groups,
                ("vector_unit", "shift"): outputs,
            }
        )
        if options.requantizer.scheme == "power_of_two":
            del actions["vector_unit", "multiply"]
            actions["vector_unit", "shift"] += outputs * self.groups
        return FunctionStep(self.name, self.inputs, self.output, output.shape, function, (partial,), actions)

    def _check(self, options: LoweringOptions) -> None:
        requantizer = options.requantizer
        wrong = None
        if options.profile is not None:
            wrong = f"rounding_profile {options.profile}"
        elif requantizer.scheme not in ("fixed_point", "power_of_two"):
            wrong = f"scheme {requantizer.scheme}"
        elif requantizer.rounding not in _ROUNDINGS:
            wrong = f"rounding {requantizer.rounding}"
        if wrong is not None:
            raise UnsupportedError(
                f"layer {self.layer}: granularity per_group with requantizer.{wrong}, which rounds each group by "
                f"itself; allowed: schemes fixed_point and power_of_two, roundings {', '.join(_ROUNDINGS)}"
            )

    def _rescale(
        self, tensors: Mapping[str, Tensor], output: Quantization, requantizer: RequantizerOptions
    ) -> GroupRescale:
        weight = tensors[self.weight]
        inputs, weights = quantization_of(tensors[self.source]), quantization_of(weight)
        codes = np.asarray(weight.data, np.int64)
        real = weights.scale * float(inputs.scale) / float(output.scale)
        real = np.where(np.any(codes != weights.zero_point, axis=0), real, 0.0).reshape(self.groups, -1)
        mantissas, shift = _multipliers(real, requantizer)
        bias = 0.0 if self.bias is None else np.asarray(tensors[self.bias].data, np.float64) / float(output.scale)
        exact = np.ldexp(np.broadcast_to(bias, shift.shape), shift)
        reach = len(codes) * _span(inputs) * _span(weights)
        largest = reach * int(mantissas.sum(axis=0).max()) + float(np.abs(exact).max())
        if reach >= 1 << (SUM_BITS - 1) or largest >= WIDE_LIMIT:
            raise ConfigError(
                f"layer {self.layer}: sums of {self.groups} groups may need more than {SUM_BITS} bits, or "
                f"{LARGEST_SHIFT} times their multipliers; levers: quantization.weights.group_size, "
                "requantizer.multiplier_bits, narrower operands"
            )
        low, high = activation_range(output, self.activation)
        rounding = _ROUNDINGS[requantizer.rounding]
        offset = np.rint(exact).astype(np.int64)
        return GroupRescale(mantissas, offset, shift, rounding, int(output.zero_point), low, high)


def _multipliers(real: FloatArray, requantizer: RequantizerOptions) -> tuple[IntArray, IntArray]:
    """Return mantissas (groups, channels) and one shift for each channel, from its greatest multiplier.

    With scheme power_of_two every multiplier is first rounded to a power of two, as without groups.
    """
    if requantizer.scheme == "power_of_two":
        real = np.where(real > 0, np.exp2(np.rint(np.log2(np.maximum(real, np.finfo(float).tiny)))), 0.0)
    greatest = quantize_multiplier(np.where(real.max(axis=0) > 0, real.max(axis=0), 1.0), requantizer.multiplier_bits)
    shift = np.minimum(greatest.shift + greatest.bits, LARGEST_SHIFT)
    return np.rint(np.ldexp(real, shift)).astype(np.int64), shift


def _span(grid: Quantization) -> int:
    return grid.format.max - grid.format.min
