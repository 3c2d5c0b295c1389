"""Several samples on the machine at once: cycles by hand, traffic, overflows and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from shared_files import shared

import hwsim
from hwsim.analysis.explain import explain
from hwsim.check import compare_engines
from hwsim.compilation import compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.errors import ConfigError
from hwsim.execute.integer import run_integer
from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload
from hwsim.results.run_result import RunResult
from hwsim.samples import choose_samples
from hwsim.simulate import simulate, together

DATAFLOWS = ("output_stationary", "weight_stationary", "input_stationary")


def run(workload: str, batch: int, *overrides: str, **settings: Any) -> RunResult:
    return hwsim.run("edge16", workload, overrides=(f"mapping.batch={batch}", *overrides), **settings)


def read_bits(result: RunResult, component: str) -> int:
    energy = result.energy
    return int(energy[(energy["component"] == component) & (energy["action"] == "read_bits")]["count"].sum())


def test_a_dense_layer_streams_one_row_a_sample_through_weights_that_are_brought_once() -> None:
    """Output stationary: 2R + C + depth - 2 cycles a fold, ceil(batch / 16) folds for each 16 columns."""
    for batch, row_tiles in ((1, 1), (16, 1), (20, 2)):
        layer = run("digits_mlp", batch, samples=20).layers.iloc[0]
        assert (layer["out_rows"], layer["depth"], layer["out_cols"]) == (batch, 64, 64)
        assert layer["array_cycles"] == row_tiles * 4 * (2 * 16 + 16 + 64 - 2)


def test_each_weight_comes_from_dram_once_a_batch_and_each_activation_once_a_sample() -> None:
    one, four = (run("digits_mlp", batch, samples=4) for batch in (1, 4))
    weights = 8 * sum(layer.depth * layer.out_cols for layer in one.layer_results)
    inputs = 8 * 64
    assert read_bits(one, "dram") == weights + inputs
    assert read_bits(four, "dram") == weights + 4 * inputs


def test_layers_are_a_batchs_and_in_all_energy_and_macs_an_inferences() -> None:
    one, four = (run("digits_cnn", batch, samples=4) for batch in (1, 4))
    assert four.layers["macs"].sum() == 4 * one.totals["macs"]
    assert four.totals["macs"] == one.totals["macs"]
    assert four.totals["energy_pj"] == pytest.approx(four.layers["energy_pj"].sum() / 4)
    assert four.totals["energy_pj"] < one.totals["energy_pj"] / 2
    assert four.totals["total_cycles"] == four.layers["total_cycles"].sum()
    assert four.totals["inferences_per_second"] == pytest.approx(4e3 / four.totals["latency_ms"])


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_what_overflows_and_what_comes_out_does_not_depend_on_the_batch(dataflow: str, overflow: str) -> None:
    """Each output's chain of adds is the same; only its place in the array and its cycle are others."""
    settings = (f"array.dataflow={dataflow}", f"array.overflow={overflow}", "array.guard_bits=0")
    one, *others = (run("digits_cnn", batch, *settings, samples=10) for batch in (1, 4, 10))
    assert one.totals["overflow_events"] > 1000
    for other in others:
        assert other.totals["overflow_events"] == one.totals["overflow_events"]
        assert (other.accuracy, other.sqnr_db) == (one.accuracy, one.sqnr_db)
        per_layer = [layer.overflow_events for layer in other.layer_results]
        assert per_layer == [layer.overflow_events for layer in one.layer_results]


@pytest.mark.parametrize("workload", ["digits_lstm", "digits_transformer"])
def test_recurrent_products_and_products_of_two_activations_are_batched_too(workload: str) -> None:
    """The stepped machine must agree with its shadow, or the run fails."""
    one, three = (run(workload, batch, samples=6) for batch in (1, 3))
    assert (three.accuracy, three.sqnr_db) == (one.accuracy, one.sqnr_db)
    assert three.totals["total_cycles"] < 3 * one.totals["total_cycles"]


def test_steps_of_an_lstm_have_a_row_for_each_sample() -> None:
    layers = run("digits_lstm", 5, samples=5).layers
    recurrent = layers[layers["layer"].str.startswith("lstm_recurrent")]
    assert set(recurrent["out_rows"]) == {5}


