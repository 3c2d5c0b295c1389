"""The network while it is read: tensors with the layouts that they are kept in, and the operators so far.

ONNX puts channels after the batch, hwsim last. Each tensor keeps its elements in one order of axes and knows which
axes of the file those are; `Graph.in_order` adds a transposition only where an operator needs another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.moves import Reshape, Transpose
from hwsim.network.operators.real_function import Move, MovedElements
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.model import Array, FileModel

Order = tuple[int, ...]
MAX_TENSOR_ELEMENTS = 1 << 26


def plain(shape: Shape) -> Order:
    """Return the order of axes that the file has."""
    return tuple(range(len(shape)))


def channels_last(shape: Shape) -> Order:
    """Return the order of axes with the second one last: batch, height, width, channels."""
    return (0, *range(2, len(shape)), 1)


@dataclass(slots=True, eq=False)
class Codes:
    """How the integers of a tensor stand for reals, and those of what is moved from it: known once a node says so."""

    word: IntFormat
    grid: Quantization | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """An activation: its name, its shape in the file, the file's axis of each axis here; no codes where it is real."""

    name: str
    shape: Shape
    order: Order
    codes: Codes | None

    @property
    def stored_shape(self) -> Shape:
        """The shape here."""
        return tuple(self.shape[axis] for axis in self.order)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A constant of integers with what they stand for; ``grid.axis`` is an axis of the file's."""

    codes: Array
    grid: Quantization


