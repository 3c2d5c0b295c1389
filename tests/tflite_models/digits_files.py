"""Writes the shipped digits networks as complete `.tflite` files: quantized by hwsim, one operator a layer."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from model_builder import Graph, Operator, Tensor
from product_models import ACTIVATIONS

from hwsim.config.load import load_arch
from hwsim.network.network import Network
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.quantize.post_training import quantize
from hwsim.readers.native import read_workload


@cache
def quantized(name: str) -> Network:
    """Return a shipped network in 8 bits: weights per channel and symmetric, activations asymmetric."""
    workload = read_workload(name)
    assert workload.calibration is not None
    spec = load_arch("edge16").quantization
    return quantize(workload.network, workload.calibration, spec, weight_bits=8, activation_bits=8)


def digits_file(name: str) -> bytes:
    network = quantized(name)
    graph = Graph()
    numbers = {tensor: graph.add(_activation(network, tensor)) for tensor in network.activations}
    for operator in network.operators:
        inputs = [numbers[operator.input], *_constants(graph, network, operator)]
        graph.operators.append(Operator(_code(operator), inputs, [numbers[operator.output]], _options(operator)))
    graph.inputs, graph.outputs = [numbers[network.input]], [numbers[network.output]]
    return graph.build()


def digits_codes(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images as the file's codes, and their labels."""
    workload, network = read_workload(name), quantized(name)
    grid = network.tensors[network.input].quantization
    assert grid is not None
    assert workload.inputs is not None
    assert workload.labels is not None
    return grid.quantize(workload.inputs).astype(np.int8), workload.labels


def _activation(network: Network, name: str) -> Tensor:
    found = network.tensors[name]
    assert found.quantization is not None
    return Tensor((1, *found.shape), "int8", float(found.quantization.scale), int(found.quantization.zero_point))


def _constants(graph: Graph, network: Network, operator: Any) -> list[int]:
    """Filters first, as files have them: OHWI for a convolution, (units, inputs) for a dense layer."""
    if isinstance(operator, Flatten):
        return [graph.constant(np.array([1, *network.tensors[operator.output].shape], np.int32))]
    if not isinstance(operator, MatmulOperator):
        return []
    weight, bias = (network.tensors[constant] for constant in operator.constants)
    assert weight.quantization is not None
    assert bias.quantization is not None
    codes = np.moveaxis(np.asarray(weight.data), -1, 0).astype(np.int8)
    return [
        graph.constant(codes, weight.quantization.scale, axis=0),
        graph.constant(np.asarray(bias.data).astype(np.int32), bias.quantization.scale),
    ]


def _code(operator: Any) -> str:
    codes = {Conv2d: "CONV_2D", Dense: "FULLY_CONNECTED", MaxPool2d: "MAX_POOL_2D", Flatten: "RESHAPE"}
    return codes[type(operator)]


def _options(operator: Any) -> object:
    if isinstance(operator, Flatten):
        return schema.ReshapeOptionsT()
    if isinstance(operator, Dense):
        dense = schema.FullyConnectedOptionsT()
        dense.fusedActivationFunction = ACTIVATIONS[operator.activation]
        return dense
    options = schema.Conv2DOptionsT() if isinstance(operator, Conv2d) else schema.Pool2DOptionsT()
    options.strideH, options.strideW = operator.stride
    options.padding = schema.Padding.VALID
    if isinstance(operator, Conv2d):
        options.padding = schema.Padding.SAME if operator.padding == "same" else schema.Padding.VALID
        options.fusedActivationFunction = ACTIVATIONS[operator.activation]
    else:
        options.filterHeight, options.filterWidth = operator.pool
    return options
