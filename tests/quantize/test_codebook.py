"""Codebooks: tables of weights by k-means, indices in memory, a decoder before the array."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hwsim.config import apply_overrides, load_arch
from hwsim.config.quantization import QuantizationSpec, WeightQuantizationSpec
from hwsim.energy.table import EnergyTable
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operators.dense import Dense
from hwsim.network.tensor import Tensor
from hwsim.numerics.number_formats import Codebook
from hwsim.quantize.codebook import cluster_weights
from hwsim.quantize.post_training import quantize
from hwsim.results.run_result import RunResult
from hwsim.simulate import run

EXAMPLE = np.array([-0.6, 0.0, 0.4, 1.1])  # two bits can name these four; no grid of two bits holds them
RANDOM = np.random.default_rng(1)


def dense(weight: np.ndarray) -> Network:
    tensors = {
        "x": Tensor("x", (weight.shape[0],)),
        "fc": Tensor("fc", (weight.shape[1],)),
        "fc.w": Tensor("fc.w", weight.shape, weight),
    }
    return Network("n", tensors, (Dense("fc", ("x",), "fc", "fc.w", units=weight.shape[1]),), ("x",), ("fc",))


def quantized_weight(weight: np.ndarray, entries: int, *, bits: int = 8, granularity: str = "per_tensor") -> Tensor:
    spec = QuantizationSpec(
        weights=WeightQuantizationSpec.model_validate({"granularity": granularity, "codebook_entries": entries})
    )
    inputs = RANDOM.normal(size=(5, weight.shape[0]))
    return quantize(dense(weight), inputs, spec, weight_bits=bits, activation_bits=8).tensors["fc.w"]


def reals_of(tensor: Tensor) -> np.ndarray:
    assert tensor.quantization is not None
    assert tensor.data is not None
    return tensor.quantization.dequantize(np.asarray(tensor.data, np.int64))


def test_two_bits_for_four_values_that_no_two_bit_grid_holds() -> None:
    """S = 1.1 / 127: the table holds -69, 0, 46, 127, each within half a step of its value."""
    indices = RANDOM.integers(0, 4, (16, 8))
    tensor = quantized_weight(EXAMPLE[indices], 4)
    assert tensor.index_bits == Codebook(tuple(EXAMPLE)).bits == 2
    assert np.unique(np.asarray(tensor.data)).tolist() == [-69, 0, 46, 127]
    np.testing.assert_allclose(reals_of(tensor), EXAMPLE[indices], atol=1.1 / 127 / 2)
    on_a_grid = np.clip(np.round(EXAMPLE / 1.1), -1, 1) * 1.1
    assert np.abs(on_a_grid - EXAMPLE).max() > 0.4


def test_k_means_finds_the_values_that_noisy_weights_stand_round() -> None:
    noisy = EXAMPLE[RANDOM.integers(0, 4, 2000)] + RANDOM.normal(scale=0.02, size=2000)
    assert np.unique(cluster_weights(noisy[:, None], 4, per_channel=False)) == pytest.approx(EXAMPLE, abs=0.01)


@pytest.mark.parametrize(("entries", "index_bits"), [(2, 1), (3, 2), (16, 4), (17, 5), (256, 8)])
def test_an_index_is_as_wide_as_the_table_needs(entries: int, index_bits: int) -> None:
    tensor = quantized_weight(RANDOM.normal(size=(40, 20)), entries)
    assert tensor.index_bits == index_bits
    assert len(np.unique(np.asarray(tensor.data))) <= entries


def test_more_entries_than_values_change_nothing() -> None:
    weight = RANDOM.choice(EXAMPLE, (6, 3))
    assert cluster_weights(weight, 256, per_channel=False).tolist() == weight.tolist()


def test_each_channel_has_a_table_of_its_own() -> None:
    weight = RANDOM.normal(size=(50, 3)) * [1, 10, 100]
    each, one = (quantized_weight(weight, 4, granularity=kind) for kind in ("per_channel", "per_tensor"))
    assert [len(np.unique(column)) for column in np.asarray(each.data).T] == [4, 4, 4]
    errors = [np.abs(reals_of(tensor) - weight)[:, 0].mean() for tensor in (each, one)]
    assert errors[0] < errors[1] / 2


def test_entries_lie_on_the_arrays_grid() -> None:
    tensor = quantized_weight(RANDOM.normal(size=(50, 3)), 4, bits=3)
    assert np.abs(np.asarray(tensor.data)).max() <= 3


def test_indices_are_what_memory_holds_and_a_decoder_reads_each() -> None:
    spec = apply_overrides(load_arch("edge16"), {"quantization.weights.codebook_entries": 16})
    book, plain = run(spec, "digits_mlp", samples=3), run("edge16", "digits_mlp", samples=3)
    for action in ("read_bits", "write_bits"):
        assert 2 * count(book, "weight_scratchpad", action) == count(plain, "weight_scratchpad", action)
    lookups = count(plain, "weight_scratchpad", "read_bits") / 8
    assert count(book, "weight_decoder", "lookup") == lookups
    of_decoder = book.energy[book.energy["component"] == "weight_decoder"]["energy_pj"].sum()
    table = EnergyTable.load("horowitz_45nm")
    assert of_decoder == pytest.approx(lookups * table.sram_access_pj(16, 8))  # 16 entries of 8 bits: 16 bytes
    assert of_decoder == pytest.approx(lookups * 10 * (16 / 8192) ** 0.5 * 8 / 64)  # Horowitz: 10 pJ, 64 b of 8 KB
    assert "weight_decoder" not in set(plain.energy["component"])
    assert book.totals["total_cycles"] <= plain.totals["total_cycles"]


def count(result: RunResult, component: str, action: str) -> float:
    energy = result.energy
    return float(energy[(energy["component"] == component) & (energy["action"] == action)]["count"].sum())


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ConfigError) as refused:
        quantized_weight(RANDOM.normal(size=(4, 4)), 4)
    assert str(refused.value) == (
        "layer fc: codebooks need scikit-learn, which is not installed; allowed: pip install 'hwsim[codebook]'"
    )


@pytest.mark.parametrize("entries", [1, 257])
def test_tables_have_2_to_256_entries(entries: int) -> None:
    with pytest.raises(ConfigError) as refused:
        apply_overrides(load_arch("edge16"), {"quantization.weights.codebook_entries": entries})
    assert str(refused.value) == (
        f"quantization.weights.codebook_entries: {entries} is out of range; allowed: 2 to 256"
    )
