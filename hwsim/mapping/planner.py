"""Plans a network for a machine: what stays on the chip, how each product is cut into tiles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from hwsim.array.params import ArrayShape
from hwsim.config.arch import ArchSpec
from hwsim.config.memories import ScratchpadSpec
from hwsim.errors import ConfigError, did_you_mean
from hwsim.mapping.chains import Chain, Choice, chain_steps, stored_names
from hwsim.mapping.cores import GAIN, SPLITS, Sharer, Sharing, even_shares, useless_split, ways_in_common
from hwsim.mapping.plan import LayerPlan, Share, output_shares
from hwsim.mapping.problems import grouped
from hwsim.mapping.residency import Candidate, Kept, choose_kept
from hwsim.mapping.schedule import Estimate
from hwsim.mapping.space import BITS_PER_BYTE, Memory, Space
from hwsim.mapping.tiles import fold_axes
from hwsim.network.steps import ProductStep, Step


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSteps:
    """A lowered network to be planned.

    ``params`` is the array of each product by step name, ``bits`` the size of every activation tensor; ``outputs``
    are wanted in DRAM at the end.
    """

    steps: Sequence[Step]
    params: Mapping[str, ArrayShape]
    bits: Mapping[str, int]
    outputs: Collection[str]


def plan_network(network: NetworkSteps, spec: ArchSpec) -> tuple[LayerPlan, ...]:
    """Return the layers in order.

    Raises:
        ConfigError: one line for each operand that does not fit its memory, with demand, capacity and levers, and for
            each layer that ``mapping.layers`` names and the network does not have.
    """
    chains = chain_steps(
        network.steps,
        outputs=network.outputs,
        bits=network.bits,
        capacity_bits=spec.cores * spec.scratchpads.outputs.capacity_bytes * BITS_PER_BYTE,
    )
    planner = _planner(chains, network, spec)
    problems = [*planner.unknown_layers(), *planner.too_large_for_dram(), *planner.idle_cores()]
    layers = []
    for number in range(planner.count):
        try:
            layers.append(planner.layer(number))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(grouped(problems))
    return tuple(layers)


def _planner(chains: Sequence[Chain], network: NetworkSteps, spec: ArchSpec) -> _Planner:
    """Return the planner of the layers as they are cut for cores, shared out each for itself or all in one way.

    Where all are shared in one way, tensors can stay on the chip. Several cores must save more than estimates err by.
    """
    if spec.cores == 1:
        return _Planner(chains, network, spec)
    ways = (*ways_in_common(chains, spec), None)
    planners = [_cut_for_cores(_Planner(chains, network, spec, way)) for way in ways]
    if len(planners) == 1 or spec.mapping.split == "samples":
        return planners[0]
    alone, *others = planners
    best = min(others, key=_Planner.estimated_cycles)
    return best if best.estimated_cycles() <= GAIN * alone.estimated_cycles() else alone


def _cut_for_cores(planner: _Planner) -> _Planner:
    """Return a planner of layers without the steps that their products' cores cannot do by themselves."""
    parts = [part for number in range(planner.count) for part in planner.cut_for_cores(number)]
    return planner if len(parts) == planner.count else planner.of(parts)


