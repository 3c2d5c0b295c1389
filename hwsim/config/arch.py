"""The specification of an architecture: array, units, memories, quantization. The defaults are edge16's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from hwsim.config.base import Conflict, ListInput, Name, SchemaVersion, Spec
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


class ScratchpadSpec(Spec):
    """One on-chip memory between DRAM and the array."""

    capacity_bytes: int = Field(default=65536, ge=1, le=2**40, description="Size, in bytes")
    bytes_per_cycle: int = Field(default=16, ge=1, le=65536, description="Bandwidth, in bytes per cycle")
    double_buffered: bool = Field(
        default=True,
        description="Whether one half is filled while the other is used; each half has half the size",
    )
    ports: Literal[1, 2] = Field(
        default=2,
        description="2: the array's side has a port of its own, and so has the side that fills and drains; 1: both "
        "take turns, except where they touch different banks",
    )
    banks: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Independent parts of equal size, each of which moves a word per cycle and port; with twice as "
        "many as bytes_per_cycle needs, the halves of a double-buffered scratchpad lie in different banks",
    )
    word_bytes: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="What one access of a bank moves, in bytes: whole words take time and energy; null: accesses of "
        "any number of bits",
    )

    @property
    def words_per_cycle(self) -> int:
        """Accesses, of different banks, that bytes_per_cycle takes."""
        return 1 if self.word_bytes is None else self.bytes_per_cycle // self.word_bytes

    @property
    def halves_are_apart(self) -> bool:
        """Whether each half of a double-buffered scratchpad has banks enough of its own."""
        return self.double_buffered and self.banks >= 2 * self.words_per_cycle

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what banks and words do not divide, and bandwidth that they do not have."""
        if self.capacity_bytes % self.banks:
            text = f"{self.banks} banks do not divide capacity_bytes {self.capacity_bytes} evenly"
            yield Conflict(("banks",), text, others=(("capacity_bytes",),))
        if self.word_bytes is None:
            return
        bank_bytes = self.capacity_bytes // self.banks
        if bank_bytes % self.word_bytes:
            text = f"a bank of {bank_bytes} bytes does not hold a whole number of words of {self.word_bytes} bytes"
            yield Conflict(("word_bytes",), text, others=(("capacity_bytes",), ("banks",)))
        if self.bytes_per_cycle % self.word_bytes:
            text = f"{self.bytes_per_cycle} is no multiple of word_bytes {self.word_bytes}"
            yield Conflict(("bytes_per_cycle",), text, others=(("word_bytes",),))
        elif self.banks < self.words_per_cycle:
            text = (
                f"{self.bytes_per_cycle} bytes per cycle are {self.words_per_cycle} words from as many banks; there "
                f"are {self.banks}"
            )
            yield Conflict(("bytes_per_cycle",), text, others=(("word_bytes",), ("banks",)))


class ScratchpadsSpec(Spec):
    """The three on-chip memories."""

    activations: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's inputs")
    weights: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's weights")
    outputs: ScratchpadSpec = Field(default=ScratchpadSpec(), description="Holds the layer's outputs")


class AccumulatorBufferSpec(Spec):
    """The memory under a weight- or input-stationary array, which holds sums between depth tiles."""

    capacity_bytes: int = Field(
        default=65536,
        ge=1,
        le=2**40,
        description="Size, in bytes; it limits how many results stream past the stationary operand in one tile",
    )


class DramSpec(Spec):
    """The off-chip memory; by default its time is bandwidth and latency alone."""

    type: Name = Field(
        default="lpddr4",
        description="Kind of DRAM: a name for reports; it sets no other key, and its energy is the energy table's",
    )
    bytes_per_cycle: int = Field(
        default=8,
        ge=1,
        le=65536,
        description="Bandwidth of all channels together, in bytes per cycle of the accelerator's clock",
    )
    latency_cycles: int = Field(
        default=100, ge=0, le=1_000_000, description="From a request to its first byte, in cycles"
    )
    channels: int = Field(default=1, ge=1, le=64, description="Channels that work at the same time")
    interleave_bytes: int = Field(
        default=256, ge=1, le=2**30, description="Consecutive bytes on one channel, before the next one's turn"
    )
    burst_bytes: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Smallest amount that is moved, at a multiple of itself, in bytes; 32 for LPDDR4",
    )
    banks: int = Field(default=8, ge=1, le=256, description="Banks of a channel, each with a row buffer")
    row_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**20,
        description="Size of a bank's row, in bytes; 2048 for LPDDR4; null: rows cost no time and are not counted",
    )
    row_miss_cycles: int = Field(
        default=18,
        ge=0,
        le=100_000,
        description="To close a row and open another, in cycles (tRP + tRCD; 36 ns for LPDDR4)",
    )
    capacity_bytes: int = Field(
        default=2**32, ge=1, le=2**50, description="Size, in bytes: all weights and what does not stay on the chip"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield sizes that a burst would cross the edge of."""
        sizes = (("interleave_bytes", self.interleave_bytes), ("row_bytes", self.row_bytes))
        for name, size in sizes:
            if size is not None and size % self.burst_bytes:
                text = f"{size} is no multiple of burst_bytes {self.burst_bytes}"
                yield Conflict((name,), text, others=(("burst_bytes",),))


SplitName = Literal["out_rows", "out_cols", "groups"]


class LayerMappingSpec(Spec):
    """How one matrix product is shared out and cut into tiles; what is left out is searched for."""

    split: Literal["auto", "out_rows", "out_cols", "groups"] | None = Field(
        default=None, description="How cores share the product, if there are several; null: as mapping.split says"
    )
    loop_order: Literal["rows_outer", "cols_outer"] | None = Field(
        default=None,
        description="Which tiles change slowly: those of output rows, or of output columns; null: searched",
    )
    tile_out_rows: int | None = Field(default=None, ge=1, description="Output rows of a tile; null: searched")
    tile_out_cols: int | None = Field(default=None, ge=1, description="Output columns of a tile; null: searched")
    tile_depth: int | None = Field(
        default=None,
        ge=1,
        description="Terms of the sum in a tile (sums never leave the chip; output stationary: in tiles of one fold); "
        "null: searched, for output stationary only where nothing else fits",
    )


class MappingSpec(Spec):
    """How layers are laid out in time and in the memories."""

    objective: Literal["time", "dram_traffic"] = Field(
        default="time", description="What tiles are chosen for: least time, or least DRAM traffic"
    )
    keep_on_chip: bool = Field(
        default=True,
        description="Whether activations, and weights that several layers read, stay in their scratchpads from layer "
        "to layer where they fit; false: every layer reads them from DRAM, as it always does with several cores",
    )
    split: Literal["auto", "out_rows", "out_cols", "groups"] = Field(
        default="auto",
        description="How cores share a matrix product, if there are several: by output rows, output columns or groups "
        "of a grouped convolution, cut at whole folds; auto: whichever takes "
        "least by the objective, over fewer cores where that is estimated to take less time",
    )
    layer_overlap: Literal["none", "weights"] = Field(
        default="none",
        description="What comes for the next layer while one runs: none; weights (as soon as the running layer's have "
        "come, as far as the weight scratchpad has room; transfers of both pass the DRAM in the order in which they "
        "come, so that the running layer's may be delayed)",
    )
    batch: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Samples that pass the machine together, layer by layer, each weight brought once for all; layers, "
        "cycles and latency are then those of the whole batch, energy and MACs in all still those of one inference",
    )
    layers: dict[str, LayerMappingSpec] = Field(
        default_factory=dict, description="Loop order and tile sizes of single layers, by name"
    )


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
