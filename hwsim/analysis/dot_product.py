"""One output's sum as the array adds it up, add by add, in Python's integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwsim.array.folds import tiles
from hwsim.array.params import ArrayParams, Dataflow
from hwsim.numerics.formats import IntFormat, Overflow


@dataclass(frozen=True, slots=True)
class Add:
    """One add: of term ``term`` in a PE, or (None) of a depth tile's sum in the accumulator under the array.

    ``exact`` is the mathematical sum, ``stored`` what the register holds afterwards.
    """

    term: int | None
    addend: int
    exact: int
    stored: int

    @property
    def overflows(self) -> bool:
        """Whether the sum lay outside the register."""
        return self.exact != self.stored


def adds_in_order(params: ArrayParams, products: Sequence[int], initial: int) -> list[Add]:
    """Return the adds of one output in the order of the dataflow; the last one's ``stored`` is the output.

    Output stationary: one register takes all terms. Weight and input stationary: each depth tile (as many terms as
    the array has rows) is a chain of its own; the first starts from ``initial``, later ones from 0, and their sums
    are added in the accumulator under the array.
    """
    if params.dataflow is Dataflow.OUTPUT_STATIONARY:
        return list(_chain(params, products, slice(0, len(products)), initial))
    adds: list[Add] = []
    total = initial
    for number, tile in enumerate(tiles(len(products), params.rows)):
        chain = list(_chain(params, products, tile, initial if number == 0 else 0))
        adds += chain
        if number == 0:
            total = chain[-1].stored
        else:
            adds.append(_add(params, None, total, chain[-1].stored))
            total = adds[-1].stored
    return adds


def _chain(params: ArrayParams, products: Sequence[int], terms: slice, start: int) -> Iterator[Add]:
    register = start
    for term in range(terms.start, terms.stop):
        add = _add(params, term, register, products[term])
        register = add.stored
        yield add


def _add(params: ArrayParams, term: int | None, register: int, addend: int) -> Add:
    exact = register + addend
    return Add(term, addend, exact, fitted(exact, params.accumulator, params.overflow))


def fitted(value: int, word: IntFormat, overflow: Overflow) -> int:
    """Return what a register of this width keeps of a value."""
    if overflow == "saturate":
        return min(max(value, word.min), word.max)
    return (value - word.min) % (1 << word.bits) + word.min
