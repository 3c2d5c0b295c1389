"""Builders of what takes parts of a tensor, of codes and of reals alike: Gather, Slice, Split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError
from hwsim.network.operator import Operator
from hwsim.network.operators.moves import Index, Reshape, Slice, Take
from hwsim.network.tensor import Shape
from hwsim.readers.onnx.graph import Live, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.moves import emit_to, moved_tensor
from hwsim.readers.onnx.site import Site
from hwsim.readers.onnx.tables import look_up

Builder = Callable[[Site, Reals], None]
MOST_INDICES = 1 << 20


def gather(site: Site, reals: Reals) -> None:
    """Entries along an axis, at constant places; one place without axes of its own takes the axis away.

    Constant entries at places that an activation says are `look_up`'s.
    """
    if site.is_constant(0):
        look_up(site, reals)
        return
    source, places = moved_tensor(site, reals), np.asarray(site.array(1))
    axis = site.axis(site.integer("axis", 0), len(source.shape))
    size = source.shape[axis]
    if places.dtype.kind not in "iu" or not 1 <= places.size <= MOST_INDICES:
        raise ConfigError(
            f"{site.label}: {places.size} places of {places.dtype}; allowed: 1 to {MOST_INDICES} integers"
        )
    if not np.all((places >= -size) & (places < size)):
        raise ConfigError(f"{site.label}: places {places.min()} to {places.max()}; allowed: {-size} to {size - 1}")
    indices = tuple(int(place) % size for place in places.reshape(-1))
    if not places.shape:
        _take_one(site, reals, source, axis, indices[0])
    elif places.ndim == 1:
        _take(site, reals, source, axis, indices)
    else:
        _take_many(site, reals, source, axis, indices, places.shape)


def _take_one(site: Site, reals: Reals, source: Live, axis: int, index: int) -> None:
    shape, ends = _replaced(source.shape, axis, ()), (source.name,)
    order = tuple(one - (one > axis) for one in source.order if one != axis)
    stored = source.order.index(axis)
    if not shape:  # of one axis: a tensor has at least one
        shape, order = (1,), (0,)
        make = _cut(site.node.name, ends, stored, range(index, index + 1))
    else:
        make = lambda name: Index(site.node.name, ends, name, ends, stored, index)  # noqa: E731
    emit_to(site.output, site, reals, source, shape, order, make)


def _take(site: Site, reals: Reals, source: Live, axis: int, indices: Sequence[int]) -> None:
    make = _cut(site.node.name, (source.name,), source.order.index(axis), indices)
    shape = _replaced(source.shape, axis, (len(indices),))
    emit_to(site.output, site, reals, source, shape, source.order, make)


def _take_many(site: Site, reals: Reals, source: Live, axis: int, indices: Sequence[int], sizes: Shape) -> None:
    """Take entries along one axis and fold them into several."""
    moved = site.graph.in_order(source, plain(source.shape))
    taken = _part(site, moved, axis, indices)
    shape, ends = _replaced(source.shape, axis, sizes), (taken.name,)
    make = lambda name: Reshape(f"{site.node.name}_shape", ends, name, ends, shape)  # noqa: E731
    emit_to(site.output, site, reals, taken, shape, plain(shape), make)


def _part(site: Site, source: Live, axis: int, indices: Sequence[int], suffix: str = "") -> Live:
    """Take entries along an axis into a tensor that the file does not have."""
    shape, stored = _replaced(source.shape, axis, (len(indices),)), source.order.index(axis)
    part = replace(source, name=site.graph.internal_name(site.output), shape=shape)
    operator = _cut(f"{site.node.name}{suffix}", (source.name,), stored, indices)(part.name)
    return site.graph.emit(operator, part, internal=True)


def _replaced(shape: Shape, axis: int, sizes: Shape) -> Shape:
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def _cut(layer: str, ends: tuple[str], axis: int, indices: Sequence[int]) -> Callable[[str], Operator]:
    """Return what makes the operator: a slice where the entries lie side by side."""
    first, count = indices[0], len(indices)
    if list(indices) == list(range(first, first + count)):
        return lambda name: Slice(layer, ends, name, ends, axis, first, count)
    return lambda name: Take(layer, ends, name, ends, axis, tuple(indices))


def slices(site: Site, reals: Reals) -> None:
    """Parts along axes, one axis after the other, in steps forwards or backwards."""
    source = moved_tensor(site, reals)
    cuts = [(axis, found) for axis, found in _ranges(site, source.shape) if found != range(source.shape[axis])]
    for number, (axis, found) in enumerate(cuts[:-1]):
        source = _part(site, source, axis, found, f"_{number}")
    axis, found = cuts[-1] if cuts else (0, range(source.shape[0]))
    _take(site, reals, source, axis, found)


def _ranges(site: Site, shape: Shape) -> list[tuple[int, range]]:
    """Return each axis that is named with the entries that stay of it."""
    given = [site.array(place).reshape(-1)[:9] if site.has(place) else None for place in range(1, 5)]
    starts, ends, axes, steps = given
    if starts is None or ends is None:
        starts, ends = (np.asarray(site.integers(name, ())) for name in ("starts", "ends"))
        axes = np.asarray(site.integers("axes", tuple(range(len(starts)))))
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    if not 1 <= len(starts) == len(ends) == len(axes) == len(steps) <= len(shape) or not np.all(steps):
        raise ConfigError(f"{site.label}: starts, ends, axes and steps that do not go together")
    found = []
    for place, begin, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = site.axis(int(place), len(shape))
        found.append((axis, range(*slice(int(begin), int(end), int(step)).indices(shape[axis]))))
        if not found[-1][1]:
            raise ConfigError(f"{site.label}: elements {begin} to {end} of {shape[axis]}")
    if len({axis for axis, _ in found}) != len(found):
        raise ConfigError(f"{site.label}: an axis twice")
    return found


def split(site: Site, reals: Reals) -> None:
    """Parts along an axis, of sizes as input or attribute, or equal ones."""
    source, outputs = moved_tensor(site, reals), site.node.outputs
    axis = site.axis(site.integer("axis", 0), len(source.shape))
    size = source.shape[axis]
    if site.has(1):
        sizes = [int(one) for one in site.array(1).reshape(-1)]
    else:
        most = -(-size // len(outputs))
        sizes = list(site.integers("split", tuple(min(most, size - most * n) for n in range(len(outputs)))))
    if len(sizes) != len(outputs) or sum(sizes) != size or min(sizes) < 1:
        raise ConfigError(f"{site.label}: parts of {sizes} of {size} elements and {len(outputs)} outputs")
    ends, place, begin = (source.name,), source.order.index(axis), 0
    for number, (output, part) in enumerate(zip(outputs, sizes, strict=True)):
        shape = (*source.shape[:axis], part, *source.shape[axis + 1 :])
        make = _slice_maker(f"{site.node.name}_{number}", ends, place, begin, part)
        if output:
            emit_to(output, site, reals, source, shape, source.order, make)
        begin += part


def _slice_maker(layer: str, ends: tuple[str], axis: int, begin: int, size: int) -> Callable[[str], Operator]:
    return lambda name: Slice(layer, ends, name, ends, axis, begin, size)


BUILDERS: dict[str, Builder] = {
    "Gather": gather,
    "Slice": slices,
    "Split": split,
}
