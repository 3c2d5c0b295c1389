"""Two-dimensional convolutions, grouped and depthwise among them."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import ConfigError
from hwsim.network.gather import Gather, SampleRows
from hwsim.network.operators.conv_gather import ConvGather
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.windows import Axis, axis, image
from hwsim.network.tensor import Shape
from hwsim.numerics.tflite.schemes import ProductOperator

IMAGES_AXES = 4  # of several images: images, height, width, channels

Padding2d = str | tuple[tuple[int, int], tuple[int, int]]
"""``same``, ``valid``, or elements of padding (above, below), (left, right)."""


@dataclass(frozen=True)
class Conv2d(MatmulOperator):
    """A convolution of (height, width, C_in) by kernels (kh, kw, C_in / groups, filters); out rows are pixels.

    Of several images, which a first axis of 2 or more counts, one after the other.
    """

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
        """(output height, output width, filters), for each of several images."""
        images, (height, width, channels) = self._images(shapes[0])
        if channels % self.groups or self.filters % self.groups:
            raise ConfigError(
                f"layer {self.name}: {channels} channels and {self.filters} filters in {self.groups} groups; "
                "allowed: groups that divide both"
            )
        try:
            vertical, horizontal = self.axes(height, width)
        except ConfigError as error:
            raise ConfigError(f"layer {self.name}: {error}") from None
        shape = (vertical.outputs, horizontal.outputs, self.filters)
        return shape if images == 1 else (images, *shape)

    def gather(self, input_shape: Shape) -> Gather:
        """Windows of each group's channels, one output pixel a row."""
        images, (height, width, channels) = self._images(input_shape)
        one = ConvGather(*self.axes(height, width), channels // self.groups, self.groups)
        return one if images == 1 else SampleRows(one, images, height * width * channels)

    def _images(self, shape: Shape) -> tuple[int, tuple[int, int, int]]:
        """Return how many images there are, and the shape of one."""
        if len(shape) == IMAGES_AXES:
            return shape[0], image(self.name, shape[1:])
        return 1, image(self.name, shape)

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
