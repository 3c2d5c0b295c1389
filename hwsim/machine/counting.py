"""Counts in closed form of what the array and the requantizer do for a product; memories count what they move."""

from __future__ import annotations

from hwsim.array.dataflows import rules
from hwsim.array.params import Dataflow, GemmShape
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.mapping.plan import ProductPlan


def array_counts(plan: ProductPlan) -> Counts:
    """Count the array's actions: stationary operands are loaded again for every tile of the stream."""
    region, tiling, counts = plan.region, plan.grid.tiling, Counts()
    row_step = tiling.tile_out_rows if plan.params.dataflow is Dataflow.WEIGHT_STATIONARY else region.rows
    col_step = tiling.tile_out_cols if plan.params.dataflow is Dataflow.INPUT_STATIONARY else region.cols
    for rows, row_tiles in _pieces(region.rows, row_step):
        for cols, col_tiles in _pieces(region.cols, col_step):
            shape = GemmShape(rows, plan.step.shape.depth, cols)
            counts.update(rules(plan.params.dataflow).counts(shape, plan.params).scaled(row_tiles * col_tiles))
    return counts.scaled(plan.groups)


def requantizer_counts(plan: ProductPlan, spec: ArchSpec) -> Counts:
    """Count what the requantizer does, with the accumulators that it reads."""
    step, counts = plan.step, Counts()
    outputs = plan.outputs
    if plan.params.dataflow is Dataflow.OUTPUT_STATIONARY:
        counts["accumulator_buffer", "write"] += outputs
    counts["accumulator_buffer", "read"] += outputs
    of_a_group = step.requantizer_counts(spec.requantizer.scheme, plan.region.rows, plan.region.cols)
    counts.update(of_a_group.scaled(plan.groups))
    return counts


def _pieces(size: int, step: int) -> list[tuple[int, int]]:
    full, rest = divmod(size, step)
    return [(one, count) for one, count in ((step, full), (rest, 1)) if one and count]
