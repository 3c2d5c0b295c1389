"""What the user sets, what stays on the chip, and what is refused."""

from __future__ import annotations

from steps_to_plan import chain, conv, dense, plan, refusal, spec

from hwsim.mapping.residency import Candidate, choose_kept

TWO = chain((6, 6, 2), conv("a", "x", 4, padding="same"), conv("b", "a", 4, padding="same"))


def test_mappings_of_layers_that_do_not_exist_are_refused() -> None:
    arch = spec(mapping__layers={"aa": {"tile_out_rows": 4}})
    assert refusal(TWO, 72, arch) == ["mapping.layers.aa: no such matrix product; allowed: a, b; did you mean 'a'?"]


def test_sizes_that_cut_folds_are_refused() -> None:
    arch = spec(mapping__layers={"a": {"tile_out_rows": 6}, "b": {"tile_depth": 18, "tile_out_rows": 8}})
    assert refusal(TWO, 72, arch) == [
        "layer a: tile_out_rows 6; allowed: multiples of 4, or 36 or more",
        "layer b: depth is cut only in tiles of one fold",
    ]


def test_sizes_that_do_not_fit_are_refused() -> None:
    """The user's eight rows of outputs, 4 columns each, are 32 bytes: more than half of 63."""
    arch = spec(outputs=63, mapping__layers={"a": {"tile_out_rows": 8}})
    (line,) = refusal(TWO, 72, arch)
    assert line.startswith(
        "layer a: the smallest tile's outputs need 32 bytes; the scratchpad for outputs has 31 of its 63"
    )


def test_activations_stay_from_the_layer_that_makes_them_to_the_last_that_reads_them() -> None:
    first, second = plan(TWO, 72, spec())
    assert (first.output_memory, second.output_memory) == ("scratchpad", "dram")
    assert (first.on_chip, second.on_chip, second.released) == (frozenset(), {"a"}, ("a",))
    assert second.products[0].activations.residency == "on_chip"


def test_activations_that_do_not_fit_go_to_dram_and_back() -> None:
    """144 bytes between the layers; without them, half of 144 is enough for the four rows of a fold."""
    assert plan(TWO, 72, spec(activations=144 + 72))[0].output_memory == "scratchpad"
    first, second = plan(TWO, 72, spec(activations=144 + 71))
    assert (first.output_memory, second.on_chip) == ("dram", frozenset())


def test_the_user_can_send_everything_through_dram() -> None:
    first, second = plan(TWO, 72, spec(mapping__keep_on_chip=False))
    assert (first.output_memory, second.on_chip) == ("dram", frozenset())


def test_what_saves_most_for_the_time_it_takes_space_stays() -> None:
    """The long tensor saves three transfers in five layers, each short one two in two; there is room for one."""
    long = Candidate("long", 60, first=0, last=4, saves=3, serves=(2, 4))
    short = [Candidate(f"short{layer}", 60, layer, layer + 1, saves=2, serves=(layer + 1,)) for layer in (0, 2)]
    kept = choose_kept([long, *short], 100, [0] * 5)
    assert kept.names == {"short0", "short2"}
    assert kept.used_bits == (60, 60, 60, 60, 0)
    assert choose_kept([long, *short], 120, [0] * 5).names == {"short0", "short2", "long"}


def test_room_is_left_for_operands_that_are_streamed() -> None:
    """Layer 1 streams another operand through 50 bits; layer 2 reads the tensor itself and streams nothing."""
    one = Candidate("one", 60, first=0, last=2, saves=2, serves=(2,))
    assert choose_kept([one], 110, [0, 50, 50]).names == {"one"}
    assert choose_kept([one], 109, [0, 50, 50]).names == frozenset()
    assert choose_kept([one], 60, [0, 0, 50]).names == {"one"}


def test_weights_that_one_product_reads_are_brought_by_it() -> None:
    (layer,) = plan(chain((8,), dense("fc", "x", 3)), 8, spec())
    assert layer.products[0].weights.residency == "stays"


def test_depth_is_cut_only_inside_one_folds_width() -> None:
    """Else the sums of several column tiles would wait for each other's weights, beyond what the accumulators hold."""
    arch = spec("weight_stationary", mapping__layers={"a": {"tile_depth": 8, "tile_out_cols": 8}})
    steps = chain((40,), dense("a", "x", 40))
    assert refusal(steps, 40, arch) == ["layer a: depth is cut only in tiles as wide as the array"]
    narrow = spec("weight_stationary", mapping__layers={"a": {"tile_depth": 8, "tile_out_cols": 4}})
    (layer,) = plan(steps, 40, narrow)
    assert (layer.products[0].grid.tiling.tile_depth, layer.products[0].grid.depths) == (8, 5)
