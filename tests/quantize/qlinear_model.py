"""Writes a quantized network of hwsim as an ONNX model of QLinear operators, and runs it in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from hwsim.network.network import Network
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d
from hwsim.network.operators.matmul import MatmulOperator

PADDING = {"same": "SAME_UPPER", "valid": "VALID"}


class QLinearModel:
    """The model; tensors keep their names, images have channels first.

    ``weights_as_uint8`` stores weights 128 higher, with that as zero point: the same numbers, but not through the
    8-bit kernels that saturate pairs of products on processors without VNNI.
    """

    def __init__(self, network: Network, *, weights_as_uint8: bool = False) -> None:
        self._network = network
        self._weight_type, self._raised = (np.uint8, 128) if weights_as_uint8 else (np.int8, 0)
        quantization = network.tensors[network.input].quantization
        assert quantization is not None
        self._type = np.int8 if quantization.format.signed else np.uint8
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[NodeProto] = []
        for operator in network.operators:
            if isinstance(operator, MatmulOperator):
                self._matmul(operator)
            elif isinstance(operator, MaxPool2d):
                self._node("MaxPool", [operator.input], operator.output, kernel_shape=operator.pool,
                           strides=operator.stride)  # fmt: skip
            elif isinstance(operator, Flatten):
                self._node("Transpose", [operator.input], f"{operator.output}.nhwc", perm=[0, 2, 3, 1])
                self._node("Flatten", [f"{operator.output}.nhwc"], operator.output)
            else:
                raise TypeError(operator)

    def run(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the codes of every operator's output, in hwsim's layout."""
        names = [operator.output for operator in self._network.operators]
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(self._bytes(names), options, providers=["CPUExecutionProvider"])
        results = session.run(names, {self._network.input: _channels_first(codes.astype(self._type))})
        return {name: _channels_last(np.asarray(data)) for name, data in zip(names, results, strict=True)}

    def _bytes(self, outputs: list[str]) -> bytes:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self._type))
        assert kind in (TensorProto.INT8, TensorProto.UINT8)
        graph = helper.make_graph(
            self._nodes,
            self._network.name,
            [helper.make_tensor_value_info(self._network.input, kind, None)],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            [numpy_helper.from_array(data, name) for name, data in self._constants.items()],
        )
        opset = helper.make_opsetid("", 13)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()

    def _matmul(self, operator: MatmulOperator) -> None:
        """A dense layer without a bias is a QLinearMatMul; with one, a convolution of one pixel."""
        weight = np.asarray(self._network.tensors[operator.weight].data) + self._raised
        if isinstance(operator, Dense) and operator.bias is None:
            inputs = [
                *self._scaled(operator.input),
                *self._weight(operator, weight),
                *self._scaled(operator.output)[1:],
            ]
            self._node("QLinearMatMul", inputs, operator.output)
            return
        source, result, attributes = operator.input, operator.output, {}
        if isinstance(operator, Conv2d):
            attributes = {"strides": operator.stride, "auto_pad": PADDING[operator.padding], "group": operator.groups}
        else:
            weight, source, result = weight[None, None], f"{operator.name}.pixel", f"{operator.name}.outputs"
            self._reshape(operator.input, source, [0, -1, 1, 1])
        inputs = [
            source,
            *self._scaled(operator.input)[1:],
            *self._weight(operator, weight.transpose(3, 2, 0, 1)),
            *self._scaled(operator.output)[1:],
        ]
        if operator.bias is not None:
            bias = np.asarray(self._network.tensors[operator.bias].data)
            inputs.append(self._constant(f"{operator.name}.bias32", bias.astype(np.int32)))
        self._node("QLinearConv", inputs, result, **attributes)
        if isinstance(operator, Dense):
            self._reshape(result, operator.output, [0, -1])

    def _weight(self, operator: MatmulOperator, codes: np.ndarray) -> list[str]:
        quantization = self._network.tensors[operator.weight].quantization
        assert quantization is not None
        zero_point = np.broadcast_to(quantization.zero_point + self._raised, quantization.scale.shape)
        return [
            self._constant(f"{operator.weight}.codes", codes.astype(self._weight_type)),
            self._constant(f"{operator.weight}.scale", quantization.scale.astype(np.float32)),
            self._constant(f"{operator.weight}.zero", zero_point.astype(self._weight_type)),
        ]

    def _scaled(self, tensor: str) -> list[str]:
        """Name an activation tensor, its scale and its zero point."""
        quantization = self._network.tensors[tensor].quantization
        assert quantization is not None
        scale = self._constant(f"{tensor}.scale", quantization.scale.astype(np.float32))
        return [tensor, scale, self._constant(f"{tensor}.zero", quantization.zero_point.astype(self._type))]

    def _reshape(self, source: str, result: str, shape: list[int]) -> None:
        self._node("Reshape", [source, self._constant(f"{result}.shape", np.array(shape))], result)

    def _constant(self, name: str, data: np.ndarray) -> str:
        self._constants[name] = np.asarray(data)
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))


def _channels_first(codes: np.ndarray) -> np.ndarray:
    return np.moveaxis(codes, -1, 1) if codes.ndim == 4 else codes


def _channels_last(codes: np.ndarray) -> np.ndarray:
    return np.moveaxis(codes, 1, -1) if codes.ndim == 4 else codes
