"""Timelines and counts that were worked out by hand, every cycle accounted for."""

from __future__ import annotations

from small_networks import dense, flatten, function, machine, pool, run_timing, workload

SLOW_DRAM = {
    "dram.bytes_per_cycle": 1,
    "dram.latency_cycles": 10,
    "requantizer.lanes": 1,
    "requantizer.pipeline_cycles": 4,
}
DENSE = workload((3,), dense("fc", "x", 2))


def test_output_stationary_timeline() -> None:
    """One output row, 3 terms, 2 columns on 2 x 2 PEs: one fold.

    cycles   what happens
     0 -  3  DRAM channel: 3 bytes of activations, which arrive in cycle 13
     3 -  9  DRAM channel: 6 bytes of weights, which arrive in cycle 19
     0 - 19  the array waits                                                    load stall 19
    19 - 21  fill, rows + cols - 2                                              fill 2
    21 - 24  compute, the depth                                                 compute 3
    24 - 26  the sums shift out, rows; one lane requantizes both meanwhile      drain 2
    26 - 30  they pass the requantizer's pipeline                               requantize 4
    30 - 32  DRAM channel: 2 bytes of outputs                                   write stall 2
    """
    (one,) = run_timing(machine(SLOW_DRAM, rows=2, cols=2), DENSE)
    assert one.total_cycles == 32
    assert one.cycles == {
        "compute": 3, "fill": 2, "drain": 2, "load_stall": 19, "write_stall": 2, "requantize": 4, "vector": 0,
    }  # fmt: skip


def test_weight_stationary_timeline() -> None:
    """The same layer: two depth tiles, 2 + 1 terms, so two folds.

    cycles   what happens
     0 -  3  DRAM channel: 3 bytes of activations, which arrive in cycle 13
     3 -  7  DRAM channel: 4 bytes of weights for fold 0, arrive in cycle 17
     7 -  9  DRAM channel: 2 bytes of weights for fold 1, arrive in cycle 19
     0 - 17  the array waits                                                    load stall 17
    17 - 19  fold 0 loads its weights, rows                                     fill 2
    19 - 20  its one output row streams                                         compute 1
    20 - 22  rows + cols - 2                                                    drain 2
    22 - 27  fold 1 the same                                                    fill 2, compute 1, drain 2
    27 - 28  the last add under the array                                       drain 1
    26 - 28  one lane requantizes both sums as they leave the array
    28 - 32  they pass the requantizer's pipeline                               requantize 4
    32 - 34  DRAM channel: 2 bytes of outputs                                   write stall 2
    """
    (one,) = run_timing(machine(SLOW_DRAM, rows=2, cols=2, dataflow="weight_stationary"), DENSE)
    assert one.total_cycles == 34
    assert one.cycles == {
        "compute": 2, "fill": 4, "drain": 5, "load_stall": 17, "write_stall": 2, "requantize": 4, "vector": 0,
    }  # fmt: skip


def test_single_buffered_weights_wait_for_their_slot() -> None:
    """The weight-stationary timeline with room for 4 of the 6 weights, so that fold 1's wait until fold 0 has read.

    Fold 0 reads its weights through the scratchpad's port in cycle 17. In cycle 18 the channel is free: 2 bytes take
    until 20 and arrive in 30. Fold 0 ends in 22: the array waits 8 cycles more, and everything after moves by 8.
    """
    settings = SLOW_DRAM | {"scratchpads.weights.capacity_bytes": 4, "scratchpads.weights.double_buffered": False}
    (one,) = run_timing(machine(settings, rows=2, cols=2, dataflow="weight_stationary"), DENSE)
    assert one.total_cycles == 34 + 8
    assert one.cycles["load_stall"] == 17 + 8


def test_a_slow_port_starves_the_array() -> None:
    """12 bytes of weights through a port of 1 byte a cycle: fill and compute hide 6, the rest stalls."""
    load = workload((3,), dense("fc", "x", 4))
    fast, slow = (
        run_timing(machine({"scratchpads.weights.bytes_per_cycle": width}, rows=1, cols=4), load)[0]
        for width in (16, 1)
    )
    assert (fast.cycles["fill"], fast.cycles["compute"]) == (3, 3)
    assert slow.total_cycles - fast.total_cycles == 12 - 6
    assert slow.cycles["load_stall"] - fast.cycles["load_stall"] == 12 - 6


