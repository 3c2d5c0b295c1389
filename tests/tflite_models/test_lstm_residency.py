"""An unrolled LSTM on the machine: its weights come once, its states never leave the chip."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from shared_files import shared

import hwsim
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.readers.read import read_workload

INPUTS, CELLS, STEPS = 28, 20, 28  # 28 rows of an image of 28 x 28 pixels; a dense layer classifies all hidden states
CLASSES = 10


@cache
def runs(*settings: str) -> list[LayerRun]:
    spec = load_arch("edge16", settings)
    workload = read_workload(shared("models", "trained_lstm_int8.tflite"))
    return run_machine(compile_workload(spec, workload).layers, spec)


def dram_bytes(action: str, *settings: str) -> int:
    return sum(one.counts["dram", action] for one in runs(*settings)) // 8


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_dram_sees_weights_once_inputs_and_outputs(dataflow: str) -> None:
    """W is 28 x 80, R 20 x 80, the classifier 560 x 10 bytes; the file's two state tensors have 20 and 40 bytes."""
    weights = INPUTS * 4 * CELLS + CELLS * 4 * CELLS + STEPS * CELLS * CLASSES
    setting = f"array.dataflow={dataflow}"
    assert dram_bytes("read_bits", setting) == weights + INPUTS * STEPS
    assert dram_bytes("write_bits", setting) == CLASSES + CELLS + 2 * CELLS


def test_through_dram_every_step_brings_recurrent_weights_and_states_again() -> None:
    """A step reads R and h; then its row of W x + b, R h and the state, in words of 16 bits. W comes once."""
    gates, state = 4 * CELLS * 2, 2 * CELLS * 2
    steps = STEPS * (CELLS * 4 * CELLS + CELLS + 2 * gates + state)
    once = INPUTS * 4 * CELLS + STEPS * INPUTS
    ends = STEPS * state + 2 * state  # all hidden states; the last of each kind
    classifier = STEPS * CELLS * (CLASSES + 1)
    assert dram_bytes("read_bits", "mapping.keep_on_chip=false") == steps + once + ends + classifier


def test_the_initial_state_is_written_and_nothing_read() -> None:
    start = next(one for one in runs("mapping.keep_on_chip=false") if one.plan.name.endswith("_start"))
    bits = 2 * CELLS * 16
    assert start.counts == {
        ("output_scratchpad", "write_bits"): bits,
        ("output_scratchpad", "read_bits"): bits,
        ("dram", "write_bits"): bits,
    }
    assert start.total_cycles == bits // (8 * 16) + bits // (8 * 8)  # through a port of 16, then to DRAM at 8 a cycle


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_inputs_of_all_steps_stream_in_one_product(dataflow: str) -> None:
    """28 rows: 2 x 5 folds of 28 terms, or of 2 tiles of 28 terms by 5 of 80 columns or 2 of 28 rows, by hand."""
    (product,) = [one for one in runs(f"array.dataflow={dataflow}") if one.plan.name.endswith("_input")]
    folds, fold, tail = {
        "output_stationary": (2 * 5, 2 * 16 + 16 + INPUTS - 2, 0),
        "weight_stationary": (2 * 5, 2 * 16 + 16 + STEPS - 2, 1),
        "input_stationary": (2 * 2, 2 * 16 + 16 + 4 * CELLS - 2, 1),
    }[dataflow]
    assert product.plan.products[0].array_cycles == folds * fold + tail
    assert product.plan.products[0].macs == STEPS * INPUTS * 4 * CELLS


def test_staying_on_the_chip_saves_time() -> None:
    stay, leave = (sum(one.total_cycles for one in runs(*keep)) for keep in ((), ("mapping.keep_on_chip=false",)))
    assert stay < 0.7 * leave


def test_scratchpads_too_small_for_the_weights_bring_them_at_every_step() -> None:
    """1 KiB does not hold R, of 1,600 bytes; weight stationary, 16 x 16 of them at a time are enough."""
    small = ("array.dataflow=weight_stationary", "scratchpads.weights.capacity_bytes=1024")
    assert dram_bytes("read_bits", *small) >= STEPS * CELLS * 4 * CELLS


def test_a_result_has_latency_energy_and_look_ups_of_every_step() -> None:
    """Four gates and the new cell state take a look-up for each of 20 cells, between two entries each."""
    result = hwsim.run(
        "edge16",
        str(shared("models", "trained_lstm_int8.tflite")),
        inputs=np.zeros((1, STEPS, INPUTS), np.int8),
        engine="functional",
    )
    steps = [one for one in result.layer_results if "_cell_" in one.layer]
    assert len(steps) == STEPS
    for step in steps:
        (look_ups,) = (entry for entry in step.energy if entry.component == "activation_lut")
        assert (look_ups.action, look_ups.count) == ("lookup", 2 * 5 * CELLS)
        assert look_ups.energy_pj > 0
        assert step.total_cycles == step.vector_cycles + step.write_stall_cycles > 0
