"""The specification of a workload in hwsim's own format: the layers of a network, beside a file of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from hwsim.config.base import Conflict, Identifier, ListInput, Name, SchemaVersion, Spec, refuse
from hwsim.config.wording import shown

Size = Annotated[int, Field(ge=1, le=65536)]
Pair = Annotated[tuple[Size, Size], ListInput]
Key = Annotated[str, Field(min_length=1, max_length=200)]


class LayerSpec(Spec):
    """What every layer has."""

    name: Identifier = Field(
        description="Unique name of the layer, letters, digits and _; its arrays are found by this name"
    )


class DenseSpec(LayerSpec):
    """A fully connected layer."""

    type: Literal["dense"] = Field(description="A fully connected layer")
    units: Size = Field(description="Number of outputs")
    bias: bool = Field(default=True, description="Whether a bias is added")


class Conv2dSpec(LayerSpec):
    """A two-dimensional convolution over (height, width, channels)."""

    type: Literal["conv2d"] = Field(description="A two-dimensional convolution")
    filters: Size = Field(description="Number of output channels")
    kernel: Pair = Field(description="Height and width of the kernel, in pixels")
    stride: Pair = Field(default=(1, 1), description="Step down and to the right, in pixels")
    padding: Literal["same", "valid"] = Field(
        default="valid",
        description="same: as many outputs as inputs, divided by the stride; valid: no padding",
    )
    groups: Size = Field(
        default=1,
        description="Groups of channels that are convolved on their own; as many as channels: depthwise",
    )
    bias: bool = Field(default=True, description="Whether a bias is added")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield whether the filters cannot be shared out among the groups."""
        if self.filters % self.groups:
            text = f"{self.filters} filters cannot be divided into {self.groups} equal groups"
            yield Conflict(("groups",), text, others=(("filters",),))


def _stride_by_default(pool: dict[str, Any]) -> tuple[int, int]:
    height, width = pool["pool"]
    return height, width


class MaxPool2dSpec(LayerSpec):
    """The largest value of each window."""

    type: Literal["max_pool2d"] = Field(description="The largest value of each window")
    pool: Pair = Field(description="Height and width of a window, in pixels")
    stride: Pair = Field(
        default_factory=_stride_by_default,
        description="Step down and to the right, in pixels; default: the size of the window",
    )


class FlattenSpec(LayerSpec):
    """All values of a sample in one row."""

    type: Literal["flatten"] = Field(description="All values of a sample in one row")


class ReluSpec(LayerSpec):
    """max(x, 0)."""

    type: Literal["relu"] = Field(description="max(x, 0)")


class Relu6Spec(LayerSpec):
    """min(max(x, 0), 6)."""

    type: Literal["relu6"] = Field(description="min(max(x, 0), 6)")


class SigmoidSpec(LayerSpec):
    """1 / (1 + exp(−x))."""

    type: Literal["sigmoid"] = Field(description="1 / (1 + exp(−x))")


class TanhSpec(LayerSpec):
    """The hyperbolic tangent."""

    type: Literal["tanh"] = Field(description="The hyperbolic tangent")


class BatchNormSpec(LayerSpec):
    """Each channel scaled and shifted by stored statistics."""

    type: Literal["batch_norm"] = Field(description="Each channel scaled and shifted by stored statistics")
    epsilon: float = Field(default=1e-5, gt=0, le=1, description="Added to the variance before its square root")


AnyLayer = Annotated[
    DenseSpec
    | Conv2dSpec
    | MaxPool2dSpec
    | FlattenSpec
    | ReluSpec
    | Relu6Spec
    | SigmoidSpec
    | TanhSpec
    | BatchNormSpec,
    Field(discriminator="type"),
]


class DataSpec(Spec):
    """Names of the arrays that are samples rather than parameters; the first axis is the sample."""

    calibration: Key = Field(description="Name of the array of samples from which ranges are found")
    inputs: Key = Field(description="Name of the array of samples to run")
    labels: Key | None = Field(default=None, description="Name of the array of class numbers of the inputs, or null")


def _inside_folder(name: str) -> str:
    """Return the name of a file that cannot lie outside the folder it is looked up in."""
    refuse(_outside(name))
    return name


def _outside(name: str) -> Iterable[Conflict]:
    windows = PureWindowsPath(name)  # takes both / and \ for separators
    is_absolute = PurePosixPath(name).is_absolute() or bool(windows.anchor)
    if is_absolute or ".." in windows.parts:
        yield Conflict((), f"must name a file inside the workload's folder, got {shown(name)}")


def _unique_names(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    refuse(_repeated_names(layers))
    return layers


def _repeated_names(layers: tuple[AnyLayer, ...]) -> Iterator[Conflict]:
    first: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if layer.name in first:
            yield Conflict((index, "name"), f"{shown(layer.name)} is the name of layers[{first[layer.name]}] already")
        first.setdefault(layer.name, index)


class WorkloadSpec(Spec):
    """A network of real numbers and the arrays that hold its parameters and samples."""

    schema_version: SchemaVersion = Field(description="Version of this file's format: 1")
    name: Name = Field(default="unnamed", description="Name of the workload in results")
    description: str = Field(default="", description="What the workload is, and where it comes from")
    arrays: Annotated[Name, AfterValidator(_inside_folder)] = Field(
        description="Name of the .npz file with parameters and samples, inside this folder"
    )
    input_shape: Annotated[tuple[Size, ...], ListInput] = Field(
        min_length=1,
        max_length=4,
        description="Shape of one sample, without the sample axis: e.g. [height, width, 1]",
    )
    layers: Annotated[tuple[AnyLayer, ...], ListInput, Field(min_length=1), AfterValidator(_unique_names)] = Field(
        description="The layers, in the order in which they run"
    )
    data: DataSpec | None = Field(default=None, description="Which arrays are samples; null: none")
