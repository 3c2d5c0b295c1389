"""hwsim's own workloads: what is read, and what each mistake is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_workload import LAYERS, right_arrays, write_workload

import hwsim
from hwsim.errors import ConfigError
from hwsim.readers.native import read_workload


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a workload, below the working directory, so that names in messages are short."""
    monkeypatch.chdir(tmp_path)
    return Path("mine")


def problems(folder: Path, layers: str = LAYERS, **changes: np.ndarray | None) -> list[str]:
    """Write the workload with changed arrays (None: left out) and return what the reader says."""
    arrays = right_arrays() | {name.replace("__", "."): data for name, data in changes.items()}
    write_workload(folder, {name: data for name, data in arrays.items() if data is not None}, layers)
    with pytest.raises(ConfigError) as refused:
        read_workload(folder)
    return list(refused.value.problems)


def test_a_workload_of_ones_own_runs_from_end_to_end(folder: Path) -> None:
    result = hwsim.run("edge16", write_workload(folder, right_arrays()))
    assert [layer.layer for layer in result.layer_results] == ["conv", "fc"]
    assert result.samples == 6
    assert result.accuracy == result.float_accuracy
    assert result.sqnr_db > 30


def test_a_first_flatten_costs_nothing(folder: Path) -> None:
    """As in the usual network on images: the tensor is flat in memory, so that there is no layer for it."""
    layers = "  - {name: flatten, type: flatten}\n  - {name: fc, type: dense, units: 2}\n"
    arrays = right_arrays() | {"fc.weight": np.random.default_rng(1).normal(size=(16, 2))}
    result = hwsim.run("edge16", write_workload(folder, arrays, layers))
    assert [layer.layer for layer in result.layer_results] == ["fc"]


def test_what_is_read(folder: Path) -> None:
    read = read_workload(write_workload(folder, right_arrays()) / "workload.yaml")
    assert read.network.activations == ["input", "conv", "bn", "relu", "pool", "flatten", "fc"]
    assert [read.network.tensors[name].shape for name in ("conv", "pool", "fc")] == [(4, 4, 3), (2, 2, 3), (2,)]
    assert read.inputs is not None
    assert read.inputs.shape == (6, 4, 4, 1)
    assert read.labels is not None
    assert read.labels.tolist() == [0, 1, 1, 0, 1, 0]


def test_the_digest_changes_with_the_arrays(folder: Path) -> None:
    first = read_workload(write_workload(folder, right_arrays())).digest
    changed = right_arrays() | {"fc.bias": np.zeros(2)}
    assert read_workload(write_workload(folder, changed)).digest != first


def test_a_missing_array_is_named_with_the_closest(folder: Path) -> None:
    assert problems(folder, fc__bias=None, fc__biass=np.zeros(2)) == [
        "mine/tiny.npz: no array 'fc.bias'; the file has: fc.biass, fc.weight; did you mean 'fc.biass'?"
    ]


def test_a_layer_without_any_array(folder: Path) -> None:
    assert problems(folder, conv__weight=None)[0].startswith(
        "mine/tiny.npz: no array 'conv.weight'; the file has none for this layer"
    )


def test_a_wrong_shape(folder: Path) -> None:
    assert problems(folder, fc__weight=np.zeros((2, 12))) == [
        "mine/tiny.npz: array fc.weight: shape [2, 12]; allowed: [12, 2], as its layer says"
    ]


def test_a_weight_that_is_not_a_number(folder: Path) -> None:
    assert problems(folder, fc__bias=np.array([0, np.nan])) == [
        "mine/tiny.npz: array fc.bias: holds NaN or infinity; allowed: finite numbers"
    ]


def test_text_in_place_of_numbers(folder: Path) -> None:
    assert problems(folder, fc__bias=np.array(["a", "b"])) == [
        "mine/tiny.npz: array fc.bias: type <U1; allowed: integers or floats"
    ]


def test_a_negative_variance(folder: Path) -> None:
    assert problems(folder, bn__variance=np.array([1, -0.1, 1])) == [
        "mine/tiny.npz: array bn.variance: negative variance; allowed: 0 or more"
    ]


def test_labels_of_the_wrong_number(folder: Path) -> None:
    assert problems(folder, classes=np.zeros(5)) == [
        "mine/tiny.npz: array classes: shape [5]; allowed: [6], a class number for each input"
    ]


