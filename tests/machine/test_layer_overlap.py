"""The next layer's weights come while a layer runs: when, how many, and that nothing but time changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_machines import TwiceStep, facts, plan_chain, random_chain, random_machine
from shapes_alone import dense as product
from small_networks import dense, machine, run_data, run_timing, workload

from hwsim.array.gemm import make_engine
from hwsim.array.params import ArrayParams
from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.execute.integer import run_integer
from hwsim.machine import machine as whole_machine
from hwsim.machine.machine import LayerRun, SampleData, run_machine
from hwsim.machine.memory import ScratchpadData
from hwsim.machine.product import ProductRun
from hwsim.machine.tracing import Level, Slice
from hwsim.mapping.plan import LayerPlan
from hwsim.network.steps import Step
from hwsim.readers.read import read_workload

AHEAD = {"mapping.layer_overlap": "weights"}
SLOW_DRAM: dict[str, Any] = {
    "dram.bytes_per_cycle": 1,
    "dram.latency_cycles": 10,
    "requantizer.lanes": 1,
    "requantizer.pipeline_cycles": 4,
}
TWO_LAYERS = workload((3,), dense("fc", "x", 2), dense("out", "fc", 2))
TWO_PORTS = {"cores": 1} | {f"scratchpads.{name}.ports": 2 for name in ("activations", "weights", "outputs")}
SEEDS = st.integers(0, 1 << 32)


def both(spec: ArchSpec, layers: Sequence[LayerPlan]) -> tuple[list[LayerRun], list[LayerRun]]:
    """Run layers for timing without and with what comes ahead."""
    without = spec.model_copy(update={"mapping": spec.mapping.model_copy(update={"layer_overlap": "none"})})
    return run_machine(layers, without), run_machine(layers, spec)


def total(runs: Sequence[LayerRun]) -> int:
    return sum(one.total_cycles for one in runs)


def test_the_second_layers_weights_come_while_the_first_one_runs() -> None:
    """Two layers of one fold on 2 x 2 PEs, 3 inputs, 2 values between, 2 outputs; without overlap they take 57 cycles.

    cycles   what happens
     0 -  3  DRAM channel: 3 bytes of activations, which arrive in cycle 13
     3 -  9  DRAM channel: 6 bytes of weights of the first layer, which arrive in cycle 19
     9 - 13  DRAM channel: 4 bytes of weights of the second, which arrive in cycle 23
     0 - 31  the first layer runs, as it would without
    31 - 33  fill: all operands are there                                       fill 2
    33 - 35  compute, the depth                                                 compute 2
    35 - 37  drain                                                              drain 2
    37 - 41  the requantizer's pipeline                                         requantize 4
    41 - 43  DRAM channel: 2 bytes of outputs                                   write stall 2
    """
    first, second = run_timing(machine(SLOW_DRAM | AHEAD, rows=2, cols=2), TWO_LAYERS)
    alone, _ = run_timing(machine(SLOW_DRAM, rows=2, cols=2), TWO_LAYERS)
    assert (first.total_cycles, first.cycles) == (31, alone.cycles)
    assert second.start_cycle == 31
    assert second.cycles == {
        "compute": 2, "fill": 2, "drain": 2, "load_stall": 0, "write_stall": 2, "requantize": 4, "vector": 0,
    }  # fmt: skip


def test_weights_wait_for_the_room_that_those_before_them_take() -> None:
    """The same in 8 bytes: 6 and 4 do not fit together.

    The array reads the first layer's 6 bytes in cycle 19, and gives their room back in cycle 20: the second's pass the
    channel until 24 and arrive in cycle 34. The second layer, from 31 on, waits 3 cycles for them and takes 15.
    """
    small = SLOW_DRAM | AHEAD | {"scratchpads.weights.capacity_bytes": 8}
    first, second = run_timing(machine(small, rows=2, cols=2), TWO_LAYERS)
    assert first.total_cycles == 31
    assert (second.cycles["load_stall"], second.total_cycles) == (3, 15)


def test_they_come_under_layers_of_the_vector_unit_too() -> None:
    """The first layer's weights have passed in cycle 9; the last one's 10 bytes are there long before it starts."""
    steps = [product("fc", "x", 3, 2), TwiceStep("twice", ("fc", "fc"), "twice", (1, 2)), product("out", "twice", 2, 5)]
    spec = machine(SLOW_DRAM | AHEAD, rows=2, cols=2)
    without, ahead = both(spec, plan_chain(spec, steps, 3))
    assert [one.plan.name for one in ahead] == ["fc", "twice", "out"]
    assert [one.cycles for one in ahead[:2]] == [one.cycles for one in without[:2]]
    assert (without[2].cycles["load_stall"], ahead[2].cycles["load_stall"]) == (2 * 2 + 10, 0)


def test_each_core_brings_its_own_share_ahead() -> None:
    """The same two layers on two cores of 2 x 1 PEs, of a column each; what both bring shares the channel.

    cycles   what happens
     0 - 12  DRAM channel: 3 bytes of activations and 3 of weights for core 0, then as many for core 1
    12 - 16  DRAM channel: 2 bytes of weights of the second layer for each core, which arrive in cycle 26 at the latest

    When the second layer starts, core 0 asks for 2 bytes of activations alone, which are there 2 + 10 cycles later;
    without overlap it waits for 2 bytes of weights more.
    """
    spec = machine(SLOW_DRAM | AHEAD | {"cores": 2, "mapping.split": "out_cols"}, rows=2, cols=1)
    layers = compile_workload(spec, TWO_LAYERS).layers
    moved: list[Slice] = []

    def watch(one: Slice | Level) -> None:
        if isinstance(one, Slice) and one.track == "DRAM" and "weight" in one.name:
            moved.append(one)

    _, second = run_machine(layers, spec, trace=watch)
    assert [(one.name, one.details["layer"], one.start, one.end) for one in moved] == [
        ("core 0 weight scratchpad", "fc", 3, 6),
        ("core 1 weight scratchpad", "fc", 9, 12),
        ("core 0 weight scratchpad", "out", 12, 14),
        ("core 1 weight scratchpad", "out", 14, 16),
    ]
    without, ahead = both(spec, layers)
    assert second.start_cycle > 26
    assert (without[1].cycles["load_stall"], ahead[1].cycles["load_stall"]) == (2 + 2 + 10, 2 + 10)


def test_they_come_from_the_start_where_the_first_layers_have_none() -> None:
    steps = [TwiceStep("twice", ("x", "x"), "twice", (1, 6)), product("fc", "twice", 6, 2)]
    spec = machine(SLOW_DRAM | AHEAD, rows=2, cols=2)
    without, ahead = both(spec, plan_chain(spec, steps, 6))
    assert (without[1].cycles["load_stall"], ahead[1].cycles["load_stall"]) == (12 + 10, 0)


def test_what_stands_in_place_of_weights_is_made_before_it_can_be_brought() -> None:
    """The second product multiplies by what the first one wrote: it comes with its layer."""
    steps = [product("fc", "x", 3, 2), replace(product("out", "fc", 2, 2), inputs=("fc", "fc"))]
    spec = machine(SLOW_DRAM | AHEAD, rows=2, cols=2)
    without, ahead = both(spec, plan_chain(spec, steps, 3))
    assert facts(ahead) == facts(without)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_skipping_changes_no_cycle_no_class_and_no_count(seed: int) -> None:
    spec, layers = random_network(seed)
    event_by_event, skipping = (run_machine(layers, spec, fast_forward=skips) for skips in (False, True))
    assert facts(skipping) == facts(event_by_event)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_every_layer_moves_and_does_what_it_would_alone(seed: int) -> None:
    """Cycles are exclusive, and counts are those of the layer that reads the weights."""
    spec, layers = random_network(seed)
    without, ahead = both(spec, layers)
    assert [one.counts for one in ahead] == [one.counts for one in without]
    assert [sum(one.cycles.values()) for one in ahead] == [one.total_cycles for one in ahead]
    assert all(later.start_cycle == one.start_cycle + one.total_cycles for one, later in pairwise(ahead))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_a_network_of_one_product_takes_the_same_cycles(seed: int) -> None:
    """With a port for each side: weights that share the space of several layers do not keep to halves in banks."""
    spec, layers = random_network(seed)
    weights = spec.scratchpads.weights.model_copy(update={"ports": 2})
    pads = spec.scratchpads.model_copy(update={"weights": weights})
    without, ahead = both(spec.model_copy(update={"scratchpads": pads}), layers[:1])
    assert facts(ahead) == facts(without)


def drawn_network(seed: int, more: Mapping[str, Any] = MappingProxyType({})) -> tuple[ArchSpec, tuple[LayerPlan, ...]]:
    """Draw a machine of one to three cores, and a network.

    Raises:
        ConfigError: the network does not fit.
    """
    random = np.random.default_rng(seed)
    steps, inputs = random_chain(random)
    spec = random_machine(random, AHEAD | {"cores": 1 + seed % 3} | dict(more))
    return spec, plan_chain(spec, steps, inputs)


def random_network(seed: int) -> tuple[ArchSpec, tuple[LayerPlan, ...]]:
    """Return one that fits."""
    try:
        return drawn_network(seed)
    except ConfigError:
        assume(False)
        raise


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_the_weight_scratchpad_never_holds_more_than_its_capacity(seed: int) -> None:
    """What has come and not been given back, of all layers, at any time and on every core; in the end all has been."""
    spec, layers = random_network(seed)
    levels: defaultdict[str, list[float]] = defaultdict(list)

    def watch(one: Slice | Level) -> None:
        if isinstance(one, Level) and one.name.endswith("weight scratchpad bytes"):
            levels[one.name].append(one.value)

    run_machine(layers, spec, trace=watch)
    assert 0 < max(map(max, levels.values())) <= spec.scratchpads.weights.capacity_bytes
    assert all((min(of_one), of_one[-1]) == (0, 0) for of_one in levels.values())


def test_the_codes_of_all_layers_fit_the_scratchpad_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from the data, at every load: slices of 80 of 400 8-bit weights a layer, six of them in 500 bytes."""
    held: list[ScratchpadData] = []
    most = [0]

    class Watched(ScratchpadData):
        def load(self, place: object, *, once: bool = False) -> None:
            super().load(place, once=once)
            if self._copies.ndim == 3:
                held.append(self)
                most[0] = max(most[0], sum(int(one._copies.sum()) for one in {id(one): one for one in held}.values()))

    monkeypatch.setattr(whole_machine, "ScratchpadData", Watched)
    load = workload((20,), dense("a", "x", 20), dense("b", "a", 20), dense("c", "b", 20))
    settings = AHEAD | {"dram.bytes_per_cycle": 64, "dram.latency_cycles": 0, "scratchpads.weights.bytes_per_cycle": 1}
    settings |= {"scratchpads.weights.capacity_bytes": 500}
    settings |= {f"mapping.layers.{name}.tile_out_cols": 4 for name in "abc"}
    run_data(machine(settings, rows=4, cols=4), load)
    assert most[0] == 6 * 80


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_weights_that_stay_for_later_layers_are_neither_given_back_nor_brought_again(dataflow: str) -> None:
    """b and c multiply by the same 400 weights; d's come ahead of it only when c has read them."""
    spec = machine(AHEAD | {"scratchpads.weights.capacity_bytes": 600}, rows=4, cols=4, dataflow=dataflow)
    names = ("a", "b", "c", "d")
    load = workload((20,), *(dense(name, source, 20) for name, source in zip(names, ("x", *names[:-1]), strict=True)))
    compiled = compile_workload(spec, load)
    steps: list[Step] = [replace(one, weight_name="w") if one.name == "b" else one for one in compiled.steps]
    steps[2] = replace(steps[1], name="c", inputs=("b",), output="c")
    layers = plan_chain(spec, steps, 20)
    assert [one.products[0].weights.residency for one in layers] == ["stays", "stays", "on_chip", "stays"]
    codes = np.random.default_rng(0).integers(-128, 128, 20)
    runs = run_machine(layers, spec, SampleData({"x": codes}, make_engine("stepped"), 100))
    params = layers[0].products[0].params
    assert isinstance(params, ArrayParams)
    shadow = run_integer(steps, dict.fromkeys(names, params), {"x": codes[np.newaxis]}, keep=names)
    for one in runs:
        assert np.array_equal(one.output, shadow.values[one.plan.output][0])
    assert facts(run_machine(layers, spec)) == facts(runs)
    assert [one.counts["weight_scratchpad", "write_bits"] for one in runs] == [3200, 3200, 0, 3200]


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_a_whole_network_takes_less_time(name: str) -> None:
    spec = load_arch("edge16", ["mapping.layer_overlap=weights"])
    without, ahead = both(spec, compile_workload(spec, read_workload(name)).layers)
    assert total(ahead) < total(without)
    stalls = [sum(one.cycles["load_stall"] for one in runs) for runs in (without, ahead)]
    assert total(without) - total(ahead) <= stalls[0] - stalls[1]


