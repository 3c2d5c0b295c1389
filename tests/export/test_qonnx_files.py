"""QONNX files of others: Quant of any width, BipolarQuant and Trunc, against QONNX's executor."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx_executor import executed

from hwsim.config.load import load_arch
from hwsim.errors import UnsupportedError
from hwsim.network.operator import quantization_of
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors

DOMAIN = "qonnx.custom_op.general"


@dataclass
class QonnxFile:
    shape: tuple[int, ...]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    version: int = 1
    """Of QONNX's operators."""

    def constant(self, values: object) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, np.float32)
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def quant(self, source: str, output: str, scale: object, bits: int, zero: float = 0.0, **changes: object) -> str:
        inputs = [source, self.constant(scale), self.constant(zero), self.constant(bits)]
        attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | changes
        return self.node("Quant", inputs, output, DOMAIN, **attributes)

    def build(self, output: str) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, name) for name, values in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, self.version)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()

    def differences(self, tmp_path: Path, output: str, names: list[str]) -> dict[str, int]:
        """Compare codes of Quant nodes' outputs on random reals."""
        path = tmp_path / "model.onnx"
        path.write_bytes(self.build(output))
        inputs = np.random.default_rng(1).normal(0, 1, (8, *self.shape)).astype(np.float32)
        workload = read_workload(path)
        spec = load_arch("edge16", ["array.guard_bits=16"])
        ours = integer_tensors(spec, choose_samples(workload, inputs=inputs))
        theirs = executed(path.read_bytes(), inputs)
        found = {}
        for name in names:
            grid = quantization_of(workload.network.tensors[name])
            codes = np.rint(theirs[name] / np.float32(grid.scale) + np.float32(grid.zero_point))
            assert codes.shape == ours[name].shape
            found[name] = int(np.count_nonzero(codes != ours[name]))
        return found


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("signed", [0, 1])
def test_a_convolution_and_a_dense_layer_of_any_width(tmp_path: Path, bits: int, signed: int) -> None:
    """A scale for each filter, a quantized bias, ReLU; scales of powers of two leave float32 exact."""
    random, file = np.random.default_rng(bits), QonnxFile((3, 7, 6))
    file.quant("x", "q", 2.0 ** (3 - bits), bits)
    weights = file.constant(random.normal(0, 0.3, (4, 3, 3, 3)))
    scales = 2.0 ** (random.integers(-2, 1, (4, 1, 1, 1)) - bits)
    file.quant(weights, "w", scales, bits, narrow=1)
    file.quant(file.constant(random.normal(0, 1, 4)), "b", (scales.reshape(-1) * 2.0 ** (3 - bits)), 32)
    file.node("Conv", ["q", "w", "b"], "sums", pads=[1, 0, 1, 0])
    file.node("Relu", ["sums"], "positive")
    file.quant("positive", "r", 2.0 ** (3 - bits), bits, signed=signed)
    file.node("Flatten", ["r"], "row")
    file.quant(file.constant(random.normal(0, 0.3, (112, 5))), "v", 2.0**-bits, bits)
    file.node("MatMul", ["row", "v"], "product")
    file.quant("product", "y", 2.0 ** (4 - bits), bits)
    assert file.differences(tmp_path, "y", ["q", "r", "y"]) == {"q": 0, "r": 0, "y": 0}


def test_bipolar_weights_and_activations(tmp_path: Path) -> None:
    random, file = np.random.default_rng(0), QonnxFile((40,))
    file.node("BipolarQuant", ["x", file.constant(0.5)], "s", DOMAIN)
    file.node("BipolarQuant", [file.constant(random.normal(0, 1, (40, 9))), file.constant(0.25)], "w", DOMAIN)
    file.node("MatMul", ["s", "w"], "sums")
    file.node("BipolarQuant", ["sums", file.constant(1.0)], "y", DOMAIN)
    assert file.differences(tmp_path, "y", ["s", "y"]) == {"s": 0, "y": 0}


def test_low_bits_are_cut_off(tmp_path: Path) -> None:
    """Sums of four codes keep their upper bits, as after an average pool in Brevitas."""
    file = QonnxFile((2, 4, 4))
    file.quant("x", "q", 0.0625, 6)
    file.node("AveragePool", ["q"], "mean", kernel_shape=[2, 2], strides=[2, 2])
    file.node("Mul", ["mean", file.constant(4.0)], "sum")
    ends = [file.constant(value) for value in (0.0625, 0.0, 8.0, 6.0)]
    file.node("Trunc", ["sum", *ends], "y", DOMAIN, rounding_mode="FLOOR")
    assert file.differences(tmp_path, "y", ["q", "y"]) == {"q": 0, "y": 0}


@pytest.mark.parametrize(("shift", "rounding"), [(1, "FLOOR"), (2, "ROUND"), (3, "CEIL")])
def test_version_2_cuts_off_bits_to_a_scale_of_its_own(tmp_path: Path, shift: int, rounding: str) -> None:
    """The output's scale is the input's times a power of two; codes are clamped before they are rounded."""
    file = QonnxFile((40,), version=2)
    file.quant("x", "q", 0.03125, 8)
    ends = [file.constant(value) for value in (0.03125, 0.0, 8.0, 0.03125 * 2.0**shift, 4.0)]
    file.node("Trunc", ["q", *ends], "y", DOMAIN, rounding_mode=rounding, signed=1, narrow=0)
    assert file.differences(tmp_path, "y", ["q", "y"]) == {"q": 0, "y": 0}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rounding_mode": "FLOOR"}, "node 0 (Quant): rounding_mode of an activation; allowed: ROUND, HALF_EVEN"),
        ({"bits": 1}, "node 0 (Quant): 1 bits; allowed: 2 to 32, or BipolarQuant"),
        ({"zero": 0.5}, "node 0 (Quant): a zero point that is no whole number"),
        ({"scale": [0.5, 0.25]}, "node 0 (Quant): an activation with 2 scales"),
    ],
)
def test_what_has_no_form_here_is_named(tmp_path: Path, change: dict[str, object], text: str) -> None:
    file = QonnxFile((2,))
    file.quant("x", "y", **({"scale": 0.5, "bits": 4} | change))  # type: ignore[arg-type]
    path = tmp_path / "model.onnx"
    path.write_bytes(file.build("y"))
    with pytest.raises(UnsupportedError) as refused:
        read_workload(path)
    assert str(refused.value).splitlines()[0] == f"{path}: {text}"
