"""QDQ files: QuantizeLinear and DequantizeLinear round float operators.

ONNX Runtime computes what hwsim computes with rounding profile ``onnxruntime``, node by node and fused. With real
scales it fuses products into its kernels of integers, which compute that too; node by node it sums rounded products
then, and a sum within its rounding error of a tie may give the next code. hwsim computes that code for code when it
reads the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwsim.export.graph import Array, Attributes
from hwsim.export.writer import OnnxWriter, coded_activations
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization

EXACT_BITS = (8, 16)
NARROW_BITS = 4
BIAS_BITS = 32
MICROSOFT = "com.microsoft"


def qdq_file(network: Network, options: LoweringOptions, *, real_scales: bool = False) -> bytes:
    """Return the file of a quantized network; tensors of codes have hwsim's names.

    ``options`` are the machine's, whose lookup tables it has; arithmetic is that of profile ``onnxruntime``: products
    sum whole numbers, and are multiplied once. ``real_scales`` gives their operands the scales of the tensors instead.

    Raises:
        ConfigError: as `OnnxWriter.written`.
        UnsupportedError: as `OnnxWriter.written`; also activations of 9 to 15 bits.
    """
    return _QdqWriter(network, replace(options, profile="onnxruntime"), real_scales=real_scales).written()


class _QdqWriter(OnnxWriter):
    """Quantizes to the narrowest type that ONNX has; codes of fewer bits are clipped to their range."""

    def reals(self, tensor: str) -> str:
        """A DequantizeLinear's output."""
        if self.network.tensors[tensor].quantization is None:
            return tensor
        return self._dequantized(tensor, f"{tensor}.real", self.grid(tensor))

    def steps(self, tensor: str) -> str:
        """A DequantizeLinear's output, whose scale is the unit."""
        grid, unit = self.grid(tensor), self.unit(tensor)
        if unit == np.float32(grid.scale):
            return self.reals(tensor)
        return self._dequantized(tensor, f"{tensor}.steps", replace(grid, scale=np.asarray(unit)))

    def _dequantized(self, tensor: str, name: str, grid: Quantization) -> str:
        if name in self.graph.names:
            return name
        return self.graph.node("DequantizeLinear", [tensor, *self._grid(tensor, grid)], name)

    def codes(self, tensor: str) -> str:
        """The tensor, as 32-bit integers."""
        return self.graph.cast(tensor, "INT32")

    def check(self) -> list[str]:
        """Return the activations that have no type."""
        words = {name: self.grid(name).format for name in coded_activations(self.network)}
        return [
            f"tensor {name}: {word.bits} bits; allowed: 2 to {EXACT_BITS[0]}, {EXACT_BITS[1]}"
            for name, word in words.items()
            if word.bits > EXACT_BITS[0] and (word.bits != EXACT_BITS[1] or word.narrow)
        ]

    def quantized(self, source: str, tensor: str) -> None:
        """QuantizeLinear, Clip where the type is wider than the codes."""
        self._quantize(source, tensor, self.grid(tensor))

    def rounded(self, source: str, tensor: str, *, are_whole: bool) -> None:  # noqa: ARG002
        """QuantizeLinear by the unit."""
        self._quantize(source, tensor, replace(self.grid(tensor), scale=np.asarray(self.unit(tensor))))

    def _quantize(self, source: str, tensor: str, grid: Quantization) -> None:
        scales, kind = self._grid(tensor, grid), _activation_type(grid.format)
        if grid.format.bits in EXACT_BITS and not grid.format.narrow:
            self.graph.node("QuantizeLinear", [source, *scales], tensor)
            return
        wide = self.graph.node("QuantizeLinear", [source, *scales], f"{tensor}.wide")
        bounds = [
            self.graph.constant(f"{tensor}.{end}", np.asarray(value, kind))
            for end, value in (("min", grid.format.min), ("max", grid.format.max))
        ]
        self.graph.node("Clip", [wide, *bounds], tensor)

    def integer_node(self, kind: str, operands: Sequence[str], output: str, attributes: Attributes) -> None:
        """An operator of Microsoft's: each tensor with its scale and zero point, and those of the output."""
        self.domains = {MICROSOFT: 1}
        inputs = [
            part
            for name in operands
            for part in (self._operand_codes(name, output), *self._grid(name, self.grid(name)))
        ]
        scales = self._grid(output, self.grid(output))
        self.graph.node(kind, [*inputs, *scales], output, attributes, MICROSOFT)

    def _operand_codes(self, name: str, output: str) -> str:
        """Return a tensor's codes; a constant's with its axes in the output's order in the file."""
        tensor, order = self.network.tensors[name], self.network.tensors[output].order
        if tensor.data is None:
            return name
        codes = np.asarray(tensor.data).astype(_activation_type(self.grid(name).format))
        if order is not None and codes.ndim == len(order):
            codes = codes.transpose(np.argsort(order))
        return self.graph.constant(f"{name}.codes", codes)

    def _grid(self, tensor: str, grid: Quantization) -> list[str]:
        zero_point = np.asarray(grid.zero_point, _activation_type(grid.format))
        part = "scale" if grid.scale == self.grid(tensor).scale else "unit"
        return [
            self.graph.constant(f"{tensor}.{part}", np.asarray(grid.scale, np.float32)),
            self.graph.constant(f"{tensor}.zero_point", zero_point),
        ]

    def constant_reals(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        """A DequantizeLinear's output."""
        kind, is_narrow = _constant_type(grid.format)
        names = [f"{name}.codes", f"{name}.scale", f"{name}.zero_point"]
        self.graph.constant(names[0], codes.astype(kind))
        self.graph.constant(names[1], grid.scale.astype(np.float32))
        self.graph.constant(names[2], grid.zero_point.astype(kind))
        if is_narrow:
            self.graph.narrow |= dict.fromkeys((names[0], names[2]), grid.format.signed)
        return self.graph.node("DequantizeLinear", names, f"{name}.real", {"axis": axis} if grid.scale.ndim else None)


def _activation_type(word: IntFormat) -> str:
    return f"{'' if word.signed else 'u'}int{EXACT_BITS[0] if word.bits <= EXACT_BITS[0] else EXACT_BITS[1]}"


def _constant_type(word: IntFormat) -> tuple[str, bool]:
    """Return the NumPy type of constants, and whether they are stored in four bits each."""
    if word.bits == BIAS_BITS:
        return "int32", False
    return _activation_type(word), word.bits <= NARROW_BITS