def test_most_random_networks_take_less_time_and_none_loses_more_than_the_transfers_ahead() -> None:
    """On one core whose scratchpads have two ports, what comes ahead holds others up only as long as channels take."""
    gains = []
    for seed in range(5000, 5040):
        try:
            spec, layers = drawn_network(seed, TWO_PORTS)
        except ConfigError:
            continue
        without, ahead = both(spec, layers)
        weights = [layer.products[0].weights for layer in layers if layer.products][1:]
        bits = sum(tiles.bits(number) for tiles in weights for number in range(tiles.grid.count))
        gains.append(total(without) - total(ahead))
        assert gains[-1] >= -bits / 8 / spec.dram.bytes_per_cycle
    assert sum(gain > 0 for gain in gains) >= 0.8 * len(gains) > 16


def test_a_layer_may_be_shorter_than_its_own_transfers_but_no_network_is() -> None:
    """fc1 of digits_cnn reads 64 x 32 bytes of weights, which take DRAM 256 cycles; most have come before it starts."""
    spec = load_arch("edge16", ["mapping.layer_overlap=weights"])
    _, ahead = both(spec, compile_workload(spec, read_workload("digits_cnn")).layers)
    moved = {one.plan.name: (one.counts["dram", "read_bits"] + one.counts["dram", "write_bits"]) // 64 for one in ahead}
    cycles = {one.plan.name: one.total_cycles for one in ahead}
    assert moved["fc1"] >= 256 > cycles["fc1"]
    assert sum(moved.values()) <= sum(cycles.values())


def test_transfers_ahead_can_delay_the_running_layer_by_more_than_they_save() -> None:
    """Each of the second layer's 4 slices of 256 bytes, 1 byte a cycle, takes as long on the channel as through the
    port to the array: that layer hides all but the first by itself. Ahead, they come between the first layer's
    slices of activations, which it waits for.
    """
    settings = SLOW_DRAM | AHEAD | {"requantizer.lanes": 16, "scratchpads.weights.bytes_per_cycle": 1}
    spec = machine(settings | {"scratchpads.activations.capacity_bytes": 64}, rows=4, cols=4)
    layers = plan_chain(spec, [product("a", "x", 8, 4, 16), product("b", "a", 64, 16)], 128)
    assert [one.products[0].activations.residency for one in layers] == ["streamed", "stays"]
    without, ahead = both(spec, layers)
    assert ahead[0].cycles["load_stall"] > without[0].cycles["load_stall"] + 3 * 256
    assert without[1].total_cycles - ahead[1].total_cycles == 256
    assert total(ahead) > total(without)


def folds_started(monkeypatch: pytest.MonkeyPatch, rows: int) -> tuple[int, int]:
    """Time a layer of rows of 8 terms by 64 columns and one after it; return folds started one by one, and cycles."""
    started = 0
    run_fold = ProductRun._run_fold

    def counted(self: ProductRun, *arguments: Any) -> Any:
        nonlocal started
        started += 1
        return run_fold(self, *arguments)

    spec = machine(AHEAD, rows=4, cols=4)
    layers = plan_chain(spec, [product("a", "x", 8, 64, rows), product("b", "a", 64, 32, rows)], 8 * rows)
    with monkeypatch.context() as patch:
        patch.setattr(ProductRun, "_run_fold", counted)
        cycles = total(run_machine(layers, spec))
    return started, cycles


def test_the_work_does_not_grow_with_the_number_of_like_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, short), (many, long) = (folds_started(monkeypatch, rows) for rows in (4_000, 400_000))
    assert 90 * short < long < 110 * short
    assert many < 3 * few < 10_000
