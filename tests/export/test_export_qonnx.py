"""QONNX files: the same integers in QONNX's own executor, at 8, 4 and 3 bits."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from exported import Exported
from qonnx_executor import executed_codes

from hwsim.cli.export import write_onnx
from hwsim.export.qonnx import qonnx_file

SAMPLES = 100


def differences(case: Exported) -> tuple[int, int]:
    return case.differences(executed_codes(qonnx_file(case.network, case.options), case.inputs).__getitem__)


@pytest.mark.parametrize("workload", ["digits_mlp", "digits_cnn"])
@pytest.mark.parametrize("bits", [16, 12, 8, 4, 3])
def test_every_code_is_that_of_the_executor(workload: str, bits: int) -> None:
    """The executor sums float32, and adds the zero point before it rounds."""
    case = Exported(workload, bits, SAMPLES, [f"array.weight_bits={min(bits, 8)}"])
    wrong, elements = differences(case)
    assert (wrong, elements > 13_000) == (0, True)


@pytest.mark.parametrize("workload", ["digits_mlp", "digits_cnn"])
@pytest.mark.parametrize("bits", [8, 4, 3])
def test_with_scales_of_powers_of_two_every_code_is_equal(workload: str, bits: int) -> None:
    """float32 is exact then, and symmetric codes have a zero point of 0."""
    settings = [f"quantization.{part}.scale=power_of_two" for part in ("weights", "activations")]
    case = Exported(workload, bits, SAMPLES, [*settings, "quantization.activations.symmetric=true"])
    assert differences(case)[0] == 0


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx("qonnx", "edge16", "digits_cnn", path, None, ("array.weight_bits=4",))
    model = onnx.load(path)
    quantizers = [node for node in model.graph.node if node.op_type == "Quant"]
    assert {node.domain for node in quantizers} == {"qonnx.custom_op.general"}
    widths = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    assert {float(widths[f"{layer}.weight.bits"]) for layer in ("conv1", "fc1", "logits")} == {4.0}
    assert float(widths["input.bits"]) == 8.0
