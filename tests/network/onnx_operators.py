"""Runs one ONNX operator in ONNX Runtime, in the layout of hwsim: (samples, height, width, channels)."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def run_onnx(operator: str, values: np.ndarray, *constants: np.ndarray, **attributes: object) -> np.ndarray:
    """Feed ``values`` to one operator whose other inputs are constants; images go through channels first."""
    is_image = values.ndim == 4
    fed = (np.moveaxis(values, -1, 1) if is_image else values).astype(np.float32)
    names = [f"constant{number}" for number in range(len(constants))]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], **attributes)],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, fed.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(data), name) for name, data in zip(names, constants, strict=True)],
    )
    opset = 20 if operator in ("Gelu", "LayerNormalization") else 15
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result = np.asarray(session.run(["y"], {"x": fed})[0])
    return np.moveaxis(result, 1, -1) if is_image else result
