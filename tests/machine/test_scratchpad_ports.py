"""Ports, banks and words of the scratchpads: what a single port and whole words cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_machines import random_machine, random_step
from shapes_alone import plan_steps
from small_networks import conv, dense, flatten, machine, pool, run_timing, workload
from test_fast_forward import replaced

from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.config.memories import ScratchpadSpec
from hwsim.config.overrides import apply_overrides
from hwsim.errors import ConfigError
from hwsim.machine.machine import LayerRun, run_machine

PADS = ("activations", "weights", "outputs")
TWO_TILES = {
    "dram.latency_cycles": 10,
    "scratchpads.weights.bytes_per_cycle": 1,
    "mapping.layers.fc.tile_out_cols": 1,
}


def weights(**keys: Any) -> dict[str, Any]:
    return {f"scratchpads.weights.{key}": value for key, value in keys.items()}


def test_two_ports_pass_a_fill_under_a_read() -> None:
    """One output row, 4 terms, 2 columns on one PE: two tiles of 4 weights each; the port takes a byte a cycle.

    cycles   what happens
     0 -  3  DRAM channel: 4 bytes each of activations and weights of both tiles, which arrive in cycles 11, 12, 13
     0 - 12  the array waits                                                    load stall 12
    12 - 16  port: 4 weights; they are multiplied as they come                  compute 4
    16 - 17  drain                                                              drain 1
    17 - 22  the other tile                                                     compute 4, drain 1
    22 - 26  the requantizer's pipeline                                         requantize 4
    26 - 27  DRAM channel: 1 byte of outputs                                    write stall 1
    """
    (one,) = run_timing(machine(TWO_TILES, rows=1, cols=1), workload((4,), dense("fc", "x", 2)))
    assert one.total_cycles == 27
    assert one.cycles == {
        "compute": 8, "fill": 0, "drain": 2, "load_stall": 12, "write_stall": 1, "requantize": 4, "vector": 0,
    }  # fmt: skip


def test_a_single_port_makes_reads_and_fills_take_turns() -> None:
    """The same layer.

    cycles   what happens
     0 -  3  DRAM channel as above
    11 - 15  port: the first tile's weights are written; their last bytes arrive in cycle 12
     0 - 15  the array waits                                                    load stall 15
    15 - 19  port: the second tile's weights, which arrived in cycle 13
    15 - 19  the array is ready, but has to wait for the port                   compute 4
    19 - 23  port: the array reads 4 weights                                    load stall 4
    23 - 24  drain                                                              drain 1
    24 - 29  the other tile                                                     compute 4, drain 1
    29 - 33  the requantizer's pipeline                                         requantize 4
    33 - 34  DRAM channel: 1 byte of outputs                                    write stall 1
    """
    single = TWO_TILES | weights(ports=1)
    (one,) = run_timing(machine(single, rows=1, cols=1), workload((4,), dense("fc", "x", 2)))
    assert one.total_cycles == 34
    assert one.cycles == {
        "compute": 8, "fill": 0, "drain": 2, "load_stall": 19, "write_stall": 1, "requantize": 4, "vector": 0,
    }  # fmt: skip


def test_what_nothing_competes_with_takes_no_time() -> None:
    """Data are written as they arrive: 6 bytes from a DRAM as slow as the port."""
    slow = {"dram.bytes_per_cycle": 1} | weights(bytes_per_cycle=1)
    single, both = (
        run_timing(machine(slow | weights(ports=ports), rows=2, cols=2), workload((3,), dense("fc", "x", 2)))[0]
        for ports in (1, 2)
    )
    assert (single.total_cycles, single.cycles) == (both.total_cycles, both.cycles)


def test_halves_in_different_banks_do_not_compete() -> None:
    """Weights streamed through halves of 150 bytes; two banks do with one port what one bank does with two."""
    load = workload((8, 8, 4), conv("conv", "x", 12, padding="same"))
    streamed = weights(capacity_bytes=300, bytes_per_cycle=4) | {"dram.bytes_per_cycle": 64}

    def cycles(**keys: int) -> int:
        (one,) = run_timing(machine(streamed | weights(**keys), rows=4, cols=4), load)
        assert one.plan.products[0].weights.slots == 2
        return one.total_cycles

    assert cycles(ports=1, banks=2) == cycles(ports=2, banks=1) < cycles(ports=1, banks=1)


def test_banks_serve_words_of_one_access_first() -> None:
    """16 bytes per cycle are 4 words, so that only 8 banks leave each half 4 of its own."""
    pads = [ScratchpadSpec(capacity_bytes=224, word_bytes=4, banks=banks) for banks in (4, 7, 8)]
    assert [pad.words_per_cycle for pad in pads] == [4, 4, 4]
    assert [pad.halves_are_apart for pad in pads] == [False, False, True]
    assert not ScratchpadSpec(banks=8, double_buffered=False).halves_are_apart


def test_whole_words_are_read_for_each_term() -> None:
    """A row of 6 columns reads 6 weights for each of 8 terms: two words of 4 bytes, one of them a cycle.

    Exactly 48 bytes take 12 of the 13 cycles of fill and compute; 16 words take 16, so that the array stalls for 3.
    """
    load = workload((8,), dense("fc", "x", 6))
    exact, words = (
        run_timing(machine(weights(bytes_per_cycle=4, word_bytes=size), rows=1, cols=6), load)[0]
        for size in ("null", 4)
    )
    assert words.total_cycles - exact.total_cycles == 3
    assert words.cycles["load_stall"] - exact.cycles["load_stall"] == 3
    name = "weight_scratchpad"
    assert (exact.counts[name, "read_bits"], words.counts[name, "read_bits"]) == (8 * 48, 8 * 4 * 16)
    assert words.counts[name, "write_bits"] == exact.counts[name, "write_bits"] == 8 * 48  # twelve full words


@pytest.mark.parametrize(
    ("dataflow", "expected"),
    [  # 3 rows by 5 terms by 2 columns; what lies side by side begins with a word of 4 bytes
        ("output_stationary", {"activation": 5 * 4, "weight": 5 * 4, "output": 3 * 4}),
        ("weight_stationary", {"activation": 3 * 4 + 3 * 4, "weight": 5 * 4, "output": 3 * 4}),
        ("input_stationary", {"activation": 5 * 4, "weight": 2 * 4 + 2 * 4, "output": 2 * 4}),
    ],
)
def test_counts_are_of_whole_words(dataflow: str, expected: dict[str, int]) -> None:
    """On 4 x 4 PEs, so that weight and input stationary cut 5 terms into 4 and 1; fills are 15, 10 and 6 bytes long."""
    words = {f"scratchpads.{name}.{key}": size for name in PADS for key, size in (("word_bytes", 4), ("banks", 4))}
    load = workload((3, 1, 5), conv("conv", "x", 2, (1, 1)))
    one: LayerRun = run_timing(machine(words, rows=4, cols=4, dataflow=dataflow), load)[0]
    counts = {key: count // 8 for key, count in one.counts.items() if key[0].endswith("_scratchpad")}
    assert counts["activation_scratchpad", "read_bits"] == expected["activation"]
    assert counts["weight_scratchpad", "read_bits"] == expected["weight"]
    assert counts["output_scratchpad", "write_bits"] == expected["output"]
    assert counts["activation_scratchpad", "write_bits"] == 16
    assert counts["output_scratchpad", "read_bits"] == 8
    assert counts["weight_scratchpad", "write_bits"] == (12 if dataflow == "output_stationary" else 8 + 4)


def pads_of(spec: ArchSpec, **keys: Any) -> ArchSpec:
    found = {name: replaced(getattr(spec.scratchpads, name), **keys) for name in PADS}
    return replaced(spec, scratchpads=replaced(spec.scratchpads, **found))


MOST_TILES = 100
LESS = [  # more of it, less of it
    ({"ports": 2}, {"ports": 1}),
    ({"ports": 1, "banks": 2}, {"ports": 1, "banks": 1}),
    ({"bytes_per_cycle": 8}, {"bytes_per_cycle": 8, "word_bytes": 4, "banks": 2}),
    (
        {"bytes_per_cycle": 8, "ports": 1, "word_bytes": 2, "banks": 4},
        {"bytes_per_cycle": 8, "ports": 1, "word_bytes": 8, "banks": 1},
    ),
]


@pytest.mark.parametrize(("more", "less"), LESS)
def test_fewer_ports_fewer_banks_and_longer_words_make_no_layer_faster(
    more: dict[str, Any], less: dict[str, Any]
) -> None:
    """With the same tiles, on DRAM so fast that transfers do not queue for it.

    Where they do, a delay may bring requests into a luckier order: of 218 random layers on slow DRAM one was faster
    with single ports, by 20 of 1,763 cycles.
    """
    compared = 0
    for seed in range(50):
        random = np.random.default_rng(seed)
        (step, inputs), spec = random_step(random), random_machine(random)
        fast = {"channels": 1, "burst_bytes": 1, "row_bytes": None, "bytes_per_cycle": 65536}
        spec = pads_of(replaced(spec, dram=replaced(spec.dram, **fast)), ports=2, banks=1, word_bytes=None)
        try:
            plan = plan_steps(spec, [step], x=inputs)
        except ConfigError:
            continue
        if plan[0].products[0].grid.count <= MOST_TILES:
            first, second = (run_machine(plan, pads_of(spec, **keys))[0] for keys in (more, less))
            assert first.total_cycles <= second.total_cycles
            assert all(count <= second.counts[key] for key, count in first.counts.items())
            compared += 1
    assert compared > 20


def test_vector_steps_and_write_back_share_a_single_port() -> None:
    """16 bytes to the activation scratchpad pass the port of each, next to each other; nothing else wants them."""
    load = workload((8, 8, 1), pool("pool", "x"), flatten("flat", "pool"), dense("fc", "flat", 2))
    single = {f"scratchpads.{name}.ports": 1 for name in PADS}
    both, one = (run_timing(machine(keys), load) for keys in ({}, single))
    assert [layer.total_cycles for layer in both] == [layer.total_cycles for layer in one]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"capacity_bytes": 3, "banks": 2}, "banks: 2 banks do not divide capacity_bytes 3 evenly"),
        (
            {"capacity_bytes": 3, "bytes_per_cycle": 4, "word_bytes": 4},
            "word_bytes: a bank of 3 bytes does not hold a whole number of words of 4 bytes",
        ),
        ({"bytes_per_cycle": 6, "word_bytes": 4}, "bytes_per_cycle: 6 is no multiple of word_bytes 4"),
        (
            {"word_bytes": 4, "banks": 2},
            "bytes_per_cycle: 16 bytes per cycle are 4 words from as many banks; there are 2",
        ),
        ({"ports": 3}, "ports: unknown value 3; allowed: 1, 2"),
    ],
)
def test_what_cannot_be_built_is_refused(keys: dict[str, int], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apply_overrides(load_arch("edge16"), weights(**keys))
    assert refused.value.problems == (f"scratchpads.weights.{problem}",)
