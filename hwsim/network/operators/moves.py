"""Operators that only move codes: every element of the output is one of the inputs', or padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError
from hwsim.network.elementwise_steps import MoveStep
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.quantized import Operands, QuantizedOperator, Values
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.tflite.convert import pad_code, requantize


@dataclass(frozen=True)
class _Moves(QuantizedOperator):
    """One move for every element of the output, of codes and reals alike."""

    keeps_quantization: ClassVar[bool] = True

    actions: ClassVar[Mapping[str, int]] = {"move": 1}
    real_actions: ClassVar[Mapping[str, int]] = {"float_move": 1}

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:  # noqa: ARG002
        """Move."""
        return self.real_values(values)


@dataclass(frozen=True)
class Reshape(_Moves):
    """The same row of values in another shape; also where axes of size 1 come or go."""

    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The new shape."""
        if np.prod(shapes[0]) != np.prod(self.shape):
            raise ConfigError(f"layer {self.name}: shape {list(shapes[0])} cannot become {list(self.shape)}")
        return self.shape

    def real_values(self, values: Sequence[Values]) -> Values:
        """Change the shape."""
        return values[0].reshape(-1, *self.shape)

    def lower(self, tensors: Mapping[str, Tensor], options: LoweringOptions) -> Step:  # noqa: ARG002
        """Nothing to compute: tensors lie flat anyway."""
        return MoveStep(self.name, self.inputs, self.output, tensors[self.output].shape)


@dataclass(frozen=True)
class Transpose(_Moves):
    """Axes in another order: axis i of the output is axis ``order[i]`` of the input."""

    order: tuple[int, ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sizes in the new order."""
        if sorted(self.order) != list(range(len(shapes[0]))):
            raise ConfigError(f"layer {self.name}: order {list(self.order)} of {len(shapes[0])} axes")
        return tuple(shapes[0][axis] for axis in self.order)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Permute the axes."""
        return values[0].transpose(0, *(axis + 1 for axis in self.order))


@dataclass(frozen=True)
class Pad(_Moves):
    """Zeros round a tensor: their code is the zero point."""

    amounts: tuple[tuple[int, int], ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Sizes with the padding."""
        if len(self.amounts) != len(shapes[0]) or any(min(pair) < 0 for pair in self.amounts):
            raise ConfigError(f"layer {self.name}: padding {self.amounts} of shape {list(shapes[0])}")
        return tuple(size + sum(pair) for size, pair in zip(shapes[0], self.amounts, strict=True))

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """Surround with the zero point."""
        return np.pad(values[0], [(0, 0), *self.amounts], constant_values=pad_code(operands.source))

    def real_values(self, values: Sequence[Values]) -> Values:
        """Surround with zeros."""
        return np.pad(values[0], [(0, 0), *self.amounts])


@dataclass(frozen=True)
class Slice(_Moves):
    """A part of a tensor along one axis: one output of a split."""

    axis: int = 0
    begin: int = 0
    size: int = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's, with ``size`` along the axis."""
        shape = list(shapes[0])
        if not 0 <= self.begin < self.begin + self.size <= shape[self.axis]:
            raise ConfigError(f"layer {self.name}: no part {self.begin} to {self.begin + self.size} of {shape}")
        shape[self.axis] = self.size
        return tuple(shape)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Cut the part out."""
        part = np.arange(self.begin, self.begin + self.size)
        taken = values[0].take(part, axis=self.axis + 1)
        return taken.reshape(-1, *self.output_shape(values[0].shape[1:]))


@dataclass(frozen=True)
class Index(Slice):
    """One entry along an axis, which goes: one output of an unpack."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's without the axis."""
        shape = super().output_shape(*shapes)
        return (*shape[: self.axis], *shape[self.axis + 1 :])


@dataclass(frozen=True)
class Take(_Moves):
    """Entries along an axis, in any order and any of them several times."""

    axis: int = 0
    indices: tuple[int, ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's, with as many entries along the axis as are taken."""
        shape = list(shapes[0])
        if not self.indices or not 0 <= min(self.indices) <= max(self.indices) < shape[self.axis]:
            raise ConfigError(f"layer {self.name}: no such entries along axis {self.axis} of {shape}")
        shape[self.axis] = len(self.indices)
        return tuple(shape)

    def real_values(self, values: Sequence[Values]) -> Values:
        """Take them."""
        return values[0].take(self.indices, axis=self.axis + 1)


@dataclass(frozen=True)
class _Joins(_Moves):
    """Several tensors become one. Codes of other grids are rescaled to its own; in a file they have one grid."""

    keeps_quantization: ClassVar[bool] = False
    has_float32_form: ClassVar[bool] = True

    def integer_values(self, values: Sequence[Values], operands: Operands) -> Values:
        """Rescale what needs it, then move."""
        if not operands.is_quantized_here:
            return self.real_values(values)
        grids = [operands.grid(number) for number in range(len(values))]
        return self.real_values(
            [
                requantize(operands.profile, codes, grid, operands.output) if grid.differs(operands.output) else codes
                for codes, grid in zip(values, grids, strict=True)
            ]
        )

    def work(self, shapes: Sequence[Shape], operands: Operands) -> Counts:
        """A move for each element, and a rescaling where its grid is another one."""
        counts = super().work(shapes, operands)
        if operands.are_real or not operands.is_quantized_here:
            return counts
        for number, shape in enumerate(shapes):
            if operands.grid(number).differs(operands.output):
                for action in ("multiply", "shift", "add"):
                    counts["vector_unit", action] += int(np.prod(shape))
        return counts


@dataclass(frozen=True)
class Concatenation(_Joins):
    """Tensors side by side along an axis."""

    axis: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs', with the sum of their sizes along the axis."""
        first = shapes[0]
        others = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in shapes}
        if len(others) != 1 or len({len(shape) for shape in shapes}) != 1:
            raise ConfigError(f"layer {self.name}: shapes {[list(shape) for shape in shapes]} do not go together")
        return (*first[: self.axis], sum(shape[self.axis] for shape in shapes), *first[self.axis + 1 :])

    def real_values(self, values: Sequence[Values]) -> Values:
        """Put them side by side."""
        return np.concatenate(_repeated(values), axis=self.axis + 1)


@dataclass(frozen=True)
class Pack(_Joins):
    """Tensors of one shape along a new axis."""

    axis: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs', with their number at the new axis."""
        if len(set(shapes)) != 1:
            raise ConfigError(f"layer {self.name}: shapes {[list(shape) for shape in shapes]}; allowed: one shape")
        return (*shapes[0][: self.axis], len(shapes), *shapes[0][self.axis :])

    def real_values(self, values: Sequence[Values]) -> Values:
        """Stack them."""
        return np.stack(_repeated(values), axis=self.axis + 1)


def _repeated(values: Sequence[Values]) -> list[Values]:
    """Give constants as many samples as the other operands have."""
    samples = max(len(one) for one in values)
    return [np.broadcast_to(one, (samples, *one.shape[1:])) for one in values]
