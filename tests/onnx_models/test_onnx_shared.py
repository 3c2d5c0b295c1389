"""Whole public networks: their integers and their accuracy against ONNX Runtime, node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import compared
from processor import in_order_of_x86
from shared_files import shared

from hwsim.readers.read import read_workload
from hwsim.simulate import run


def shared_file(*parts: str) -> Path:
    return shared("models", *parts)


def images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    with np.load(shared_file("data", "cifar10_test_first761.npz"), allow_pickle=False) as data:
        return (data["x"][:samples].astype(np.int64) - 128).astype(np.int8), data["y"][:samples].astype(np.int64)


def samples_for(name: str, count: int) -> dict[str, np.ndarray]:
    path = shared_file(f"{name}.onnx")
    tensor = read_workload(path).network.input
    random = np.random.default_rng(0)
    if name == "pretrainedResnet_quant_tf2onnx":
        return {tensor: images(count)[0]}
    if name == "kws_ref_model_tf2onnx":
        return {tensor: random.integers(-128, 128, (count, 49, 10, 1)).astype(np.int8)}
    return {tensor: random.normal(0, 2, (count, 1960)).astype(np.float32)}


def test_a_file_of_integer_operators_is_equal_in_every_tensor() -> None:
    name = "micro_kws_m_static_qoperator"
    found = compared(shared_file(f"{name}.onnx"), samples_for(name, 20))
    assert found.total == 0, found.differences
    assert (found.elements, len(found.tensors)) == (1_024_120, 15)


@in_order_of_x86
@pytest.mark.parametrize(
    ("name", "samples", "tensors"),
    [("pretrainedResnet_quant_tf2onnx", 5, 18), ("kws_ref_model_tf2onnx", 5, 15), ("micro_kws_m_static_qdq", 20, 16)],
)
def test_a_file_of_float_operators_between_quantizations(name: str, samples: int, tensors: int) -> None:
    found = compared(shared_file(f"{name}.onnx"), samples_for(name, samples))
    assert len(found.tensors) == tensors
    assert found.elements > 300_000
    assert found.total == 0, found.differences


def test_the_residual_network_classifies_as_in_onnx_runtime() -> None:
    """669 of 761 images: 87.91 %."""
    inputs, labels = images(761)
    path = shared_file("pretrainedResnet_quant_tf2onnx.onnx")
    result = run("edge16", path, inputs=inputs, labels=labels, engine="functional")
    assert result.accuracy == 669 / 761
