"""The shipped LSTM on the machine's own requantizer and LUT: accuracy, overflows, what each step counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hwsim import run
from hwsim.analysis.error import tensor_errors
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import UnsupportedError
from hwsim.machine.machine import run_machine
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.run_result import RunResult
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import simulate

FINE = ("activation_lut.entries=4096", "activation_lut.output_bits=16", "activation_lut.interpolation=linear")
STEPS, CELLS = 8, 32


@cache
def digits() -> Workload:
    return read_workload("digits_lstm")


def result(*settings: str, samples: int | None = None) -> RunResult:
    return simulate(load_arch("edge16", settings), _chosen(samples), engine="functional", with_data=False)


@cache
def _chosen(samples: int | None) -> Samples:
    return choose_samples(digits(), samples=samples)


def widths(weight_bits: int, activation_bits: int) -> tuple[str, ...]:
    return (f"array.weight_bits={weight_bits}", f"array.activation_bits={activation_bits}", "array.guard_bits=8")


def actions(found: RunResult, layer: str) -> dict[str, float]:
    rows = found.energy[found.energy["layer"] == layer]
    units = rows[rows["component"].isin(["vector_unit", "activation_lut"])]
    return dict(zip(units["component"] + "." + units["action"], units["count"], strict=True))


def test_eight_bits_lose_less_than_a_point_of_accuracy() -> None:
    found = result()
    assert found.accuracy is not None
    assert found.float_accuracy is not None
    assert found.float_accuracy >= 0.97
    assert abs(found.float_accuracy - found.accuracy) <= 0.01


def test_wide_operands_and_a_fine_table_come_close_to_the_float_network() -> None:
    """The pre-activations keep 12 fraction bits and saturate at 8: more operand bits do not help beyond that."""
    ratios = [result(*widths(bits, bits), *FINE, samples=200).sqnr_db or 0.0 for bits in (4, 6, 8, 12)]
    assert ratios == sorted(ratios)
    assert ratios[-1] > 45


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(2, 16), (16, 2), (16, 16), (3, 7)])
def test_every_width_runs(weight_bits: int, activation_bits: int) -> None:
    found = result(*widths(weight_bits, activation_bits), samples=20)
    layer = found.layer_results[2]
    assert (layer.weight_bits, layer.activation_bits) == (weight_bits, activation_bits)
    assert found.sqnr_db is not None


def test_a_table_from_minus_1_to_1_cuts_the_gates_off() -> None:
    cut, whole = (result(f"activation_lut.input_range=[{-high}, {high}]").accuracy or 0.0 for high in (1, 8))
    assert cut < whole - 0.05


def test_a_table_of_few_entries_loses_what_more_entries_keep() -> None:
    few, many = (result(f"activation_lut.entries={entries}").accuracy or 0.0 for entries in (8, 256))
    assert few < many - 0.05


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize("weights", ["symmetric=true", "symmetric=false"])
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_the_machine_with_data_computes_what_its_shadow_does(dataflow: str, weights: str, zero_point: str) -> None:
    """`run` compares every layer's output and overflow counts; a difference would be an error."""
    settings = [f"array.dataflow={dataflow}", f"array.zero_point={zero_point}", f"quantization.weights.{weights}"]
    found = run("edge16", digits(), samples=1, overrides=[*settings, "array.guard_bits=1"])
    assert len(found.layer_results) == 2 + 2 * STEPS + 1


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_where_a_zero_point_is_subtracted_changes_no_value(zero_point: str) -> None:
    """Both have enough guard bits."""
    assert result(f"array.zero_point={zero_point}", samples=50).sqnr_db == result(samples=50).sqnr_db


