"""What a run of the machine took, layer by layer, with its energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hwsim.config.arch import ArchSpec
from hwsim.energy.account import Account, EnergyContext
from hwsim.energy.table import EnergyTable
from hwsim.machine.machine import LayerRun
from hwsim.numerics.formats import IntArray
from hwsim.results.layer_result import CYCLE_PARTS, LayerResult, sparse_overflows
from hwsim.results.run_result import utilization


class ProductOverflow(Protocol):
    """Overflows of one matrix product, summed over samples."""

    @property
    def per_pe(self) -> IntArray:
        """Events by row and column, (rows + 1, cols); the last row is the accumulators under the array."""

    @property
    def events(self) -> int:
        """All events."""

    @property
    def preload(self) -> int:
        """Preloaded biases outside the accumulator."""


def layer_results(
    runs: Sequence[LayerRun], spec: ArchSpec, overflows: Mapping[str, ProductOverflow]
) -> tuple[LayerResult, ...]:
    """Return each layer's figures, with the overflows of its matrix product by the layer's name."""
    account = Account(EnergyTable.load(spec.energy_table), energy_context(spec))
    return tuple(_layer_result(one, spec, account, overflows.get(one.plan.name)) for one in runs)


def energy_context(spec: ArchSpec) -> EnergyContext:
    """Say what energy depends on besides counts."""
    pads, (weight_bits, activation_bits) = spec.scratchpads, operand_bits(spec)
    operand, accumulator = spec.array.float_formats or (None, None)
    return EnergyContext(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        accumulator_bits=accumulator_bits(spec),
        multiplier_bits=spec.requantizer.multiplier_bits,
        activation_scratchpad_bytes=pads.activations.capacity_bytes,
        weight_scratchpad_bytes=pads.weights.capacity_bytes,
        output_scratchpad_bytes=pads.outputs.capacity_bytes,
        lut_entries=spec.activation_lut.entries,
        lut_output_bits=spec.activation_lut.output_bits,
        decoder_entries=spec.quantization.largest_codebook,
        float_operand_bits=operand.significand_bits if operand else 0,
        float_accumulator_bits=accumulator.significand_bits if accumulator else 0,
    )


def operand_bits(spec: ArchSpec) -> tuple[int, int]:
    """Return the widths of a weight and an activation in the array."""
    if spec.array.float_formats is None:
        return spec.array.weight_bits, spec.array.activation_bits
    return (spec.array.float_formats[0].bits,) * 2


def accumulator_bits(spec: ArchSpec) -> int:
    """Return the accumulator's width."""
    return spec.array.accumulator_bits if spec.array.float_formats is None else spec.array.float_formats[1].bits


def _layer_result(one: LayerRun, spec: ArchSpec, account: Account, overflow: ProductOverflow | None) -> LayerResult:
    step = one.plan.step
    shape: dict[str, Any] = dict.fromkeys(("out_rows", "depth", "out_cols", "groups", "macs", "array_cycles"), 0)
    widths = operand_bits(spec)
    if step is not None:
        widths = step.weight_format.bits, step.activation_format.bits
        shape = {
            "out_rows": step.shape.out_rows,
            "depth": step.shape.depth,
            "out_cols": step.shape.out_cols,
            "groups": step.groups,
            "macs": one.plan.macs,
            "array_cycles": one.plan.array_cycles,
        }
    energy = account.entries(one.counts)
    return LayerResult(
        layer=one.plan.name,
        **shape,
        total_cycles=one.total_cycles,
        **{part: one.cycles[part.removesuffix("_cycles")] for part in CYCLE_PARTS},
        utilization=utilization(shape["macs"], spec.cores * spec.array.rows * spec.array.cols, one.total_cycles),
        energy_pj=sum(entry.energy_pj for entry in energy),
        overflow_events=overflow.events if overflow else 0,
        preload_overflow_events=overflow.preload if overflow else 0,
        weight_bits=widths[0],
        activation_bits=widths[1],
        accumulator_bits=accumulator_bits(spec),
        dram_row_hits=one.dram_row_hits,
        dram_row_misses=one.dram_row_misses,
        cores=len(one.plan.shares),
        split=one.plan.split,
        energy=tuple(energy),
        pe_overflows=sparse_overflows(overflow.per_pe) if overflow else (),
    )
