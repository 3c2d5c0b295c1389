"""Files of reals that hwsim quantizes, exported: parts in float32 are written again as the file has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export.file_runs import FileRun
from onnx_files import MICROSOFT, ModelBuilder, random_codes

from hwsim.errors import UnsupportedError
from hwsim.readers.read import read_workload
from hwsim.samples import with_calibration


def run_of(path: Path, model: ModelBuilder) -> FileRun:
    path.write_bytes(model.build({"y": np.float32}))
    samples = np.random.default_rng(1).normal(0, 1, (6, 2, 8, 8)).astype(np.float32)
    return FileRun(with_calibration(read_workload(path), samples), {"x": samples})


def convolved() -> ModelBuilder:
    """Convolutions with a sum beside them, a pool, a clip that is no ReLU6."""
    random, model = np.random.default_rng(0), ModelBuilder()
    model.input("x", np.float32, ("n", 2, 8, 8))
    for source, output, channels in (("x", "first", 2), ("pooled", "second", 4)):
        kernel = model.constant(random.normal(0, 0.3, (4, channels, 3, 3)), np.float32)
        model.node("Conv", [source, kernel], output, pads=[1, 1, 1, 1])
        if output == "first":
            model.node("Relu", ["first"], "positive")
            model.node("MaxPool", ["positive"], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    model.node("Add", ["second", "pooled"], "sum")
    model.node("Clip", ["sum", model.constant(-0.5, np.float32), model.constant(1.5, np.float32)], "clipped")
    return model


def test_sums_pools_and_clips_have_every_code(tmp_path: Path) -> None:
    model = convolved()
    model.node("GlobalAveragePool", ["clipped"], "mean")
    model.node("Flatten", ["mean"], "y")
    run = run_of(tmp_path / "model.onnx", model)
    assert run.in_onnx_runtime() == (0, 3_888)
    assert run.in_qonnx()[0] <= 2  # ties of odd zero points


def test_a_part_whose_nodes_changed_between_versions_is_refused(tmp_path: Path) -> None:
    model = convolved()
    model.node("ReduceMean", ["clipped"], "y", axes=[2, 3])
    run = run_of(tmp_path / "model.onnx", model)
    with pytest.raises(UnsupportedError) as refused:
        run.qdq()
    assert str(refused.value) == "layer reducemean_6: ReduceMean in float32 has no form in an exported file"


def test_joined_constants_are_refused(tmp_path: Path) -> None:
    """A file's constant is one sample's, its tensors are of many."""
    model = convolved()
    model.node("Concat", ["clipped", model.constant(np.ones((1, 1, 4, 4)), np.float32)], "y", axis=1)
    run = run_of(tmp_path / "model.onnx", model)
    with pytest.raises(UnsupportedError) as refused:
        run.qdq()
    assert str(refused.value) == "layer concat_6: Concat of constants in float32 has no form in an exported file"


@pytest.mark.parametrize("kind", ["Abs", "Celu", "Elu", "Exp", "Neg", "Softplus", "Softsign"])
def test_functions_of_elements_are_exported(tmp_path: Path, kind: str) -> None:
    model = convolved()
    model.node(kind, ["clipped"], "y")
    run = run_of(tmp_path / "model.onnx", model)
    assert run.in_onnx_runtime() == (0, 6 * (128 + 256 + 5 * 64))


def test_operators_of_onnx_runtimes_own_are_written_as_such(tmp_path: Path) -> None:
    """On codes, with a constant for each pixel; a file of QLinear operators alone."""
    random, model = np.random.default_rng(0), ModelBuilder()
    source = [model.input("x", np.int8, ("n", 3, 4, 4)), *model.grid(0.05, 3, np.int8)]
    constant = [model.constant(random.integers(-128, 128, (1, 3, 4, 1)), np.int8), *model.grid(0.03, -7, np.int8)]
    added, product = model.grid(0.07, 1, np.int8), model.grid(0.2, -2, np.int8)
    model.node("QLinearAdd", [*source, *constant, *added], "sum", MICROSOFT)
    model.node("QLinearMul", ["sum", *added, *source, *product], "product", MICROSOFT)
    model.node("QLinearGlobalAveragePool", ["product", *product, *added], "y", MICROSOFT, channels_last=0)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.build({"y": np.int8}))
    run = FileRun(read_workload(path), {"x": random_codes(random, np.int8, (20, 3, 4, 4))})
    assert run.in_onnx_runtime() == (0, 20 * (3 * 48 + 3))
