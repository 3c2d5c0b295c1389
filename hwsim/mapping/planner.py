"""Plans layers for a machine: residency of operands in scratchpads, transfers in the order of the folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from hwsim.array.dataflows import rules
from hwsim.array.params import ArrayShape
from hwsim.config.arch import ScratchpadSpec, ScratchpadsSpec
from hwsim.errors import ConfigError
from hwsim.mapping.plan import GroupFold, LayerPlan, OperandPlan, ProductPlan, Transfer
from hwsim.network.gather import PADDING
from hwsim.network.steps import ElementwiseStep, MoveStep, ProductStep, Step

BITS_PER_BYTE = 8


def plan_network(
    steps: Sequence[Step],
    params: Mapping[str, ArrayShape],
    scratchpads: ScratchpadsSpec,
    *,
    bits: Mapping[str, int],
    outputs: Collection[str],
) -> tuple[LayerPlan, ...]:
    """Return the layers in order; a layer is a matrix product, or another step, with the steps fused after it.

    A step is fused if its one input is what the layer has computed so far and nothing else wants that tensor: then
    it stays in the scratchpad, and never goes to DRAM.

    Args:
        steps: the lowered network, each step after those whose outputs it reads.
        params: the array of each matrix product, by step name.
        scratchpads: capacities.
        bits: size of every activation tensor.
        outputs: of the network, to be found in DRAM at the end.

    Raises:
        ConfigError: one line for each operand that does not fit its scratchpad, with demand, capacity and levers.
    """
    layers: list[LayerPlan] = []
    problems: list[str] = []
    homes = _homes(steps)
    for head, after in _chains(steps, homes, outputs):
        product, others = (head, after) if isinstance(head, ProductStep) else (None, [head, *after])
        try:
            layer = LayerPlan(
                name=head.name,
                product=plan_product(product, params[product.name], scratchpads) if product else None,
                after=tuple(step for step in others if isinstance(step, ElementwiseStep)),
                inputs=tuple(homes[name] for name in head.inputs),
                output=after[-1].output if after else head.output,
                bits=bits,
            )
            _check_outputs(layer, scratchpads.outputs)
            layers.append(layer)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(layers)


def _homes(steps: Sequence[Step]) -> dict[str, str]:
    """Return for every tensor the one in whose place it lies: another where steps only give it another shape."""
    homes: dict[str, str] = {}
    for step in steps:
        for name in step.inputs:
            homes.setdefault(name, name)
        homes[step.output] = homes[step.inputs[0]] if isinstance(step, MoveStep) else step.output
    return homes


def _chains(
    steps: Sequence[Step], homes: Mapping[str, str], outputs: Collection[str]
) -> list[tuple[Step, list[ElementwiseStep]]]:
    """Return each layer's first step with those fused after it; a mere change of shape makes no layer."""
    working = [step for step in steps if not isinstance(step, MoveStep)]
    wanted = Counter(homes[name] for step in working for name in dict.fromkeys(step.inputs))
    wanted.update(homes[name] for name in outputs)
    chains: list[tuple[Step, list[ElementwiseStep]]] = []
    ends: dict[str, list[ElementwiseStep]] = {}
    for step in working:
        source = homes[step.inputs[0]]
        is_fused = isinstance(step, ElementwiseStep) and len(step.inputs) == 1 and wanted[source] == 1
        if is_fused and source in ends:
            assert isinstance(step, ElementwiseStep)  # noqa: S101  (see above)
            after = ends.pop(source)
            after.append(step)
        else:
            after = []
            chains.append((step, after))
        ends[step.output] = after
    return chains


def plan_product(step: ProductStep, params: ArrayShape, scratchpads: ScratchpadsSpec) -> ProductPlan:
    """Cut a matrix product into folds and choose how its operands reach the array.

    Raises:
        ConfigError: one line for each operand whose slice for one fold does not fit a slot of its scratchpad.
    """
    dataflow = rules(params.dataflow)
    in_group = list(dataflow.folds(step.shape, params))
    folds = tuple(GroupFold(group, fold, fold is in_group[-1]) for group in range(step.groups) for fold in in_group)
    activations = _Operand("activations", step.name, scratchpads.activations, step.activation_format.bits)
    weights = _Operand("weights", step.name, scratchpads.weights, step.weight_memory_bits)
    plans: list[OperandPlan] = []
    problems: list[str] = []
    for operand, uses in ((activations, _activation_uses(step, folds)), (weights, _weight_uses(step, folds))):
        try:
            plans.append(operand.plan(*uses))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return ProductPlan(step, params, dataflow.timing(step.shape, params), folds, *plans)


