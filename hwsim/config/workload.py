"""The specification of a workload in hwsim's own format: the layers of a network, beside a file of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from hwsim.config.base import Conflict, Identifier, ListInput, Name, SchemaVersion, Spec, refuse
from hwsim.config.wording import shown
from hwsim.errors import did_you_mean

Size = Annotated[int, Field(ge=1, le=65536)]
Pair = Annotated[tuple[Size, Size], ListInput]
Key = Annotated[str, Field(min_length=1, max_length=200)]
NETWORK_INPUT = "input"


class LayerSpec(Spec):
    """What every layer has."""

    name: Identifier = Field(
        description="Unique name of the layer, letters, digits and _; its arrays are found by this name"
    )
    inputs: Annotated[tuple[Identifier, ...], ListInput] | None = Field(
        default=None,
        description="Names of the layers whose outputs this one reads, or input for the network's own; null: the "
        "layer before",
    )

    reads: ClassVar[int] = 1
    """How many tensors the layer reads."""


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


class LstmSpec(LayerSpec):
    """A long short-term memory over (steps, inputs)."""

    type: Literal["lstm"] = Field(
        description="A long short-term memory over (steps, inputs), from states of 0; its arrays are input_weight "
        "(inputs, 4 units), recurrent_weight (units, 4 units) and bias (4 units), the gates side by side in the order "
        "input, forget, cell, output"
    )
    units: Size = Field(description="Number of cells")
    return_sequences: bool = Field(
        default=False, description="Whether the hidden states of all steps are the output, or the last one alone"
    )


def _stride_by_default(pool: dict[str, Any]) -> tuple[int, int]:
    height, width = pool["pool"]
    return height, width


class PoolSpec(LayerSpec):
    """Windows over (height, width, channels)."""

    pool: Pair = Field(description="Height and width of a window, in pixels")
    stride: Pair = Field(
        default_factory=_stride_by_default,
        description="Step down and to the right, in pixels; default: the size of the window",
    )
    padding: Literal["same", "valid"] = Field(
        default="valid",
        description="same: as many outputs as inputs, divided by the stride; valid: no padding",
    )


class MaxPool2dSpec(PoolSpec):
    """The largest value of each window."""

    type: Literal["max_pool2d"] = Field(description="The largest value of each window")


class AvgPool2dSpec(PoolSpec):
    """The mean of each window."""

    type: Literal["avg_pool2d"] = Field(description="The mean of each window")


class GlobalAvgPoolSpec(LayerSpec):
    """The mean of each channel."""

    type: Literal["global_avg_pool"] = Field(description="The mean of each channel of (height, width, channels)")


class AddSpec(LayerSpec):
    """The sum of two tensors, such as the two ways round a residual block."""

    type: Literal["add"] = Field(description="The sum of two tensors")

    reads: ClassVar[int] = 2


class MatmulSpec(LayerSpec):
    """The product of two activation tensors, head by head, as in attention."""

    type: Literal["matmul"] = Field(
        description="The product of two activations: (rows, heads x depth) by (depth, heads x columns)"
    )
    heads: Size = Field(default=1, description="Independent products: each takes its part of the last axis")
    transpose: bool = Field(
        default=False, description="Whether the second tensor is (columns, heads x depth), as keys in attention are"
    )
    scale: float = Field(
        default=1.0,
        gt=0,
        le=1e6,
        description="What the products are multiplied by, as part of their requantization: 1 over the square root of "
        "the depth in attention",
    )

    reads: ClassVar[int] = 2


class SoftmaxSpec(LayerSpec):
    """exp(x) over its sum along the last axis, or along equal parts of it."""

    type: Literal["softmax"] = Field(description="exp(x) over its sum along the last axis, or equal parts of it")
    heads: Size = Field(default=1, description="Equal parts of the last axis, each with a sum of its own")


class LayerNormSpec(LayerSpec):
    """Each row brought to mean 0 and variance 1, then scaled and shifted by channel."""

    type: Literal["layer_norm"] = Field(
        description="Each row normalized, then scaled and shifted by channel; its arrays are gamma and beta (channels)"
    )
    epsilon: float = Field(default=1e-5, gt=0, le=1, description="Added to the variance before its square root")


class GeluSpec(LayerSpec):
    """x times the normal distribution function of x."""

    type: Literal["gelu"] = Field(description="x times the normal distribution function of x")
    approximate: Literal["none", "tanh"] = Field(
        default="none",
        description="none: by the error function; tanh: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))",
    )


class TransposeSpec(LayerSpec):
    """The axes in another order."""

    type: Literal["transpose"] = Field(description="The axes in another order")
    order: Annotated[tuple[Annotated[int, Field(ge=0, le=3)], ...], ListInput, Field(min_length=1, max_length=4)] = (
        Field(description="For each axis of the output the axis of the input, from 0")
    )


class PositionEmbeddingSpec(LayerSpec):
    """A learned array that is added, so that rows at different places differ."""

    type: Literal["position_embedding"] = Field(
        description="A learned array of the input's shape that is added to it; its array is embedding"
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
    | LstmSpec
    | MaxPool2dSpec
    | FlattenSpec
    | ReluSpec
    | Relu6Spec
    | SigmoidSpec
    | TanhSpec
    | GeluSpec
    | BatchNormSpec
    | AvgPool2dSpec
    | GlobalAvgPoolSpec
    | AddSpec
    | MatmulSpec
    | SoftmaxSpec
    | LayerNormSpec
    | TransposeSpec
    | PositionEmbeddingSpec,
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
        if layer.name == NETWORK_INPUT:
            yield Conflict((index, "name"), f"{shown(NETWORK_INPUT)} is the name of the network's input")
        if layer.name in first:
            yield Conflict((index, "name"), f"{shown(layer.name)} is the name of layers[{first[layer.name]}] already")
        first.setdefault(layer.name, index)


class WorkloadSpec(Spec):
    """A network of real numbers and the arrays that hold its parameters and samples; without arrays, its shapes."""

    schema_version: SchemaVersion = Field(description="Version of this file's format: 1")
    name: Name = Field(default="unnamed", description="Name of the workload in results")
    description: str = Field(default="", description="What the workload is, and where it comes from")
    arrays: Annotated[Name, AfterValidator(_inside_folder)] | None = Field(
        default=None,
        description="Name of the .npz file with parameters and samples, inside this folder; null: there are only "
        "shapes, for time and energy",
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

    def conflicts(self) -> Iterator[Conflict]:
        """Yield layers that read what is not there, and what cannot be with or without arrays."""
        known = [NETWORK_INPUT]
        for index, layer in enumerate(self.layers):
            yield from _wrong_inputs(index, layer, known)
            known.append(layer.name)
        if self.arrays is None and self.data is not None:
            yield Conflict(("data",), "names arrays, and there is no file of arrays", others=(("arrays",),))


def _wrong_inputs(index: int, layer: AnyLayer, known: list[str]) -> Iterator[Conflict]:
    """Yield what is wrong with the inputs of a layer, after the layers ``known``."""
    count = 1 if layer.inputs is None else len(layer.inputs)
    if count != layer.reads:
        at = ("layers", index) if layer.inputs is None else ("layers", index, "inputs")
        yield Conflict(at, f"{layer.type} reads {layer.reads} tensors, got {count}; allowed: inputs: [layer, layer]")
    for place, name in enumerate(layer.inputs or ()):
        if name not in known:
            text = f"no layer before this one is called {shown(name)}; allowed: {NETWORK_INPUT}, or a layer before"
            text += did_you_mean(name, known)
            yield Conflict(("layers", index, "inputs", place), text)
