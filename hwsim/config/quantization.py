"""The specification of quantization: how a network of real numbers becomes one of integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from hwsim.config.base import Conflict, ListInput, Spec
from hwsim.config.parts import Part, part_conflicts
from hwsim.registry import CALIBRATORS, REPAIRS

AnySpec = TypeVar("AnySpec", bound=Spec)

Granularity = Literal["per_tensor", "per_channel", "per_group"]
ScaleKind = Literal["free", "power_of_two"]

DEFAULT_GROUP_SIZE = 32


class WeightQuantizationSpec(Spec):
    """How real weights become integers of ``array.weight_bits``."""

    symmetric: bool = Field(default=True, description="Whether the zero point is 0")
    granularity: Granularity = Field(
        default="per_channel",
        description="One scale for the whole tensor, one for each output channel, or one for each group of depth terms "
        "of each output channel, whose sums leave the array group by group and are rescaled on the vector unit",
    )
    group_size: int = Field(
        default=DEFAULT_GROUP_SIZE, ge=1, le=65536, description="Depth terms of a group, with per_group"
    )
    signed: bool = Field(default=True, description="Whether the integers are signed")
    narrow_range: bool | None = Field(
        default=None,
        description="Whether one integer is left unused: the most negative one (-127 to 127), or the greatest where "
        "they are unsigned; null: true for symmetric signed weights, otherwise false",
    )
    scale: ScaleKind = Field(
        default="free",
        description="Whether a scale is any number, or the least power of two that covers the range",
    )
    calibrator: Part = Field(
        default="min_max",
        description="How the range of a weight is found; a registered name, or a mapping with name and options",
    )

    codebook_entries: int | None = Field(
        default=None,
        ge=2,
        le=256,
        description="Entries of a table of weights that k-means finds, one table as far as a scale goes; memory holds "
        "indices, a decoder before the array makes integers of them; null: no table",
    )

    @property
    def is_narrow(self) -> bool:
        """Whether one integer is left unused."""
        return self.symmetric and self.signed if self.narrow_range is None else self.narrow_range

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with the calibrator."""
        yield from part_conflicts(CALIBRATORS, ("calibrator",), self.calibrator)


class ActivationQuantizationSpec(Spec):
    """How real activations become integers of ``array.activation_bits``."""

    symmetric: bool = Field(default=False, description="Whether the zero point is 0")
    signed: bool = Field(default=True, description="Whether the integers are signed")
    narrow_range: bool = Field(
        default=False,
        description="Whether one integer is left unused: the most negative one, or the greatest of unsigned ones",
    )
    scale: ScaleKind = Field(
        default="free",
        description="Whether a scale is any number, or the least power of two that covers the range",
    )


class LayerWeightsSpec(Spec):
    """What one layer's weights have of their own; null: as in ``quantization.weights``."""

    symmetric: bool | None = Field(default=None, description="Whether the zero point is 0")
    granularity: Granularity | None = Field(default=None, description="How far a scale goes")
    group_size: int | None = Field(default=None, ge=1, le=65536, description="Depth terms of a group")
    signed: bool | None = Field(default=None, description="Whether the integers are signed")
    narrow_range: bool | None = Field(default=None, description="Whether one integer is left unused")
    scale: ScaleKind | None = Field(default=None, description="Any number, or a power of two")
    calibrator: Part | None = Field(default=None, description="How the range is found")
    codebook_entries: int | None = Field(default=None, ge=2, le=256, description="Entries of a table of weights")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with the calibrator."""
        if self.calibrator is not None:
            yield from part_conflicts(CALIBRATORS, ("calibrator",), self.calibrator)


class LayerActivationsSpec(Spec):
    """What the activations that one layer reads have of their own; null: as in ``quantization.activations``."""

    symmetric: bool | None = Field(default=None, description="Whether the zero point is 0")
    signed: bool | None = Field(default=None, description="Whether the integers are signed")
    narrow_range: bool | None = Field(default=None, description="Whether one integer is left unused")
    scale: ScaleKind | None = Field(default=None, description="Any number, or a power of two")
    calibrator: Part | None = Field(default=None, description="How the range is found; null: quantization.calibrator")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with the calibrator."""
        if self.calibrator is not None:
            yield from part_conflicts(CALIBRATORS, ("calibrator",), self.calibrator)


