"""How the tensors of a network lie in an ONNX file: samples first, images with their channels before their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.network.network import Network
from hwsim.network.tensor import Shape

CHANNELS_FIRST = (2, 0, 1)
IMAGE_AXES = len(CHANNELS_FIRST)


@dataclass(frozen=True, slots=True)
class Layout:
    """One sample of a tensor: its ``shape`` as hwsim keeps it, and which of its axes is each axis in the file."""

    shape: Shape
    order: tuple[int, ...]

    @property
    def back(self) -> tuple[int, ...]:
        """Which axis in the file is each axis of ``shape``."""
        return tuple(int(axis) for axis in np.argsort(self.order))

    @property
    def in_file(self) -> Shape:
        """The sample's shape in the file."""
        return tuple(self.shape[axis] for axis in self.order)

    def axis_in_file(self, axis: int) -> int:
        """Return where an axis of ``shape`` is in the file, samples first."""
        return self.order.index(axis) + 1


def has_sample_axis(network: Network, shape: Shape) -> bool:
    """Tell whether a shape begins with the samples' axis."""
    return (network.holds_codes or network.has_batch_axis) and shape[:1] == (1,)


def layout_of(network: Network, name: str) -> Layout:
    """Return a tensor's layout: the user's file's where there is one, else images with channels first."""
    tensor = network.tensors[name]
    first = int(has_sample_axis(network, tensor.shape))
    shape = tensor.shape[first:]
    if tensor.order is not None:
        back = [int(axis) for axis in np.argsort(tensor.order)]
        return Layout(shape, tuple(axis - first for axis in back[first:]))
    return Layout(shape, CHANNELS_FIRST if len(shape) == IMAGE_AXES else tuple(range(len(shape))))
