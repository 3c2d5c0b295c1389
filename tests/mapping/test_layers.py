"""Which steps make a layer, and which layers fit the scratchpad for outputs."""

from __future__ import annotations

import pytest
from steps_to_plan import chain, conv, dense, flatten, plan, pool, rectify, refusal, spec

from hwsim.errors import ConfigError


def test_a_layer_is_a_product_with_what_follows_it() -> None:
    layers = plan(
        chain((6, 6, 1), conv("conv", "x", 4), pool("pool", "conv"), flatten("flat", "pool"), dense("fc", "flat", 3)),
        36,
        spec(),
    )
    assert [(layer.name, layer.inputs, layer.output) for layer in layers] == [
        ("conv", ("x",), "pool"),
        ("fc", ("pool",), "fc"),
    ]
    assert [[step.name for step in layer.after] for layer in layers] == [["pool"], []]
    assert [(layer.input_bits, layer.output_bits) for layer in layers] == [(288, 128), (128, 24)]


def test_steps_before_the_first_product_are_a_layer_of_their_own() -> None:
    layers = plan(chain((4, 4, 1), pool("pool", "x"), flatten("flat", "pool"), dense("fc", "flat", 3)), 16, spec())
    assert [(layer.name, not layer.products, layer.output) for layer in layers] == [
        ("pool", True, "pool"),
        ("fc", False, "fc"),
    ]


def test_a_flatten_at_the_start_is_no_layer() -> None:
    layers = plan(chain((4, 4, 1), flatten("flat", "x"), dense("fc", "flat", 3)), 16, spec())
    assert [layer.name for layer in layers] == ["fc"]
    assert layers[0].input_bits == 128


def test_a_network_without_a_product() -> None:
    (layer,) = plan(chain((4, 4, 1), rectify("r", "x"), pool("pool", "r")), 16, spec())
    assert (layer.name, layer.products, [step.name for step in layer.after]) == ("r", (), ["r", "pool"])


def test_steps_after_a_product_are_a_layer_of_their_own_where_its_outputs_do_not_fit() -> None:
    """The convolution's 4 x 4 x 4 outputs are 64 bytes; with 63 the pool takes them in pieces."""
    steps = chain((6, 6, 1), conv("conv", "x", 4), pool("pool", "conv"))
    assert [layer.name for layer in plan(steps, 36, spec(outputs=64))] == ["conv"]
    product, pooling = plan(steps, 36, spec(outputs=63))
    assert (product.name, product.after, product.output) == ("conv", (), "conv")
    assert (pooling.name, pooling.products, pooling.inputs, pooling.output) == ("pool", (), ("conv",), "pool")


@pytest.mark.parametrize(
    ("outputs", "double_buffered", "pieces"), [(36, True, 1), (35, True, 3), (35, False, 2), (8, True, 9)]
)
def test_a_layer_without_a_product_passes_the_scratchpad_in_pieces(
    outputs: int, double_buffered: bool, pieces: int
) -> None:
    """36 bytes of inputs: whole if they fit, else in as many pieces as slots of half or all of the scratchpad take."""
    (layer,) = plan(chain((6, 6, 1), pool("pool", "x")), 36, spec(outputs=outputs, double_buffered=double_buffered))
    assert layer.pieces == pieces


def test_a_slot_holds_a_value_for_each_lane() -> None:
    steps = chain((6, 6, 1), pool("pool", "x"))
    assert refusal(steps, 36, spec(outputs=7)) == [
        "layer pool: one value for each of 4 lanes needs 4 bytes; a slot of the scratchpad for outputs has 3; levers: "
        "scratchpads.outputs.capacity_bytes, vector_unit.lanes"
    ]


@pytest.mark.parametrize(
    ("double_buffered", "enough", "has", "lever"),
    [
        (True, 32, "15 of its 31 at a time, as it is double-buffered", "scratchpads.outputs.double_buffered, "),
        (False, 16, "15", ""),
    ],
)
def test_the_outputs_of_one_fold_must_fit_a_slot(double_buffered: bool, enough: int, has: str, lever: str) -> None:
    """4 x 4 PEs drain 16 outputs at a time; a smaller scratchpad would wait for its space forever."""
    steps = chain((6, 6, 1), conv("conv", "x", 4))
    assert plan(steps, 36, spec(outputs=enough, double_buffered=double_buffered))
    assert refusal(steps, 36, spec(outputs=enough - 1, double_buffered=double_buffered)) == [
        f"layer conv: the smallest tile's outputs need 16 bytes; the scratchpad for outputs has {has}; levers: "
        f"scratchpads.outputs.capacity_bytes, {lever}fewer bits, another dataflow, fewer rows or columns"
    ]


def test_all_layers_that_do_not_fit_are_listed() -> None:
    steps = chain((40,), dense("a", "x", 40), dense("b", "a", 40))
    found = refusal(steps, 40, spec(weights=7))
    assert [line.split(":")[0] for line in found] == ["layer a", "layer b"]
    found = refusal(steps, 40, spec(weights=7, activations=1))
    assert [line.split(" need")[0] for line in found] == [
        "layer a: the smallest tile's activations",
        "layer a: the smallest tile's weights",
        "layer b: the smallest tile's activations",
        "layer b: the smallest tile's weights",
    ]


def test_nonsense_is_refused_with_what_would_help() -> None:
    """Three bytes of scratchpad, of which each half holds one term of one row; a DRAM smaller than the network."""
    steps = chain((40,), dense("a", "x", 40))
    assert plan(steps, 40, spec(activations=3))
    (line,) = refusal(chain((3, 1, 40), conv("a", "x", 40, kernel=(1, 1))), 120, spec(activations=3))
    assert line == (
        "layer a: the smallest tile's activations need 3 bytes; the scratchpad for activations has 1 of its 3 at a "
        "time, as it is double-buffered; levers: scratchpads.activations.capacity_bytes, "
        "scratchpads.activations.double_buffered, fewer bits, another dataflow, fewer rows or columns"
    )
    assert plan(steps, 40, spec(dram__capacity_bytes=1680))
    assert refusal(steps, 40, spec(dram__capacity_bytes=1679)) == [
        "weights and activations need 1680 bytes of DRAM; it has 1679; levers: dram.capacity_bytes, fewer bits"
    ]


def test_sums_that_do_not_fit_the_accumulator_buffer_are_refused() -> None:
    """One streamed row on 4 columns: two banks of 4 sums of 24 bits are 24 bytes."""
    steps = chain((40,), dense("a", "x", 40))
    assert plan(steps, 40, spec("weight_stationary", accumulator_buffer__capacity_bytes=24))
    assert refusal(steps, 40, spec("weight_stationary", accumulator_buffer__capacity_bytes=23)) == [
        "layer a: one tile's running sums need 24 bytes; the accumulator buffer has 23; levers: "
        "accumulator_buffer.capacity_bytes, fewer bits, fewer columns"
    ]


def test_memories_without_bandwidth_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        spec(dram__bytes_per_cycle=0, scratchpads__weights__bytes_per_cycle=0)
    assert list(refused.value.problems) == [
        "scratchpads.weights.bytes_per_cycle: 0 is out of range; allowed: 1 to 65536",
        "dram.bytes_per_cycle: 0 is out of range; allowed: 1 to 65536",
    ]
