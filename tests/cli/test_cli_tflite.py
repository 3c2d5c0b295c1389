"""``.tflite`` files as workloads of the command line; the file has one layer: weights [[1, 2, 3], [4, 5, 6]]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Hwsim

from hwsim.network.operators.dense import RowsDense
from hwsim.readers.read import read_workload

BUILDER = Path(__file__).parent.parent / "readers"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(BUILDER))
    from tflite_files import dense_file

    path = tmp_path / "dense.tflite"
    path.write_bytes(dense_file())
    return str(path)


def inputs(tmp_path: Path, values: object) -> str:
    path = tmp_path / "x.npy"
    np.save(path, np.asarray(values))
    return str(path)


def test_a_file_runs_with_the_users_codes_and_dumps_every_tensor(hwsim: Hwsim, model: str, tmp_path: Path) -> None:
    """0.125 (1 (13 - 3) + 2 (-7 - 3) + 100) = 11.25 → 11 - 2; 0.125 (4 (13 - 3) + 5 (-10) - 100) = -13.75 → -14 - 2."""
    target = tmp_path / "tensors.npz"
    codes = inputs(tmp_path, np.array([[13, -7, 3]], np.int8))
    outcome = hwsim("run", "edge16", model, "--inputs", codes, "--json", "--dump-tensors", str(target))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["layers"][0]["layer"] == "fully_connected_0"
    assert outcome.json["accuracy"] is None
    with np.load(target) as tensors:
        assert {name: tensors[name].tolist() for name in tensors} == {"0": [[13, -7, 3]], "3": [[9, -16]]}


def test_labels_give_an_accuracy_and_nothing_about_floating_point(hwsim: Hwsim, model: str, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    codes = inputs(tmp_path, np.array([[13, -7, 3], [3, 3, 3]], np.int8))
    outcome = hwsim("run", "edge16", model, "--inputs", codes, "--labels", str(tmp_path / "y.npy"))
    assert "accuracy    50.0%\n" in outcome.out
    assert "floating point" not in outcome.out


def test_samples_are_needed(hwsim: Hwsim, model: str) -> None:
    outcome = hwsim("run", "edge16", model)
    assert outcome.code == 2
    assert "workload dense has no inputs of its own; allowed: give some (--inputs)" in outcome.err


def test_reals_are_no_codes(hwsim: Hwsim, model: str, tmp_path: Path) -> None:
    outcome = hwsim("run", "edge16", model, "--inputs", inputs(tmp_path, [[0.5, 0.5, 0.5]]))
    assert outcome.code == 2
    assert "input 0 of type float64; allowed: integers from -128 to 127" in outcome.err


def test_a_narrower_array_is_a_wrong_configuration(hwsim: Hwsim, model: str, tmp_path: Path) -> None:
    codes = inputs(tmp_path, np.zeros((1, 3), np.int8))
    outcome = hwsim("run", "edge16", model, "--inputs", codes, "--set", "array.activation_bits=7")
    assert outcome.code == 2
    assert "layer fully_connected_0: activations of 8 bits; array.activation_bits is 7" in outcome.err


def test_an_unsupported_operator_is_exit_3(hwsim: Hwsim, model: str) -> None:
    path = Path(model)
    from tflite_files import SCALED, FileBuilder

    file = FileBuilder()
    source, result = (file.tensor((4,), "INT8", *SCALED) for _ in range(2))
    file.operator("GATHER", [source], [result])
    path.write_bytes(file.build([source], [result]))
    outcome = hwsim("run", "edge16", model)
    assert outcome.code == 3
    assert "operator 0 (GATHER): no such operator here" in outcome.err


def test_a_damaged_file_is_exit_2(hwsim: Hwsim, model: str) -> None:
    path = Path(model)
    path.write_bytes(path.read_bytes()[:100])
    outcome = hwsim("run", "edge16", model)
    assert outcome.code == 2
    assert "damaged or cut off" in outcome.err


@pytest.mark.parametrize("profile", ["tflm", "litert_reference", "litert_optimized", "xnnpack"])
def test_a_profile_is_chosen_by_the_architecture(hwsim: Hwsim, model: str, tmp_path: Path, profile: str) -> None:
    codes = inputs(tmp_path, np.array([[13, -7, 3]], np.int8))
    outcome = hwsim(
        "run", "edge16", model, "--inputs", codes, "--set", f"requantizer.rounding_profile={profile}", "--json"
    )
    assert outcome.code == 0
    assert outcome.json["architecture"]["requantizer"]["rounding_profile"] == profile


def test_check_plans_a_file(hwsim: Hwsim, model: str) -> None:
    outcome = hwsim("check", "edge16", model)
    assert outcome.code == 0
    assert "dense: 1 operator, no inputs of its own" in outcome.out


def test_the_weights_are_the_files(model: str) -> None:
    (operator,) = read_workload(model).network.operators
    assert isinstance(operator, RowsDense)
    assert (operator.units, operator.depth) == (2, 3)


def test_a_file_of_reals_is_quantized_by_the_users_samples(hwsim: Hwsim, tmp_path: Path) -> None:
    from tflite_files import FileBuilder

    file = FileBuilder()
    source = file.tensor((1, 3), "FLOAT32")
    weight = file.tensor((2, 3), "FLOAT32", data=np.arange(6, dtype=np.float32).tobytes())
    result = file.tensor((1, 2), "FLOAT32")
    file.operator("FULLY_CONNECTED", [source, weight], [result])
    path = tmp_path / "reals.tflite"
    path.write_bytes(file.build([source], [result]))
    samples = inputs(tmp_path, np.random.default_rng(0).normal(size=(9, 3)))
    refused = hwsim("run", "edge16", str(path), "--inputs", samples)
    assert refused.code == 2
    assert "workload reals has no calibration data" in refused.err
    outcome = hwsim("run", "edge16", str(path), "--inputs", samples, "--calibration", samples, "--json")
    assert outcome.code == 0
    assert outcome.json["totals"]["macs"] == 6


def test_a_quantized_file_takes_no_calibration_samples(hwsim: Hwsim, model: str, tmp_path: Path) -> None:
    codes = inputs(tmp_path, np.zeros((1, 3), np.int8))
    outcome = hwsim("run", "edge16", model, "--inputs", codes, "--calibration", codes)
    assert outcome.code == 2
    assert "calibration samples: workload dense is quantized already; allowed: a network of reals" in outcome.err


def test_other_samples_quantize_a_shipped_network_too(hwsim: Hwsim, tmp_path: Path) -> None:
    samples = inputs(tmp_path, np.random.default_rng(0).uniform(size=(20, 64)))
    own, others = (
        hwsim("run", "edge16", "digits_mlp", "--samples", "20", "--json", *more)
        for more in ([], ["--calibration", samples])
    )
    assert (own.code, others.code) == (0, 0)
    assert own.json["totals"]["macs"] == others.json["totals"]["macs"]
