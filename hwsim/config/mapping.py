"""The specification of the mapping: how layers are laid out in time, over cores and in the memories."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.config.base import Spec

SplitName = Literal["samples", "out_rows", "out_cols", "groups"]


class LayerMappingSpec(Spec):
    """How one matrix product is shared out and cut into tiles; what is left out is searched for."""

    split: Literal["auto", "none", "samples", "out_rows", "out_cols", "groups"] | None = Field(
        default=None,
        description="How cores share the product, if there are several; none: one core does all of it; null: as "
        "mapping.split says",
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
        "to layer where they fit; false: every layer reads them from DRAM, as it does with several cores unless these "
        "share all layers by samples",
    )
    split: Literal["auto", "samples", "out_rows", "out_cols", "groups"] = Field(
        default="auto",
        description="How cores share a matrix product, if there are several: by samples of a batch, each core's cut "
        "into folds by themselves; by output rows, output columns or groups of a grouped convolution, cut at whole "
        "folds; auto: whichever takes least by the objective, over fewer cores, or the whole network on one core or by "
        "samples, where that is estimated to take less time",
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
