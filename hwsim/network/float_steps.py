"""A float network lowered for an array of floating-point MACs.

Values have shape (samples, elements), in the operands' format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.array.float_product import Floats
from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import FunctionStep, MoveStep
from hwsim.network.gather import as_gather
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions, Operator
from hwsim.network.operators.elementwise import Flatten, LutFunction, MaxPool2d, Rectify
from hwsim.network.operators.layer_norm import LayerNorm, float_work
from hwsim.network.operators.matmul import MatmulOperator, activate
from hwsim.network.operators.quantized import QuantizedOperator
from hwsim.network.operators.real_function import MovedElements, RealFunction, float_actions
from hwsim.network.parts import ELEMENTS, Parts
from hwsim.network.steps import ProductStep, Step
from hwsim.network.tensor import Tensor
from hwsim.numerics.number_formats import FloatFormat
from hwsim.numerics.tflite.scales import TfliteActivation


@dataclass(frozen=True, eq=False)
class FloatMatmulStep(ProductStep):
    """A matrix product of floats; ``weights`` are in the operands' format.

    Behind the array the bias (groups, out_cols), None for none, is added in the accumulator's format, the fused
    activation applied, and the result converted to the operands' format. ``converted_to_infinity`` is how many weights
    and biases were finite and are not in their formats.
    """

    activation_format: FloatFormat
    weight_format: FloatFormat
    output_format: FloatFormat
    accumulator_format: FloatFormat
    bias: Floats | None
    activation: TfliteActivation
    converted_to_infinity: int = 0

    def requantizer_counts(self, scheme: str, rows: int, columns: int) -> Counts:  # noqa: ARG002
        """An add an output where there is a bias; rounding to the operands' format is not counted."""
        return Counts({("requantizer", "add"): rows * columns}) if self.bias is not None else Counts()

    def activation_operands(self, values: Floats, group: int) -> Floats:
        """Return what streams into the array, (samples, out_rows, depth); padding is zero."""
        padded = np.concatenate([values, np.zeros((len(values), 1), values.dtype)], axis=1)  # index -1: the last column
        return padded[:, self.gather.indices(group)]

    def finish(self, sums: Floats, group: int) -> tuple[Floats, int]:
        """Return a group's outputs for its sums, and how many became infinite or NaN on the way from finite ones."""
        biased = sums
        if self.bias is not None:
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                biased = sums + self.bias[group]
        outputs = self.output_format.convert(activate(biased.astype(np.float64), self.activation))
        return outputs, int(np.count_nonzero(np.isfinite(sums) & ~np.isfinite(outputs)))


@dataclass(frozen=True, slots=True, eq=False)
class _InFormat:
    """An operator off the array, its result rounded to the operands' format."""

    operator: Operator
    word: FloatFormat
    tensors: Mapping[str, Tensor]

    def __call__(self, *values: Floats) -> Floats:
        exact = self.operator.float_values([one.astype(np.float64) for one in values], self.tensors)
        return self.word.convert(exact)


def lower_float(network: Network, operand: FloatFormat, accumulator: FloatFormat) -> tuple[Step, ...]:
    """Return the steps of a float network whose batch normalizations and activations are fused.

    Raises:
        UnsupportedError: operators that such a machine does not have; all of them are listed.
    """
    steps: list[Step] = []
    problems: list[str] = []
    for operator in network.operators:
        if isinstance(operator, MatmulOperator) and operator.has_weights:
            steps.append(_product(operator, network, operand, accumulator))
        elif isinstance(operator, Flatten):
            steps.append(MoveStep(operator.name, operator.inputs, operator.output, _shape(network, operator.output)))
        elif isinstance(operator, MaxPool2d | Rectify | LutFunction | LayerNorm):
            steps.append(_elementwise(operator, network, operand, _work(operator, network)))
        elif (step := _off_the_array(operator, network, operand)) is not None:
            steps.append(step)
        else:
            kind = type(operator).__name__
            problems.append(f"layer {operator.layer}: {kind} on an array of {operand.name} MACs")
    if problems:
        allowed = "allowed: products by weights, pools, sums, functions of elements and of rows, moves"
        raise UnsupportedError("\n".join([*dict.fromkeys(problems), allowed]))
    return tuple(steps)


