"""Two-dimensional convolutions, grouped and depthwise among them."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import ConfigError
from hwsim.network.operators.conv_gather import ConvGather
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.windows import Axis, axis, image
from hwsim.network.tensor import Shape
from hwsim.numerics.tflite.schemes import ProductOperator

Padding2d = str | tuple[tuple[int, int], tuple[int, int]]
"""``same``, ``valid``, or elements of padding (above, below), (left, right)."""


@dataclass(frozen=True)
class Conv2d(MatmulOperator):
    """A convolution of (height, width, C_in) by kernels (kh, kw, C_in / groups, filters); out rows are pixels."""

    filters: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: Padding2d = "valid"
    dilation: tuple[int, int] = (1, 1)

    @property
    def product(self) -> ProductOperator:
        """By whether there are groups."""
        return "convolution" if self.groups == 1 else "grouped_convolution"

    def output_shape(self, *shapes: Shape) -> Shape:
        """(output height, output width, filters)."""
        height, width, channels = image(self.name, shapes[0])
        if channels % self.groups or self.filters % self.groups:
            raise ConfigError(
                f"layer {self.name}: {channels} channels and {self.filters} filters in {self.groups} groups; "
                "allowed: groups that divide both"
            )
        try:
            vertical, horizontal = self.axes(height, width)
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: {error}") from None
        return (vertical.outputs, horizontal.outputs, self.filters)

    def gather(self, input_shape: Shape) -> ConvGather:
        """Windows of each group's channels, one output pixel a row."""
        height, width, channels = image(self.name, input_shape)
        return ConvGather(*self.axes(height, width), channels // self.groups, self.groups)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return where windows lie, vertically and horizontally.

        Raises:
            ConfigError: no window fits.
        """
        sizes = zip((height, width), self.kernel, self.stride, self.dilation, strict=True)
        above, beside = (self.padding, self.padding) if isinstance(self.padding, str) else self.padding
        paddings: tuple[str | tuple[int, int], ...] = (above, beside)
        vertical, horizontal = (
            axis(size, window, stride, padding, dilation)
            for (size, window, stride, dilation), padding in zip(sizes, paddings, strict=True)
        )
        return vertical, horizontal


@dataclass(frozen=True)
class DepthwiseConv2d(Conv2d):
    """A convolution of each channel by itself: one product per channel."""

    @property
    def product(self) -> ProductOperator:
        """Depthwise, however many channels there are."""
        return "depthwise_convolution"
