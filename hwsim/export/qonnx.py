"""QONNX files: a Quant node of any width on every tensor, as Brevitas writes and FINN and hls4ml read them."""

from __future__ import annotations

import numpy as np

from hwsim.export.graph import Array, Attributes, OnnxWriter
from hwsim.network.network import Network
from hwsim.network.operator import quantization_of
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization

DOMAIN = "qonnx.custom_op.general"


def qonnx_file(network: Network) -> bytes:
    """Return the file of a network that hwsim has quantized; a Quant node's output has its tensor's name.

    Raises:
        ConfigError: as `OnnxWriter.written`.
        UnsupportedError: as `OnnxWriter.written`.
    """
    return _QonnxWriter(network).written()


class _QonnxWriter(OnnxWriter):
    """Quant nodes return reals on the grid; constants keep the reals that their codes stand for."""

    domains = {DOMAIN: 1}  # noqa: RUF012

    def reals(self, tensor: str) -> str:
        """A Quant node's output."""
        return tensor

    def _quantized(self, source: str, tensor: str) -> None:
        self._quant(source, tensor, quantization_of(self._network.tensors[tensor]), 0, 0)

    def _weight(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        scale, zero_point = (_along(values, codes.ndim, axis) for values in (grid.scale, grid.zero_point))
        reals = (scale * (codes - zero_point)).astype(np.float32)
        self._quant(self._graph.constant(f"{name}.given", reals), name, grid, codes.ndim, axis)
        return name

    def _quant(self, source: str, output: str, grid: Quantization, dimensions: int, axis: int) -> None:
        word: IntFormat = grid.format
        values = {
            "scale": _along(grid.scale, dimensions, axis).astype(np.float32),
            "zero_point": _along(grid.zero_point, dimensions, axis).astype(np.float32),
            "bits": np.float32(word.bits),
        }
        inputs = [source, *(self._graph.constant(f"{output}.{part}", np.asarray(one)) for part, one in values.items())]
        attributes: Attributes = {
            "signed": int(word.signed),
            "narrow": int(word.narrow),
            "rounding_mode": "ROUND",
        }
        self._graph.node("Quant", inputs, output, attributes, DOMAIN)


def _along(values: Array, dimensions: int, axis: int) -> Array:
    """Return values of channels so that they broadcast along an axis."""
    if values.ndim == 0:
        return values
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)
