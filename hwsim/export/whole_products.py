"""Products that sum whole numbers, which float32 does exactly up to 2**24, and are multiplied once for every output.

``clip(rint(float32(sum) M) + Z)`` with M in float32, as the integer kernels of ONNX Runtime and profile ``onnxruntime``
have it: what the file sums is the accumulator times a power of two, so that only the product with M is rounded.
Activations that could bring a sum beyond 2**24 are cut into parts of fewer bits, whose sums are added as integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.export.graph import Array
from hwsim.export.writer import OnnxWriter
from hwsim.network.exact_sums import EXACT_SUM, SumBounds
from hwsim.network.operator import quantization_of
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.float32 import is_power_of_two
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.schemes import Float32Product

WORD = IntFormat(32)
Multiply = Callable[[str, Sequence[str]], str]
"""Writes the sums of activations of a name, with the bias of a name if there is one, and returns their name."""


@dataclass(frozen=True)
class WholeProduct:
    """One product in a file; ``channel_shape`` is how a number for each output channel lies beside the sums."""

    writer: OnnxWriter
    operator: MatmulOperator
    channel_shape: Sequence[int]

    @cached_property
    def _step(self) -> MatmulStep:
        return self.operator.lower(self.writer.network.tensors, self.writer.options)

    @property
    def sums_integers(self) -> bool:
        """Whether it is one: not where a file's own float32 sums are followed, or real scales are asked for."""
        if self.writer.real_scales or self.operator.float_kernel is not None:
            return False
        return isinstance(self._step.requantizer.scheme, Float32Product)

    @cached_property
    def _bounds(self) -> SumBounds:
        tensors, operator = self.writer.network.tensors, self.operator
        source, weight = tensors[operator.input], tensors[operator.weight]
        bias = None if operator.bias is None else tensors[operator.bias]
        grids = self.writer.grid(source.name), quantization_of(weight)
        return SumBounds(operator, grids[0], source.shape, weight, grids[1], bias)

    @cached_property
    def _bias(self) -> Array | None:
        if self.operator.bias is None:
            return None
        return np.asarray(self.writer.network.tensors[self.operator.bias].data, np.int64).reshape(-1)

    @cached_property
    def is_exact(self) -> bool:
        """Whether float32 holds every partial sum."""
        return self._bounds.are_exact

    @property
    def _weight_unit(self) -> Array:
        name = self.operator.weight
        if not self.operator.has_weights:
            return np.asarray(self.writer.unit(name))
        scales = self.writer.grid(name).scale
        return scales if self.is_exact and is_power_of_two(scales) else np.ones(())

    def weights(self, order: Sequence[int], axis: int) -> str:
        """Return the name of constant weights in their unit, with their axes in an order and channels along one."""
        return self.writer.weight_steps(self.operator.weight, order, axis, self._weight_unit)

    def result(self, source: str, multiply: Multiply) -> str:
        """Return what the output's steps are rounded from, in units; ``source`` holds the activations' steps."""
        unit = float(self.writer.unit(self.operator.input))
        if self.is_exact:
            sums = multiply(source, self._bias_steps(unit * self._weight_unit))
            return self._clamped(self._scaled(sums, unit * self._weight_unit))
        return self._clamped(self._scaled(self._sums_of_parts(self._times(source, np.asarray(1 / unit)), multiply)))

    def _bias_steps(self, unit: Array) -> list[str]:
        if self._bias is None:
            return []
        grid = Quantization(unit, np.zeros(unit.shape, np.int64), WORD, 0 if unit.ndim else None)
        return [self.writer.constant_reals(self._bias_name, self._bias, grid, 0)]

    @property
    def _bias_name(self) -> str:
        """What the file calls the bias: one without a quantization may lie on other grids elsewhere."""
        name = str(self.operator.bias)
        is_coded = self.writer.network.tensors[name].quantization is not None
        return name if is_coded else f"{name}.of.{self.operator.output}"

    def _scaled(self, sums: str, unit: Array | float = 1.0) -> str:
        """Multiply accumulators of a unit by M, and by the output's unit."""
        scheme = self._step.requantizer.scheme
        assert isinstance(scheme, Float32Product)  # noqa: S101  (`sums_integers`)
        powers = float(self.writer.unit(self.operator.output)) / unit
        return self._times(sums, np.asarray(scheme.real.astype(np.float32) * powers))

    def _times(self, source: str, factors: Array) -> str:
        if np.all(factors == 1):
            return source
        shaped = factors.astype(np.float32).reshape(self.channel_shape if factors.ndim else ())
        name = self.writer.graph.new_name(f"{source}.scaled")
        multiplier = self.writer.graph.constant(f"{name}.by", shaped)
        return self.writer.graph.node("Mul", [source, multiplier], name)

    def _clamped(self, source: str) -> str:
        """Clamp to the fused activation's codes: Relu, Clip, or nothing where the output's format does the same."""
        operator, writer, requantizer = self.operator, self.writer, self._step.requantizer
        word, zero = writer.grid(operator.output).format, requantizer.zero_point
        low, high, name = requantizer.low, requantizer.high, f"{operator.output}.activated"
        if operator.activation == "none":
            return source
        if high == word.max and low == zero:
            return writer.step("Relu", [source], name)
        if (low, high) == (word.min, word.max):
            return source
        unit = writer.unit(operator.output)
        bounds = [writer.number(np.float32(bound - zero) * unit, "float32") for bound in (low, high)]
        return writer.step("Clip", [source, *bounds], name)

    def _sums_of_parts(self, whole: str, multiply: Multiply) -> str:
        """Return the accumulators as float32, rounded once: 32-bit sums of the sums of the activations' parts."""
        writer, output = self.writer, self.operator.output
        bits = (EXACT_SUM // self._bounds.weights).bit_length() - 1
        if bits < 1:
            raise UnsupportedError(
                f"weights of one output whose magnitudes add up to {self._bounds.weights}; allowed: {EXACT_SUM // 2}"
            )
        total = self._bias_word()
        for place, part in enumerate(self._parts(whole, bits)):
            found = writer.graph.cast(self._times(multiply(part, []), 1 / self._weight_unit), "INT32")
            if place:
                size = writer.number(int(WORD.wrap(np.asarray(1 << bits * place))), "int32")
                found = writer.step("Mul", [found, size], f"{output}.shifted")
            total = [writer.step("Add", [*total, found], f"{output}.total") if total else found]
        return writer.graph.cast(total[0], "FLOAT")

    def _bias_word(self) -> list[str]:
        """Return the bias as 32-bit integers, which wrap as the accumulator does."""
        if self._bias is None:
            return []
        words = WORD.wrap(self._bias).astype(np.int32).reshape(self.channel_shape)
        return [self.writer.graph.constant(f"{self._bias_name}.words", words)]

    def _parts(self, whole: str, bits: int) -> list[str]:
        """Cut whole numbers into parts of 0 to 2**bits - 1, the lowest first; the last one has the sign."""
        writer, output, parts = self.writer, self.operator.output, []
        size, left = np.float32(1 << bits), self._bounds.source.largest_step
        while left >> bits:
            quotient = writer.step("Mul", [whole, writer.number(1 / size, "float32")], f"{output}.quotient")
            high = writer.step("Floor", [quotient], f"{output}.high")
            back = writer.step("Mul", [high, writer.number(size, "float32")], f"{output}.back")
            parts.append(writer.step("Sub", [whole, back], f"{output}.low"))
            whole, left = high, (left >> bits) + 1
        return [*parts, whole]
