"""QONNX files: a Quant node of any width on every tensor, as Brevitas writes and FINN and hls4ml read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.export.graph import Array, Attributes
from hwsim.export.writer import OnnxWriter
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization

DOMAIN = "qonnx.custom_op.general"


def qonnx_file(network: Network, options: LoweringOptions) -> bytes:
    """Return the file of a quantized network; a Quant node's output has its tensor's name.

    ``options`` as in `qdq_file`.

    Raises:
        ConfigError: as `OnnxWriter.written`.
        UnsupportedError: as `OnnxWriter.written`.
    """
    return _QonnxWriter(network, replace(options, profile="onnxruntime")).written()


class _QonnxWriter(OnnxWriter):
    """Quant nodes return reals on the grid; constants keep the reals that their codes stand for."""

    domains = {DOMAIN: 1}  # noqa: RUF012

    def reals(self, tensor: str) -> str:
        """A Quant node's output."""
        return tensor

    def codes(self, tensor: str) -> str:
        """Reals divided by their scale, rounded, and the zero point."""
        grid = self.grid(tensor)
        steps = self.step("Div", [tensor, self.number(np.float32(grid.scale), "float32")], f"{tensor}.steps")
        whole = self.graph.cast(self.step("Round", [steps], f"{tensor}.whole"), "INT32")
        return self.step("Add", [whole, self.number(int(grid.zero_point), "int32")], f"{tensor}.codes")

    def quantized(self, source: str, tensor: str) -> None:
        """Quant."""
        self._quant(source, tensor, self.grid(tensor), 0, 0)

    def constant_reals(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        """A Quant node's output."""
        scale, zero_point = (_along(values, codes.ndim, axis) for values in (grid.scale, grid.zero_point))
        reals = (scale * (codes - zero_point)).astype(np.float32)
        self._quant(self.graph.constant(f"{name}.given", reals), name, grid, codes.ndim, axis)
        return name

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
    """Return values of channels so that they broadcast along an axis."""
    if values.ndim == 0:
        return values
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)
