"""The specification of an architecture: array, units, memories, quantization. The defaults are edge16's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from hwsim.config.base import Conflict, ListInput, Name, SchemaVersion, Spec
from hwsim.config.mapping import MappingSpec
from hwsim.config.memories import AccumulatorBufferSpec, DramSpec, ScratchpadsSpec
from hwsim.config.quantization import QuantizationSpec
from hwsim.numerics.number_formats import FloatFormat, float_format

LARGEST_ACCUMULATOR_BITS = 63
LARGEST_DOUBLE_ROUNDING_BITS = 32
DOUBLE_ROUNDING_MULTIPLIER_BITS = 31


class ArraySpec(Spec):
    """The systolic array: its shape, its dataflow and the widths of its registers."""

    rows: int = Field(default=16, ge=1, le=1024, description="Rows of processing elements (PEs)")
    cols: int = Field(default=16, ge=1, le=1024, description="Columns of processing elements (PEs)")
    dataflow: Literal["output_stationary", "weight_stationary", "input_stationary"] = Field(
        default="output_stationary", description="Which operand stays in the PEs while the others flow"
    )
    fold_overlap: Literal["none", "drain", "full"] = Field(
        default="none",
        description="How consecutive folds overlap: none; drain (output_stationary only: shadow registers take "
        "the sums while the next fold computes); full (the next fold also loads and fills under this one)",
    )
    number_format: Literal["integer", "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"] = Field(
        default="integer",
        description="What the MACs compute with: integers, of the widths below, or floats, for which the network is "
        "not quantized and weight_bits, activation_bits, guard_bits, zero_point and wrap or saturate mean nothing",
    )
    accumulator_format: Literal["fp32", "fp16", "bf16"] | None = Field(
        default=None,
        description="What sums of floats are kept in; null: fp32, as tensor cores and TPUs do for all their operands",
    )
    weight_bits: int = Field(default=8, ge=2, le=16, description="Width of a weight operand, in bits")
    activation_bits: int = Field(default=8, ge=2, le=16, description="Width of an activation operand, in bits")
    guard_bits: int = Field(
        default=8,
        ge=-4,
        le=47,
        description="Accumulator bits beyond weight_bits + activation_bits; negative to show what breaks",
    )
    overflow: Literal["wrap", "saturate", "error"] = Field(
        default="saturate",
        description="What an add does whose result lies outside the accumulator; error stops the run",
    )
    zero_point: Literal["folded", "operand"] = Field(
        default="folded",
        description="Where zero points are subtracted: folded into the bias after the array, or from the "
        "operand that enters a PE (one more product bit per offset operand)",
    )

    @property
    def accumulator_bits(self) -> int:
        """Width of the signed accumulator, in bits: 2 to 63."""
        return self.weight_bits + self.activation_bits + self.guard_bits

    @property
    def float_formats(self) -> tuple[FloatFormat, FloatFormat] | None:
        """Formats of operands and of sums; None for integers."""
        if self.number_format == "integer":
            return None
        return float_format(self.number_format), float_format(self.accumulator_format or "fp32")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong between dataflow and overlap, with formats, and with the accumulator's width."""
        yield from self._format_conflicts()
        if self.fold_overlap == "drain" and self.dataflow != "output_stationary":
            text = f"drain needs dataflow output_stationary, not {self.dataflow}"
            yield Conflict(("fold_overlap",), text, others=(("dataflow",),))
        if not 2 <= self.accumulator_bits <= LARGEST_ACCUMULATOR_BITS:
            text = (
                f"weight_bits {self.weight_bits} + activation_bits {self.activation_bits} + guard_bits "
                f"{self.guard_bits} make an accumulator of {self.accumulator_bits} bits; "
                f"allowed: 2 to {LARGEST_ACCUMULATOR_BITS}"
            )
            yield Conflict(("guard_bits",), text, others=(("weight_bits",), ("activation_bits",)))

    def _format_conflicts(self) -> Iterator[Conflict]:
        others = (("number_format",),)
        if self.float_formats is None:
            if self.accumulator_format is not None:
                text = f"{self.accumulator_format} needs floats in number_format, not integer"
                yield Conflict(("accumulator_format",), text, others=others)
            return
        operand, accumulator = self.float_formats
        if accumulator.significand_bits < operand.significand_bits or accumulator.max < operand.max:
            text = f"{accumulator.name} does not hold every number of number_format {operand.name}"
            yield Conflict(("accumulator_format",), text, others=others)


