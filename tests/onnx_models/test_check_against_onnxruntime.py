"""``check --against onnxruntime``: every tensor of integers of a quantized ``.onnx`` file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_files import MICROSOFT, ModelBuilder, random_codes

from hwsim.cli.against import AgainstRequest, check_against
from hwsim.cli.check import CheckRequest, RtlOptions, check_all
from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.load import load_arch
from hwsim.errors import CheckFailedError, ConfigError
from hwsim.export.qdq import qdq_file
from hwsim.oracles import compare
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file, random = ModelBuilder(), np.random.default_rng(0)
    file.input("image", np.uint8, ["batch", 3, 8, 8])
    grid = file.grid(0.04, 12, np.uint8)
    weights = file.constant(random_codes(random, np.int8, (4, 3, 3, 3), 63), np.int8)
    file.node("QLinearConv", ["image", *grid, weights, *file.grid(0.01, 0, np.int8), *grid], "a/sums", pads=[1] * 4)
    file.node("QLinearAveragePool", ["a/sums", *grid, *grid], "b", MICROSOFT, kernel_shape=[2, 2], strides=[2, 2])
    file.dequantize("b", grid)
    path = tmp_path / "model.onnx"
    path.write_bytes(file.build({"b.real": np.float32}))
    return path


def checked(workload: str, oracle: str = "onnxruntime") -> None:
    rtl = RtlOptions(wanted=False, gemm=None, layer=None, simulator=None)
    check_all(CheckRequest("edge16", workload, None, False, oracle, None, None, 3, 7, (), False, rtl))


def test_all_tensors_of_random_samples_are_compared(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(str(model))
    elements = 3 * (4 * 8 * 8 + 2 * 4 * 4 * 4)
    assert f"0 differences on 3 random samples (seed 7): 3 tensors, {elements:,} elements\n" in capsys.readouterr().out


def test_the_users_samples_have_the_files_layout(model: Path, tmp_path: Path) -> None:
    images = tmp_path / "images.npy"
    np.save(images, random_codes(np.random.default_rng(1), np.uint8, (2, 3, 8, 8)))
    spec = load_arch("edge16", ["requantizer.rounding_profile=onnxruntime"])
    found = check_against(AgainstRequest("onnxruntime", str(model), images, None, 0), spec, read_workload(model))
    assert (found.seed, found.agreement.samples, found.agreement.tensors) == (None, 2, 3)


@pytest.mark.parametrize(
    ("oracle", "content", "text"),
    [
        ("tflm", "model", "--against tflm with workload {}; allowed: a .tflite file"),
        ("onnxruntime", "reals", "--against with workload {}, a file of reals; allowed: a quantized one"),
    ],
)
def test_other_files_are_refused(model: Path, oracle: str, content: str, text: str) -> None:
    if content == "reals":
        file = ModelBuilder()
        file.input("x", np.float32, ["batch", 4])
        file.node("Relu", ["x"], "y")
        model.write_bytes(file.build({"y": np.float32}))
    spec = load_arch("edge16", [f"requantizer.rounding_profile={oracle}"])
    with pytest.raises(ConfigError) as refused:
        check_against(AgainstRequest(oracle, str(model), None, 1, 0), spec, read_workload(model))
    assert str(refused.value) == text.format(model)


def test_the_first_difference_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_arch("edge16", ["requantizer.rounding_profile=onnxruntime"])
    images = random_codes(np.random.default_rng(1), np.uint8, (2, 3, 8, 8))

    def altered(*args: Any) -> dict[str, np.ndarray]:
        tensors = integer_tensors(*args)
        tensors["a/sums"][1, 2, 3, 4] ^= 1
        return tensors

    monkeypatch.setattr(compare, "integer_tensors", altered)
    with pytest.raises(CheckFailedError) as failed:
        compare.compare_with_oracle(spec, model, choose_samples(read_workload(model), inputs=images), "onnxruntime")
    assert re.fullmatch(
        r"tensor 'a/sums': element \[2, 3, 4\] of sample 1 is \d+ here, \d+ in onnxruntime; 1 of 512 elements differ",
        str(failed.value),
    )


def test_tensors_that_no_node_of_the_file_writes_are_not_asked_for(tmp_path: Path) -> None:
    """An exported LSTM's cell is several nodes, which reading makes one rule of, with tensors of its own between."""
    spec = load_arch("edge16", ["requantizer.rounding_profile=onnxruntime"])
    shipped = read_workload("digits_lstm")
    path = tmp_path / "lstm.onnx"
    path.write_bytes(qdq_file(compile_workload(spec, shipped).network, lowering_options(spec)))
    assert shipped.inputs is not None
    chosen = choose_samples(read_workload(path), inputs=shipped.inputs[:2])
    found = compare.compare_with_oracle(spec, path, chosen, "onnxruntime")
    written = {name for node in onnx.load(path).graph.node for name in node.output}
    assert set(integer_tensors(spec, chosen)) - written, "this file makes no such tensor"
    assert (found.tensors > 30, found.not_compared) == (True, ())


def test_a_file_may_name_its_tensors_as_reading_names_its_own(tmp_path: Path) -> None:
    """Codes that are read by another grid than they were written by have a second name, unless the file has it."""
    file, random = ModelBuilder(), np.random.default_rng(0)
    file.input("image", np.uint8, ["batch", 4, 6, 6])
    written, read = file.grid(0.04, 12, np.uint8), file.grid(0.05, 90, np.uint8)
    weights = [file.constant(random_codes(random, np.int8, (4, 4, 3, 3), 63), np.int8), *file.grid(0.01, 0, np.int8)]
    file.node("QLinearConv", ["image", *written, *weights, *written], "a")
    file.node("QLinearConv", ["a", *read, *weights, *written], "a (1)")
    file.dequantize("a (1)", written)
    path = tmp_path / "model.onnx"
    path.write_bytes(file.build({"a (1).real": np.float32}))
    spec = load_arch("edge16", ["requantizer.rounding_profile=onnxruntime"])
    chosen = choose_samples(read_workload(path), inputs=random_codes(random, np.uint8, (5, 4, 6, 6)))
    assert compare.compare_with_oracle(spec, path, chosen, "onnxruntime").elements == 5 * 4 * (4 * 4 + 2 * 2 * 2)
