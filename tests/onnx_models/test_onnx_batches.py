"""Files of reals whose first axis counts several inputs at once: a sample of theirs is all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from drawn_files import Drawn
from onnx_files import ModelBuilder

from hwsim.errors import UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.readers.read import read_workload
from hwsim.simulate import run

IMAGES = 3


def images(*shape: int) -> Drawn:
    drawn = Drawn(shape)
    drawn.file.inputs.clear()
    drawn.file.input("x", np.float32, [IMAGES, *shape])
    drawn.inputs = drawn.random.normal(0, 1, (4, IMAGES, *shape)).astype(np.float32)
    return drawn


def check(tmp_path: Path, drawn: Drawn) -> None:
    """Compare the output with ONNX Runtime's, which takes one sample at a time as the file has it."""
    network = drawn.read(tmp_path).network
    *_, (name, values) = float_values(network, network.laid_out("x", drawn.inputs))
    assert name == "y"
    found = network.from_elements("y", values)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    expected = np.stack([session.run(["y"], {"x": sample})[0] for sample in drawn.inputs])
    assert np.abs(found - expected).max() < 2e-5 * max(np.abs(expected).max(), 1)


def network_of_images() -> Drawn:
    drawn = images(4, 10, 8)
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(8, 4, 3, 3), drawn.numbers(8)], "a", pads=[1, 1, 1, 1])
    node("BatchNormalization", ["a", *(drawn.positive(8) for _ in range(4))], "b")
    node("Relu", ["b"], "c")
    node("Conv", ["c", drawn.numbers(8, 1, 3, 3)], "d", group=8, strides=[2, 1], pads=[1, 0, 0, 1])
    node("MaxPool", ["d"], "e", kernel_shape=[2, 2], strides=[1, 2])
    node("AveragePool", ["e"], "f", kernel_shape=[2, 2], pads=[0, 1, 1, 0])
    node("Conv", ["f", drawn.numbers(6, 4, 1, 1)], "g", group=2)
    node("GlobalAveragePool", ["g"], "h")
    node("Flatten", ["h"], "i")
    node("Gemm", ["i", drawn.numbers(6, 5), drawn.numbers(5)], "y")
    return drawn


def test_convolutions_and_pools_of_several_images(tmp_path: Path) -> None:
    check(tmp_path, network_of_images())


def test_one_axis_of_several_rows(tmp_path: Path) -> None:
    drawn = images(4, 12)
    drawn.file.node("Conv", ["x", drawn.numbers(6, 4, 3)], "a", pads=[1, 1])
    drawn.file.node("MaxPool", ["a"], "b", kernel_shape=[2], strides=[2])
    drawn.file.node("GlobalAveragePool", ["b"], "y")
    check(tmp_path, drawn)


def test_the_images_of_a_sample_run_one_after_the_other(tmp_path: Path) -> None:
    """Three times the products of one image; the stepped machine's values are compared with the functional array's."""
    drawn = network_of_images()
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
    rows = {layer.layer: layer.out_rows for layer in result.layer_results if layer.macs}
    assert rows == {"conv_0": 240, "conv_3": 3 * 5 * 7, "conv_6": 3 * 4 * 3, "gemm_9": 3}
    assert result.sqnr_db is not None
    assert result.sqnr_db > 30


def test_several_images_of_codes_are_refused(tmp_path: Path) -> None:
    """ONNX Runtime's order of float32 additions is known of one image."""
    model = ModelBuilder()
    model.input("x", np.int8, (IMAGES, 2, 6, 6))
    grid = model.grid(0.1, 0, np.int8)
    weight = model.dequantize(model.constant(np.ones((2, 2, 3, 3)), np.int8), grid)
    model.node("Conv", [model.dequantize("x", grid), weight], "sums")
    model.quantize("sums", grid, "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    with pytest.raises(UnsupportedError) as refused:
        read_workload(path)
    assert str(refused.value).splitlines()[0] == f"{path}: node 2 (Conv): batch of 3; allowed: 1, or an open size"
