"""An ONNX file that is being written: nodes, constants, inputs and outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.network.tensor import Shape

if TYPE_CHECKING:
    from onnx import NodeProto, TensorAnnotation

OPSET = 21
IR_VERSION = 10
Array = np.ndarray[Any, Any]
Attributes = Mapping[str, int | float | str | list[int]]


@dataclass(slots=True)
class OnnxGraph:
    """Nodes and constants of a file that is being written."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    narrow: dict[str, bool] = field(default_factory=dict)
    """Constants that are stored in four bits each, and whether they have a sign."""
    names: set[str] = field(default_factory=set)
    layouts: dict[str, str] = field(default_factory=dict)
    """A letter for each axis of tensors, samples counted, as in ``NHWC``; kept as an annotation in QONNX's form."""

    def node(
        self, kind: str, inputs: Sequence[str], output: str, attributes: Attributes | None = None, domain: str = ""
    ) -> str:
        """Add a node and return its output."""
        from onnx import helper

        node = helper.make_node(kind, inputs, [output], name=output, domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
        self.nodes.append(node)
        self.names.add(output)
        return output

    def constant(self, name: str, values: Array) -> str:
        """Add a constant and return its name; the same name twice is the same constant."""
        self.constants[name] = values
        return name

    def table(self, values: Array) -> str:
        """Add a constant that is called by its content, so that equal ones are stored once."""
        content = hashlib.sha256(values.tobytes()).hexdigest()
        return self.constant(f"table.{values.dtype}.{content[:16]}", values)

    def new_name(self, base: str) -> str:
        """Return a name that no node's output has yet."""
        if base not in self.names:
            return base
        return next(name for number in range(2, len(self.names) + 3) if (name := f"{base}_{number}") not in self.names)

    def reshape(self, source: str, shape: Sequence[int]) -> str:
        """Give every sample a shape; samples stay the first axis."""
        sizes = self.constant(f"shape.{'x'.join(map(str, shape))}", np.asarray([0, *shape], np.int64))
        return self.node("Reshape", [source, sizes], self.new_name(f"{source}.shaped"))

    def transpose(self, source: str, order: Sequence[int]) -> str:
        """Put the axes of every sample into another order, unless it is the one that they have."""
        if list(order) == sorted(order):
            return source
        axes = [0, *(axis + 1 for axis in order)]
        return self.node("Transpose", [source], self.new_name(f"{source}.moved"), {"perm": axes})

    def parts(self, source: str, count: int, axis: int) -> list[str]:
        """Cut a tensor into equal parts along an axis, samples counted."""
        from onnx import helper

        names = [self.new_name(f"{source}.part{number}") for number in range(count)]
        self.nodes.append(helper.make_node("Split", [source], names, name=names[0], axis=axis, num_outputs=count))
        self.names.update(names)
        return names

    def cast(self, source: str, kind: str) -> str:
        """Change the type of numbers."""
        from onnx import TensorProto

        attributes: Attributes = {"to": int(getattr(TensorProto, kind))}
        return self.node("Cast", [source], self.new_name(f"{source}.{kind.lower()}"), attributes)

    def serialized(
        self,
        name: str,
        inputs: Sequence[tuple[str, Shape]],
        outputs: Sequence[tuple[str, Shape]],
        domains: Mapping[str, int],
    ) -> bytes:
        """Return the file: inputs and outputs are reals, any number of samples of each shape."""
        from onnx import TensorProto, helper

        ends = [
            [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["samples", *shape]) for tensor, shape in end]
            for end in (inputs, outputs)
        ]
        constants = [self._initializer(constant, values) for constant, values in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, ends[0], ends[1], constants)
        graph.quantization_annotation.extend(_annotation(tensor, layout) for tensor, layout in self.layouts.items())
        opsets = [helper.make_opsetid(domain, version) for domain, version in {"": OPSET, **domains}.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hwsim")
        return bytes(model.SerializeToString())

    def _initializer(self, name: str, values: Array) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        if name not in self.narrow:
            return numpy_helper.from_array(values, name)
        kind = TensorProto.INT4 if self.narrow[name] else TensorProto.UINT4
        return helper.make_tensor(name, kind, values.shape, values.reshape(-1).tolist())


def _annotation(tensor: str, layout: str) -> TensorAnnotation:
    from onnx import StringStringEntryProto, TensorAnnotation

    entry = StringStringEntryProto(key="tensor_layout", value=str(list(layout)))
    return TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[entry])
