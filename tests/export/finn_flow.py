"""FINN's own flow on QONNX files, for a Python that has FINN: ``python finn_flow.py FOLDER ...``.

Each folder holds model.onnx and inputs.npy. Its found.json tells for each stage the kinds of nodes and the outputs of
all inputs, one by one as FINN's hardware takes them; and what FINN says if it refuses the file. The stages are those
of ``finn.builder.build_dataflow_steps``, which itself needs Vivado to be imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from finn.core.onnx_exec import execute_onnx
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import InferElementwiseBinaryOperation
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.streamline import Streamline
from finn.transformation.streamline.absorb import (
    AbsorbConsecutiveTransposes,
    AbsorbScalarBiasIntoMultiThreshold,
    AbsorbTransposeIntoMultiThreshold,
)
from finn.transformation.streamline.reorder import MakeMaxPoolNHWC
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from finn.util.settings import initialize_dummy_settings
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.util.cleanup import cleanup_model

TIDY = (
    InferShapes,
    FoldConstants,
    GiveUniqueNodeNames,
    GiveReadableTensorNames,
    InferDataTypes,
    RemoveStaticGraphInputs,
)
LOWER = (
    LowerConvsToMatMul,
    MakeMaxPoolNHWC,
    AbsorbTransposeIntoMultiThreshold,
    MakeMaxPoolNHWC,
    AbsorbConsecutiveTransposes,
)
HARDWARE = (
    InferThresholdingLayer,
    InferQuantizedMatrixVectorActivation,
    InferPool,
    InferConvInpGen,
    RemoveCNVtoFCFlatten,
    InferElementwiseBinaryOperation,
    AbsorbConsecutiveTransposes,
    GiveUniqueNodeNames,
    InferDataLayouts,
    InferDataTypes,
    InferShapes,
)
NARROW = (MinimizeWeightBitWidth, MinimizeAccumulatorWidth, InferDataTypes, RoundAndClipThresholds, InferDataTypes)
STREAMLINE = (AbsorbScalarBiasIntoMultiThreshold, Streamline, *LOWER, Streamline, InferDataLayouts, RemoveUnusedTensors)
STAGES = {
    "finn": (ConvertQONNXtoFINN, *TIDY),
    "streamlined": STREAMLINE,
    "hardware": HARDWARE,
    "narrowed": NARROW,
}


def outputs(model: Any, inputs: np.ndarray) -> list[list[float]]:
    """Run one sample after the other."""
    source, target = model.graph.input[0].name, model.graph.output[0].name
    return [execute_onnx(model, {source: one[np.newaxis]})[target].reshape(-1).tolist() for one in inputs]


def stages(model: Any, inputs: np.ndarray, add: Callable[[str, dict[str, Any]], None]) -> None:
    """Report each stage to ``add``."""
    for name, transformations in {"file": (), **STAGES}.items():
        for transformation in transformations:
            model = model.transform(transformation())
        kinds = sorted({node.op_type for node in model.graph.node})
        add(name, {"kinds": kinds, "outputs": outputs(model, inputs)})


def flow(folder: Path) -> dict[str, Any]:
    """Return what FINN makes of a file, and its refusal if it refuses it."""
    found: dict[str, Any] = {}
    try:
        model = cleanup_model(ModelWrapper(str(folder / "model.onnx")), override_inpsize=1)
        stages(model, np.load(folder / "inputs.npy"), found.__setitem__)
    except ValueError as error:
        found["refused"] = str(error)
    return found


if __name__ == "__main__":
    initialize_dummy_settings()
    for name in sys.argv[1:]:
        Path(name, "found.json").write_text(json.dumps(flow(Path(name))), "utf-8")
