"""Floating-point execution: tensor by tensor, in chunks of samples, on checked inputs."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ConfigError
from hwsim.execute import floating
from hwsim.execute.floating import check_inputs, chunks, float_output, float_values
from hwsim.readers.native import read_workload

WORKLOAD = read_workload("digits_cnn")
NETWORK = WORKLOAD.network
INPUTS = np.random.default_rng(0).random((7, 8, 8, 1))


def test_every_tensor_is_yielded_in_order_with_its_shape() -> None:
    yielded = list(float_values(NETWORK, INPUTS))
    assert [name for name, _ in yielded] == NETWORK.activations
    assert all(values.shape == (7, *NETWORK.tensors[name].shape) for name, values in yielded)


def test_samples_do_not_see_each_other() -> None:
    together = float_output(NETWORK, INPUTS)
    alone = [float_output(NETWORK, sample[np.newaxis])[0] for sample in INPUTS]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_chunks_are_small_where_windows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """conv2 reads 4 x 4 windows of 3 x 3 x 8 elements: 1152 a sample, the most of all layers."""
    monkeypatch.setattr(floating, "CHUNK_ELEMENTS", 3 * 1152 + 1)
    assert [len(INPUTS[chunk]) for chunk in chunks(NETWORK, len(INPUTS))] == [3, 3, 1]
    monkeypatch.setattr(floating, "CHUNK_ELEMENTS", 1)
    assert [len(INPUTS[chunk]) for chunk in chunks(NETWORK, len(INPUTS))] == [1] * 7


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.zeros((2, 8, 8)), "inputs of shape [2, 8, 8]; allowed: [samples, 8, 8, 1], one sample or more"),
        (np.zeros((0, 8, 8, 1)), "inputs of shape [0, 8, 8, 1]; allowed: [samples, 8, 8, 1], one sample or more"),
        (np.full((1, 8, 8, 1), np.nan), "inputs hold NaN or infinity; allowed: finite numbers"),
    ],
)
def test_unsuitable_inputs_are_refused(inputs: np.ndarray, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_inputs(NETWORK, inputs)
    assert str(refused.value) == text
