"""Builders of what only moves elements: of codes, and of reals that stand for codes, as one and the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import Operator
from hwsim.network.operators.moves import Concatenation, Pad, Reshape
from hwsim.network.operators.qlinear import ClampCodes, MaxPoolCodes
from hwsim.network.tensor import Shape
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.expressions import leaf
from hwsim.readers.onnx.graph import Codes, Live, Order, channels_last, plain, same_grid
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]


def moved_tensor(site: Site, reals: Reals, place: int = 0) -> Live:
    """Return the tensor to move: codes, those behind a DequantizeLinear, or reals."""
    name = site.input(place)
    if name in site.graph.live and name not in reals:
        return site.graph.live[name]
    expression = reals.expression(name, site.label)
    if expression.is_leaf:
        return expression.leaves[0]
    return reals.compute(expression, site.graph.internal_name(name), None)


def _result(site: Site, reals: Reals, output: str, source: Live, shape: Shape, order: Order) -> Live:
    """Return the moved tensor: the output itself where codes are moved, else codes that its reals stand for."""
    was_codes = site.input(0) in site.graph.live and site.input(0) not in reals
    if was_codes or source.codes is None:
        return Live(output, shape, order, source.codes)
    moved = Live(site.graph.internal_name(output), shape, order, source.codes)
    reals.put(output, leaf(moved))
    return moved


def _emit(site: Site, reals: Reals, source: Live, shape: Shape, order: Order, make: Callable[[str], Operator]) -> None:
    emit_to(site.output, site, reals, source, shape, order, make)


def emit_to(
    output: str,
    site: Site,
    reals: Reals,
    source: Live,
    shape: Shape,
    order: Order,
    make: Callable[[str], Operator],
) -> None:
    """Add a move whose output the file calls ``output``: codes, or codes that its reals stand for."""
    moved = _result(site, reals, output, source, shape, order)
    site.graph.emit(make(moved.name), moved, internal=moved.name != output)


def identity(site: Site, reals: Reals) -> None:
    """The same elements under another name."""
    source = moved_tensor(site, reals)
    _reshaped(site, reals, source, source.shape, source.order)


def _reshaped(site: Site, reals: Reals, source: Live, shape: Shape, order: Order) -> None:
    stored = tuple(shape[axis] for axis in order)
    ends = (source.name,)
    _emit(site, reals, source, shape, order, lambda name: Reshape(site.node.name, ends, name, ends, stored))


def transpose(site: Site, reals: Reals) -> None:
    """Elements stay where they are: only the axes of the file that they lie along change."""
    source = moved_tensor(site, reals)
    count = len(source.shape)
    steps = site.integers("perm", tuple(range(count))[::-1])
    if sorted(steps) != list(range(count)):
        raise ConfigError(f"{site.label}: perm {list(steps)} of {count} axes")
    shape = tuple(source.shape[axis] for axis in steps)
    _reshaped(site, reals, source, shape, tuple(steps.index(axis) for axis in source.order))


def _flat(site: Site, reals: Reals, shape: Sequence[int]) -> None:
    source = moved_tensor(site, reals)
    if int(np.prod([int(size) for size in shape])) != source.elements:
        raise ConfigError(f"{site.label}: shape {list(source.shape)} cannot become {list(shape)}")
    moved = site.graph.in_order(source, plain(source.shape))
    _reshaped(site, reals, moved, tuple(shape), plain(tuple(shape)))


def reshape(site: Site, reals: Reals) -> None:
    """Sizes as input; 0 keeps a size, -1 is the rest."""
    source, wanted = moved_tensor(site, reals), [int(size) for size in site.array(1).reshape(-1)[:9]]
    if site.integer("allowzero", 0) and 0 in wanted:
        raise UnsupportedError(f"{site.label}: allowzero")
    if len(wanted) > 8 or min(wanted, default=0) < -1 or wanted.count(-1) > 1:
        raise ConfigError(f"{site.label}: shape {wanted}")
    if any(size == 0 and axis >= len(source.shape) for axis, size in enumerate(wanted)):
        raise ConfigError(f"{site.label}: shape {wanted} of {list(source.shape)}")
    sizes = [source.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    rest = int(np.prod([size for size in sizes if size != -1]))
    if -1 in sizes and (rest == 0 or source.elements % rest):
        raise ConfigError(f"{site.label}: shape {list(source.shape)} cannot become {wanted}")
    _flat(site, reals, [source.elements // rest if size == -1 else size for size in sizes])


def flatten(site: Site, reals: Reals) -> None:
    """All axes before ``axis`` become one, and all others."""
    shape = moved_tensor(site, reals).shape
    axis = site.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise ConfigError(f"{site.label}: axis {axis} of {len(shape)}")
    axis = axis + len(shape) if axis < 0 else axis
    _flat(site, reals, [int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))])


def _axes(site: Site, dimensions: int) -> list[int] | None:
    """Return the axes in an attribute or in the second input."""
    if site.has(1):
        found = [int(axis) for axis in site.array(1).reshape(-1)[:9]]
    elif "axes" in site.node.attributes:
        found = list(site.integers("axes", ()))
    else:
        return None
    return [site.axis(axis, dimensions) for axis in found]


def squeeze(site: Site, reals: Reals) -> None:
    """Axes of size 1 go."""
    shape = moved_tensor(site, reals).shape
    axes = _axes(site, len(shape))
    gone = [axis for axis, size in enumerate(shape) if size == 1] if axes is None else axes
    if any(shape[axis] != 1 for axis in gone):
        raise ConfigError(f"{site.label}: axes {gone} of shape {list(shape)}; allowed: of size 1")
    _flat(site, reals, [size for axis, size in enumerate(shape) if axis not in gone])


def unsqueeze(site: Site, reals: Reals) -> None:
    """Axes of size 1 come."""
    shape = list(moved_tensor(site, reals).shape)
    count = len(site.array(1).reshape(-1)) if site.has(1) else len(site.integers("axes", ()))
    for axis in sorted(_axes(site, len(shape) + count) or []):
        shape.insert(axis, 1)
    _flat(site, reals, shape)


def max_pool(site: Site, reals: Reals) -> None:
    """The order of codes is that of reals."""
    source = moved_tensor(site, reals)
    if source.codes is None or site.integer("storage_order", 0):
        raise UnsupportedError(f"{site.label}: of reals, or storage_order")
    if len(source.shape) != 4:
        raise UnsupportedError(f"{site.label}: input of shape {list(source.shape)}; allowed: four axes")
    window = site.pool_window(source.shape)
    moved = site.graph.in_order(source, channels_last(source.shape))
    shape = (1, source.shape[1], *window.out_size(source.shape[2], source.shape[3]))
    ends = (moved.name,)
    _emit(
        site, reals, moved, shape, channels_last(shape),
        lambda name: MaxPoolCodes(site.node.name, ends, name, ends, window),
    )  # fmt: skip


def concat(site: Site, reals: Reals) -> None:
    """Tensors side by side; those of reals must stand for codes of one scale."""
    sources = [moved_tensor(site, reals, place) for place in range(len(site.node.inputs))]
    order = sources[0].order
    axis = site.axis(site.integer("axis", 0), len(order))
    if any(len(one.shape) != len(order) for one in sources):
        raise ConfigError(f"{site.label}: shapes {[list(one.shape) for one in sources]} do not go together")
    if not all(_same(sources[0].codes, one.codes) for one in sources):
        raise UnsupportedError(f"{site.label}: codes of several scales")
    moved = [site.graph.in_order(one, order) for one in sources]
    names = tuple(one.name for one in moved)
    shape = (*sources[0].shape[:axis], sum(one.shape[axis] for one in sources), *sources[0].shape[axis + 1 :])
    probe = Concatenation(site.node.name, names, site.output, names, order.index(axis))
    stored = tuple(shape[one] for one in order)
    if probe.output_shape(*(one.stored_shape for one in moved)) != stored:
        raise ConfigError(f"{site.label}: shapes {[list(one.shape) for one in sources]} do not go together")
    _emit(site, reals, moved[0], shape, order, lambda name: replace(probe, output=name))


def _same(first: Codes | None, second: Codes | None) -> bool:
    if first is None or second is None:
        return first is second
    if first.grid is None or second.grid is None:
        return first.word == second.word
    return same_grid(first.grid, second.grid)


def pad(site: Site, reals: Reals) -> None:
    """Zeros round a tensor of codes."""
    source = moved_tensor(site, reals)
    if site.node.attributes.get("mode", "constant") != "constant" or site.has(3):
        raise UnsupportedError(f"{site.label}: a mode other than constant, or axes")
    amounts = [int(one) for one in (site.array(1).reshape(-1) if site.has(1) else site.integers("pads", ()))[:17]]
    count = len(source.shape)
    if len(amounts) != 2 * count or not all(0 <= one <= 1 << 20 for one in amounts):
        raise ConfigError(f"{site.label}: padding {amounts} of {count} axes")
    if source.codes is None or source.codes.grid is None or not _pads_zero(site, source.codes.grid):
        raise UnsupportedError(f"{site.label}: of reals, or with another value than 0")
    pairs = [(amounts[axis], amounts[axis + count]) for axis in range(count)]
    shape = tuple(size + sum(pair) for size, pair in zip(source.shape, pairs, strict=True))
    stored, ends = tuple(pairs[axis] for axis in source.order), (source.name,)
    _emit(site, reals, source, shape, source.order, lambda name: Pad(site.node.name, ends, name, ends, stored))


def _pads_zero(site: Site, grid: Quantization) -> bool:
    """Tell whether what is padded with stands for 0: the zero point of codes, 0 of reals."""
    value = float(site.array(2).reshape(-1)[0]) if site.has(2) else site.real("value", 0.0)
    is_codes = site.input(0) in site.graph.live
    return value == (float(grid.zero_point) if is_codes else 0.0)


def rename(site: Site, live: Live) -> None:
    """Give codes another name: nothing changes them."""
    ends = (live.name,), site.output, (live.name,)
    site.graph.emit(Reshape(site.node.name, *ends, live.stored_shape), replace(live, name=site.output))


def clamp_codes(site: Site, live: Live, low: int, high: int) -> None:
    """Clamp codes as they are: a Clip or Relu of integers."""
    output = replace(live, name=site.output)
    ends = (live.name,)
    site.graph.emit(ClampCodes(site.node.name, ends, site.output, ends, low, high), output)


BUILDERS: dict[str, Builder] = {
    "Concat": concat,
    "Dropout": identity,
    "Flatten": flatten,
    "Identity": identity,
    "MaxPool": max_pool,
    "Pad": pad,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
