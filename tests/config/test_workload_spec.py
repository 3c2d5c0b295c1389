"""A workload's file: the layers of a network, named and shaped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config_problems import problems_of

from hwsim.config import load_workload_spec

HEAD = "schema_version: 1\narrays: net.npz\ninput_shape: [8, 8, 1]\n"
TYPES = (
    "dense, conv2d, lstm, max_pool2d, flatten, relu, relu6, sigmoid, tanh, gelu, batch_norm, avg_pool2d, "
    "global_avg_pool, add, matmul, softmax, layer_norm, transpose, position_embedding"
)


@pytest.fixture
def net(here: Path) -> Callable[[str], str]:
    """Write ``net/workload.yaml`` and return the folder's name."""

    def write(text: str) -> str:
        (here / "net").mkdir()
        (here / "net" / "workload.yaml").write_text(text, encoding="utf-8")
        return "net"

    return write


def test_layers_have_the_defaults_of_their_type(net: Callable[[str], str]) -> None:
    spec = load_workload_spec(
        net(
            HEAD
            + "layers:\n"
            + "  - {type: conv2d, name: conv, filters: 8, kernel: [3, 3]}\n"
            + "  - {type: max_pool2d, name: pool, pool: [2, 3]}\n"
            + "  - {type: flatten, name: flat}\n"
            + "  - {type: dense, name: logits, units: 10}\n"
        )
    )
    conv, pool, _, dense = (layer.model_dump() for layer in spec.layers)
    assert conv == {
        "name": "conv",
        "inputs": None,
        "type": "conv2d",
        "filters": 8,
        "kernel": (3, 3),
        "stride": (1, 1),
        "padding": "valid",
        "groups": 1,
        "bias": True,
    }
    assert pool["stride"] == (2, 3)
    assert dense["bias"] is True
    assert spec.data is None


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (
            "{type: dens, name: a}",
            f"5:12: layers[0].type: unknown value 'dens'; allowed: {TYPES}; did you mean 'dense'?",
        ),
        ("{name: a}", f"5:5: layers[0]: the key 'type' is required; allowed: {TYPES}"),
        ("flatten", "5:5: layers[0]: must be a mapping of keys to values, got the text 'flatten'"),
        (
            "{type: dense, name: a, unit: 3}",
            "5:5: layers[0].units: this required key is missing|"
            "5:28: layers[0].unit: unknown key; allowed: name, inputs, type, units, bias; did you mean 'units'?",
        ),
        (
            "{type: relu, name: 1st}",
            "5:24: layers[0].name: must be letters, digits and _, with no digit first, got the text '1st'",
        ),
        (
            "{type: conv2d, name: a, filters: 4, kernel: [3]}",
            "5:49: layers[0].kernel: needs 2 values, got 1",
        ),
        (
            "{type: conv2d, name: a, filters: 4, kernel: [3, 0]}",
            "5:53: layers[0].kernel[1]: 0 is out of range; allowed: 1 to 65536",
        ),
        (
            "{type: conv2d, name: a, filters: 4, kernel: [3, 3], groups: 3}",
            "5:65: layers[0].groups: 4 filters cannot be divided into 3 equal groups",
        ),
    ],
)
def test_a_wrong_layer_is_located(net: Callable[[str], str], layer: str, problem: str) -> None:
    expected = [f"net/workload.yaml:{line}" for line in problem.split("|")]
    assert problems_of(load_workload_spec, net(f"{HEAD}layers:\n  - {layer}\n")) == expected


def test_names_of_layers_are_unique(net: Callable[[str], str]) -> None:
    path = net(HEAD + "layers:\n  - {type: relu, name: a}\n  - {type: tanh, name: a}\n")
    assert problems_of(load_workload_spec, path) == [
        "net/workload.yaml:6:24: layers[1].name: 'a' is the name of layers[0] already"
    ]


def test_a_network_has_layers(net: Callable[[str], str]) -> None:
    assert problems_of(load_workload_spec, net(HEAD + "layers: []\n")) == [
        "net/workload.yaml:4:9: layers: needs at least 1 value, got 0"
    ]


@pytest.mark.parametrize("name", ["/etc/passwd", "../net.npz", "a/../../b.npz", "C:\\net.npz", "..\\net.npz"])
def test_arrays_lie_inside_the_folder(net: Callable[[str], str], name: str) -> None:
    path = net(f"schema_version: 1\narrays: {name}\ninput_shape: [4]\nlayers: [{{type: relu, name: a}}]\n")
    assert problems_of(load_workload_spec, path) == [
        f"net/workload.yaml:2:9: arrays: must name a file inside the workload's folder, got {name!r}"
    ]


def test_samples_need_data_to_calibrate_with(net: Callable[[str], str]) -> None:
    path = net(HEAD + "layers: [{type: relu, name: a}]\ndata: {inputs: x, label: y}\n")
    assert problems_of(load_workload_spec, path) == [
        "net/workload.yaml:5:7: data.calibration: this required key is missing",
        "net/workload.yaml:5:19: data.label: unknown key; allowed: calibration, inputs, labels; did you mean 'labels'?",
    ]


def test_a_file_may_be_named_instead_of_its_folder(net: Callable[[str], str]) -> None:
    folder = net(HEAD + "layers: [{type: relu, name: a}]\n")
    assert load_workload_spec(f"{folder}/workload.yaml") == load_workload_spec(folder)
