"""Layers of a real network on the RTL, through requantization and table."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.array.params import GemmShape
from hwsim.config import load_arch
from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.readers.native import read_workload
from hwsim.rtl.layers import compare_products, export_layers, layer_products, random_product
from hwsim.samples import Samples, choose_samples

needs_simulator = pytest.mark.skipif(
    shutil.which("iverilog") is None and shutil.which("verilator") is None,
    reason="neither Icarus Verilog nor Verilator is installed",
)


@pytest.fixture(scope="module")
def sample() -> Samples:
    return choose_samples(read_workload("digits_cnn"), samples=1)


@needs_simulator
@pytest.mark.parametrize(
    ("bits", "guard_bits", "dataflow"),
    [(8, 8, "output_stationary"), (5, 1, "weight_stationary"), (3, 0, "input_stationary")],
)
def test_a_whole_layer_agrees_through_requantizer_and_table(sample, bits, guard_bits, dataflow) -> None:
    spec = load_arch(
        "edge16",
        [
            f"array.weight_bits={bits}",
            f"array.activation_bits={bits}",
            f"array.guard_bits={guard_bits}",
            f"array.dataflow={dataflow}",
        ],
    )
    (product,) = layer_products(spec, sample, "conv2")
    agreement = compare_products([product])["conv2"]
    assert (agreement.values, agreement.codes, agreement.table_codes) == (16 * 16,) * 3
    assert (agreement.events > 0) == (guard_bits < 8)


@pytest.fixture(scope="module")
def three() -> Samples:
    return choose_samples(read_workload("digits_cnn"), samples=3)


def test_a_batchs_product_has_the_rows_of_all_its_samples(three) -> None:
    (product,) = layer_products(load_arch("edge16", ["mapping.batch=3"]), three, "conv2")
    for number in range(3):
        (alone,) = layer_products(load_arch("edge16"), three.part(slice(number, number + 1)), "conv2")
        assert np.array_equal(product.activations[16 * number : 16 * (number + 1)], alone.activations)
        assert np.array_equal(product.weights, alone.weights)


def test_a_batch_of_products_of_activations_has_the_groups_of_all_its_samples() -> None:
    samples = choose_samples(read_workload("digits_transformer"), samples=2)
    one, both = ([f"mapping.batch={batch}", "array.zero_point=operand"] for batch in (1, 2))
    heads = layer_products(load_arch("edge16", both), samples, "scores")
    apart = [layer_products(load_arch("edge16", one), samples.part(slice(n, n + 1)), "scores") for n in (0, 1)]
    assert len(heads) == 4
    for head, alone in zip(heads, [*apart[0], *apart[1]], strict=True):
        assert np.array_equal(head.activations, alone.activations)
        assert np.array_equal(head.weights, alone.weights)


@needs_simulator
def test_a_batch_agrees_through_requantizer_and_table(three) -> None:
    (product,) = layer_products(load_arch("edge16", ["mapping.batch=3", "array.guard_bits=0"]), three, "fc1")
    agreement = compare_products([product])["fc1"]
    assert (agreement.values, agreement.codes, agreement.table_codes) == (3 * 32,) * 3
    assert agreement.events > 0


def test_a_batch_of_more_samples_than_there_are_is_refused(three) -> None:
    with pytest.raises(ConfigError, match=r"^mapping\.batch 4: 3 samples; allowed: a batch of them or more$"):
        layer_products(load_arch("edge16", ["mapping.batch=4"]), three, "fc1")


@needs_simulator
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two"])
def test_a_random_product_agrees_on_any_machine(zero_point, scheme) -> None:
    spec = load_arch("edge8_ws", [f"array.zero_point={zero_point}", f"requantizer.scheme={scheme}"])
    agreement = compare_products([random_product(spec, GemmShape(11, 19, 10), seed=5)])["gemm"]
    assert agreement.table_codes == 110


@needs_simulator
@pytest.mark.parametrize("guard_bits", [0, 8])
def test_a_recurrent_product_of_an_lstm_agrees_in_its_fourth_step(guard_bits: int) -> None:
    """Its codes are the 16-bit pre-activations of four gates of 32 cells."""
    samples = choose_samples(read_workload("digits_lstm"), samples=1)
    (product,) = layer_products(load_arch("edge16", [f"array.guard_bits={guard_bits}"]), samples, "lstm_recurrent_3")
    agreement = compare_products([product])["lstm_recurrent_3"]
    assert (agreement.values, agreement.codes) == (4 * 32,) * 2
    assert (agreement.events > 0) == (guard_bits == 0)


@needs_simulator
def test_the_product_of_all_inputs_of_an_lstm_agrees() -> None:
    """Eight steps of four gates of 32 cells."""
    samples = choose_samples(read_workload("digits_lstm"), samples=1)
    (product,) = layer_products(load_arch("edge16"), samples, "lstm_input")
    agreement = compare_products([product])["lstm_input"]
    assert (agreement.values, agreement.codes) == (8 * 4 * 32,) * 2


@needs_simulator
@pytest.mark.parametrize("accumulator_bits", [12, 24])
def test_the_product_of_a_head_by_another_activation_agrees(accumulator_bits: int) -> None:
    """Scores of the shipped transformer: 8 queries by 8 keys of 16 channels, the zero points taken off at the PEs."""
    samples = choose_samples(read_workload("digits_transformer"), samples=1)
    settings = ["array.zero_point=operand", "array.rows=4", "array.cols=4"]
    head = layer_products(load_arch("edge16", settings), samples, "scores")[1]
    narrowed = replace(head, params=replace(head.params, accumulator=IntFormat(accumulator_bits)))
    agreement = compare_products([narrowed])["scores_1"]
    assert (agreement.values, agreement.codes) == (8 * 8,) * 2
    assert (agreement.events > 0) == (accumulator_bits == 12)


def test_a_table_that_the_rtl_does_not_have_is_refused() -> None:
    settings = ["activation_lut.interpolation=tflite_int16", "activation_lut.output_bits=16"]
    samples = choose_samples(read_workload("digits_lstm"), samples=1)
    with pytest.raises(ConfigError, match=r"^no RTL of interpolation tflite_int16; allowed: none, linear$"):
        layer_products(load_arch("edge16", settings), samples, "lstm_recurrent_3")


def test_what_the_rtl_does_not_have_is_said_for_all_layers_at_once(sample) -> None:
    spec = load_arch("edge16", ["requantizer.bias=preload"])
    with pytest.raises(ConfigError) as refused:
        layer_products(spec, sample)
    assert [line.split(":")[0] for line in refused.value.problems] == [
        "layer conv1",
        "layer conv2",
        "layer conv3",
        "layer fc1",
        "layer logits",
    ]
    asymmetric = load_arch("edge16", ["quantization.weights.symmetric=false"])
    with pytest.raises(ConfigError, match=r"^layer fc1: the RTL has no row-sum unit; allowed: symmetric weights, or"):
        layer_products(asymmetric, sample, "fc1")


def test_an_unknown_layer_is_named_with_the_closest(sample) -> None:
    with pytest.raises(ConfigError, match=r"^no layer 'conv'; allowed: conv1, .*; did you mean 'conv\d'\?$"):
        layer_products(load_arch("edge16"), sample, "conv")


@needs_simulator
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_an_exported_network_runs_by_make_alone(tmp_path: Path) -> None:
    mlp = choose_samples(read_workload("digits_mlp"), samples=1)
    written = export_layers(load_arch("edge8_ws"), mlp, tmp_path)
    assert [path.name for path in written] == ["hidden", "logits", "Makefile"]
    simulator = "icarus" if shutil.which("iverilog") else "verilator"
    done = subprocess.run(["make", "-C", tmp_path / "hidden", simulator], capture_output=True, text=True, check=False)
    assert f"PASS {simulator}" in done.stdout
    golden = tmp_path / "hidden" / "golden.txt"
    golden.write_text(golden.read_text().replace("O ", "O 1", 1))
    done = subprocess.run(["make", "-C", tmp_path / "hidden", simulator], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"FAIL {simulator}" in done.stdout
