"""Ties behind average pools: the same code in the user's file, in hwsim, and in both kinds of exported file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from export.exported import in_onnx_runtime
from export.file_runs import FileRun
from onnx import TensorProto, helper, numpy_helper

from hwsim.readers.read import read_workload

IMAGES = 4
CHANNELS = 8


@dataclass(frozen=True)
class Pooled:
    """Codes, averaged: size of an image, kernel, strides, pads and whether averages count them."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    counts_pads: int = 0

    def file(self, opset: int, scale: float, zero_point: int) -> bytes:
        ends = ["scale", "zero"]
        attributes = {"kernel_shape": self.kernel, "strides": self.strides, "pads": self.pads}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", *ends], ["codes"]),
            helper.make_node("DequantizeLinear", ["codes", *ends], ["reals"]),
            helper.make_node("AveragePool", ["reals"], ["mean"], count_include_pad=self.counts_pads, **attributes),
            helper.make_node("QuantizeLinear", ["mean", *ends], ["pooled"]),
            helper.make_node("DequantizeLinear", ["pooled", *ends], ["y"]),
        ]
        constants = [
            numpy_helper.from_array(np.asarray(scale, np.float32), "scale"),
            numpy_helper.from_array(np.asarray(zero_point, np.int8), "zero"),
        ]
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ["n", CHANNELS, *self.size]), ("y", ["n", CHANNELS, "h", "w"]))
        ]
        graph = helper.make_graph(nodes, "pool", values[:1], values[1:], constants)
        opsets = [helper.make_opsetid("", opset)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


POOLS = [
    Pooled((4, 4), (2, 2), (2, 2)),
    Pooled((5, 7), (5, 7)),
    Pooled((5, 7), (5, 7), (2, 2)),
    Pooled((9, 6), (3, 2), (2, 3)),
    Pooled((6, 6), (3, 3), (1, 1), (1, 1, 1, 1)),
    Pooled((6, 6), (3, 3), (2, 2), (0, 1, 1, 0), 1),
    Pooled((25, 5), (24, 4)),
    Pooled((3, 40), (1, 33), (1, 1)),
]


def reals(scale: float, zero_point: int, size: tuple[int, int]) -> np.ndarray:
    """Codes of all sizes, in channels of few of them, so that many averages lie on ties."""
    random, narrow = np.random.default_rng(abs(zero_point)), np.arange(1, CHANNELS + 1)[:, None, None] ** 2
    codes = zero_point + random.integers(-narrow, narrow + 1, (IMAGES, CHANNELS, *size))
    return (np.clip(codes, -128, 127) - zero_point).astype(np.float32) * np.float32(scale)


@pytest.mark.parametrize("opset", [13, 19, 21])
@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: "x".join(map(str, pool.kernel)))
def test_every_code_of_an_average_pool(tmp_path: Path, pool: Pooled, opset: int) -> None:
    """Odd and even zero points; scales that float32 multiplies by exactly, and that it does not."""
    path = tmp_path / "pool.onnx"
    for scale, zero_point in ((0.5, -128), (0.5, 3), (0.0235, -7), (0.1, 12), (3.3e-5, -127), (17.3, 1)):
        path.write_bytes(pool.file(opset, scale, zero_point))
        run = FileRun(read_workload(path), {"x": reals(scale, zero_point, pool.size)})
        theirs = in_onnx_runtime(path.read_bytes(), run.inputs or {}, ["pooled"], fused=False)["pooled"]
        ours = run.codes["pooled"]
        assert np.array_equal(theirs, ours)
        elements = sum(codes.size for codes in run.codes.values())
        assert run.in_onnx_runtime() == run.in_qonnx() == (0, elements)


def test_the_order_of_sums_before_operator_set_19_is_written_out(tmp_path: Path) -> None:
    """Each column downwards, then the columns: an add and two slices for each, where AveragePool goes row by row."""
    path = tmp_path / "pool.onnx"
    path.write_bytes(Pooled((4, 4), (2, 2), (2, 2)).file(13, 0.5, 0))
    written = onnx.load_from_string(FileRun(read_workload(path), {"x": reals(0.5, 0, (4, 4))}).qdq())
    moves = ("Identity", "QuantizeLinear", "DequantizeLinear")
    kinds = [node.op_type for node in written.graph.node if node.op_type not in moves]
    assert kinds == ["Slice", "Slice", "Add", "Slice", "Slice", "Add", "Div"]
