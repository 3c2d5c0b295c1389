"""What ONNX Runtime makes of a product between DequantizeLinear and QuantizeLinear, node by node: sums in float32.

The array sums integers. Where its accumulator holds the exact sum, the output is that of ONNX Runtime's rounded float32
sum of the same terms, which may lie on the other side of a tie; where it has overflowed, the output is what the
requantizer makes of the accumulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.numerics.onnxruntime.float32 import Float32Array, quantize
from hwsim.numerics.onnxruntime.sum_order import SumOrder, lane_forms
from hwsim.numerics.quantization import Quantization

Reals = np.ndarray[Any, Any]
Range = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class FloatKernel:
    """How a file's operator sums: the order of the depth index ``terms``, that of adds, and its ``bias`` as reals."""

    terms: IntArray
    order: SumOrder
    bias: Float32Array | None = None


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """Some rows and columns of one group's outputs."""

    group: int
    rows: slice
    columns: slice

    def channels(self, out_cols: int) -> slice:
        """Return the output channels of groups of so many columns."""
        first = self.group * out_cols
        return slice(first + self.columns.start, first + self.columns.stop)


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """Activations (..., rows, depth) as they stream into the array, and what stands for 0 among them."""

    operands: IntArray
    zero_point: int


@dataclass(frozen=True, slots=True, eq=False)
class FloatSums:
    """The float32 sums of one product, of ``out_rows`` a sample, and the outputs that they become.

    ``weight_steps`` (groups, depth, out_cols) are the weights' codes less their zero points, ``bias_steps`` (groups,
    out_cols) the integer bias; ``weight_scale`` has one scale or those of all channels. ``clip`` is the fused
    activation's. Without an ``output`` quantization outputs are the reals themselves.
    """

    kernel: FloatKernel
    out_rows: int
    source: Quantization
    weight_steps: IntArray
    weight_scale: Float32Array
    bias_steps: IntArray
    clip: Range
    output: Quantization | None
    samples: int = 1
    """Of how many samples the groups are, one sample's after another's."""

    def replace_exact(self, codes: IntArray, sums: IntArray | None, streamed: Streamed, block: OutputBlock) -> Reals:
        """Return the outputs (..., rows, columns) of a block.

        Args:
            codes: what the requantizer makes of the sums.
            sums: accumulators (..., rows, columns) with the bias and the zero points' terms; None: they are exact.
            streamed: the rows' activations.
            block: which outputs.
        """
        reals = self.reals(streamed, block)
        outputs = reals if self.output is None else quantize(reals, self.output)
        if sums is None:
            return outputs
        steps = (streamed.operands - streamed.zero_point).astype(np.float64)
        exact = steps @ self._weight_steps(block).astype(np.float64) + self.bias_steps[block.group, block.columns]
        return np.where(sums == exact, outputs, self._overflowed(codes, block))

    def reals(self, streamed: Streamed, block: OutputBlock) -> Float32Array:
        """Return the float32 sums with bias and activation, (..., rows, columns)."""
        bias = self._bias(block)
        out = np.zeros((*streamed.operands.shape[:-1], bias.size), np.float32)
        if self.kernel.order.starts_with_bias:
            out += bias
        self._add_products(out.reshape(-1, bias.size), streamed, block)
        if not self.kernel.order.starts_with_bias:
            out += bias
        return np.clip(out, *self.clip)

    def _add_products(self, out: Float32Array, streamed: Streamed, block: OutputBlock) -> None:
        from hwsim.array.kernels import float32

        order, terms = self.kernel.order, self.kernel.terms
        operands = np.ascontiguousarray(streamed.operands, np.int64).reshape(len(out), -1)
        scaled = operands, streamed.zero_point, np.float32(self.source.scale)
        weights = np.ascontiguousarray(self._weight_steps(block)[terms].astype(np.float32) * self._scale(block))
        if order.kind == "chain":
            float32.chain(out, *scaled, terms, weights, order.block)
        elif order.kind == "fours":
            float32.fours(out, *scaled, terms, weights)
        else:
            rows, columns = self._forms(block)
            float32.lanes(out, *scaled, terms, weights, np.tile(rows, len(out) // len(rows)), columns)

    def _forms(self, block: OutputBlock) -> tuple[IntArray, IntArray]:
        """Return the forms of rows, those of each sample alike, and of columns; those along the other axis are 1."""
        order, (groups, _, out_cols) = self.kernel.order, self.weight_steps.shape
        numbers = np.arange(block.rows.start, block.rows.stop) % self.out_rows
        if order.along == "columns":
            return np.ones(len(numbers), np.int64), lane_forms(out_cols)[block.columns]
        groups //= self.samples
        rows = lane_forms(groups * self.out_rows if order.joins_groups else self.out_rows)
        first = block.group % groups * self.out_rows if order.joins_groups else 0
        return rows[first + numbers], np.ones(out_cols, np.int64)[block.columns]

    def _weight_steps(self, block: OutputBlock) -> IntArray:
        return self.weight_steps[block.group][:, block.columns]

    def _scale(self, block: OutputBlock) -> Float32Array:
        channels = block.channels(self.weight_steps.shape[2])
        return self.weight_scale if self.weight_scale.ndim == 0 else self.weight_scale[channels]

    def _bias(self, block: OutputBlock) -> Float32Array:
        channels = block.channels(self.weight_steps.shape[2])
        bias = self.kernel.bias
        return np.zeros(channels.stop - channels.start, np.float32) if bias is None else bias[channels]

    def _overflowed(self, codes: IntArray, block: OutputBlock) -> Reals:
        """Return the requantizer's codes, or where outputs are real the sums' reals."""
        if self.output is not None:
            return codes
        reals = codes.astype(np.float32) * (np.float32(self.source.scale) * self._scale(block))
        return np.clip(reals, *self.clip)