class _Operand:
    """One operand of a product and the scratchpad that holds it."""

    def __init__(self, name: str, layer: str, scratchpad: ScratchpadSpec, bits: int) -> None:
        self._name, self._layer, self._scratchpad, self._bits = name, layer, scratchpad, bits

    def plan(self, uses: list[tuple[Any, Any, int]], elements: int, reads: list[int]) -> OperandPlan:
        """Keep the whole operand if it fits, else stream it slice by slice.

        Args:
            uses: for each fold a key of its slice, the slice's place in the tensor, its number of elements.
            elements: of the whole operand.
            reads: elements that each fold reads from the scratchpad.
        """
        read_bits = tuple(count * self._bits for count in reads)
        capacity_bits = self._scratchpad.capacity_bytes * BITS_PER_BYTE
        if elements * self._bits <= capacity_bits:
            return OperandPlan(tuple(self._resident(uses, elements)), None, read_bits)
        slots = 2 if self._scratchpad.double_buffered else 1
        demand = max(count for _, _, count in uses) * self._bits
        if demand > capacity_bits // slots:
            raise ConfigError(self._too_large(demand, slots))
        return OperandPlan(tuple(self._streamed(uses)), slots, read_bits)

    def _resident(self, uses: list[tuple[Any, Any, int]], elements: int) -> Iterator[Transfer]:
        """Bring each element with the first fold that reads it."""
        last = len(uses) - 1
        seen: set[Any] = set()
        arrived = np.zeros(elements, np.bool_)
        for number, (key, place, count) in enumerate(uses):
            if key in seen:
                continue
            seen.add(key)
            if isinstance(place, np.ndarray):  # slices of activations share elements where windows overlap
                fresh = place[~arrived[place]]
                arrived[fresh] = True
                if fresh.size:
                    yield Transfer(fresh, fresh.size * self._bits, number, last)
            else:
                yield Transfer(place, count * self._bits, number, last)

    def _streamed(self, uses: list[tuple[Any, Any, int]]) -> Iterator[Transfer]:
        """Bring a slice whenever it is another one than the fold before read."""
        for _, run in groupby(enumerate(uses), key=lambda use: use[1][0]):
            folds = list(run)
            first, (_, place, count) = folds[0]
            yield Transfer(place, count * self._bits, first, folds[-1][0])

    def _too_large(self, demand_bits: int, slots: int) -> str:
        half = "half of it, as it is double-buffered" if slots == 2 else "all of it"
        return (
            f"layer {self._layer}: one fold's {self._name} need {-(-demand_bits // BITS_PER_BYTE)} bytes; the "
            f"scratchpad for {self._name} has {self._scratchpad.capacity_bytes} ({half}); levers: "
            f"scratchpads.{self._name}.capacity_bytes, fewer bits, another dataflow, fewer rows or columns"
        )


def _activation_uses(
    step: ProductStep, folds: Sequence[GroupFold]
) -> tuple[list[tuple[Any, Any, int]], int, list[int]]:
    """Return for each fold (key, distinct input elements, their number); the input's size; elements read."""
    known: dict[Any, np.ndarray] = {}
    uses, reads = [], []
    for one in folds:
        key = (one.group, one.fold.out_rows.start, one.fold.depth.start)
        window = step.gather.indices(one.group, one.fold.out_rows, one.fold.depth)
        if key not in known:
            distinct = np.unique(window)
            known[key] = distinct[distinct != PADDING]
        uses.append((key, known[key], known[key].size))
        reads.append(window.size)
    return uses, max(int(place.max(initial=-1)) for place in known.values()) + 1, reads


def _weight_uses(step: ProductStep, folds: Sequence[GroupFold]) -> tuple[list[tuple[Any, Any, int]], int, list[int]]:
    """Return for each fold (key, slice of (groups, depth, out_cols), elements); the tensor's size; elements read."""
    uses, reads = [], []
    for one in folds:
        place = (one.group, one.fold.depth, one.fold.out_cols)
        count = _length(one.fold.depth) * _length(one.fold.out_cols)
        uses.append(((one.group, one.fold.depth.start, one.fold.out_cols.start), place, count))
        reads.append(count)
    return uses, step.weights.size, reads


def _length(piece: slice) -> int:
    return int(piece.stop - piece.start)


def _check_outputs(layer: LayerPlan, scratchpad: ScratchpadSpec) -> None:
    """Refuse outputs that do not fit: all of them where later steps wait for them, else one block at a time.

    Raises:
        ConfigError: they do not; names demand, capacity and levers.
    """
    sizes = [layer.bits[step.output] for step in layer.after]
    slots, what = 1, "its outputs need"
    if layer.product is not None and layer.after:
        sizes.append(layer.bits[layer.product.step.output])
    elif layer.product is None:
        sizes.append(layer.input_bits)
    else:
        width = layer.product.step.output_format.bits
        sizes = [one.fold.outputs * width for one in layer.product.folds]
        slots, what = (2 if scratchpad.double_buffered else 1), "the outputs of one fold need"
    demand = -(-max(sizes, default=0) // BITS_PER_BYTE)
    if demand > scratchpad.capacity_bytes // slots:
        half = "half of it, as it is double-buffered" if slots == 2 else "all of it"
        raise ConfigError(
            f"layer {layer.name}: {what} {demand} bytes; the scratchpad for outputs has "
            f"{scratchpad.capacity_bytes} ({half}); levers: scratchpads.outputs.capacity_bytes, fewer bits, "
            "another dataflow"
        )
