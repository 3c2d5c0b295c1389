"""A network: tensors and the operators between them, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.steps import Step
from hwsim.network.tensor import Shape, Tensor
from hwsim.numerics.tflite.profiles import Profile

Values = np.ndarray[Any, Any]


def no_values(network: str) -> str:
    """Return what is said where values are wanted of a network that has shapes alone."""
    return f"workload {network} has shapes alone and no values to compute with; allowed: time, traffic and energy"


@dataclass(frozen=True, eq=False)
class Network:
    """A graph of operators, in an order of execution: each reads tensors that are inputs or written before it.

    ``inputs`` and ``outputs`` name tensors. Float or quantized alike. A network that ``holds_codes`` comes from a
    file that is quantized already: it keeps the file's integers, its users give and get them, and where a shape
    begins with 1 that axis is the samples'. Such a file's own arithmetic is ``rounding_profile``. One without values
    has shapes alone: its constants have no data, and it can be planned and timed but not computed with. One that
    ``has_batch_axis`` has reals, but shapes that begin with 1 as those of codes do.
    """

    name: str
    tensors: Mapping[str, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    holds_codes: bool = False
    has_values: bool = True
    rounding_profile: Profile = "tflm"
    has_batch_axis: bool = False

    def check_values(self) -> None:
        """Refuse shapes alone where there is something to compute.

        Raises:
            ConfigError: the network has no values.
        """
        if not self.has_values:
            raise ConfigError(no_values(self.name))

    @property
    def input(self) -> str:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> str:
        """The first output: the one that labels are compared with."""
        return self.outputs[0]

    @property
    def activations(self) -> list[str]:
        """Names of the activation tensors: the inputs, then every operator's output."""
        return [*self.inputs, *(operator.output for operator in self.operators)]

    @property
    def streamed_constants(self) -> list[str]:
        """Names of the constants that operators read as inputs: they lie in DRAM like activations."""
        read = dict.fromkeys(name for operator in self.operators for name in operator.inputs)
        return [name for name in read if self.tensors[name].data is not None]

    def sample_shape(self, tensor: str) -> Shape:
        """Return the shape of one sample in the arrays that users give and get, samples first."""
        shape = self.tensors[tensor].user_shape
        return shape[1:] if (self.holds_codes or self.has_batch_axis) and shape[:1] == (1,) else shape

    def laid_out(self, tensor: str, values: Values) -> Values:
        """Return a user's array (samples, *sample shape) as (samples, *shape), laid out as the tensor is.

        Raises:
            ConfigError: it has another shape, or no sample at all.
        """
        expected = self.sample_shape(tensor)
        if values.shape[1:] not in (expected, self.tensors[tensor].user_shape) or len(values) == 0:
            raise ConfigError(
                f"inputs of shape {list(values.shape)}; "
                f"allowed: [samples, {', '.join(map(str, expected))}], one sample or more"
            )
        return self.to_elements(tensor, values).reshape(-1, *self.tensors[tensor].shape)

    def to_elements(self, tensor: str, values: Values) -> Values:
        """Return a user's array (samples, *sample shape) as (samples, elements), laid out as the tensor is."""
        found = self.tensors[tensor]
        if found.order is not None:
            values = values.reshape(-1, *found.user_shape).transpose(0, *(axis + 1 for axis in found.order))
        return values.reshape(len(values), -1)

    def from_elements(self, tensor: str, values: Values) -> Values:
        """Return elements (samples, elements) as a user's array (samples, *sample shape)."""
        found = self.tensors[tensor]
        if found.order is not None:
            back = np.argsort(found.order) + 1
            values = values.reshape(-1, *found.shape).transpose(0, *back)
        return values.reshape(-1, *self.sample_shape(tensor))

    def readers(self, tensor: str) -> list[Operator]:
        """Return the operators that read a tensor."""
        return [operator for operator in self.operators if tensor in operator.inputs]

    def lower(self, options: LoweringOptions) -> tuple[Step, ...]:
        """Return the integer steps of a quantized network.

        Raises:
            UnsupportedError: operators that have no integer form; all of them are listed.
        """
        steps: list[Step] = []
        problems: list[str] = []
        for operator in self.operators:
            try:
                steps.append(operator.lower(self.tensors, options))
            except UnsupportedError as error:
                problems.append(str(error))
        if problems:
            raise UnsupportedError("\n".join(dict.fromkeys(problems)))
        return tuple(steps)
