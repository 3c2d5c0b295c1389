"""How many guard bits each layer needs: on given samples, for its weights, and for its depth alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwsim.array.extremes import Extremes, partial_sum_extremes
from hwsim.array.params import ArrayParams
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.execute.integer import run_integer
from hwsim.metrics.guard_bits import accumulator_bits_needed, guard_bits_that_suffice
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.samples import Samples

AMPLE = IntFormat(63)
CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class LayerGuardBits:
    """What one matrix product asks of the accumulator, whose other bits are the array's two operand widths.

    ``data_guard_bits`` is exact: the fewest with which no add overflows on the samples, all layers before it being
    exact; with one less, adds do. ``weight_guard_bits`` suffices for these weights and all activations of their
    width, in every order of the adds, ``depth_guard_bits`` for all operands of their widths. Both are None where a
    preloaded bias is part of the sums, the first also where another activation takes the place of weights.
    """

    layer: str
    out_rows: int
    depth: int
    out_cols: int
    groups: int
    least_sum: int
    greatest_sum: int
    data_guard_bits: int
    weight_guard_bits: int | None
    depth_guard_bits: int | None


def guard_bits(spec: ArchSpec, chosen: Samples) -> list[LayerGuardBits]:
    """Return what each matrix product needs, in order.

    Raises:
        ConfigError: the workload has shapes alone or does not suit the architecture.
    """
    chosen.workload.network.check_values()
    compiled = compile_workload(spec, chosen.workload)
    operand_bits = spec.array.weight_bits + spec.array.activation_bits
    extremes = sums_of_layers(compiled, chosen)
    steps = [step for step in compiled.steps if isinstance(step, MatmulStep)]
    return [_layer(step, extremes[step.name], operand_bits) for step in steps]


def sums_of_layers(compiled: Compiled, chosen: Samples) -> dict[str, Extremes]:
    """Return the range of partial sums of each matrix product over the samples, no add overflowing."""
    products = [step for step in compiled.steps if isinstance(step, MatmulStep)]
    ample = {name: replace(params, accumulator=AMPLE, overflow="wrap") for name, params in compiled.params.items()}
    found = {step.name: Extremes() for step in products}
    for codes in _chunks(compiled, compiled.codes(chosen.inputs)):
        read = sorted({name for step in products for name in step.inputs})
        inputs = run_integer(compiled.steps, ample, codes, keep=read).values
        for step in products:
            for one, operands in _bound(step, [inputs[name] for name in step.inputs]):
                found[step.name] = found[step.name].widened(step_extremes(one, ample[step.name], operands))
    return found


def _bound(step: MatmulStep, codes: list[IntArray]) -> Iterator[tuple[MatmulStep, IntArray]]:
    """Yield a product by weights with all samples, or one by another activation with each of them."""
    if not isinstance(step, ActivationMatmulStep):
        yield step, codes[0]
        return
    for first, second in zip(*codes, strict=True):
        yield step.bind(second), first[np.newaxis]


def step_extremes(step: MatmulStep, params: ArrayParams, codes: IntArray) -> Extremes:
    """Return the range of the partial sums of one product for input codes (samples, elements)."""
    found = Extremes()
    for group in range(step.groups):
        operands = step.activation_operands(codes, group)
        stacked = operands.reshape(-1, operands.shape[2])
        start = step.bias[group] if step.bias_mode == "preload" else np.zeros(step.shape.out_cols, np.int64)
        initial = np.broadcast_to(start, (len(stacked), len(start)))
        found = found.widened(partial_sum_extremes(params, stacked, step.weight_operands(group), initial))
    return found


def _chunks(compiled: Compiled, codes: Mapping[str, IntArray]) -> Iterator[dict[str, IntArray]]:
    """Yield as many samples at a time as keep all tensors small."""
    network = compiled.network
    elements = sum(int(np.prod(network.tensors[name].shape)) for name in network.activations)
    size = max(1, CHUNK_ELEMENTS // elements)
    for first in range(0, len(next(iter(codes.values()))), size):
        yield {name: values[first : first + size] for name, values in codes.items()}


def _layer(step: MatmulStep, sums: Extremes, operand_bits: int) -> LayerGuardBits:
    bounds = [accumulator_bits_of_weights(step), _accumulator_bits_of_depth(step)]
    weight, depth = (None if bits is None else bits - operand_bits for bits in bounds)
    shape = step.shape
    return LayerGuardBits(
        step.name,
        shape.out_rows,
        shape.depth,
        shape.out_cols,
        step.groups,
        sums.least,
        sums.greatest,
        sums.bits - operand_bits,
        weight,
        depth,
    )


def accumulator_bits_of_weights(step: MatmulStep) -> int | None:
    """Return the bits that hold every sum of these weights in any order.

    None where a bias is preloaded, or an activation takes the weights' place.
    """
    if step.bias_mode == "preload" or isinstance(step, ActivationMatmulStep):
        return None
    offset = step.activation_zero_point if step.zero_point == "operand" else 0
    low, high = step.activation_format.min - offset, step.activation_format.max - offset
    return max(
        int(accumulator_bits_needed(step.weight_operands(group), low, high).max()) for group in range(step.groups)
    )


def _accumulator_bits_of_depth(step: MatmulStep) -> int | None:
    """Return the bits that hold every sum of so many products of such operands; None where a bias is preloaded."""
    if step.bias_mode == "preload":
        return None
    activations, weights = step.operand_formats
    guard = guard_bits_that_suffice(
        step.shape.depth,
        weights.bits,
        activations.bits,
        weights_signed=weights.signed,
        activations_signed=activations.signed,
    )
    return weights.bits + activations.bits + guard
