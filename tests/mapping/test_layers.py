"""Which steps make a layer, and which layers fit the scratchpad for outputs."""

from __future__ import annotations

import pytest
from steps_to_plan import arrays, chain, conv, dense, flatten, pads, pool, rectify

from hwsim.config.arch import ScratchpadsSpec
from hwsim.errors import ConfigError
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import plan_network
from hwsim.network.steps import Step


def plan(steps: list[Step], elements: int, scratchpads: ScratchpadsSpec | None = None) -> tuple[LayerPlan, ...]:
    bits = {"x": 8 * elements} | {step.output: 8 * step.outputs for step in steps}
    return plan_network(
        steps, arrays(steps), scratchpads or pads(), bits=bits, outputs=steps[-1:] and [steps[-1].output]
    )


def refusal(steps: list[Step], elements: int, scratchpads: ScratchpadsSpec) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        plan(steps, elements, scratchpads)
    return list(refused.value.problems)


def test_a_layer_is_a_product_with_what_follows_it() -> None:
    layers = plan(
        chain((6, 6, 1), conv("conv", "x", 4), pool("pool", "conv"), flatten("flat", "pool"), dense("fc", "flat", 3)),
        36,
    )
    assert [(layer.name, layer.inputs, layer.output) for layer in layers] == [
        ("conv", ("x",), "pool"),
        ("fc", ("pool",), "fc"),
    ]
    assert [[step.name for step in layer.after] for layer in layers] == [["pool"], []]
    assert [(layer.input_bits, layer.output_bits) for layer in layers] == [(288, 128), (128, 24)]


def test_steps_before_the_first_product_are_a_layer_of_their_own() -> None:
    layers = plan(chain((4, 4, 1), pool("pool", "x"), flatten("flat", "pool"), dense("fc", "flat", 3)), 16)
    assert [(layer.name, layer.product is None, layer.output) for layer in layers] == [
        ("pool", True, "pool"),
        ("fc", False, "fc"),
    ]


def test_a_flatten_at_the_start_is_no_layer() -> None:
    layers = plan(chain((4, 4, 1), flatten("flat", "x"), dense("fc", "flat", 3)), 16)
    assert [layer.name for layer in layers] == ["fc"]
    assert layers[0].input_bits == 128


def test_a_network_without_a_product() -> None:
    (layer,) = plan(chain((4, 4, 1), rectify("r", "x"), pool("pool", "r")), 16)
    assert (layer.name, layer.product, [step.name for step in layer.after]) == ("r", None, ["r", "pool"])


def test_outputs_that_later_steps_wait_for_must_fit_as_a_whole() -> None:
    steps = chain((6, 6, 1), conv("conv", "x", 4), pool("pool", "conv"))
    assert plan(steps, 36, pads(outputs=64))
    assert refusal(steps, 36, pads(outputs=63)) == [
        "layer conv: its outputs need 64 bytes; the scratchpad for outputs has 63 (all of it); "
        "levers: scratchpads.outputs.capacity_bytes, fewer bits, another dataflow"
    ]


def test_the_input_of_a_layer_without_a_product_must_fit() -> None:
    steps = chain((6, 6, 1), pool("pool", "x"))
    assert plan(steps, 36, pads(outputs=36))
    assert refusal(steps, 36, pads(outputs=35))[0].startswith("layer pool: its outputs need 36 bytes;")


@pytest.mark.parametrize(
    ("double_buffered", "enough", "half"),
    [(True, 32, "half of it, as it is double-buffered"), (False, 16, "all of it")],
)
def test_the_outputs_of_one_fold_must_fit_a_slot(double_buffered: bool, enough: int, half: str) -> None:
    """4 x 4 PEs drain 16 outputs at a time; a smaller scratchpad would wait for its space forever."""
    steps = chain((6, 6, 1), conv("conv", "x", 4))
    assert plan(steps, 36, pads(outputs=enough, double_buffered=double_buffered))
    assert refusal(steps, 36, pads(outputs=enough - 1, double_buffered=double_buffered)) == [
        f"layer conv: the outputs of one fold need 16 bytes; the scratchpad for outputs has {enough - 1} ({half}); "
        "levers: scratchpads.outputs.capacity_bytes, fewer bits, another dataflow"
    ]


def test_all_layers_that_do_not_fit_are_listed() -> None:
    steps = chain((40,), dense("a", "x", 40), dense("b", "a", 40))
    found = refusal(steps, 40, pads(weights=300))
    assert [line.split(":")[0] for line in found] == ["layer a", "layer b"]
    found = refusal(steps, 40, pads(weights=300, activations=39))
    assert [line.split(" need")[0] for line in found] == [
        "layer a: one fold's activations",
        "layer a: one fold's weights",
        "layer b: one fold's activations",
        "layer b: one fold's weights",
    ]
