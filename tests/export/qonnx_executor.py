"""Runs a QONNX file in QONNX's own executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import qonnx.core.onnx_exec as executor
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

IR_VERSION = 10  # what the executor writes for each node by itself is newer than ONNX Runtime reads


@contextmanager
def _older_nodes() -> Iterator[None]:
    make = executor.qonnx_make_model

    def make_older(graph: onnx.GraphProto) -> onnx.ModelProto:
        model = make(graph)
        model.ir_version = IR_VERSION
        return model

    with patch.object(executor, "qonnx_make_model", make_older):
        yield


def executed(content: bytes, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return all tensors of a file: reals on their grids."""
    model: Any = ModelWrapper(onnx.load_from_string(content))
    given = dict(inputs) if isinstance(inputs, Mapping) else {model.graph.input[0].name: inputs}
    for name, values in given.items():
        model.set_tensor_shape(name, list(values.shape))
    return tensors_of(model.transform(InferShapes()), given)


def executed_codes(content: bytes, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the codes that each Quant node's output stands for, by the scale and zero point that the node has."""
    model = onnx.load_from_string(content)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    tensors = executed(content, inputs)
    found = {}
    for node in model.graph.node:
        if node.op_type == "Quant" and node.input[0] not in constants:
            scale, zero_point = (constants[name] for name in node.input[1:3])
            found[node.output[0]] = np.rint(tensors[node.output[0]] / scale) + zero_point
    return found


def tensors_of(model: Any, given: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return all tensors of a model whose shapes are known."""
    with _older_nodes():
        context: dict[str, np.ndarray] = executor.execute_onnx(model, dict(given), return_full_exec_context=True)
    return context
