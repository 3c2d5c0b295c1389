"""One node of an ``.onnx`` file with the graph round it; each input and attribute is checked when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.tensor import Shape
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.pooling import PoolWindow
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.graph import Graph, Live
from hwsim.readers.onnx.model import Array, FileNode

CODE_TYPES = {
    "int8": IntFormat(8), "uint8": IntFormat(8, signed=False),
    "int16": IntFormat(16), "uint16": IntFormat(16, signed=False), "int32": IntFormat(32),
}  # fmt: skip
Pair = tuple[int, int]
MAX_WINDOW_ELEMENTS = 1 << 26
MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A node and the graph that has been read so far."""

    graph: Graph
    node: FileNode

    @property
    def label(self) -> str:
        """What messages call the node."""
        return self.node.label

    @property
    def output(self) -> str:
        """The only output that is wanted."""
        named = [name for name in self.node.outputs if name]
        if len(named) != 1:
            raise UnsupportedError(f"{self.label}: {len(named)} outputs; allowed: 1")
        return named[0]

    def has(self, place: int) -> bool:
        """Tell whether there is an input at a place."""
        return place < len(self.node.inputs) and bool(self.node.inputs[place])

    def input(self, place: int) -> str:
        """The name of an input."""
        if not self.has(place):
            raise ConfigError(f"{self.label} has no input {place}")
        return self.node.inputs[place]

    def is_constant(self, place: int) -> bool:
        """Tell whether an input is known before a run."""
        return self.has(place) and self.input(place) in self.graph.arrays

    def array(self, place: int) -> Array:
        """The numbers of a constant input."""
        name = self.input(place)
        if name not in self.graph.arrays:
            raise UnsupportedError(f"{self.label}: input {place} ('{name[:80]}') is not constant")
        return self.graph.arrays[name]

    def live(self, place: int) -> Live:
        """An input that is an activation of codes or of reals."""
        name = self.input(place)
        if name not in self.graph.live:
            raise UnsupportedError(f"{self.label}: input {place} ('{name[:80]}') is a constant")
        return self.graph.live[name]

    def word(self, name: str, type_name: str) -> IntFormat:
        """The format of codes of a NumPy type, narrower where the file stores fewer bits."""
        if type_name not in CODE_TYPES:
            raise UnsupportedError(f"{self.label}: '{name[:80]}' is {type_name}; allowed: {', '.join(CODE_TYPES)}")
        word = CODE_TYPES[type_name]
        return IntFormat(self.graph.model.stored_bits.get(name, word.bits), word.signed)

    def grid(
        self, scale: int, zero_point: int, *, word: IntFormat | None = None, axis: int | None = None
    ) -> Quantization:
        """The quantization in two constant inputs; without a zero point it is 0, of ``word``.

        Raises:
            ConfigError: scales and zero points that do not go together.
            UnsupportedError: they are not constant, or of a type that is no code's.
        """
        scales = np.asarray(self.array(scale), np.float64)
        zeros = np.zeros(scales.shape, np.int64)
        if self.has(zero_point):
            found = self.array(zero_point)
            word = self.word(self.input(zero_point), found.dtype.name)
            zeros = np.asarray(found, np.int64)
        if word is None:
            word = IntFormat(8, signed=False)
        if scales.size == 1:
            scales, zeros, axis = scales.reshape(()), zeros.reshape(-1)[:1].reshape(()), None
        elif zeros.size == 1:
            zeros = np.full(scales.shape, zeros.reshape(-1)[0])
        try:
            return Quantization(scales, zeros, word, axis)
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{self.label}: {str(error).splitlines()[0]}") from None

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise ConfigError(f"{self.label}: {name} is no whole number")
        return value

    def real(self, name: str, default: float) -> float:
        """An attribute that is a finite number."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise ConfigError(f"{self.label}: {name} is no finite number")
        return float(value)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, tuple):
            raise ConfigError(f"{self.label}: {name} is no list of whole numbers")
        return tuple(int(one) for one in value)

    def axis(self, axis: int, dimensions: int) -> int:
        """An axis, counted from the end where it is negative."""
        if not -dimensions <= axis < dimensions:
            raise ConfigError(f"{self.label}: axis {axis} of {dimensions}")
        return axis % dimensions

    def sizes(self, name: str, count: int) -> tuple[int, ...]:
        """An attribute with a size of 1 or more for each spatial axis; 1 where it is left out."""
        found = self.integers(name, (1,) * count)
        if len(found) != count or not all(1 <= size <= MAX_SIZE for size in found):
            raise ConfigError(f"{self.label}: {name} {list(found)}; allowed: {count} sizes from 1 to {MAX_SIZE}")
        return found

    def window(self, shape: Shape, kernel: tuple[int, ...]) -> PoolWindow:
        """The window of a convolution or pool over (batch, channels, [height,] width); one axis has height 1.

        Raises:
            ConfigError: sizes that make no sense, or more window elements than can be written out.
            UnsupportedError: three spatial axes, padding that a file leaves to the runtime, or several images of codes.
        """
        spatial = len(shape) - 2
        if spatial not in (1, 2):
            raise UnsupportedError(f"{self.label}: input of shape {list(shape)}; allowed: three or four axes")
        if shape[0] != 1 and self.graph.holds_codes:
            raise UnsupportedError(f"{self.label}: batch of {shape[0]}; allowed: 1, or an open size")
        if len(kernel) != spatial or not all(1 <= size <= MAX_SIZE for size in kernel):
            raise ConfigError(f"{self.label}: kernel {list(kernel)}; allowed: {spatial} sizes")
        strides, dilations = self.sizes("strides", spatial), self.sizes("dilations", spatial)
        padding = self._padding(shape[2:], kernel, strides, dilations)
        if spatial == 1:
            kernel, strides, dilations, padding = (1, *kernel), (1, *strides), (1, *dilations), ((0, 0), *padding)
        both = _pair(padding[0]), _pair(padding[1])
        window = PoolWindow(_pair(kernel), _pair(strides), both, _pair(dilations))
        self._check_window(window, shape)
        return window

    def pool_window(self, shape: Shape) -> PoolWindow:
        """The window of a pool, with ceil_mode also one that begins inside and hangs over the far edge.

        Raises:
            ConfigError: as `window`.
            UnsupportedError: as `window`; also an average that counts padding where a window hangs over.
        """
        window = self.window(shape, self.integers("kernel_shape", ()))
        if not self.integer("ceil_mode", 0):
            return window
        beyond = [
            _beyond(size, kernel, stride, pads, dilation)
            for size, kernel, stride, pads, dilation in zip(
                image_size(shape), window.kernel, window.stride, window.padding, window.dilation, strict=True
            )
        ]
        if any(beyond) and self.integer("count_include_pad", 0):
            raise UnsupportedError(f"{self.label}: ceil_mode with count_include_pad")
        (above, below), (left, right) = window.padding
        return replace(window, padding=((above, below + beyond[0]), (left, right + beyond[1])))

    def _check_window(self, window: PoolWindow, shape: Shape) -> None:
        height, width = image_size(shape)
        try:
            outputs = int(np.prod(window.out_size(height, width)))
        except ConfigError as error:
            raise ConfigError(f"{self.label}: {error}") from None
        elements = outputs * window.size * shape[1]
        if elements > MAX_WINDOW_ELEMENTS or window.size > MAX_SIZE:
            raise ConfigError(f"{self.label}: {elements} window elements; allowed: {MAX_WINDOW_ELEMENTS}")

    def _padding(
        self, sizes: Shape, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
    ) -> tuple[Pair, ...]:
        mode = self.node.attributes.get("auto_pad", "NOTSET")
        spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            pairs = []
            for size, span, stride in zip(sizes, spans, strides, strict=True):
                total = max((-(-size // stride) - 1) * stride + span - size, 0)
                small, large = total // 2, total - total // 2
                pairs.append((small, large) if mode == "SAME_UPPER" else (large, small))
            return tuple(pairs)
        if mode not in ("NOTSET", "VALID"):
            raise ConfigError(
                f"{self.label}: auto_pad {str(mode)[:40]}; allowed: NOTSET, SAME_UPPER, SAME_LOWER, VALID"
            )
        count = len(sizes)
        pads = (0,) * (2 * count) if mode == "VALID" else self.integers("pads", (0,) * (2 * count))
        if len(pads) != 2 * count or not all(0 <= pad <= MAX_SIZE for pad in pads):
            raise ConfigError(f"{self.label}: pads {list(pads)}; allowed: {2 * count} sizes of 0 or more")
        return tuple(zip(pads[:count], pads[count:], strict=True))


def _beyond(size: int, kernel: int, stride: int, pads: Pair, dilation: int) -> int:
    """Return how far the last window that begins in the input, or in the padding before it, hangs over the padding."""
    span, padded = (kernel - 1) * dilation + 1, size + sum(pads)
    last = -(-(padded - span) // stride) * stride
    if last >= size + pads[0]:
        last -= stride
    return max(last + span - padded, 0)


def _pair(sizes: tuple[int, ...]) -> Pair:
    first, second = sizes
    return first, second


def image_size(shape: Shape) -> Pair:
    """Return (height, width) of (batch, channels, [height,] width)."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])