@pytest.mark.parametrize("wrong", [0.5, -1.0])
def test_labels_that_are_no_class_numbers(folder: Path, wrong: float) -> None:
    assert problems(folder, classes=np.full(6, wrong)) == [
        "mine/tiny.npz: array classes: holds fractions or negative numbers; allowed: class numbers from 0"
    ]


def test_samples_of_the_wrong_shape(folder: Path) -> None:
    assert problems(folder, seen=np.zeros((5, 4, 4))) == [
        "mine/tiny.npz: array seen: shape [5, 4, 4]; allowed: [samples, 4, 4, 1], one sample or more"
    ]


def test_an_unknown_layer_type(folder: Path) -> None:
    assert problems(folder, LAYERS.replace("max_pool2d", "maxpool2d")) == [
        "mine/workload.yaml:9:24: layers[3].type: unknown value 'maxpool2d'; allowed: dense, conv2d, lstm, max_pool2d, "
        "flatten, relu, relu6, sigmoid, tanh, gelu, batch_norm, avg_pool2d, global_avg_pool, add, matmul, softmax, "
        "layer_norm, transpose, position_embedding; did you mean 'max_pool2d'?"
    ]


def test_a_layer_that_cannot_take_its_input(folder: Path) -> None:
    without_flatten = LAYERS.replace("  - {name: flatten, type: flatten}\n", "")
    assert problems(folder, without_flatten) == [
        "mine/tiny.npz: layer fc: dense layer on an input of shape [2, 2, 3]; "
        "allowed: one dimension (put a flatten layer before it)"
    ]


def test_all_problems_at_once(folder: Path) -> None:
    found = problems(
        folder,
        conv__weight=np.zeros((3, 3, 1, 3)),
        bn__variance=-np.ones(3),
        fc__weight=None,
        fc__bias=np.array([np.inf, 0]),
        tests=np.zeros((0, 4, 4, 1)),
    )
    assert found == [
        "mine/tiny.npz: array conv.weight: shape [3, 3, 1, 3]; allowed: [2, 2, 1, 3], as its layer says",
        "mine/tiny.npz: array bn.variance: negative variance; allowed: 0 or more",
        "mine/tiny.npz: no array 'fc.weight'; the file has: fc.bias; did you mean 'conv.weight'?",
        "mine/tiny.npz: array fc.bias: holds NaN or infinity; allowed: finite numbers",
        "mine/tiny.npz: array tests: shape [0, 4, 4, 1]; allowed: [samples, 4, 4, 1], one sample or more",
    ]


LSTM_LAYERS = """\
  - {name: flat, type: flatten}
  - {name: lstm, type: lstm, units: 3}
"""


def test_an_lstm_needs_a_sequence(folder: Path) -> None:
    assert problems(folder, LSTM_LAYERS) == [
        "mine/tiny.npz: layer lstm: lstm layer on an input of shape [16]; allowed: [steps, inputs]"
    ]


def test_the_arrays_of_an_lstm(folder: Path) -> None:
    folder.mkdir()
    layers = "- {name: lstm, type: lstm, units: 3, return_sequences: true}"
    text = f"schema_version: 1\narrays: tiny.npz\ninput_shape: [4, 2]\nlayers:\n  {layers}\n"
    (folder / "workload.yaml").write_text(text, encoding="utf-8")
    shapes = {"lstm.input_weight": (2, 12), "lstm.recurrent_weight": (3, 12), "lstm.bias": (12,)}
    np.savez(folder / "tiny.npz", **{name: np.ones(shape) for name, shape in shapes.items()})
    network = read_workload(folder).network
    assert network.tensors["lstm"].shape == (4, 3)
    assert network.operators[0].constants == tuple(shapes)
    np.savez(folder / "tiny.npz", **{"lstm.input_weight": np.ones((2, 3)), "lstm.bias": np.ones(12)})
    with pytest.raises(ConfigError) as refused:
        read_workload(folder)
    assert list(refused.value.problems) == [
        "mine/tiny.npz: array lstm.input_weight: shape [2, 3]; allowed: [2, 12], as its layer says",
        "mine/tiny.npz: no array 'lstm.recurrent_weight'; the file has: lstm.bias, lstm.input_weight; "
        "did you mean 'lstm.input_weight'?",
    ]
