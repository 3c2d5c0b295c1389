"""Which steps make a layer: a matrix product, or another step, with the steps that can be fused after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hwsim.config.mapping import SplitName
from hwsim.network.elementwise_steps import ElementwiseStep, MoveStep
from hwsim.network.steps import ProductStep, Step


class Choice(NamedTuple):
    """How a product is shared out: along which axis, over how many cores."""

    split: SplitName
    cores: int


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The steps of one layer, and the tensors that it reads and writes, by the names under which they are stored.

    ``decided`` is how cores share its product, once that is known.
    """

    product: ProductStep | None
    after: tuple[ElementwiseStep, ...]
    inputs: tuple[str, ...]
    decided: Choice | None = None

    @property
    def name(self) -> str:
        """The first step's."""
        return self.steps[0].name

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them, in order."""
        return (*((self.product,) if self.product else ()), *self.after)

    @property
    def output(self) -> str:
        """The last step's."""
        return self.steps[-1].output

    def cut(self, fused: int) -> tuple[Chain, ...]:
        """Return a layer of the product and so many of the steps after it, and one of the others, if there are any."""
        if self.product is None or fused == len(self.after):
            return (self,)
        first = Chain(self.product, self.after[:fused], self.inputs, self.decided)
        return first, Chain(None, self.after[fused:], (first.output,))

    def reads(self, bits: Mapping[str, int]) -> dict[str, int]:
        """Return how many bits of each input are read; what is read twice is brought once.

        Args:
            bits: sizes of tensors.
        """
        found: dict[str, int] = {}
        for place, name in enumerate(self.inputs):
            found[name] = max(found.get(name, 0), self.steps[0].read_bits(place, bits[name]))
        return found


def chain_steps(
    steps: Sequence[Step], *, outputs: Collection[str], bits: Mapping[str, int], capacity_bits: int
) -> list[Chain]:
    """Return the layers in order, each after those whose outputs it reads.

    A step is fused if its one input is what the layer has computed so far and nothing else wants that tensor: then it
    stays in the output scratchpad. Where that does not hold a product's outputs and what follows, the steps after it
    are a layer of their own.
    """
    homes = _homes(steps)
    wanted = {homes[name] for name in outputs}
    return [
        part
        for head, after in _fused(steps, homes, wanted)
        for part in _cut(_chain(head, after, homes), bits, capacity_bits)
    ]


def stored_names(steps: Sequence[Step], names: Collection[str]) -> frozenset[str]:
    """Return under which names tensors are stored, where steps only give them another shape."""
    homes = _homes(steps)
    return frozenset(homes.get(name, name) for name in names)


def _homes(steps: Sequence[Step]) -> dict[str, str]:
    """Return for every tensor the one in whose place it lies: another where steps only give it another shape."""
    homes: dict[str, str] = {}
    for step in steps:
        for name in step.inputs:
            homes.setdefault(name, name)
        homes[step.output] = homes[step.inputs[0]] if isinstance(step, MoveStep) else step.output
    return homes


def _fused(
    steps: Sequence[Step], homes: Mapping[str, str], kept: Collection[str]
) -> list[tuple[Step, list[ElementwiseStep]]]:
    """Return each layer's first step with those fused after it; a mere change of shape makes no layer."""
    working = [step for step in steps if not isinstance(step, MoveStep)]
    wanted = Counter(homes[name] for step in working for name in dict.fromkeys(step.inputs))
    wanted.update(kept)
    found: list[tuple[Step, list[ElementwiseStep]]] = []
    ends: dict[str, list[ElementwiseStep]] = {}
    for step in working:
        source = homes[step.inputs[0]] if len(step.inputs) == 1 else ""
        if isinstance(step, ElementwiseStep) and source in ends and wanted[source] == 1:
            after = ends.pop(source)
            after.append(step)
        else:
            after = []
            found.append((step, after))
        ends[step.output] = after
    return found


def _chain(head: Step, after: Sequence[ElementwiseStep], homes: Mapping[str, str]) -> Chain:
    inputs = tuple(homes[name] for name in head.inputs)
    if isinstance(head, ProductStep):
        return Chain(head, tuple(after), inputs)
    assert isinstance(head, ElementwiseStep)  # noqa: S101  (there is no other kind of step)
    return Chain(None, (head, *after), inputs)


def _cut(chain: Chain, bits: Mapping[str, int], capacity_bits: int) -> Iterator[Chain]:
    fits = all(bits[step.output] <= capacity_bits for step in chain.steps)
    if chain.product is None or not chain.after or fits:
        yield chain
    else:
        yield from chain.cut(0)
