"""Builders of average pools of reals, and what pools of one and of two spatial axes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import UnsupportedError
from hwsim.network.operators.file_nodes import FileWindows
from hwsim.network.tensor import Shape
from hwsim.numerics.onnxruntime import pooling
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.onnxruntime.pooling import PoolWindow
from hwsim.readers.onnx.expressions import Expression, along
from hwsim.readers.onnx.graph import channels_last
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.rows import in_order
from hwsim.readers.onnx.site import Site, image_size

Builder = Callable[[Site, Reals], None]
Function = Callable[[Float32Array], Float32Array]


def pooled_shape(shape: Shape, window: PoolWindow) -> Shape:
    """Return what a window makes of (images, channels, [height,] width)."""
    sizes = window.out_size(*image_size(shape))
    return (*shape[:2], *sizes[4 - len(shape) :])


def over_images(function: Function, shape: Shape) -> Function:
    """Return a function of images as one of rows of pixels, where ``shape`` has no height."""
    if len(shape) == 4:
        return function
    return lambda values: function(values[:, :, np.newaxis])[:, :, 0]


def average_pool(site: Site, reals: Reals) -> None:
    """Sums in the order of ONNX Runtime's float32 kernel."""
    source = in_order(site, reals, channels_last)
    window = replace(site.pool_window(source.shape), counts_padding=bool(site.integer("count_include_pad", 0)))
    opset = site.graph.model.opset
    if len(source.shape) == 4:
        reals.windows[site.node.index] = FileWindows(window, *image_size(source.shape))
    _put_average(site, reals, source, window, lambda values: pooling.average_pool(values, window, opset))


def global_average_pool(site: Site, reals: Reals) -> None:
    """The mean of each channel."""
    source = in_order(site, reals, channels_last)
    if len(source.shape) not in (3, 4):
        raise UnsupportedError(f"{site.label}: input of shape {list(source.shape)}; allowed: three or four axes")
    window = PoolWindow(image_size(source.shape), (1, 1))
    _put_average(site, reals, source, window, pooling.global_average_pool)


def _put_average(site: Site, reals: Reals, source: Expression, window: PoolWindow, average: Function) -> None:
    shape = pooled_shape(source.shape, window)
    outputs = int(np.prod(shape))
    counts = Counts({("vector_unit", "add"): outputs * window.size, ("vector_unit", "multiply"): outputs})
    reals.put(site.output, along(source, over_images(average, source.shape), shape, counts))


BUILDERS: dict[str, Builder] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
}