def _product(
    operator: MatmulOperator, network: Network, operand: FloatFormat, accumulator: FloatFormat
) -> FloatMatmulStep:
    tensors = network.tensors
    weight = np.asarray(tensors[operator.weight].data, np.float64)
    weights = operand.convert(operator.weight_matrix(weight))
    bias = None
    lost = int(np.count_nonzero(~np.isfinite(weights)))
    if operator.bias is not None:
        bias = accumulator.convert(np.asarray(tensors[operator.bias].data, np.float64)).reshape(operator.groups, -1)
        lost += int(np.count_nonzero(~np.isfinite(bias)))
    return FloatMatmulStep(
        name=operator.name,
        inputs=operator.inputs,
        output=operator.output,
        output_shape=_shape(network, operator.output),
        gather=as_gather(operator.gather(_shape(network, operator.input))),
        weights=weights,
        activation_format=operand,
        weight_format=operand,
        output_format=operand,
        accumulator_format=accumulator,
        bias=bias,
        activation=operator.activation,
        converted_to_infinity=lost,
        weight_name=operator.weight,
        weight_index_bits=tensors[operator.weight].index_bits,
        weight_decoding=tensors[operator.weight].decoding,
    )


def _off_the_array(operator: Operator, network: Network, word: FloatFormat) -> Step | None:
    """Return the step of an operator whose work on reals is known, None of another one."""
    if not isinstance(operator, QuantizedOperator | RealFunction | MovedElements):
        return None
    try:
        step = operator.lower(network.tensors, LoweringOptions(has_values=False))
    except (ConfigError, UnsupportedError):  # it works on codes alone
        return None
    if isinstance(step, FunctionStep):
        return _elementwise(operator, network, word, _Work(step.actions, step.own_parts))
    return step if isinstance(step, MoveStep) else None


@dataclass(frozen=True, slots=True)
class _Work:
    """What an operator takes on the vector unit and the LUT, and into which parts that falls."""

    actions: Counts
    parts: Parts


def _elementwise(operator: Operator, network: Network, word: FloatFormat, work: _Work) -> FunctionStep:
    inputs = tuple(name for name in operator.inputs if network.tensors[name].data is None)
    return FunctionStep(
        operator.name,
        inputs,
        operator.output,
        _shape(network, operator.output),
        _InFormat(operator, word, network.tensors),
        tuple(_shape(network, name) for name in inputs),
        float_actions(work.actions),
        own_parts=work.parts,
    )


def _work(operator: MaxPool2d | Rectify | LutFunction | LayerNorm, network: Network) -> _Work:
    """Return the work of an operator that hwsim has for codes.

    One comparison for every element of a window but the first, one for each end of a clamp, one look-up an element.
    """
    output = _shape(network, operator.output)
    elements = int(np.prod(output))
    if isinstance(operator, MaxPool2d):
        compares = (operator.pool[0] * operator.pool[1] - 1) * elements
        return _Work(Counts({("vector_unit", "compare"): compares}), Parts("channels", output[-1]))
    if isinstance(operator, Rectify):
        return _Work(Counts({("vector_unit", "compare"): 2 * elements}), ELEMENTS)
    if isinstance(operator, LutFunction):
        return _Work(Counts({("activation_lut", "lookup"): elements}), ELEMENTS)
    length = int(np.prod(_shape(network, operator.gamma)))
    return _Work(float_work(elements, length), Parts("rows", length))


def _shape(network: Network, tensor: str) -> tuple[int, ...]:
    return network.tensors[tensor].shape
