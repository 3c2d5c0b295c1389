"""Parts of an ONNX file in float32, written again as they were read."""

from __future__ import annotations

from hwsim.errors import UnsupportedError
from hwsim.export.averages import average
from hwsim.export.graph import Attributes
from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.file_nodes import FileStep
from hwsim.network.operators.qlinear import InFloat32
from hwsim.network.operators.real_function import RealFunction

SINCE = {
    "Add": 7, "AveragePool": 7, "Clip": 11, "Div": 7, "Erf": 9, "GlobalAveragePool": 1, "HardSigmoid": 6,
    "HardSwish": 14, "LayerNormalization": 17, "LeakyRelu": 6, "MaxPool": 8, "Mul": 7, "Relu": 6, "Sigmoid": 6,
    "Softmax": 13, "Sqrt": 6, "Sub": 7, "Tanh": 6,
}  # fmt: skip
"""The first version of the operator set in which a node says what it says in the exported file's."""


def part(writer: OnnxWriter, operator: InFloat32 | RealFunction) -> None:
    """The same nodes between the same tensors."""
    found = operator.written
    if found is None or any(name not in writer.network.tensors for name in found.sources.values()):
        raise UnsupportedError(f"{type(operator).__name__} has no form in an exported file")
    names = {name: writer.reals(tensor) for name, tensor in found.sources.items()}
    names |= {name: writer.graph.table(values) for name, values in found.constants.items()}
    unknown = sorted({step.kind for step in found.steps if found.opset < SINCE.get(step.kind, found.opset + 1)})
    if unknown:
        raise UnsupportedError(f"{', '.join(unknown)} in float32 has no form in an exported file")
    for step in found.steps:
        inputs, base = [names[name] if name else "" for name in step.inputs], f"{operator.output}.{step.kind.lower()}"
        if step.windows is not None:
            names[step.output] = average(writer, inputs[0], base, step.windows, found.opset)
        else:
            names[step.output] = writer.step(step.kind, inputs, base, _attributes(step))
    writer.put(names[found.output], operator.output)


def _attributes(step: FileStep) -> Attributes:
    return {
        name: [int(one) for one in value] if isinstance(value, tuple) else value
        for name, value in step.attributes.items()
        if isinstance(value, int | float | str | tuple)
    }


FORMS: dict[type[Operator], Form] = {InFloat32: part, RealFunction: part}
