"""What FINN's front end asks of a QONNX file, and the transformations of QONNX that it begins with.

FINN's own conversion and hardware layers run in test_finn_flow.py, where there is a Python that has FINN+ (the package
``finn`` of PyPI is empty). This needs none: it asks what ``ConvertQONNXtoFINN`` (FoldQuantWeights, QuantReluHandler,
QuantIdentityHandler) and ``InferDataLayouts`` ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from export.qonnx_executor import tensors_of
from exported import Exported
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.extract_conv_bias import ExtractBiasFromConv
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from qonnx.util.cleanup import cleanup_model

from hwsim.export.qonnx import qonnx_file
from hwsim.network.operator import quantization_of

NETWORKS = ("digits_mlp", "digits_cnn")
LAYERS = {"digits_mlp": ("hidden", "logits"), "digits_cnn": ("conv1", "conv2", "conv3", "fc1", "logits")}
SETTINGS = (
    "quantization.weights.scale=power_of_two",
    "quantization.activations.scale=power_of_two",
    "quantization.activations.symmetric=true",
)


@cache
def exported(workload: str) -> Exported:
    """Symmetric codes, unsigned where layers read them: as FINN takes them."""
    unsigned = [f"quantization.layers.{layer}.activations.signed=false" for layer in LAYERS[workload]]
    return Exported(workload, 4, 1, [*SETTINGS, *unsigned])


@cache
def content(workload: str) -> bytes:
    return qonnx_file(exported(workload).network, exported(workload).options)


def model_of(workload: str) -> Any:
    model = ModelWrapper(onnx.load_from_string(content(workload)))
    model.set_tensor_shape(model.graph.input[0].name, list(exported(workload).inputs.shape))
    return model.transform(InferShapes())


def output_codes(model: Any, workload: str) -> np.ndarray:
    case = exported(workload)
    grid = quantization_of(case.network.tensors[case.network.output])
    found = tensors_of(model, {model.graph.input[0].name: case.inputs})[model.graph.output[0].name]
    return np.asarray(np.rint(found / np.float32(grid.scale) + np.float32(grid.zero_point)))


@pytest.mark.parametrize("workload", NETWORKS)
def test_quant_nodes_are_as_finn_takes_them(workload: str) -> None:
    """Constant scale, zero point 0 and width of at most 8 bits (biases: 32); unsigned and not narrow after a Relu."""
    model = model_of(workload)
    quantizers = [node for node in model.graph.node if node.op_type == "Quant"]
    assert len(quantizers) > 5
    for node in quantizers:
        scale, zero_point, bits = (model.get_initializer(name) for name in node.input[1:])
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        is_bias = node.output[0].endswith(".bias")
        assert zero_point is not None
        assert zero_point.size == 1
        assert not np.any(zero_point)
        assert float(bits) == (32 if is_bias else 4)
        assert attributes["rounding_mode"] == b"ROUND"
        if model.get_initializer(node.input[0]) is None:
            assert scale.size == 1  # an activation
            before = model.find_producer(node.input[0])
            is_rectified = before is not None and before.op_type == "Relu"
            assert not (is_rectified and (attributes["signed"] or attributes["narrow"]))
        else:
            assert not model.is_fork_node(node)
            assert next(one.op_type for one in model.find_direct_successors(node)) in ("Conv", "Gemm")


def test_images_tell_where_their_channels_are() -> None:
    """Without it channels of an input of four axes are taken to come first."""
    model = model_of("digits_cnn")
    assert model.get_tensor_layout(model.graph.input[0].name) == ["N", "H", "W", "C"]


@pytest.mark.parametrize("real_scales", [False, True])
def test_a_convolutions_bias_of_one_scale_leaves_it(real_scales: bool) -> None:
    """ExtractBiasFromConv gives scales of a bias the axis of its channels, unless there is one scale on one axis."""
    case = Exported("digits_cnn", 4, 1, [*SETTINGS, "quantization.weights.granularity=per_tensor"])
    model = ModelWrapper(onnx.load_from_string(qonnx_file(case.network, case.options, real_scales=real_scales)))
    model.set_tensor_shape(model.graph.input[0].name, list(case.inputs.shape))
    model = model.transform(InferShapes()).transform(ExtractBiasFromConv())
    assert {len(node.input) for node in model.graph.node if node.op_type == "Conv"} == {2}


class FoldWeights(FoldConstants):
    """Quantized weights become constants, as FINN folds them before it lowers convolutions."""

    def __init__(self) -> None:
        super().__init__(exclude_op_types=[])


TRANSFORMATIONS: Sequence[Sequence[Any]] = (
    (ExtractBiasFromConv,),
    (GemmToMatMul, FoldTransposeIntoQuantInit),
    (ExtractBiasFromConv, GemmToMatMul, FoldWeights, InferDataTypes, LowerConvsToMatMul),
)


@pytest.mark.filterwarnings("ignore:The GemmToMatMul transformation only offers")
@pytest.mark.parametrize("workload", NETWORKS)
@pytest.mark.parametrize("steps", TRANSFORMATIONS, ids=lambda steps: "-".join(one.__name__ for one in steps))
def test_cleanup_and_lowering_leave_the_outputs_as_they_are(workload: str, steps: Sequence[Any]) -> None:
    case = exported(workload)
    model = cleanup_model(model_of(workload))
    for step in steps:
        model = model.transform(step())
    if LowerConvsToMatMul in steps:
        assert not {"Conv", "Gemm"} & {node.op_type for node in model.graph.node}
    assert np.array_equal(output_codes(model, workload), case.codes[case.network.output])
