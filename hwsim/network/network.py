"""A network: tensors and the operators between them, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.errors import UnsupportedError
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.steps import Step
from hwsim.network.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Network:
    """Operators in the order of execution; ``input`` and ``output`` name tensors. Float or quantized alike."""

    name: str
    tensors: Mapping[str, Tensor]
    operators: tuple[Operator, ...]
    input: str
    output: str

    @property
    def activations(self) -> list[str]:
        """Names of the activation tensors: the input, then every operator's output."""
        return [self.input, *(operator.output for operator in self.operators)]

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
            raise UnsupportedError("\n".join(problems))
        return tuple(steps)
