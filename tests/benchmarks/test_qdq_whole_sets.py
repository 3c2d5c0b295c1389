"""QDQ networks on whole data sets against ONNX Runtime, and how fast their float32 sums are."""

from __future__ import annotations

import time

import pytest
from onnx_models.onnx_files import compared
from onnx_models.public_networks import images, samples_for, shared_file
from processor import in_order_of_x86

from hwsim.simulate import run

pytestmark = [pytest.mark.benchmark, in_order_of_x86]

RESNET = "pretrainedResnet_quant_tf2onnx"


@pytest.mark.parametrize(
    ("name", "samples", "elements"),
    [
        (RESNET, 761, 92_065_780),
        ("kws_ref_model_tf2onnx", 300, 21_939_600),
        ("micro_kws_m_static_qdq", 300, 15_505_800),
    ],
)
def test_every_code_of_every_tensor_is_onnx_runtimes(name: str, samples: int, elements: int) -> None:
    found = compared(shared_file(f"{name}.onnx"), samples_for(name, samples))
    assert (found.elements, found.total) == (elements, 0)


def test_the_residual_network_classifies_the_whole_set_as_in_onnx_runtime() -> None:
    """669 of 761 images: 87.91 %; 12.5 million MACs an image."""
    inputs, labels = images(761)
    path = shared_file(f"{RESNET}.onnx")
    run("edge16", path, inputs=inputs[:2], engine="functional")  # compiles the kernels
    start = time.process_time()
    result = run("edge16", path, inputs=inputs, labels=labels, engine="functional")
    rate = 761 / (time.process_time() - start)
    print(f"\n{rate:.3g} images per second of processor time")  # noqa: T201 (read by the person who runs it)
    assert result.accuracy == 669 / 761
    assert rate > 10
