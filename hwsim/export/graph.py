"""What both kinds of ONNX file share: the float operators between quantizations, with images channels first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d, Rectify
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.windows import Axis, image
from hwsim.network.tensor import Shape
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.scales import TfliteActivation

if TYPE_CHECKING:
    from onnx import NodeProto

OPSET = 21
IR_VERSION = 10
IMAGE_AXES = 3
Array = np.ndarray[Any, Any]
Attributes = Mapping[str, int | str | list[int]]


@dataclass(slots=True)
class OnnxGraph:
    """Nodes and constants of a file that is being written."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    narrow: dict[str, bool] = field(default_factory=dict)
    """Constants that are stored in four bits each, and whether they have a sign."""

    def node(
        self, kind: str, inputs: list[str], output: str, attributes: Attributes | None = None, domain: str = ""
    ) -> str:
        """Add a node and return its output."""
        from onnx import helper

        node = helper.make_node(kind, inputs, [output], name=output, domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
        self.nodes.append(node)
        return output

    def constant(self, name: str, values: Array) -> str:
        """Add a constant and return its name."""
        self.constants[name] = values
        return name

    def serialized(
        self, name: str, source: tuple[str, Shape], output: tuple[str, Shape], domains: Mapping[str, int]
    ) -> bytes:
        """Return the file: one input of reals (any number of samples), one output of reals."""
        from onnx import TensorProto, helper

        ends = [
            helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["samples", *shape])
            for tensor, shape in (source, output)
        ]
        graph = helper.make_graph(
            self.nodes,
            name,
            ends[:1],
            ends[1:],
            [self._initializer(constant, values) for constant, values in self.constants.items()],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in {"": OPSET, **domains}.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hwsim")
        return bytes(model.SerializeToString())

    def _initializer(self, name: str, values: Array) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        if name not in self.narrow:
            return numpy_helper.from_array(values, name)
        kind = TensorProto.INT4 if self.narrow[name] else TensorProto.UINT4
        return helper.make_tensor(name, kind, values.shape, values.reshape(-1).tolist())


class OnnxWriter(ABC):
    """Walks a quantized network; the base class writes what computes, a subclass what quantizes."""

    domains: Mapping[str, int] = {}

    def __init__(self, network: Network) -> None:
        self._network = network
        self._graph = OnnxGraph()

    def written(self) -> bytes:
        """Return the file.

        Raises:
            ConfigError: the network is no float network that hwsim has quantized.
            UnsupportedError: operators or widths without an ONNX form; all of them are listed.
        """
        network = self._network
        if network.holds_codes or not network.has_values:
            raise ConfigError(f"workload {network.name} is no network of reals that hwsim quantizes; allowed: one")
        self._check()
        shape = network.tensors[network.input].shape
        given = f"{network.input}.given"
        self._quantized(self._channels_first(given, shape), network.input)
        for operator in network.operators:
            self._operator(operator)
        output = self.reals(network.output), _outside(network.tensors[network.output].shape)
        return self._graph.serialized(network.name, (given, shape), output, self.domains)

    @abstractmethod
    def reals(self, tensor: str) -> str:
        """Return the name of a quantized tensor's reals."""

    @abstractmethod
    def _quantized(self, source: str, tensor: str) -> None:
        """Quantize reals to a tensor of the network."""

    @abstractmethod
    def _weight(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        """Return the name of constant reals that stand for codes, with scales along an axis if there are several."""

    def _check(self) -> None:
        problems, others = [], defaultdict[str, list[str]](list)
        for operator in self._network.operators:
            if not isinstance(operator, Conv2d | Dense | MaxPool2d | Flatten | Rectify):
                others[type(operator).__name__].append(operator.name)
            elif isinstance(operator, MatmulOperator) and operator.activation == "relu_n1_to_1":
                problems.append(f"layer {operator.name}: activation relu_n1_to_1 has no form in an exported file")
        for kind, names in others.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            problems.append(f"layer {names[0]}{more}: {kind} has no form in an exported file")
        if problems:
            raise UnsupportedError("\n".join(problems))

    def _operator(self, operator: Operator) -> None:
        if isinstance(operator, MatmulOperator):
            found = self._product(operator)
        elif isinstance(operator, MaxPool2d):
            found = self._max_pool(operator)
        elif isinstance(operator, Flatten):
            found = self._flatten(operator)
        else:
            assert isinstance(operator, Rectify)  # noqa: S101  (`_check` saw to it)
            found = self._activated(self.reals(operator.input), operator.output, operator.activation)
        self._quantized(found, operator.output)

    def _channels_first(self, name: str, shape: Shape) -> str:
        if len(shape) != IMAGE_AXES:
            return name
        return self._graph.node("Transpose", [name], f"{name}.nchw", {"perm": [0, 3, 1, 2]})

    def _product(self, operator: MatmulOperator) -> str:
        """A convolution, or a matrix product: reals of the activations by reals of the weights, and the bias."""
        tensors, output = self._network.tensors, operator.output
        weight, grid = np.asarray(tensors[operator.weight].data), quantization_of(tensors[operator.weight])
        inputs = [self.reals(operator.input)]
        if isinstance(operator, Conv2d):
            inputs.append(self._weight(operator.weight, weight.transpose(3, 2, 0, 1), grid, 0))
            inputs += self._bias(operator)
            attributes = _conv_attributes(operator, tensors[operator.input].shape)
            found = self._graph.node("Conv", inputs, f"{output}.sums", attributes)
        else:
            inputs.append(self._weight(operator.weight, weight, grid, 1))
            inputs += self._bias(operator)
            found = self._graph.node("Gemm", inputs, f"{output}.sums")
        return self._activated(found, output, operator.activation)

    def _bias(self, operator: MatmulOperator) -> list[str]:
        if operator.bias is None:
            return []
        tensor = self._network.tensors[operator.bias]
        return [self._weight(operator.bias, np.asarray(tensor.data), quantization_of(tensor), 0)]

    def _activated(self, source: str, output: str, activation: TfliteActivation) -> str:
        if activation == "none":
            return source
        if activation == "relu":
            return self._graph.node("Relu", [source], f"{output}.activated")
        bounds = [
            self._graph.constant(f"{output}.{end}", np.asarray(value, np.float32))
            for end, value in (("low", 0), ("high", 6))
        ]
        return self._graph.node("Clip", [source, *bounds], f"{output}.activated")

    def _max_pool(self, operator: MaxPool2d) -> str:
        height, width, _ = image(operator.name, self._network.tensors[operator.input].shape)
        attributes: Attributes = {
            "kernel_shape": list(operator.pool),
            "strides": list(operator.stride),
            "pads": _pads(operator.axes(height, width)),
        }
        return self._graph.node("MaxPool", [self.reals(operator.input)], f"{operator.output}.greatest", attributes)

    def _flatten(self, operator: Flatten) -> str:
        source = self.reals(operator.input)
        if len(self._network.tensors[operator.input].shape) == IMAGE_AXES:
            source = self._graph.node("Transpose", [source], f"{operator.output}.nhwc", {"perm": [0, 2, 3, 1]})
        return self._graph.node("Flatten", [source], f"{operator.output}.row")


def _outside(shape: Shape) -> Shape:
    """Return the shape with channels first, if it is an image's."""
    return (shape[2], *shape[:2]) if len(shape) == IMAGE_AXES else shape


def _conv_attributes(operator: Conv2d, shape: Shape) -> Attributes:
    height, width, _ = image(operator.name, shape)
    return {
        "group": operator.groups,
        "kernel_shape": list(operator.kernel),
        "strides": list(operator.stride),
        "dilations": list(operator.dilation),
        "pads": _pads(operator.axes(height, width)),
    }


def _pads(axes: tuple[Axis, Axis]) -> list[int]:
    """Return padding as ONNX has it: above, left, below, right."""
    after = [
        max((one.outputs - 1) * one.stride + (one.window - 1) * one.dilation + 1 - one.size - one.before, 0)
        for one in axes
    ]
    return [axes[0].before, axes[1].before, *after]
