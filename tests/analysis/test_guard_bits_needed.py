"""``hwsim analyze guard-bits``: equal to counting overflows at every number of guard bits."""

from __future__ import annotations

import pytest
from overflow_search import fewest_without_overflow

from hwsim.analysis.guard_bits import guard_bits
from hwsim.array.params import MIN_GUARD_BITS, Dataflow
from hwsim.config.load import load_arch
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import run

CHOSEN = choose_samples(read_workload("digits_cnn"), samples=12)


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize(
    "settings",
    [
        ("array.zero_point=folded",),
        ("array.zero_point=operand", "array.rows=4"),
        ("requantizer.bias=preload",),
        ("array.weight_bits=3", "array.activation_bits=5"),
    ],
    ids=lambda settings: settings[0],
)
def test_data_need_what_counting_overflows_finds(dataflow: Dataflow, settings: tuple[str, ...]) -> None:
    spec = load_arch("edge16", [f"array.dataflow={dataflow}", *settings])
    found = {layer.layer: max(layer.data_guard_bits, MIN_GUARD_BITS) for layer in guard_bits(spec, CHOSEN)}
    assert found == fewest_without_overflow(spec, CHOSEN)


def test_the_whole_network_overflows_below_its_most_demanding_layer() -> None:
    needed = max(layer.data_guard_bits for layer in guard_bits(load_arch("edge16"), CHOSEN))
    for bits, overflows in ((needed, False), (needed - 1, True)):
        result = run("edge16", "digits_cnn", samples=12, engine="functional", overrides=[f"array.guard_bits={bits}"])
        assert (result.totals["overflow_events"] > 0) is overflows


def test_the_architectures_own_guard_bits_do_not_matter() -> None:
    narrow, wide = (
        guard_bits(load_arch("edge16", [f"array.guard_bits={bits}", "array.overflow=error"]), CHOSEN)
        for bits in (-4, 9)
    )
    assert narrow == wide


def test_bounds_cover_the_data_in_every_order() -> None:
    """conv1: depth 9 of 8 by 8 bits needs 3 guard bits, since 2^3 - 1 < 9 <= 2^4 - 1."""
    layers = guard_bits(load_arch("edge16"), CHOSEN)
    assert (layers[0].layer, layers[0].depth, layers[0].depth_guard_bits) == ("conv1", 9, 3)
    for layer in layers:
        assert layer.weight_guard_bits is not None
        assert layer.depth_guard_bits is not None
        assert layer.data_guard_bits <= layer.weight_guard_bits <= layer.depth_guard_bits


def test_bounds_leave_out_preloaded_biases() -> None:
    layers = guard_bits(load_arch("edge16", ["requantizer.bias=preload"]), CHOSEN)
    assert {(layer.weight_guard_bits, layer.depth_guard_bits) for layer in layers} == {(None, None)}