class RequantizerSpec(Spec):
    """The units that scale accumulators to the output's width."""

    scheme: Literal["fixed_point", "power_of_two", "float"] = Field(
        default="fixed_point",
        description="How the scale is applied: integer multiplier and shift, shift alone, or float32 multiply",
    )
    rounding: Literal["single", "double", "floor", "half_even"] = Field(
        default="single",
        description="single: half up, once; double: gemmlowp's two steps (accumulators up to 32 bits, "
        "31 multiplier bits); floor; half_even. The float scheme always rounds half to even",
    )
    rounding_profile: Literal["tflm", "litert_reference", "litert_optimized", "xnnpack", "onnxruntime"] | None = Field(
        default=None,
        description="Whose kernels to follow bit by bit, instead of scheme, rounding and multiplier_bits; null: those "
        "three, tflm for a .tflite file, onnxruntime for an .onnx file that is quantized already",
    )
    multiplier_bits: int = Field(
        default=31, ge=8, le=32, description="Width of the fixed_point multiplier, in bits, without a sign"
    )
    lanes: int = Field(default=16, ge=1, le=4096, description="Values requantized in one cycle")
    pipeline_cycles: int = Field(default=4, ge=0, le=1024, description="Latency of the pipeline, in cycles")
    bias: Literal["requantizer", "preload"] = Field(
        default="requantizer",
        description="Where the bias is added: after the array, or as the value the accumulator starts with",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield why double rounding is not defined for this scheme or multiplier."""
        if self.rounding != "double":
            return
        if self.scheme == "float":
            text = "double needs scheme fixed_point or power_of_two, not float"
            yield Conflict(("rounding",), text, others=(("scheme",),))
        if self.scheme == "fixed_point" and self.multiplier_bits != DOUBLE_ROUNDING_MULTIPLIER_BITS:
            text = f"rounding double needs {DOUBLE_ROUNDING_MULTIPLIER_BITS} bits, not {self.multiplier_bits}"
            yield Conflict(("multiplier_bits",), text, others=(("rounding",), ("scheme",)))


WHOLE_LUT_RANGE = (-8.0, 8.0)
SMALLEST_SIGMOID_BITS = 8


class LutSpec(Spec):
    """The lookup table for activation functions such as sigmoid and tanh, those of LSTMs among them."""

    entries: int = Field(default=256, ge=2, le=65536, description="Number of table entries")
    input_range: Annotated[tuple[float, float], ListInput] = Field(
        default=WHOLE_LUT_RANGE, description="Lowest and highest real input that the table covers; low < high"
    )
    output_bits: int = Field(
        default=8,
        ge=2,
        le=16,
        description="Width of an entry, in bits; the gates of an LSTM have 16 and lose what an entry does not hold",
    )
    interpolation: Literal["none", "linear", "tflite_int16"] = Field(
        default="none",
        description="none: the nearest entry; linear: a line between neighbouring entries; tflite_int16: sigmoid and "
        "tanh by lines between entries of one table of the sigmoid over [0, 32/3), entries shifted so that the lines "
        "err equally to both sides (TensorFlow Lite's own has 256 entries of 16 bits; input_range stays [-8, 8])",
    )
    lanes: int = Field(default=16, ge=1, le=4096, description="Look-ups in one cycle")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield whether the input range is empty, and what the sigmoid's table cannot be."""
        low, high = self.input_range
        if low >= high:
            yield Conflict(("input_range",), f"the lower end {low:g} must be below the upper end {high:g}")
        if self.interpolation == "tflite_int16":
            yield from self._sigmoid_conflicts()

    def _sigmoid_conflicts(self) -> Iterator[Conflict]:
        low, high = self.input_range
        others = (("interpolation",),)
        if (low, high) != WHOLE_LUT_RANGE:
            text = f"[{low:g}, {high:g}] with interpolation tflite_int16, whose range is fixed; allowed: [-8, 8]"
            yield Conflict(("input_range",), text, others=others)
        if self.output_bits < SMALLEST_SIGMOID_BITS:
            text = f"{self.output_bits} with interpolation tflite_int16; allowed: {SMALLEST_SIGMOID_BITS} to 16"
            yield Conflict(("output_bits",), text, others=others)
        if self.entries < 4 or self.entries & (self.entries - 1) or self.entries >= 1 << self.output_bits:
            text = (
                f"{self.entries} with interpolation tflite_int16 and output_bits {self.output_bits}; "
                f"allowed: powers of two from 4 to {1 << (self.output_bits - 1)}"
            )
            yield Conflict(("entries",), text, others=(*others, ("output_bits",)))


class VectorUnitSpec(Spec):
    """The unit for everything that is no matrix product, requantization or look-up, such as pooling."""

    lanes: int = Field(default=16, ge=1, le=4096, description="Values processed in one cycle")


class ArchSpec(Spec):
    """One accelerator."""

    schema_version: SchemaVersion = Field(description="Version of this file's format: 1")
    name: Name = Field(default="unnamed", description="Name of the architecture in results")
    description: str = Field(default="", description="What the architecture is for")
    clock_hz: float = Field(default=500e6, gt=0, le=1e12, description="Clock frequency, in hertz")
    cores: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Cores that share a layer's work: each has an array, a requantizer, a lookup table, a vector unit, "
        "scratchpads and an accumulator buffer as below; they share the DRAM, through which alone they exchange data",
    )
    array: ArraySpec = Field(default=ArraySpec(), description="The systolic array")
    requantizer: RequantizerSpec = Field(default=RequantizerSpec(), description="The requantization units")
    activation_lut: LutSpec = Field(default=LutSpec(), description="The activation lookup table")
    vector_unit: VectorUnitSpec = Field(default=VectorUnitSpec(), description="The vector unit")
    scratchpads: ScratchpadsSpec = Field(default=ScratchpadsSpec(), description="The on-chip memories")
    accumulator_buffer: AccumulatorBufferSpec = Field(
        default=AccumulatorBufferSpec(), description="The accumulators under the array"
    )
    dram: DramSpec = Field(default=DramSpec(), description="The off-chip memory")
    mapping: MappingSpec = Field(default=MappingSpec(), description="How layers use the machine")
    quantization: QuantizationSpec = Field(
        default=QuantizationSpec(), description="How a network of real numbers is quantized"
    )
    energy_table: str = Field(default="horowitz_45nm", min_length=1, description="Name of the table of energies")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield where double rounding meets too wide an accumulator, modes without their MACs, and too wide layers."""
        bits = self.array.accumulator_bits
        if self.requantizer.rounding == "double" and bits > LARGEST_DOUBLE_ROUNDING_BITS:
            text = (
                f"double needs an accumulator of at most {LARGEST_DOUBLE_ROUNDING_BITS} bits, and "
                f"array.weight_bits + array.activation_bits + array.guard_bits make {bits}"
            )
            widths = tuple(("array", key) for key in ("weight_bits", "activation_bits", "guard_bits"))
            yield Conflict(("requantizer", "rounding"), text, others=widths)
        if self.quantization.mode == "weight_only" and self.array.float_formats is None:
            text = "weight_only needs floats in array.number_format, not integer"
            yield Conflict(("quantization", "mode"), text, others=(("array", "number_format"),))
        if self.quantization.mode == "dynamic" and self.array.float_formats is not None:
            text = f"dynamic needs integers in array.number_format, not {self.array.number_format}"
            yield Conflict(("quantization", "mode"), text, others=(("array", "number_format"),))
        for layer, own in self.quantization.layers.items():
            place = ("quantization", "layers", layer)
            yield from _width_conflicts((*place, "weight_bits"), own.weight_bits, self.array.weight_bits)
            yield from _width_conflicts((*place, "activation_bits"), own.activation_bits, self.array.activation_bits)


def _width_conflicts(path: tuple[str, ...], bits: int | None, array_bits: int) -> Iterator[Conflict]:
    """Yield why an operand does not fit the array; ``path`` is that of a layer's width."""
    if bits is not None and bits > array_bits:
        text = f"{bits} bits do not fit array.{path[-1]} {array_bits}; allowed: 2 to {array_bits}"
        yield Conflict(path, text, others=(("array", path[-1]),))