class _Planner:
    """The layers of one network on one machine; ``way`` is how all of them are shared out, if in one way."""

    def __init__(
        self, chains: Sequence[Chain], network: NetworkSteps, spec: ArchSpec, way: Choice | None = None
    ) -> None:
        self._chains, self._network, self._spec, self._way = chains, network, spec, way
        self._sharings: dict[int, Sharing] = {}
        self._outputs = stored_names(network.steps, network.outputs)
        self._makers = {chain.output: number for number, chain in enumerate(chains)}
        self._readers: dict[str, list[int]] = {}
        for number, chain in enumerate(chains):
            for name in dict.fromkeys(chain.inputs):
                self._readers.setdefault(name, []).append(number)
        self._weight_readers: dict[str, list[int]] = {}
        for number, chain in enumerate(chains):
            if chain.product is not None and chain.product.weight_name:
                self._weight_readers.setdefault(chain.product.weight_name, []).append(number)
        self._activations = self._kept(self._activation_candidates(), spec.scratchpads.activations, self._row_bits)
        self._weights = self._kept(self._weight_candidates(), spec.scratchpads.weights, self._column_bits)

    def layer(self, number: int) -> LayerPlan:
        """Plan one layer.

        Raises:
            ConfigError: it does not fit.
        """
        chain, kept = self._chains[number], self._activations.names
        fetched = tuple(
            name for name in dict.fromkeys(chain.inputs) if name in kept and self._is_brought_by(name, number)
        )
        layer = LayerPlan(
            name=chain.name,
            products=(),
            after=chain.after,
            inputs=chain.inputs,
            reads=chain.reads(self._network.bits),
            output=chain.output,
            bits=self._network.bits,
            on_chip=kept.intersection(chain.inputs),
            fetched=fetched,
            output_memory="scratchpad" if chain.output in kept else "dram",
            released=tuple(name for name in kept if self._readers[name][-1] == number),
        )
        if chain.product is None:
            layer = replace(layer, shares=self._shares(chain))
            return replace(layer, pieces=self._pieces(layer))
        sharing = self._sharing(number, chain.product)
        products, split = sharing.products, sharing.choice.split
        is_shared = len(products) > 1
        return replace(layer, products=products, shares=output_shares(products), split=split if is_shared else None)

    def cut_for_cores(self, number: int) -> tuple[Chain, ...]:
        """Return a layer without the steps that its product's cores cannot do by themselves, and a layer of those."""
        chain = self._chains[number]
        if chain.product is None:
            return (chain,)
        try:
            sharing = self._sharing(number, chain.product)
            return replace(chain, decided=sharing.choice).cut(sharing.fused)
        except ConfigError:  # said when the layer is planned
            return (chain,)

    def of(self, chains: Sequence[Chain]) -> _Planner:
        """Return a planner of other layers of the same network, shared out in the same way."""
        return _Planner(chains, self._network, self._spec, self._way)

    @property
    def count(self) -> int:
        """Number of layers."""
        return len(self._chains)

    def estimated_cycles(self) -> float:
        """Estimate the time of all layers; endless if one of them cannot be planned."""
        try:
            return sum(self._layer_cycles(number, chain) for number, chain in enumerate(self._chains))
        except ConfigError:
            return inf

    def _layer_cycles(self, number: int, chain: Chain) -> float:
        if chain.product is not None:
            return self._sharing(number, chain.product).cost.cycles
        estimate = Estimate(self._spec, writes_dram=chain.output not in self._activations.names)
        reads = chain.reads(self._network.bits).items()
        brought = sum(bits for name, bits in reads if name not in self._activations.names)
        return estimate.other_cycles(chain.after, self._shares(chain), brought)

    def _shares(self, chain: Chain) -> tuple[Share, ...]:
        """Return the cores' shares of a layer without a product."""
        if self._way is None:
            return even_shares(chain.after, self._spec.cores)
        return even_shares(chain.after, self._way.cores, by_samples=self._way.split == "samples")

    def unknown_layers(self) -> Iterator[str]:
        """Yield what is wrong with the names in ``mapping.layers``."""
        names = [chain.name for chain in self._chains if chain.product is not None]
        for name in self._spec.mapping.layers:
            if name not in names:
                close = did_you_mean(name, names)
                yield f"mapping.layers.{name}: no such matrix product; allowed: {', '.join(names)}{close}"

    def too_large_for_dram(self) -> Iterator[str]:
        """Yield a line if weights and activations do not fit the DRAM."""
        weights = {
            chain.product.weight_name or chain.name: chain.product.weights.size * chain.product.weight_memory_bits
            for chain in self._chains
            if chain.product is not None and len(chain.inputs) == 1
        }
        stored = (set(self._makers) | set(self._readers)) - self._activations.names
        demand = sum(weights.values()) + sum(self._network.bits[name] for name in stored)
        capacity = self._spec.dram.capacity_bytes
        if demand > capacity * BITS_PER_BYTE:
            yield (
                f"weights and activations need {-(-demand // BITS_PER_BYTE)} bytes of DRAM; it has {capacity}; "
                "levers: dram.capacity_bytes, fewer bits"
            )

    def idle_cores(self) -> Iterator[str]:
        """Yield a line if the split that the user wants gives no product to several cores."""
        cores, split = self._spec.cores, self._spec.mapping.split
        steps = [chain.product for chain in self._chains if chain.product is not None]
        if cores == 1 or split == "auto" or not steps:
            return
        products = [(step, self._network.params[step.name]) for step in steps]
        useful = [name for name in SPLITS if not useless_split(products, name, cores)]
        if split not in useful:
            allowed = ", ".join(("auto", *useful))
            yield f"mapping.split {split} leaves every product to one of {cores} cores; allowed: {allowed}"

    def _is_brought_by(self, name: str, number: int) -> bool:
        return name not in self._makers and self._readers[name][0] == number

    def _kept(self, candidates: Iterable[Candidate], scratchpad: ScratchpadSpec, streams: Sequence[int]) -> Kept:
        may_stay = self._spec.mapping.keep_on_chip and (self._spec.cores == 1 or self._way is not None)
        return choose_kept(candidates if may_stay else (), scratchpad.capacity_bytes * BITS_PER_BYTE, streams)

    def _activation_candidates(self) -> Iterator[Candidate]:
        """Yield what layers make and others read, and network inputs that several layers read.

        Outputs leave, and what a product takes in place of weights comes to their scratchpad from DRAM. A network's
        input is not brought whole where cores read it by samples. Sizes are a core's.
        """
        in_place_of_weights = {name for chain in self._chains if chain.product is not None for name in chain.inputs[1:]}
        for name, readers in self._readers.items():
            made = self._makers.get(name)
            leaves = name in self._outputs or name in in_place_of_weights
            if leaves or (made is None and (len(readers) == 1 or self._samples > 1)):
                continue
            first = readers[0] if made is None else made
            bits = self._network.bits[name]
            reads = sum(self._chains[reader].reads(self._network.bits)[name] for reader in readers) / bits
            saves = reads - 1 if made is None else reads + 1
            yield Candidate(name, self._of_a_core(bits), first, readers[-1], saves, tuple(readers))

    @property
    def _samples(self) -> int:
        """Of how many samples the tensors are that cores share by samples; 1 where they do not."""
        if self._way is None or self._way.split != "samples":
            return 1
        return next(chain.product.gather.sample_count for chain in self._chains if chain.product is not None)

    def _of_a_core(self, bits: int) -> int:
        """Return how much of a tensor the core with most samples has."""
        if self._way is None or self._samples == 1:
            return bits
        return bits // self._samples * -(-self._samples // self._way.cores)

    def _weight_candidates(self) -> Iterator[Candidate]:
        """Yield weights that several products read."""
        for name, readers in self._weight_readers.items():
            step = self._chains[readers[0]].product
            if step is not None and len(readers) > 1:
                bits = step.weights.size * step.weight_memory_bits
                yield Candidate(name, bits, readers[0], readers[-1], len(readers) - 1, tuple(readers))

    @property
    def _row_bits(self) -> list[int]:
        """For each layer the activations of one fold's rows, as many times as there are slots; no more than all."""
        return [self._slots_of(chain, self._spec.scratchpads.activations, "out_rows") for chain in self._chains]

    @property
    def _column_bits(self) -> list[int]:
        """For each layer the weights of one fold's columns."""
        return [self._slots_of(chain, self._spec.scratchpads.weights, "out_cols") for chain in self._chains]

    def _slots_of(self, chain: Chain, scratchpad: ScratchpadSpec, axis: str) -> int:
        step = chain.product
        if step is None:
            return 0
        params = self._network.params[step.name]
        width = step.activation_format.bits if axis == "out_rows" else step.weight_memory_bits
        lines = next((one.step for one in fold_axes(params) if one.name == axis), params.cols)
        size = min(lines, getattr(step.shape, axis)) * step.shape.depth * width
        whole = (
            self._of_a_core(self._network.bits[chain.inputs[0]]) if axis == "out_rows" else step.weights.size * width
        )
        return min(size * _slots(scratchpad), whole)

    def _sharing(self, number: int, step: ProductStep) -> Sharing:
        """Return how a layer's product is shared out; it is looked for once."""
        if number not in self._sharings:
            chain, params = self._chains[number], self._network.params[step.name]
            chain = replace(chain, decided=chain.decided or self._way)
            sharer = Sharer(self._spec, self._network.bits)
            self._sharings[number] = sharer.share(chain, params, self._space(number, step))
        return self._sharings[number]

    def _space(self, number: int, step: ProductStep) -> Space:
        """Return what memories of each core a product can use."""
        spec, chain = self._spec, self._chains[number]
        pads = spec.scratchpads
        is_kept = step.weight_name in self._weights.names
        own = step.weights.size * step.weight_memory_bits if is_kept else 0
        return Space(
            activations=_memory("activations", pads.activations, self._activations.used_bits[number]),
            weights=_memory("weights", pads.weights, self._weights.used_bits[number] - own),
            outputs=_memory("outputs", pads.outputs, 0),
            accumulator_bits=spec.accumulator_buffer.capacity_bytes * BITS_PER_BYTE,
            sum_bits=_sum_bits(spec),
            dram_bits_per_cycle=spec.dram.bytes_per_cycle * BITS_PER_BYTE,
            dram_latency_cycles=spec.dram.latency_cycles,
            link_bits_per_cycle=min(pads.activations.bytes_per_cycle, pads.outputs.bytes_per_cycle) * BITS_PER_BYTE,
            activations_on_chip=chain.inputs[0] in self._activations.names,
            weights_on_chip=is_kept and self._weight_readers[step.weight_name][0] != number,
            keeps_weights=is_kept and self._weight_readers[step.weight_name][-1] != number,
            whole_outputs=bool(chain.after),
            writes_dram=chain.output not in self._activations.names,
        )

    def _pieces(self, layer: LayerPlan) -> int:
        """Return in how many parts a layer without a product passes the output scratchpad.

        Raises:
            ConfigError: not even one value for each lane fits a slot.
        """
        scratchpad, lanes = self._spec.scratchpads.outputs, self._spec.vector_unit.lanes
        sizes = (layer.dram_input_bits, *(layer.bits[step.output] for step in layer.after))
        demand = max(share.of(size) for share in layer.shares for size in sizes)
        if demand <= scratchpad.capacity_bytes * BITS_PER_BYTE:
            return 1
        slot = scratchpad.capacity_bytes * BITS_PER_BYTE // _slots(scratchpad)
        widest = max(-(-layer.bits[step.output] // max(step.outputs, 1)) for step in layer.after)
        if slot < lanes * widest:
            raise ConfigError(
                f"layer {layer.name}: one value for each of {lanes} lanes needs {-(-lanes * widest // BITS_PER_BYTE)} "
                f"bytes; a slot of the scratchpad for outputs has {slot // BITS_PER_BYTE}; levers: "
                "scratchpads.outputs.capacity_bytes, vector_unit.lanes"
            )
        return -(-demand // slot)


def _sum_bits(spec: ArchSpec) -> int:
    """Return the width of a sum, of integers or of floats."""
    floats = spec.array.float_formats
    return spec.array.accumulator_bits if floats is None else floats[1].bits


def _slots(scratchpad: ScratchpadSpec) -> int:
    return 2 if scratchpad.double_buffered else 1


def _memory(name: str, scratchpad: ScratchpadSpec, taken_bits: int) -> Memory:
    bits = scratchpad.capacity_bytes * BITS_PER_BYTE - taken_bits
    return Memory(name, bits, _slots(scratchpad), scratchpad.capacity_bytes)