def test_a_product_of_two_activations_is_done_for_each_sample_by_itself() -> None:
    one, three = (run("digits_transformer", batch, samples=3).layer_results for batch in (1, 3))
    scores = [layer.groups for layer in one if layer.layer.endswith("scores")]
    assert scores
    assert [layer.groups for layer in three if layer.layer.endswith("scores")] == [3 * groups for groups in scores]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_both_engines_see_the_same_events_in_a_batch(dataflow: str) -> None:
    overrides = {"mapping.batch": 3, "array.guard_bits": -1, "array.dataflow": dataflow}
    agreement = compare_engines(
        apply_overrides(load_arch("edge16"), overrides), choose_samples(read_workload("digits_cnn"))
    )
    assert agreement.overflow_events > 1000


@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_a_last_batch_of_fewer_samples_has_their_own_values(engine: str) -> None:
    one, four = (run("digits_cnn", batch, "array.guard_bits=0", samples=6, engine=engine) for batch in (1, 4))
    assert one.totals["overflow_events"] == four.totals["overflow_events"] > 0
    assert (one.samples, one.accuracy, one.sqnr_db) == (four.samples, four.accuracy, four.sqnr_db)


@pytest.mark.parametrize("setting", ["quantization.mode=dynamic", "quantization.weights.symmetric=false"])
def test_ranges_and_row_sums_are_each_samples_own(setting: str) -> None:
    one, four = (run("digits_mlp", batch, setting, samples=10) for batch in (1, 4))
    assert (one.accuracy, one.sqnr_db) == (four.accuracy, four.sqnr_db)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_floats_run_in_batches_too(dataflow: str) -> None:
    """Each output's sum is rounded in the same order."""
    settings = ("array.number_format=fp8_e4m3", "array.accumulator_format=bf16", f"array.dataflow={dataflow}")
    one, four = (run("digits_mlp", batch, *settings, samples=10) for batch in (1, 4))
    assert (one.accuracy, one.sqnr_db) == (four.accuracy, four.sqnr_db)
    assert one.totals["overflow_events"] == four.totals["overflow_events"]
    assert four.layer_results[0].out_rows == 4
    assert four.totals["macs"] == one.totals["macs"]
    assert four.totals["energy_pj"] < one.totals["energy_pj"] / 2


def test_an_explanation_is_that_of_one_sample() -> None:
    chosen = choose_samples(read_workload("digits_cnn"), samples=2)
    one, many = (
        explain(load_arch("edge16", [f"mapping.batch={batch}"]), chosen, "conv2", output=(1, 2, 5), sample=1)
        for batch in (1, 16)
    )
    assert one == many


@pytest.mark.parametrize("batch", [0, 5000])
def test_a_batch_has_a_number_of_samples(batch: int) -> None:
    with pytest.raises(ConfigError, match=r"mapping\.batch"):
        run("digits_cnn", batch)


def test_fewer_samples_than_a_batch_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        run("digits_cnn", 16, samples=10)
    assert str(refused.value) == "mapping.batch 16: 10 samples; allowed: a batch of them or more"


def test_shapes_alone_are_timed_in_batches() -> None:
    one, eight = (run("mobilenet_v2", batch, "array.rows=32", "array.cols=32") for batch in (1, 8))
    assert eight.totals["macs"] == one.totals["macs"]
    assert eight.totals["inferences_per_second"] > one.totals["inferences_per_second"]


@pytest.mark.parametrize(
    "model",
    [
        "kws_ref_model.tflite",
        "trained_lstm_int8.tflite",
        "resnet8_dynamic_wi8_afp32.tflite",
        "micro_kws_m_static_qoperator.onnx",
        "micro_kws_m_static_qdq.onnx",
    ],
)
def test_files_of_other_tools_give_the_same_codes_in_a_batch(model: str) -> None:
    """On the machine each layer's codes must equal the shadow's, and those the codes of the samples by themselves."""
    read = read_workload(str(shared("models", model)))
    profile = {"requantizer.rounding_profile": "litert_reference"} if "dynamic" in model else {}
    spec = apply_overrides(load_arch("edge16"), {"mapping.batch": 3} | profile)
    samples = choose_samples(read, inputs=random_inputs(read.network, 3, seed=1))
    simulate(spec, samples, engine="stepped", with_data=True)
    compiled = compile_workload(spec, read)
    codes = compiled.codes(samples.inputs)
    keep = [layer.output for layer in compiled.layers]
    one = run_integer(compiled.steps, compiled.params, codes, keep=keep).values
    three = run_integer(compiled.steps_of(3), compiled.params, together(codes, 3), keep=keep).values
    for name in keep:
        assert np.array_equal(three[name].reshape(3, -1), one[name]), name
