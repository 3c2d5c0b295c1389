"""Parts of an ONNX file in float32, written again as they were read."""

from __future__ import annotations

from hwsim.errors import UnsupportedError
from hwsim.export.averages import average
from hwsim.export.graph import Attributes
from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.file_nodes import FileNodes, FileStep
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.operators.real_function import RealFunction

SINCE = {
    "Abs": 6, "Add": 7, "AveragePool": 7, "Celu": 12, "Clip": 11, "Concat": 11, "Div": 7, "Elu": 6, "Erf": 9, "Exp": 6,
    "Gelu": 20, "GlobalAveragePool": 1, "HardSigmoid": 6, "HardSwish": 14, "LayerNormalization": 17, "LeakyRelu": 6,
    "Log": 6, "LogSoftmax": 13, "Max": 8, "MaxPool": 8, "Min": 8, "Mish": 18, "Mul": 7, "Neg": 6, "PRelu": 9, "Pow": 7,
    "Reciprocal": 6, "Relu": 6, "Sigmoid": 6, "Softmax": 13, "Softplus": 1, "Softsign": 1, "Sqrt": 6, "Sub": 7,
    "Tanh": 6, "Where": 9,
}  # fmt: skip
"""The first version of the operator set in which a node says what it says in the exported file's."""


def part(writer: OnnxWriter, operator: InFloat32 | RealFunction) -> None:
    """The same nodes between the same tensors."""
    found = operator.written
    if found is None or any(name not in writer.network.tensors for name in found.sources.values()):
        raise UnsupportedError(f"{type(operator).__name__} has no form in an exported file")
    names = {name: writer.reals(tensor) for name, tensor in found.sources.items()}
    names |= {name: writer.graph.table(values) for name, values in found.constants.items()}
    unknown = sorted({_name(step, found) for step in found.steps if not _is_written(step, found)})
    if unknown:
        raise UnsupportedError(f"{', '.join(unknown)} in float32 has no form in an exported file")
    for step in found.steps:
        inputs, base = [names[name] if name else "" for name in step.inputs], f"{operator.output}.{step.kind.lower()}"
        if step.windows is not None:
            names[step.output] = average(writer, inputs[0], base, step.windows, found.opset)
        else:
            names[step.output] = writer.step(step.kind, inputs, base, _attributes(step))
    writer.put(names[found.output], operator.output)


def _is_written(step: FileStep, part: FileNodes) -> bool:
    return step.kind in SINCE and part.opset >= SINCE[step.kind] and not _joins_constants(step, part)


def _joins_constants(step: FileStep, part: FileNodes) -> bool:
    """Tell whether constants, which are one sample's, lie beside tensors of many."""
    return step.kind == "Concat" and not part.constants.keys().isdisjoint(step.inputs)


def _name(step: FileStep, part: FileNodes) -> str:
    return f"{step.kind} of constants" if _joins_constants(step, part) else step.kind


def _attributes(step: FileStep) -> Attributes:
    return {
        name: [int(one) for one in value] if isinstance(value, tuple) else value
        for name, value in step.attributes.items()
        if isinstance(value, int | float | str | tuple)
    }


FORMS: dict[type[Operator], Form] = {InFloat32: part, RealFunction: part}