def test_counts_of_a_dense_layer() -> None:
    """The output-stationary example: 1 x 3 times 3 x 2 on 2 x 2 PEs, 8-bit codes."""
    (one,) = run_timing(machine(SLOW_DRAM, rows=2, cols=2), DENSE)
    assert dict(one.counts) == {
        ("pe", "multiply"): 6,
        ("pe", "accumulate"): 6,
        ("pe", "activation_register_write"): 1 * 3 * 2,  # through both columns
        ("pe", "weight_register_write"): 3 * 2 * 2,  # through both rows
        ("pe", "partial_sum_register_write"): 6 + 2,  # each MAC, and row 0's two sums once more on their way out
        ("accumulator_buffer", "write"): 2,
        ("accumulator_buffer", "read"): 2,
        ("requantizer", "multiply"): 2,
        ("requantizer", "add"): 2,
        ("requantizer", "shift"): 2,
        ("dram", "read_bits"): 8 * (3 + 6),
        ("dram", "write_bits"): 8 * 2,
        ("activation_scratchpad", "write_bits"): 8 * 3,
        ("activation_scratchpad", "read_bits"): 8 * 3,
        ("weight_scratchpad", "write_bits"): 8 * 6,
        ("weight_scratchpad", "read_bits"): 8 * 6,
        ("output_scratchpad", "write_bits"): 8 * 2,
        ("output_scratchpad", "read_bits"): 8 * 2,
    }


def test_asymmetric_weights_are_counted_in_the_row_sum_unit() -> None:
    spec = machine({"quantization.weights.symmetric": False}, rows=2, cols=2)
    assert run_timing(spec, DENSE)[0].counts["requantizer", "row_sum_add"] == 3


def test_a_power_of_two_needs_no_multiplier() -> None:
    spec = machine({"requantizer.scheme": "power_of_two"}, rows=2, cols=2)
    assert run_timing(spec, DENSE)[0].counts["requantizer", "multiply"] == 0


def test_steps_after_the_product_take_vector_cycles_and_write_only_their_own_output() -> None:
    """3 sigmoids on 2 lanes take 2 cycles; outputs pass the scratchpad between units, and DRAM once."""
    load = workload((5,), dense("fc", "x", 3), function("sigmoid", "fc"))
    (one,) = run_timing(machine({"activation_lut.lanes": 2}), load)
    assert one.cycles["vector"] == 2
    assert one.counts["activation_lut", "lookup"] == 3
    assert one.counts["output_scratchpad", "write_bits"] == 8 * (3 + 3)
    assert one.counts["output_scratchpad", "read_bits"] == 8 * (3 + 3)
    assert one.counts["dram", "write_bits"] == 8 * 3


def test_a_layer_without_a_product_reads_works_and_writes() -> None:
    """64 bytes in at 8 a cycle, 10 cycles of latency; 16 * 3 comparisons take 16 lanes 3 cycles, but 64 bytes from and
    16 to the output scratchpad take its port, of 16 bytes a cycle, 5; 16 bytes pass on to the activation scratchpad.
    """
    load = workload((8, 8, 1), pool("pool", "x"), flatten("flat", "pool"), dense("fc", "flat", 2))
    one, _ = run_timing(machine({"dram.latency_cycles": 10}), load)
    assert one.plan.name == "pool"
    assert {kind: count for kind, count in one.cycles.items() if count} == {
        "load_stall": 8 + 10, "vector": 5, "write_stall": 1,
    }  # fmt: skip
    assert one.counts["vector_unit", "compare"] == 48
    assert (one.counts["dram", "read_bits"], one.counts["dram", "write_bits"]) == (8 * 64, 0)
    assert one.counts["output_scratchpad", "write_bits"] == 8 * (64 + 16)
    assert one.counts["output_scratchpad", "read_bits"] == 8 * (64 + 16)
    assert one.counts["activation_scratchpad", "write_bits"] == 8 * 16


def test_activations_that_stay_pass_through_the_ports_alone() -> None:
    """Two layers of one fold on 2 x 2 PEs: 3 inputs, 2 values between the layers, 2 outputs; DRAM as above.

    cycles   what happens
     0 - 30  the first layer as above, up to the requantizer's pipeline
    30 - 31  2 bytes pass from the output to the activation scratchpad          write stall 1
    31 - 35  DRAM channel: 4 bytes of weights, which arrive in cycle 45
    31 - 45  the array waits                                                    load stall 14
    45 - 47  fill                                                               fill 2
    47 - 49  compute, the depth                                                 compute 2
    49 - 51  drain                                                              drain 2
    51 - 55  the requantizer's pipeline                                         requantize 4
    55 - 57  DRAM channel: 2 bytes of outputs                                   write stall 2
    """
    load = workload((3,), dense("fc", "x", 2), dense("out", "fc", 2))
    first, second = run_timing(machine(SLOW_DRAM, rows=2, cols=2), load)
    assert (first.total_cycles, first.cycles["write_stall"]) == (31, 1)
    assert second.start_cycle == 31
    assert second.cycles == {
        "compute": 2, "fill": 2, "drain": 2, "load_stall": 14, "write_stall": 2, "requantize": 4, "vector": 0,
    }  # fmt: skip
    assert (first.counts["dram", "write_bits"], second.counts["dram", "read_bits"]) == (0, 8 * 4)
    assert first.counts["activation_scratchpad", "write_bits"] == 8 * (3 + 2)
    assert second.counts["activation_scratchpad", "read_bits"] == 8 * 2
