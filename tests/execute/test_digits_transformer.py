"""The shipped transformer on the machine: attention, normalization and GELU in integers, from pixels to logits."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import hwsim
from hwsim.analysis.explain import explain
from hwsim.analysis.guard_bits import guard_bits
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.run_result import RunResult
from hwsim.rtl.layers import layer_products
from hwsim.samples import choose_samples
from hwsim.simulate import simulate


@cache
def digits() -> Workload:
    return read_workload("digits_transformer")


@cache
def result(*settings: str, samples: int | None = None) -> RunResult:
    chosen = choose_samples(digits(), samples=samples)
    return simulate(load_arch("edge16", settings), chosen, engine="functional", with_data=False)


def test_eight_bits_lose_less_than_half_a_point_of_accuracy() -> None:
    found = result()
    assert found.accuracy is not None
    assert found.float_accuracy is not None
    assert found.float_accuracy >= 0.99
    assert abs(found.float_accuracy - found.accuracy) <= 0.005


def test_wider_operands_come_closer_to_the_float_network() -> None:
    """The GELU's table, of 256 entries and 8 bits, is made finer too."""
    fine = ("activation_lut.entries=4096", "activation_lut.output_bits=16", "activation_lut.interpolation=linear")
    ratios = [
        result(f"array.weight_bits={bits}", f"array.activation_bits={bits}", *fine, samples=100).sqnr_db or 0.0
        for bits in (4, 6, 8, 12)
    ]
    assert ratios == sorted(ratios)
    assert ratios[-1] > 45


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_the_machine_steps_it(dataflow: str) -> None:
    """A stepped run is held against the array's shadow, layer by layer; narrow accumulators overflow in both."""
    settings = (f"array.dataflow={dataflow}", "array.guard_bits=-3")
    stepped = hwsim.run("edge16", digits(), samples=1, overrides=settings)
    functional = hwsim.run("edge16", digits(), samples=1, engine="functional", overrides=settings)
    assert stepped.overflows.equals(functional.overflows)
    assert len(stepped.overflows) > 0
    assert [one.total_cycles for one in stepped.layer_results] == [one.total_cycles for one in functional.layer_results]


def test_what_attention_and_normalization_count() -> None:
    counts = result(samples=1).energy.set_index(["layer", "component", "action"])["count"]
    assert counts["scores", "pe", "multiply"] == 2 * 8 * 16 * 8
    assert counts["context", "pe", "multiply"] == 2 * 8 * 8 * 16
    assert counts["context", "requantizer", "column_sum_add"] == 8 * 32  # an add for every element of the values
    assert counts["context", "requantizer", "row_sum_add"] == 2 * 8 * 8  # and for every share of attention
    assert counts["norm1", "vector_unit", "compare"] == 8 * (32 + 31)  # digits of a root and a reciprocal, eight rows
    assert counts["norm1", "vector_unit", "multiply"] == 4 * 8 * 32 + 2 * 8
    assert counts["widen", "activation_lut", "lookup"] == 8 * 64  # its GELU


def test_rows_take_the_vector_units_time() -> None:
    """Eight operations a value; of each of 8 rows 2 + 2 for the variance and 63 digits of two each; on 16 lanes."""
    cycles = {one.layer: one.figures()["vector_cycles"] for one in result(samples=1).layer_results}
    assert cycles["norm1"] == (8 * 8 * 32 + 8 * (2 + 2 + 2 * 63)) / 16


def test_a_score_is_explained_from_both_operands() -> None:
    found = explain(load_arch("edge16"), choose_samples(digits(), samples=1), "scores", output=(3, 9))
    assert len(found.accumulation.terms) == 16
    assert found.float_value is not None
    assert abs(found.real - found.float_value) < 3 * found.output_grid.scale
    assert found.requantized.rescaling.multiplier == pytest.approx(found.multiplier)  # with 1 / sqrt(16)


def test_the_second_operand_of_a_product_has_no_bound_but_its_depth() -> None:
    needs = {one.layer: one for one in guard_bits(load_arch("edge16"), choose_samples(digits(), samples=2))}
    assert needs["scores"].weight_guard_bits is None
    assert needs["scores"].depth_guard_bits is not None
    assert needs["scores"].data_guard_bits <= needs["scores"].depth_guard_bits
    assert needs["query"].weight_guard_bits is not None


def test_the_rtl_takes_products_of_offset_operands_alone() -> None:
    samples = choose_samples(digits(), samples=1)
    with pytest.raises(ConfigError, match=r"layer context: the RTL has no column-sum unit; allowed: array\.zero_point"):
        layer_products(load_arch("edge16", ["quantization.activations.symmetric=true"]), samples, "context")
    heads = layer_products(load_arch("edge16", ["array.zero_point=operand"]), samples, "scores")
    assert [(one.layer, one.activations.shape, one.weights.shape) for one in heads] == [
        ("scores_0", (8, 16), (16, 8)),
        ("scores_1", (8, 16), (16, 8)),
    ]
    assert all(np.any(one.weights) for one in heads)


@pytest.mark.parametrize(
    ("setting", "refused"),
    [
        ("quantization.mode=dynamic", "layer scores: ActivationMatmul\n"),
        ("requantizer.bias=preload", "layer context: sums of a product of two activations cannot start from what only"),
        ("array.number_format=fp16", "layer scores: ActivationMatmul on an array of fp16 MACs"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(setting: str, refused: str) -> None:
    with pytest.raises(UnsupportedError) as error:
        hwsim.run("edge16", digits(), samples=1, engine="functional", overrides=[setting])
    assert refused in str(error.value)


def test_corrected_biases_take_constants_beside_activations_for_what_they_stand_for() -> None:
    """Coarse weights: what correction gains; the position embedding holds codes, as activations do."""
    coarse = ("quantization.weights.granularity=per_tensor", "array.weight_bits=5")
    plain, corrected = (
        result(*coarse, *more, samples=100).sqnr_db for more in ((), ("quantization.repairs=[bias_correction]",))
    )
    assert plain is not None
    assert corrected is not None
    assert corrected > plain + 1