@dataclass(slots=True, eq=False)
class Graph:
    """What has been read so far. ``arrays`` are constants by name, reals where they come from a DequantizeLinear.

    A network of reals, which hwsim quantizes, does not hold codes. ``run_time`` names zero points that are known at run
    time, with the tensors (scale, zero point) that hold them.
    """

    model: FileModel
    arrays: dict[str, Array]
    coded: dict[str, Coded] = field(default_factory=dict)
    live: dict[str, Live] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    run_time: dict[str, Live] = field(default_factory=dict)
    made: int = 0
    holds_codes: bool = True
    _written: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note the names that the file gives tensors itself."""
        self._written = frozenset(name for node in self.model.nodes for name in node.outputs)

    def internal_name(self, base: str) -> str:
        """Return a new name for a tensor that the file does not have: a file's own may end in a number as well."""
        self.made += 1
        while (name := f"{base} ({self.made})") in self._written:
            self.made += 1
        return name

    def add_constant(self, name: str, values: Array, grid: Quantization) -> str:
        """Enter a constant of integers in the layout of its operator and return its name."""
        data = np.asarray(values, np.int64)
        self.tensors[name] = Tensor(name, data.shape, data, grid, is_internal=True)
        return name

    def emit(self, operator: Operator, like: Live, *, internal: bool = False) -> Live:
        """Add an operator that writes ``like``, a tensor that is new.

        Raises:
            ConfigError: the tensor is too large.
        """
        self.check_size(operator.name, like.shape)
        if not self.holds_codes and isinstance(operator, Move):
            operator = MovedElements(operator.name, operator.inputs, operator.output, operator)
        self.operators.append(operator)
        self.enter(like, internal=internal)
        return like

    def check_size(self, layer: str, shape: Shape) -> None:
        """Refuse a tensor that is empty or too large.

        Raises:
            ConfigError: it is.
        """
        if not 1 <= np.prod([float(size) for size in shape]) <= MAX_TENSOR_ELEMENTS:
            raise ConfigError(
                f"layer {layer}: output of shape {list(shape)}; allowed: 1 to {MAX_TENSOR_ELEMENTS} elements"
            )

    def add_reals(self, name: str, values: Array) -> str:
        """Enter a constant of reals and return its name.

        Raises:
            ConfigError: they are not finite.
        """
        data = np.asarray(values, np.float64)
        if not np.all(np.isfinite(data)):
            raise ConfigError(f"constant '{name[:80]}' holds NaN or infinity")
        self.tensors[name] = Tensor(name, data.shape, data, is_internal=True)
        return name

    def enter(self, live: Live, *, internal: bool = False) -> None:
        """Make a tensor known."""
        self.live[live.name] = live
        self.tensors[live.name] = Tensor(live.name, live.stored_shape, is_internal=internal, order=live.order)

    def on_grid(self, live: Live, grid: Quantization) -> Live:
        """Return the tensor with its codes standing for reals by ``grid``.

        Codes that another node reads otherwise get a second name; the numbers stay.
        """
        if live.codes is None:
            raise ConfigError(f"tensor '{live.name[:80]}' is real; allowed: integers")
        if live.codes.grid is None:
            live.codes.grid = grid
        if same_grid(live.codes.grid, grid):
            return live
        name = self.internal_name(live.name)
        again = replace(live, name=name, codes=Codes(grid.format, grid))
        operator = Reshape(f"relabel_{self.made}", (live.name,), name, (live.name,), live.stored_shape)
        return self.emit(operator, again, internal=True)

    def grid(self, name: str) -> Quantization:
        """Return how the codes of a constant or an activation stand for reals."""
        found = self.tensors[name].quantization
        codes = self.live[name].codes if name in self.live else None
        if found is None and codes is not None:
            found = _grid_of(codes)
        if found is None:
            raise ConfigError(f"tensor '{name[:80]}' is real; allowed: integers")
        return found

    def rescale(self, name: str, factors: Array) -> None:
        """Multiply what a constant's codes stand for: by one number, or one for each place on its last axis."""
        tensor, grid = self.tensors[name], self.grid(name)
        scale = np.asarray(grid.scale * factors.astype(np.float64))
        zeros = np.broadcast_to(grid.zero_point, scale.shape)
        axis = len(tensor.shape) - 1 if scale.ndim else None
        self.tensors[name] = replace(tensor, quantization=Quantization(scale, zeros, grid.format, axis))

    def in_order(self, live: Live, order: Order) -> Live:
        """Return the tensor with its axes in an order, transposed if need be."""
        if live.order == order:
            return live
        name = self.internal_name(live.name)
        moved = replace(live, name=name, order=order)
        steps = tuple(live.order.index(axis) for axis in order)
        sizes = [step for step in steps if live.stored_shape[step] > 1]
        ends = (live.name,), name, (live.name,)
        if sizes == sorted(sizes):  # only axes of size 1 change places: the elements lie as before
            return self.emit(Reshape(f"reshape_{self.made}", *ends, moved.stored_shape), moved, internal=True)
        return self.emit(Transpose(f"transpose_{self.made}", *ends, steps), moved, internal=True)

    def network(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Network:
        """Return the network."""
        tensors = dict(self.tensors)
        for one in self.live.values():
            if one.codes is not None:
                tensors[one.name] = replace(tensors[one.name], quantization=_grid_of(one.codes))
        needed = _needed(self.operators, outputs)
        return Network(
            name,
            tensors,
            tuple(needed),
            tuple(inputs),
            tuple(outputs),
            holds_codes=self.holds_codes,
            rounding_profile="onnxruntime",
            has_batch_axis=True,
        )


def _grid_of(codes: Codes) -> Quantization:
    """Return the quantization; codes that nobody has given a scale stand for themselves."""
    if codes.grid is not None:
        return codes.grid
    return Quantization(np.asarray(1.0), np.asarray(0, np.int64), codes.word)


def _needed(operators: Sequence[Operator], outputs: Sequence[str]) -> list[Operator]:
    """Return the operators whose results reach an output."""
    wanted = set(outputs)
    kept = []
    for operator in reversed(operators):
        if operator.output in wanted:
            kept.append(operator)
            wanted.update(operator.inputs)
    return kept[::-1]


def same_grid(first: Quantization, second: Quantization) -> bool:
    """Tell whether codes stand for the same reals."""
    return (
        first.format == second.format
        and first.axis == second.axis
        and np.array_equal(first.scale, second.scale)
        and np.array_equal(first.zero_point, second.zero_point)
    )


def broadcast(label: str, *shapes: Shape) -> Shape:
    """Return the common shape.

    Raises:
        ConfigError: there is none.
    """
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        sizes = " and ".join(str(list(shape)) for shape in shapes)
        raise ConfigError(f"{label}: shapes {sizes} do not go together") from None


def unsupported(label: str, what: str) -> UnsupportedError:
    """Return the error that names a node and what it asks for."""
    return UnsupportedError(f"{label}: {what}")