class LayerQuantizationSpec(Spec):
    """What one layer has of its own."""

    weights: LayerWeightsSpec = Field(default=LayerWeightsSpec(), description="Its weights")
    activations: LayerActivationsSpec = Field(
        default=LayerActivationsSpec(), description="The activations that it reads"
    )
    weight_bits: int | None = Field(
        default=None, ge=2, le=16, description="Width of its weights, in bits; null: array.weight_bits"
    )
    activation_bits: int | None = Field(
        default=None, ge=2, le=16, description="Width of the activations it reads, in bits; null: array.activation_bits"
    )


class QuantizationSpec(Spec):
    """How a network of real numbers becomes one of integers; one that is quantized already keeps its own."""

    mode: Literal["static", "dynamic", "weight_only"] = Field(
        default="static",
        description="static: codes of weights and activations, ranges found beforehand; dynamic: ranges of activations "
        "found at run time (their calibrators mean nothing), tensors between layers are reals; weight_only: codes of "
        "weights in memory, which a decoder before an array of floats turns into numbers (activations are floats, and "
        "their settings mean nothing)",
    )
    weights: WeightQuantizationSpec = Field(default=WeightQuantizationSpec(), description="Weights")
    activations: ActivationQuantizationSpec = Field(
        default=ActivationQuantizationSpec(), description="Activations, always one scale per tensor"
    )
    calibrator: Part = Field(
        default="min_max",
        description="How the range of an activation is found from samples; a registered name, or a mapping with name "
        "and options",
    )
    repairs: Annotated[tuple[Part, ...], ListInput] = Field(
        default=(),
        description="What is done about the error of quantization, in this order; registered names, or mappings with "
        "name and options",
    )
    layers: dict[str, LayerQuantizationSpec] = Field(
        default_factory=dict, description="What single layers have of their own, by the layer's name"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with calibrator and repairs, and sizes of groups where there are no groups."""
        yield from part_conflicts(CALIBRATORS, ("calibrator",), self.calibrator)
        for index, repair in enumerate(self.repairs):
            yield from part_conflicts(REPAIRS, ("repairs", index), repair)
        yield from self._group_conflicts()

    def _group_conflicts(self) -> Iterator[Conflict]:
        """Yield each ``group_size`` that nothing reads; the default beside another granularity says nothing."""
        grouped = {layer for layer in self.layers if self.weights_of(layer).granularity == "per_group"}
        general = self.weights.granularity
        if self.weights.group_size != DEFAULT_GROUP_SIZE and general != "per_group" and not grouped:
            yield _groupless(("weights",), self.weights.group_size, general)
        for layer, own in self.layers.items():
            if own.weights.group_size is not None and layer not in grouped:
                yield _groupless(
                    ("layers", layer, "weights"), own.weights.group_size, self.weights_of(layer).granularity
                )

    @property
    def largest_codebook(self) -> int:
        """Entries of the largest table of weights; 0: there is none."""
        entries = [self.weights.codebook_entries, *(own.weights.codebook_entries for own in self.layers.values())]
        return max(count or 0 for count in entries)

    def of_layer(self, layer: str) -> LayerQuantizationSpec:
        """Return what a layer has of its own."""
        return self.layers.get(layer, LayerQuantizationSpec())

    def weights_of(self, layer: str) -> WeightQuantizationSpec:
        """Return how a layer's weights are quantized."""
        return _merged(self.weights, self.of_layer(layer).weights.model_dump(exclude_none=True))

    def activations_of(self, layer: str) -> ActivationQuantizationSpec:
        """Return how the activations that a layer reads are quantized."""
        own = self.of_layer(layer).activations.model_dump(exclude_none=True, exclude={"calibrator"})
        return _merged(self.activations, own)

    def calibrator_of(self, layer: str) -> Part:
        """Return what finds the ranges of the activations that a layer reads."""
        own = self.of_layer(layer).activations.calibrator
        return self.calibrator if own is None else own


def _groupless(weights: tuple[str, ...], group_size: int, granularity: Granularity) -> Conflict:
    text = f"{group_size} needs granularity per_group, not {granularity}"
    return Conflict((*weights, "group_size"), text, others=((*weights, "granularity"),))


def _merged(general: AnySpec, own: dict[str, Any]) -> AnySpec:
    return general.model_copy(update=own)
