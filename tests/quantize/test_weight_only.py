"""Weight-only quantization: codes in memory, a decoder, an array of floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.config import apply_overrides, load_arch
from hwsim.energy.table import EnergyTable
from hwsim.errors import ConfigError
from hwsim.results.run_result import RunResult
from hwsim.simulate import run

FLOATS = {"array.number_format": "fp32"}
WEIGHT_ONLY = FLOATS | {"quantization.mode": "weight_only"}


def result_of(overrides: dict[str, Any], workload: str = "digits_mlp", samples: int = 50) -> RunResult:
    return run(apply_overrides(load_arch("edge16"), overrides), workload, samples=samples)


def count(result: RunResult, component: str, action: str) -> float:
    energy = result.energy
    return float(energy[(energy["component"] == component) & (energy["action"] == action)]["count"].sum())


def test_memory_moves_codes_and_a_decoder_makes_a_float_of_each() -> None:
    """4 of 32 bits; each weight read is one product of floats, 3.7 pJ in 32 bits (Horowitz)."""
    plain, codes = result_of(FLOATS), result_of(WEIGHT_ONLY | {"array.weight_bits": 4})
    for action in ("read_bits", "write_bits"):
        assert count(plain, "weight_scratchpad", action) == 8 * count(codes, "weight_scratchpad", action)
    reads = count(plain, "weight_scratchpad", "read_bits") / 32
    assert count(codes, "weight_decoder", "float_multiply") == reads
    of_decoder = codes.energy[codes.energy["component"] == "weight_decoder"]["energy_pj"].sum()
    assert of_decoder == pytest.approx(reads * 3.7, rel=1e-6)
    assert EnergyTable.load("horowitz_45nm").float_multiply_pj(24) == pytest.approx(3.7, rel=1e-6)
    assert codes.totals["energy_pj"] < plain.totals["energy_pj"]
    assert count(codes, "pe", "multiply") == count(plain, "pe", "multiply")


def test_only_weights_lose_anything() -> None:
    """16 bits leave the rounding of float32; each bit is worth about 6 dB."""
    ratios = [result_of(WEIGHT_ONLY | {"array.weight_bits": bits}).sqnr_db for bits in (3, 4, 6, 8, 16)]
    assert ratios == sorted(ratios)
    assert ratios[-1] is not None
    assert ratios[-1] > 80
    integers = result_of({"array.weight_bits": 4, "array.activation_bits": 8}).sqnr_db
    assert ratios[1] is not None
    assert integers is not None
    assert ratios[1] == pytest.approx(integers, abs=0.5)  # 8-bit activations are not what loses


def test_groups_of_terms_need_nothing_of_the_array() -> None:
    channels = result_of(WEIGHT_ONLY | {"array.weight_bits": 3})
    groups = result_of(
        WEIGHT_ONLY
        | {
            "array.weight_bits": 3,
            "quantization.weights.granularity": "per_group",
            "quantization.weights.group_size": 5,
        }
    )
    assert groups.totals["total_cycles"] == channels.totals["total_cycles"]
    assert groups.sqnr_db is not None
    assert channels.sqnr_db is not None
    assert groups.sqnr_db > channels.sqnr_db + 3


def test_zero_points_and_tables_are_steps_of_the_decoder() -> None:
    result = result_of(
        WEIGHT_ONLY | {"quantization.weights.symmetric": False, "quantization.weights.codebook_entries": 4}
    )
    energy = result.energy
    actions = energy[energy["component"] == "weight_decoder"].groupby("action")["count"].sum()
    assert set(actions.index) == {"lookup", "subtract", "float_multiply"}
    assert actions.nunique() == 1
    assert count(result, "weight_scratchpad", "read_bits") == 2 * actions["lookup"]


def test_bf16_rounds_scale_and_weights() -> None:
    found = result_of(WEIGHT_ONLY | {"array.number_format": "bf16", "array.weight_bits": 8})
    assert found.sqnr_db is not None
    assert 25 < found.sqnr_db < 45
    assert np.isfinite(found.totals["energy_pj"])


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            {"quantization.mode": "weight_only"},
            "quantization.mode: weight_only needs floats in array.number_format, not integer",
        ),
        (
            WEIGHT_ONLY | {"quantization.repairs": ["bias_correction"]},
            "repair bias_correction with mode weight_only, which has no sums of integers",
        ),
        (
            WEIGHT_ONLY | {"quantization.layers": {"hiden": {"weight_bits": 4}}},
            "quantization.layers.hiden: workload digits_mlp has no such layer to quantize; allowed: hidden, logits; "
            "did you mean 'hidden'?",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(overrides: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        result_of(overrides)
    assert str(refused.value) == problem
