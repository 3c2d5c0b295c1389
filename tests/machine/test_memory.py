"""DRAM, ports, and what is in a scratchpad when."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from small_networks import conv, machine, run_data, run_shadow, workload

from hwsim.config.memories import DramSpec
from hwsim.errors import CheckFailedError
from hwsim.machine import machine as whole_machine
from hwsim.machine.clock import Clock, Process
from hwsim.machine.dram import Dram, DramChannels, Traffic
from hwsim.machine.memory import Port, ScratchpadData, cycles_for
from hwsim.mapping.operands import ActivationTiles
from hwsim.mapping.tiles import Place


@pytest.mark.parametrize(("bits", "cycles"), [(0, 0), (1, 1), (64, 1), (65, 2), (640, 10)])
def test_a_begun_cycle_is_a_cycle(bits: int, cycles: int) -> None:
    assert cycles_for(bits, 8) == cycles


def test_requests_queue_for_the_one_channel() -> None:
    clock, traffic = Clock(simpy.Environment()), Traffic("layer")
    dram = Dram(clock, DramChannels(DramSpec(bytes_per_cycle=2, latency_cycles=50)), traffic)
    ends = []

    def request(bytes_wanted: int) -> Process:
        yield from dram.read("test", 8 * bytes_wanted)
        ends.append(clock.now)

    for size in (6, 2, 5):
        clock.env.process(request(size))
    clock.env.run()
    assert ends == [3, 4, 7]
    assert traffic.counts["dram", "read_bits"] == 8 * 13


def test_a_port_passes_one_transfer_after_the_other() -> None:
    port = Port(Clock(simpy.Environment()), bytes_per_cycle=4)
    assert [port.passes(8 * 6) for _ in range(3)] == [2, 4, 6]
    assert port.passes(8 * 6, start=10) == 12


def test_a_slow_wait_shrinks_while_cycles_are_skipped() -> None:
    """A transfer of 100 cycles; after 10 of them 60 are skipped, and 30 are left."""
    clock = Clock(simpy.Environment())
    ends = []

    def transfer() -> Process:
        yield from clock.transfer("test", 100)
        ends.append((clock.now, clock.env.now))

    clock.env.process(transfer())
    clock.env.run(10)
    clock.skip(60, slow=False)
    clock.env.run()
    assert ends == [(100, 40)]


def test_reading_what_has_not_arrived_is_an_error() -> None:
    held = ScratchpadData(np.arange(10, 14))
    held.load(np.array([1, 2]))
    assert held.read(np.array([[1, 2], [2, 1]])).tolist() == [[11, 12], [12, 11]]
    with pytest.raises(CheckFailedError) as failed:
        held.read(np.array([1, 3]))
    assert str(failed.value) == "the array reads operands that no transfer has brought into the scratchpad"


def test_padding_is_always_there() -> None:
    held = ScratchpadData(np.arange(10, 14), padding=-7)
    held.load(np.array([0]))
    assert held.read(np.array([-1, 0, -1])).tolist() == [-7, 10, -7]


def test_what_is_released_is_gone() -> None:
    held = ScratchpadData(np.arange(4))
    held.load(np.array([1, 2]))
    held.release(np.array([1, 2]))
    with pytest.raises(CheckFailedError):
        held.read(np.array([1]))


def test_an_element_of_two_slots_stays_until_both_are_released() -> None:
    """Slices of activations overlap where windows do."""
    held = ScratchpadData(np.arange(10, 14))
    held.load(np.array([0, 1]))
    held.load(np.array([1, 2]))
    held.release(np.array([0, 1]))
    assert held.read(np.array([1, 2])).tolist() == [11, 12]
    with pytest.raises(CheckFailedError):
        held.read(np.array([0]))


NETWORK = workload((8, 8, 4), conv("conv", "x", 10, padding="same"))  # 256 activations, 360 weights
CAPACITIES = {  # neither activations nor weights fit
    "output_stationary": (255, 300),
    "weight_stationary": (255, 40),
    "input_stationary": (120, 100),
}


@pytest.mark.parametrize("double_buffered", [True, False])
@pytest.mark.parametrize("dataflow", CAPACITIES)
def test_scratchpads_never_hold_more_than_their_capacity(
    dataflow: str, double_buffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots are released: at every moment the copies of all 8-bit elements fit."""
    most = {1: 0, 3: 0}  # dimensions of the operand: activations, weights

    class Watched(ScratchpadData):
        def load(self, place: object, *, once: bool = False) -> None:
            super().load(place, once=once)
            most[self._copies.ndim] = max(most[self._copies.ndim], int(self._copies.sum()))

    monkeypatch.setattr(whole_machine, "ScratchpadData", Watched)
    settings = {
        f"scratchpads.{name}.{key}": value
        for name, size in zip(("activations", "weights"), CAPACITIES[dataflow], strict=True)
        for key, value in (("capacity_bytes", size), ("double_buffered", double_buffered))
    }
    spec = machine(settings, rows=4, cols=4, dataflow=dataflow)
    (one,) = run_data(spec, NETWORK)
    assert one.plan.products[0].weights.slots == (2 if double_buffered else 1)
    assert 0 < most[1] <= CAPACITIES[dataflow][0]
    assert 0 < most[3] <= CAPACITIES[dataflow][1]
    assert np.array_equal(one.output, run_shadow(spec, NETWORK).values["conv"][0])


def test_a_transfer_that_a_plan_forgets_is_found_by_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ActivationTiles.index

    def without_the_last(self: ActivationTiles, place: Place) -> object:
        elements = np.unique(whole(self, place))
        return elements[:-1]

    monkeypatch.setattr(ActivationTiles, "index", without_the_last)
    with pytest.raises(CheckFailedError):
        run_data(machine(rows=4, cols=4), NETWORK)
