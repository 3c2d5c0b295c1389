"""Layers of transformers in hwsim's own format, with arrays: their reals are NumPy's, their integers come close."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

import hwsim
from hwsim.errors import ConfigError
from hwsim.execute.floating import float_output
from hwsim.network.tensor import Shape
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload

SAMPLES = 32


def read(folder: Path, shape: Shape, *layers: str, **arrays: np.ndarray) -> Workload:
    """Write a workload of these layers with random samples, and read it."""
    random = np.random.default_rng(3)
    data = {"calibration": "c", "inputs": "i"}
    samples = {"c": random.normal(0, 1, (SAMPLES, *shape)), "i": random.normal(0, 1, (SAMPLES, *shape))}
    np.savez(folder / "a.npz", **samples, **arrays)
    spec = {"schema_version": 1, "arrays": "a.npz", "input_shape": list(shape), "data": data}
    spec["layers"] = [yaml.safe_load(f"{{{layer}}}") for layer in layers]
    (folder / "workload.yaml").write_text(yaml.safe_dump(spec))
    return read_workload(folder)


def values(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples, and what the network makes of them in floating point."""
    assert workload.inputs is not None
    samples = np.asarray(workload.inputs["input"] if isinstance(workload.inputs, dict) else workload.inputs)
    return samples, float_output(workload.network, samples)


def sqnr_db(workload: Workload) -> float:
    found = hwsim.run("edge16", workload, samples=4).sqnr_db
    assert found is not None
    return found


def test_a_transpose_and_a_product_of_a_tensor_with_itself(tmp_path: Path) -> None:
    net = read(
        tmp_path,
        (6, 4),
        "name: turned, type: transpose, order: [1, 0]",
        "name: gram, type: matmul, inputs: [turned, input], scale: 0.5",
    )
    samples, found = values(net)
    assert np.allclose(found, 0.5 * samples.swapaxes(1, 2) @ samples)
    assert sqnr_db(net) > 30


def test_rows_are_normalized_with_the_epsilon_that_is_asked_for(tmp_path: Path) -> None:
    gamma, beta = np.linspace(-1, 2, 8), np.linspace(0, 1, 8)
    layer = "name: norm, type: layer_norm, epsilon: 0.5"
    net = read(tmp_path, (3, 8), layer, **{"norm.gamma": gamma, "norm.beta": beta})
    samples, found = values(net)
    deviations = samples - samples.mean(axis=2, keepdims=True)
    expected = deviations / np.sqrt((deviations**2).mean(axis=2, keepdims=True) + 0.5) * gamma + beta
    assert np.allclose(found, expected)
    assert sqnr_db(net) > 35


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_both_forms_of_the_gaussian_unit(tmp_path: Path, approximate: str) -> None:
    net = read(tmp_path, (5, 7), f"name: unit, type: gelu, approximate: {approximate}")
    samples, found = values(net)
    inner = math.sqrt(2 / math.pi) * (samples + 0.044715 * samples**3)
    factor = np.vectorize(math.erf)(samples / math.sqrt(2)) if approximate == "none" else np.tanh(inner)
    assert np.allclose(found, samples / 2 * (1 + factor))
    assert sqnr_db(net) > 28


def test_a_softmax_of_two_heads_and_a_residual(tmp_path: Path) -> None:
    net = read(
        tmp_path, (4, 6), "name: shares, type: softmax, heads: 2", "name: sum, type: add, inputs: [shares, input]"
    )
    samples, found = values(net)
    powers = np.exp(samples).reshape(SAMPLES, 4, 2, 3)
    assert np.allclose(found, samples + (powers / powers.sum(axis=3, keepdims=True)).reshape(samples.shape))
    assert sqnr_db(net) > 35


def test_an_embedding_is_added_to_every_sample(tmp_path: Path) -> None:
    embedding = np.random.default_rng(0).normal(0, 0.5, (4, 6))
    net = read(tmp_path, (4, 6), "name: place, type: position_embedding", **{"place.embedding": embedding})
    samples, found = values(net)
    assert np.allclose(found, samples + embedding)
    assert sqnr_db(net) > 35


def test_means_of_windows_and_of_channels(tmp_path: Path) -> None:
    net = read(tmp_path, (4, 6, 3), "name: halves, type: avg_pool2d, pool: [2, 2]", "name: mean, type: global_avg_pool")
    samples, found = values(net)
    assert np.allclose(found, samples.mean(axis=(1, 2)))
    assert sqnr_db(net) > 25


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        ("name: t, type: transpose, order: [0, 0]", "layer t: order [0, 0] of 2 axes"),
        ("name: t, type: transpose, order: [1, 0, 2]", "layer t: order [1, 0, 2] of 2 axes"),
        ("name: n, type: layer_norm", "no array 'n.gamma'; the file has none for this layer"),
        ("name: p, type: position_embedding", "no array 'p.embedding'; the file has none for this layer"),
    ],
)
def test_what_does_not_suit_the_input_or_is_not_there_is_refused(tmp_path: Path, layer: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, (4, 6), layer)
    assert problem in refused.value.problems[0]
