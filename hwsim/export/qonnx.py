"""QONNX files: a Quant node of any width on every tensor, as Brevitas writes and FINN and hls4ml read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.export.graph import Array, Attributes
from hwsim.export.layout import IMAGE_AXES
from hwsim.export.writer import OnnxWriter
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.float32 import is_power_of_two
from hwsim.numerics.quantization import Quantization

DOMAIN = "qonnx.custom_op.general"


def qonnx_file(network: Network, options: LoweringOptions, *, real_scales: bool = False) -> bytes:
    """Return the file of a quantized network; a Quant node's output has its tensor's name.

    ``options`` and ``real_scales`` as in `qdq_file`.

    Raises:
        ConfigError: as `OnnxWriter.written`.
        UnsupportedError: as `OnnxWriter.written`.
    """
    return _QonnxWriter(network, replace(options, profile="onnxruntime"), real_scales=real_scales).written()


class _QonnxWriter(OnnxWriter):
    """Quant nodes return steps in units; constants keep the numbers that their codes stand for.

    QONNX adds the zero point before it rounds, so what has one is rounded before its Quant node.
    """

    domains = {DOMAIN: 1}  # noqa: RUF012

    def steps(self, tensor: str) -> str:
        """A Quant node's output."""
        return tensor

    def reals(self, tensor: str) -> str:
        """A Quant node's output, times the scale where that is not its unit."""
        grid, name = self.network.tensors[tensor].quantization, f"{tensor}.real"
        if grid is None or self.unit(tensor) == np.float32(grid.scale):
            return tensor
        if name in self.graph.names:
            return name
        return self.graph.node("Mul", [tensor, self.number(np.float32(grid.scale), "float32")], name)

    def codes(self, tensor: str) -> str:
        """Steps divided by their unit, and the zero point."""
        whole = self._divided(tensor, tensor, self.unit(tensor))
        if not is_power_of_two(self.unit(tensor)):
            whole = self.step("Round", [whole], f"{tensor}.whole")
        found = self.graph.cast(whole, "INT32")
        return self.step("Add", [found, self.number(int(self.grid(tensor).zero_point), "int32")], f"{tensor}.codes")

    def quantized(self, source: str, tensor: str) -> None:
        """Quant, of the quotient by the scale where that is not the unit."""
        grid, unit = self.grid(tensor), self.unit(tensor)
        scale = np.float32(grid.scale)
        if unit == scale:
            self.rounded(source, tensor, are_whole=False)
        else:
            self.rounded(self._divided(source, tensor, scale), tensor, are_whole=False)

    def rounded(self, source: str, tensor: str, *, are_whole: bool) -> None:
        """Quant, and Round before it where there is a zero point."""
        grid, unit = self.grid(tensor), self.unit(tensor)
        if int(grid.zero_point) and not are_whole and not self.real_scales:
            source = self.step("Round", [self._divided(source, tensor, unit)], f"{tensor}.rounded")
            if unit != 1:
                source = self.step("Mul", [source, self.number(unit, "float32")], f"{source}.scaled")
        self._quant(source, tensor, replace(grid, scale=np.asarray(unit)), 0, 0)

    def _divided(self, source: str, tensor: str, divisor: np.float32) -> str:
        if divisor == 1:
            return source
        return self.step("Div", [source, self.number(divisor, "float32")], f"{tensor}.steps")

    def constant_reals(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        """A Quant node's output."""
        scale, zero_point = (_along(values, codes.ndim, axis) for values in (grid.scale, grid.zero_point))
        reals = (scale * (codes - zero_point)).astype(np.float32)
        self._quant(self.graph.constant(f"{name}.given", reals), name, grid, codes.ndim, axis)
        return name

    def _enter(self, name: str) -> tuple[str, tuple[int, ...]]:
        """As for all files, and tell where the channels of images are: readers would take them to come first."""
        given, shape = super()._enter(name)
        if len(shape) == IMAGE_AXES and self.network.tensors[name].order is None:
            self.graph.layouts[given] = "NHWC"
        return given, shape

    def _quant(self, source: str, output: str, grid: Quantization, dimensions: int, axis: int) -> None:
        word: IntFormat = grid.format
        values = {
            "scale": _along(grid.scale, dimensions, axis).astype(np.float32),
            "zero_point": _along(grid.zero_point, dimensions, axis).astype(np.float32),
            "bits": np.float32(word.bits),
        }
        inputs = [source, *(self.graph.constant(f"{output}.{part}", np.asarray(one)) for part, one in values.items())]
        attributes: Attributes = {
            "signed": int(word.signed),
            "narrow": int(word.narrow),
            "rounding_mode": "ROUND",
        }
        self.graph.node("Quant", inputs, output, attributes, DOMAIN)


def _along(values: Array, dimensions: int, axis: int) -> Array:
    """Return values of channels so that they broadcast along an axis; one alone where all are equal.

    FINN takes a zero point only as one number, and cleanup moves the quantization of a convolution's bias only if it
    has an axis.
    """
    if values.ndim == 0 or np.all(values == values[0]):
        return values.reshape(-1)[:1].reshape((1,) if dimensions == 1 else ())
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)