def test_of_shapes_alone_every_part_takes_the_time_that_it_takes_with_values() -> None:
    network = digits().network
    shapes = {name: replace(tensor, data=None) for name, tensor in network.tensors.items()}
    unknown = Workload("shapes", replace(network, tensors=shapes, has_values=False), None, None, None, "")
    spec = load_arch("edge16")
    real, bare = (run_machine(compile_workload(spec, one).layers, spec) for one in (digits(), unknown))
    assert [(one.plan.name, one.cycles) for one in bare] == [(one.plan.name, one.cycles) for one in real]


def test_recurrent_products_overflow_a_narrow_accumulator() -> None:
    found = result("array.guard_bits=0", samples=50)
    events = {layer.layer: layer.overflow_events for layer in found.layer_results}
    assert sum(count for name, count in events.items() if "recurrent" in name) > 0
    assert result("array.guard_bits=8", samples=50).totals["overflow_events"] == 0


def test_a_step_counts_its_look_ups_and_vector_actions() -> None:
    """Four gates and one tanh of each cell; 3 products and 3 rescalings; a sum for each gate, two for each cell."""
    assert actions(result(samples=1), "lstm_cell_3") == {
        "activation_lut.lookup": 5 * CELLS,
        "vector_unit.add": (4 + 2) * CELLS,
        "vector_unit.multiply": 6 * CELLS,
        "vector_unit.shift": 3 * CELLS,
    }


@pytest.mark.parametrize("interpolation", ["none", "linear"])
@pytest.mark.parametrize(("vector_lanes", "lut_lanes"), [(1, 1), (16, 1), (2, 3)])
def test_look_ups_of_a_step_follow_its_sums_and_products(vector_lanes: int, lut_lanes: int, interpolation: str) -> None:
    """6 sums and 6 products for each cell, then 5 look-ups: reading two entries takes no more time than one."""
    lanes = [f"vector_unit.lanes={vector_lanes}", f"activation_lut.lanes={lut_lanes}"]
    found = result(*lanes, f"activation_lut.interpolation={interpolation}", samples=1)
    step = next(layer for layer in found.layer_results if layer.layer == "lstm_cell_3")
    assert step.vector_cycles == -(-12 * CELLS // vector_lanes) - (-5 * CELLS // lut_lanes)


def test_interpolation_reads_two_entries_a_look_up() -> None:
    found = result("activation_lut.interpolation=linear", samples=1)
    assert actions(found, "lstm_cell_3")["activation_lut.lookup"] == 10 * CELLS


def test_a_power_of_two_rescales_without_multiplications() -> None:
    found = result("requantizer.scheme=power_of_two", samples=1)
    assert actions(found, "lstm_cell_3")["vector_unit.multiply"] == 3 * CELLS


PER_GATE = "quantization.weights.granularity=per_tensor"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ([], "a scale for each channel; available: quantization.weights.granularity: per_tensor"),
        ([PER_GATE, *widths(8, 12)], "signed inputs of 12 bits; available: signed, up to 8"),
        ([PER_GATE, *widths(9, 8)], "signed weights of 9 bits; available: signed, up to 8"),
        ([PER_GATE, "quantization.activations.signed=false"], "unsigned inputs of 8 bits; available: signed, up to 8"),
        (
            [PER_GATE, "quantization.weights.symmetric=false"],
            "asymmetric weights; available: quantization.weights.symmetric: true",
        ),
    ],
)
def test_what_a_profile_has_no_lstm_for_is_refused_once(settings: list[str], text: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        result("requantizer.rounding_profile=tflm", *settings, samples=1)
    assert str(refused.value).splitlines()[0] == f"layer lstm: LSTM in profile 'tflm' with {text}"
    assert "lstm_input" not in str(refused.value)


def test_states_have_their_own_errors() -> None:
    errors = {one.tensor: one for one in tensor_errors(load_arch("edge16", FINE), _chosen(50))}
    assert errors["lstm.3.state"].sqnr_db > 30
    assert errors["lstm.7.state"].elements == 50 * 2 * CELLS
    assert np.isfinite(errors["lstm"].sqnr_db)
