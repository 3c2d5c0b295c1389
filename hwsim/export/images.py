"""Images with channels first, as ONNX's convolutions and pools take them."""

from __future__ import annotations

from hwsim.export.layout import CHANNELS_FIRST
from hwsim.export.writer import NumberForm, OnnxWriter
from hwsim.network.operators.windows import Axis

CHANNELS_LAST = (1, 2, 0)


def channels_first(writer: OnnxWriter, tensor: str, size: tuple[int, int, int], form: NumberForm = "reals") -> str:
    """Return a tensor's numbers as images of (channels, height, width); ``size`` is (height, width, channels)."""
    layout = writer.layout(tensor)
    if layout.shape == size and layout.order == CHANNELS_FIRST:
        return writer.take(tensor, form)
    stored = writer.stored(tensor, form)
    if layout.shape != size:
        stored = writer.graph.reshape(stored, size)
    return writer.graph.transpose(stored, CHANNELS_FIRST)


def put_channels_first(writer: OnnxWriter, source: str, tensor: str, form: NumberForm = "reals") -> None:
    """Make numbers of images with channels first a tensor of the network."""
    if writer.layout(tensor).order == CHANNELS_FIRST:
        writer.put(source, tensor, form)
    else:
        writer.put_stored(writer.graph.transpose(source, CHANNELS_LAST), tensor, form)


def pads(axes: tuple[Axis, Axis]) -> list[int]:
    """Return padding as ONNX has it: above, left, below, right."""
    after = [
        max((one.outputs - 1) * one.stride + (one.window - 1) * one.dilation + 1 - one.size - one.before, 0)
        for one in axes
    ]
    return [axes[0].before, axes[1].before, *after]
