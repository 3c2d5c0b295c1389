"""Whole public networks: their integers and their accuracy against ONNX Runtime, node by node."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_files import compared, runtime_tensors
from processor import in_order_of_x86
from public_networks import images, samples_for, shared_file

from hwsim.readers.read import read_workload
from hwsim.simulate import run


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
    """Of the whole set, `tests/benchmarks`: 669 of 761 images, 87.91 %."""
    inputs, labels = images(100)
    path = shared_file("pretrainedResnet_quant_tf2onnx.onnx")
    result = run("edge16", path, inputs=inputs, labels=labels, engine="functional")
    name = read_workload(path).network.output
    tensors = runtime_tensors(path.read_bytes(), samples_for(path.stem, 100), [name])
    assert result.accuracy == np.mean(tensors[name].argmax(axis=1) == labels)
