"""Files of reals with several inputs: values against ONNX Runtime, and everything that runs them quantized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export.file_runs import FileRun
from onnx_files import ModelBuilder, runtime_tensors

from hwsim.analysis.error import run_with_errors
from hwsim.analysis.explain import explain
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.execute.floating import float_values
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples, with_calibration
from hwsim.simulate import run

SAMPLES = 40


def random_inputs(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "image": random.normal(0, 1, (SAMPLES, 3, 6, 6)).astype(np.float32),
        "position": random.normal(5, 2, (SAMPLES, 4)).astype(np.float32),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A convolved image, and beside what it comes to a few numbers of another range."""
    random, file = np.random.default_rng(0), ModelBuilder()
    file.input("image", np.float32, ("n", 3, 6, 6))
    file.input("position", np.float32, ("n", 4))

    def numbers(*shape: int) -> str:
        return file.constant(random.normal(0, 0.3, shape), np.float32)

    file.node("Conv", ["image", numbers(4, 3, 3, 3), numbers(4)], "a")
    file.node("Relu", ["a"], "b")
    file.node("GlobalAveragePool", ["b"], "c")
    file.node("Flatten", ["c"], "d")
    file.node("Gemm", ["position", numbers(4, 6), numbers(6)], "e")
    file.node("Concat", ["d", "e"], "f", axis=1)
    file.node("Gemm", ["f", numbers(10, 5), numbers(5)], "y")
    (tmp_path / "model.onnx").write_bytes(file.build({"y": np.float32}))
    return tmp_path / "model.onnx"


@pytest.fixture
def workload(path: Path) -> Workload:
    return with_calibration(read_workload(path), random_inputs(1))


def test_every_tensor_equals_onnx_runtimes(path: Path) -> None:
    given = random_inputs(2)
    network = read_workload(path).network
    laid_out = {name: network.laid_out(name, values) for name, values in given.items()}
    found = {name: network.from_elements(name, values) for name, values in float_values(network, laid_out)}
    names = [name for name in found if not network.tensors[name].is_internal]
    assert {"image", "position", "b", "e", "f", "y"} <= set(names)
    for name, expected in runtime_tensors(path.read_bytes(), given, names).items():
        assert np.abs(found[name].reshape(expected.shape) - expected).max() < 2e-5, name


@pytest.mark.parametrize("repair", ["equalization", "bias_correction"])
def test_a_run_finds_the_range_of_each_input(workload: Workload, repair: str) -> None:
    overrides = [f"quantization.repairs=[{repair}]"]
    result = run("edge16", workload, inputs=random_inputs(2), overrides=overrides)
    assert result.sqnr_db is not None
    assert result.sqnr_db > 20
    assert result.totals["macs"] == 16 * 27 * 4 + 4 * 6 + 10 * 5


def test_errors_are_told_of_both_inputs(workload: Workload) -> None:
    chosen = choose_samples(workload, inputs=random_inputs(2))
    errors = run_with_errors(load_arch("edge16", []), chosen).tensor_errors
    assert [(one.layer, one.tensor) for one in errors][:2] == [("input", "image"), ("input", "position")]


def test_an_output_is_explained(workload: Workload) -> None:
    chosen = choose_samples(workload, inputs=random_inputs(2))
    found = explain(load_arch("edge16", []), chosen, "gemm_4", output=(2,))
    assert found.float_value == pytest.approx(found.real, abs=0.3)


def test_the_exported_file_takes_both(workload: Workload) -> None:
    """ONNX Runtime computes hwsim's integers from it."""
    assert FileRun(workload, random_inputs(2)).in_onnx_runtime() == (0, SAMPLES * (108 + 4 + 64 + 4 + 4 + 6 + 10 + 5))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda given: {"image": given["image"]}, "inputs for image; allowed: one array for each of image, position"),
        (
            lambda given: given | {"position": given["position"][:7]},
            "inputs of 7, 40 samples; allowed: as many of each",
        ),
        (
            lambda given: given | {"position": np.full((SAMPLES, 4), "a")},
            "inputs of type <U1; allowed: numbers",
        ),
        (
            lambda given: given | {"position": given["position"] * np.nan},
            "inputs 'position' hold NaN or infinity; allowed: finite numbers",
        ),
    ],
)
def test_what_is_wrong_with_one_of_them_is_said(workload: Workload, change, text: str) -> None:  # type: ignore[no-untyped-def]
    for label, give in (
        ("", lambda given: run("edge16", workload, inputs=given)),
        ("calibration samples: ", lambda given: with_calibration(workload, given)),
    ):
        with pytest.raises(ConfigError) as refused:
            give(change(random_inputs(2)))
        assert str(refused.value) == label + text
