"""DRAM, ports, and what is in a scratchpad when."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from small_networks import conv, machine, run_data, run_shadow, workload

from hwsim.config.arch import DramSpec, ScratchpadSpec
from hwsim.errors import CheckFailedError
from hwsim.machine import data
from hwsim.machine.memory import Dram, Port, ScratchpadData, cycles_for
from hwsim.mapping.planner import _Operand


@pytest.mark.parametrize(("bits", "cycles"), [(0, 0), (1, 1), (64, 1), (65, 2), (640, 10)])
def test_a_begun_cycle_is_a_cycle(bits: int, cycles: int) -> None:
    assert cycles_for(bits, 8) == cycles


def test_requests_queue_for_the_one_channel() -> None:
    env = simpy.Environment()
    dram = Dram(env, DramSpec(bytes_per_cycle=2, latency_cycles=50))
    ends = []

    def request(bytes_wanted: int) -> object:
        yield from dram.occupy(8 * bytes_wanted)
        ends.append(env.now)

    for size in (6, 2, 5):
        env.process(request(size))  # type: ignore[arg-type]
    env.run()
    assert ends == [3, 4, 7]


def test_a_port_passes_one_transfer_after_the_other() -> None:
    env = simpy.Environment()
    port = Port(env, ScratchpadSpec(bytes_per_cycle=4))
    for _ in range(3):
        env.process(port.pass_through(8 * 6))
    env.run()
    assert env.now == 6


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
CAPACITIES = {  # all weights are streamed, and activations where no fold reads all of them
    "output_stationary": (255, 300),
    "weight_stationary": (256, 40),
    "input_stationary": (100, 100),
}


@pytest.mark.parametrize("double_buffered", [True, False])
@pytest.mark.parametrize("dataflow", CAPACITIES)
def test_scratchpads_never_hold_more_than_their_capacity(
    dataflow: str, double_buffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots are released: at every moment the copies of all 8-bit elements fit."""
    most = {1: 0, 3: 0}  # dimensions of the operand: activations, weights

    class Watched(ScratchpadData):
        def load(self, place: object) -> None:
            super().load(place)
            most[self._copies.ndim] = max(most[self._copies.ndim], int(self._copies.sum()))

    monkeypatch.setattr(data, "ScratchpadData", Watched)
    settings = {
        f"scratchpads.{name}.{key}": value
        for name, size in zip(("activations", "weights"), CAPACITIES[dataflow], strict=True)
        for key, value in (("capacity_bytes", size), ("double_buffered", double_buffered))
    }
    spec = machine(settings, rows=4, cols=4, dataflow=dataflow)
    (one,) = run_data(spec, NETWORK)
    assert one.plan.product is not None
    assert one.plan.product.weights.slots == (2 if double_buffered else 1)
    assert 0 < most[1] <= CAPACITIES[dataflow][0]
    assert 0 < most[3] <= CAPACITIES[dataflow][1]
    assert np.array_equal(one.output, run_shadow(spec, NETWORK).values["conv"][0])


def test_a_transfer_that_a_plan_forgets_is_found_by_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Operand._resident

    def without_the_last(self: _Operand, *arguments: object) -> object:
        return list(whole(self, *arguments))[:-1]  # type: ignore[arg-type]

    monkeypatch.setattr(_Operand, "_resident", without_the_last)
    with pytest.raises(CheckFailedError):
        run_data(machine(rows=4, cols=4), NETWORK)
