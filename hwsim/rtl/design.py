"""From an array's parameters to SystemVerilog: which modules, with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.engine import check_operands
from hwsim.array.folds import FoldTiming, tile_count
from hwsim.array.params import ArrayParams, Dataflow, GemmShape
from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import Lut
from hwsim.numerics.requantize import Requantizer
from hwsim.rtl.lanes import Lanes, build_lanes

SOURCES = Path(__file__).parent / "sv"
OVERLAPS = {"none": 0, "drain": 1, "full": 2}
TOP = "configured"


@dataclass(frozen=True, eq=False)
class Product:
    """One matrix product as the array sees it: an input-stationary one is its transpose, weight stationary.

    Args:
        params: output or weight stationary; ``overflow: error`` becomes ``wrap``, as a chip goes on.
        activations: (out_rows, depth), what moves right; weights: (depth, out_cols).
        transposed: the operands have changed roles, so that output channels are rows.
        lanes: the units behind the columns, if any.
    """

    params: ArrayParams
    activations: IntArray
    weights: IntArray
    transposed: bool
    lanes: Lanes | None = None

    @property
    def shape(self) -> GemmShape:
        """Sizes of the product."""
        return GemmShape(self.activations.shape[0], self.activations.shape[1], self.weights.shape[1])

    @property
    def output_stationary(self) -> bool:
        """Whether sums stay in the PEs."""
        return self.params.dataflow is Dataflow.OUTPUT_STATIONARY

    @property
    def length(self) -> int:
        """Operands that enter a row in one fold: depth, or the stream's length."""
        return self.shape.depth if self.output_stationary else self.shape.out_rows

    @property
    def outer_tiles(self) -> int:
        """Row tiles (output stationary) or column tiles."""
        shape, params = self.shape, self.params
        if self.output_stationary:
            return tile_count(shape.out_rows, params.rows)
        return tile_count(shape.out_cols, params.cols)

    @property
    def inner_tiles(self) -> int:
        """Column tiles (output stationary) or depth tiles."""
        shape, params = self.shape, self.params
        if self.output_stationary:
            return tile_count(shape.out_cols, params.cols)
        return tile_count(shape.depth, params.rows)

    @property
    def timing(self) -> FoldTiming:
        """Cycles of the folds."""
        return rules(self.params.dataflow).timing(self.shape, self.params)

    @property
    def total_cycles(self) -> int:
        """First operand to last output."""
        return self.timing.total_cycles(self.outer_tiles * self.inner_tiles)


def build_product(
    params: ArrayParams,
    activations: IntArray,
    weights: IntArray,
    requantizer: Requantizer | None = None,
    lut: Lut | None = None,
    bias: IntArray | None = None,
) -> Product:
    """Return the product that the RTL computes for (out_rows, depth) activations and (depth, out_cols) weights.

    ``bias`` (out_cols,) is added in front of the requantizer.

    Raises:
        ConfigError: operands that the array cannot hold, a requantizer that has no RTL, a table or a bias without
            a requantizer.
    """
    check_operands(params, activations, weights)
    if requantizer is None and (lut is not None or bias is not None):
        raise ConfigError("a table or a bias without a requantizer; both belong to the units behind it")
    lanes = None
    if requantizer is not None:
        channels = weights.shape[1]
        lanes = build_lanes(requantizer, lut, np.zeros(channels, np.int64) if bias is None else bias, channels)
    chip = _without_error(params)
    if params.dataflow is Dataflow.INPUT_STATIONARY:
        return Product(_without_error(params.transposed), weights.T, activations.T, True, lanes)
    return Product(chip, activations, weights, False, lanes)


def _without_error(params: ArrayParams) -> ArrayParams:
    return replace(params, overflow="wrap") if params.overflow == "error" else params


@dataclass(frozen=True)
class Design:
    """Everything that a simulator needs to build: parameters of the test bench and source texts by file name."""

    parameters: Mapping[str, int]
    sources: Mapping[str, str] = field(repr=False)

    @property
    def top(self) -> str:
        """The source of the module that sets the parameters."""
        values = ",\n".join(f"      .{name}({value})" for name, value in self.parameters.items())
        return (
            "// The test bench with the parameters of one design.\n"
            f"module {TOP} (\n    input wire clk\n);\n"
            f"  bench #(\n{values}\n  ) bench (\n      .clk(clk)\n  );\nendmodule\n"
        )

    def files(self) -> dict[str, str]:
        """Return all files of the design by name, the top among them."""
        return {**self.sources, f"{TOP}.sv": self.top}


def read_sources() -> dict[str, str]:
    """Return the text of each SystemVerilog module, and of Verilator's main program, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir()) if path.is_file()}


def build_design(product: Product, sources: Mapping[str, str] | None = None) -> Design:
    """Return the design that runs ``product``; ``sources`` replace those of this package."""
    return Design(_parameters(product), read_sources() if sources is None else sources)


def _parameters(product: Product) -> dict[str, int]:
    params = product.params
    words = image_words(product)
    values = {
        "DATAFLOW": int(not product.output_stationary),
        "ROWS": params.rows,
        "COLS": params.cols,
        **word_parameters(params),
        "OVERLAP": OVERLAPS[params.fold_overlap],
        "A_ADDRESS_BITS": address_bits(words["activations"]),
        "W_ADDRESS_BITS": address_bits(words["weights"]),
        "INDEX_BITS": address_bits(product.length),
    }
    if product.lanes is not None:
        values |= product.lanes.parameters
        values |= {"CHANNEL_BITS": address_bits(words["constants"]), "CHANNEL_IS_STREAM": int(product.transposed)}
    return values


def word_parameters(params: ArrayParams) -> dict[str, int]:
    """Return what every PE of an output- or weight-stationary array is told about its words."""
    return {
        "A_BITS": params.activations.bits,
        "A_SIGNED": int(params.activations.signed),
        "W_BITS": params.weights.bits,
        "W_SIGNED": int(params.weights.signed),
        "ACC_BITS": params.accumulator.bits,
        "SATURATE": int(params.overflow == "saturate"),
    }


def pe_parameters(params: ArrayParams) -> dict[str, int]:
    """Return the parameters of os_pe.sv or ws_pe.sv."""
    buffers = "SHADOW" if params.dataflow is Dataflow.OUTPUT_STATIONARY else "DOUBLE"
    return word_parameters(params) | {buffers: int(params.fold_overlap != "none")}


def image_words(product: Product) -> dict[str, int]:
    """Return how many addresses of each memory hold something."""
    folds = product.outer_tiles * product.inner_tiles
    if product.output_stationary:
        words = {
            "activations": product.outer_tiles * product.length,
            "weights": product.inner_tiles * product.length,
        }
    else:
        words = {"activations": product.inner_tiles * product.length, "weights": folds * product.params.rows}
    if product.lanes is None:
        return words | {"constants": 0, "table": 0}
    column_tiles = tile_count(product.shape.out_cols, product.params.cols)
    words["constants"] = product.shape.out_rows if product.transposed else column_tiles
    return words | {"table": product.lanes.table_words}


def address_bits(words: int) -> int:
    """Return the bits of an address of ``words`` places, at least 1."""
    return max((words - 1).bit_length(), 1)
