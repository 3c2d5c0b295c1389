"""QDQ files: the same integers in ONNX Runtime, at 8, 4 and 3 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from exported import Exported, in_onnx_runtime
from onnx import TensorProto

from hwsim.cli.export import write_onnx
from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.export.qdq import qdq_file
from hwsim.network.operator import LoweringOptions
from hwsim.readers.read import read_workload

NETWORKS = ("digits_mlp", "digits_cnn")
ELEMENTS = {"digits_mlp": 74_520, "digits_cnn": 644_760}


def saturates_pairs() -> bool:
    """Whether ONNX Runtime's 8-bit kernels saturate sums of two products: on x86 processors without VNNI."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text("utf-8") if cpu.is_file() else ""
    return "avx2" in text and "vnni" not in text


@pytest.mark.skipif(saturates_pairs(), reason="ONNX Runtime's 8-bit kernels saturate pairs of products here")
@pytest.mark.parametrize("workload", NETWORKS)
def test_every_code_is_that_of_onnx_runtimes_integer_kernels(workload: str) -> None:
    """At 8 bits ONNX Runtime fuses products of real scales into QLinearConv and QGemm, which sum integers too."""
    case = Exported(workload, 8, 540)
    content = qdq_file(case.network, case.options, real_scales=True)
    theirs = in_onnx_runtime(content, case.inputs, list(case.codes), fused=True)
    assert case.differences(theirs.__getitem__) == (0, ELEMENTS[workload])


@pytest.mark.parametrize("workload", NETWORKS)
@pytest.mark.parametrize("bits", [16, 8, 4, 3])
@pytest.mark.parametrize("fused", [False, True])
def test_every_code_is_that_of_onnx_runtime(workload: str, bits: int, fused: bool) -> None:
    """With graph optimizations off and on: float32 holds the sums, and only the product with M is rounded."""
    case = Exported(workload, bits, 540, ["array.weight_bits=8"] if bits == 16 else [])
    theirs = in_onnx_runtime(qdq_file(case.network, case.options), case.inputs, list(case.codes), fused=fused)
    assert case.differences(theirs.__getitem__) == (0, ELEMENTS[workload])


@pytest.mark.parametrize("workload", NETWORKS)
def test_with_real_scales_a_sum_within_float32_rounding_of_a_tie_may_give_the_next_code(workload: str) -> None:
    case = Exported(workload, 8, 540)
    content = qdq_file(case.network, case.options, real_scales=True)
    theirs = in_onnx_runtime(content, case.inputs, list(case.codes), fused=False)
    wrong, elements = case.differences(theirs.__getitem__)
    assert wrong / elements < 1e-4


@pytest.mark.parametrize("workload", NETWORKS)
def test_with_scales_of_powers_of_two_float32_is_exact(workload: str) -> None:
    case = Exported(
        workload, 8, 540, [f"quantization.{part}.scale=power_of_two" for part in ("weights", "activations")]
    )
    theirs = in_onnx_runtime(qdq_file(case.network, case.options), case.inputs, list(case.codes), fused=False)
    assert case.differences(theirs.__getitem__) == (0, ELEMENTS[workload])


@pytest.mark.parametrize("signed", [True, False])
def test_unsigned_activations_and_weights_of_one_scale(signed: bool) -> None:
    settings = [f"quantization.activations.signed={str(signed).lower()}", "quantization.weights.granularity=per_tensor"]
    case = Exported("digits_cnn", 4, 50, settings)
    theirs = in_onnx_runtime(qdq_file(case.network, case.options), case.inputs, list(case.codes), fused=False)
    assert {theirs[name].dtype for name in case.codes} == {np.dtype("int8" if signed else "uint8")}
    assert case.differences(theirs.__getitem__)[0] == 0


def test_the_file_keeps_to_opset_21_and_stores_narrow_weights_in_four_bits() -> None:
    case = Exported("digits_mlp", 3, 1)
    model = onnx.load_from_string(qdq_file(case.network, case.options))
    assert (model.ir_version, [one.version for one in model.opset_import]) == (10, [21])
    kinds = {one.name: one.data_type for one in model.graph.initializer}
    assert {kinds["hidden.weight.codes"], kinds["hidden.weight.zero_point"]} == {TensorProto.INT4}
    assert kinds["hidden.bias.codes"] == TensorProto.INT32


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx("qdq", "edge16", "digits_mlp", path, None, ())
    spec = load_arch("edge16")
    network = compile_workload(spec, read_workload("digits_mlp")).network
    assert path.read_bytes() == qdq_file(network, lowering_options(spec))


def test_widths_without_a_type_are_refused() -> None:
    case = Exported("digits_mlp", 12, 1)
    with pytest.raises(UnsupportedError) as refused:
        qdq_file(case.network, case.options)
    assert str(refused.value).splitlines() == [
        f"tensor {name}: 12 bits; allowed: 2 to 8, 16" for name in ("input", "relu1", "logits")
    ]


def test_a_network_of_shapes_alone_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        qdq_file(read_workload("resnet50").network, LoweringOptions())
    assert str(refused.value) == ("workload resnet50 has shapes alone, and no values to write; allowed: one with")
