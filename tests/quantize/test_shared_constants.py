"""Weights and biases that several layers read: each layer computes as with constants of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim.compilation import compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.config.quantization import QuantizationSpec
from hwsim.execute.floating import float_output
from hwsim.execute.integer import run_integer
from hwsim.network.network import Network
from hwsim.network.operators.arithmetic import Add
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import BatchNorm
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Tensor
from hwsim.numerics.number_formats import float_format
from hwsim.quantize.fuse import fuse
from hwsim.quantize.weight_only import decoded_weights
from hwsim.readers.workload import Workload
from hwsim.simulate import run

RANDOM = np.random.default_rng(5)
WEIGHT, BIAS = RANDOM.normal(size=(6, 6)), RANDOM.normal(size=6)
INPUTS = RANDOM.uniform(-1, 1, (40, 6))
LAYERS = ("first", "second", "third")


def in_a_row(*, shared: bool) -> Network:
    """Three dense layers whose inputs have other ranges each; one weight and one bias for all, or copies of them."""
    names = [("w", "b")] * 3 if shared else [(f"w{place}", f"b{place}") for place in range(3)]
    ends = ("x", *LAYERS)
    tensors = {name: Tensor(name, (6,)) for name in ends}
    for weight, bias in names:
        tensors |= {weight: Tensor(weight, (6, 6), WEIGHT), bias: Tensor(bias, (6,), BIAS)}
    operators = tuple(
        Dense(after, (before,), after, *constants, units=6)
        for before, after, constants in zip(ends, LAYERS, names, strict=False)
    )
    return Network("row", tensors, operators, ("x",), ("third",))


def workload(network: Network) -> Workload:
    return Workload(network.name, network, INPUTS, INPUTS, None, "")


def tensors_of(network: Network, overrides: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return what every layer writes."""
    of = compile_workload(apply_overrides(load_arch("edge16"), overrides), workload(network))
    return run_integer(
        of.steps, of.params, of.codes({of.input: INPUTS}), keep=[step.output for step in of.steps]
    ).values


def weight_names(network: Network, overrides: dict[str, Any]) -> list[str]:
    steps = compile_workload(apply_overrides(load_arch("edge16"), overrides), workload(network)).steps
    return [step.weight_name for step in steps if isinstance(step, MatmulStep)]


SETTINGS: dict[str, dict[str, Any]] = {
    "static": {},
    "a layer of fewer bits": {"quantization.layers.second.weight_bits": 4},
    "a layer with a scale per group": {
        "quantization.layers.second.weights.granularity": "per_group",
        "quantization.layers.second.weights.group_size": 2,
    },
    "outlier clipping": {"quantization.repairs": ["outlier_clipping"]},
    "equalization": {"quantization.repairs": ["equalization"]},
    "bias correction": {"quantization.repairs": ["bias_correction"]},
    "dynamic": {"quantization.mode": "dynamic"},
}


@pytest.mark.parametrize("overrides", SETTINGS.values(), ids=SETTINGS.keys())
def test_shared_constants_give_what_copies_give(overrides: dict[str, Any]) -> None:
    found, expected = (tensors_of(in_a_row(shared=shared), overrides) for shared in (True, False))
    for name in LAYERS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_each_bias_lies_on_the_grid_of_its_own_products() -> None:
    network = compile_workload(load_arch("edge16"), workload(in_a_row(shared=True))).network
    assert len({operator.constants[1] for operator in network.operators}) == 3
    for operator in network.operators:
        grids = [network.tensors[name].quantization for name in (operator.input, *operator.constants)]
        source, weight, bias = (grid.scale for grid in grids if grid is not None)
        np.testing.assert_allclose(bias, source * weight, rtol=1e-12)


def test_weights_that_stay_equal_are_one_in_memory() -> None:
    """All three layers have one grid of weights; with fewer bits the second has its own."""
    assert weight_names(in_a_row(shared=True), {}) == ["w", "w", "w"]
    assert weight_names(in_a_row(shared=True), SETTINGS["a layer of fewer bits"]) == ["w", "w.second", "w"]
    assert weight_names(in_a_row(shared=False), {}) == ["w0", "w1", "w2"]


def test_weights_of_several_layers_are_fetched_once() -> None:
    """6 x 6 weights of 8 bits; the stepped machine holds every code against the functional one."""
    read = {}
    for shared in (True, False):
        result = run("edge16", workload(in_a_row(shared=shared)), engine="stepped")
        energy = result.energy
        of_weights = (energy["component"] == "weight_scratchpad") & (energy["action"] == "write_bits")
        read[shared] = int(energy[of_weights]["count"].sum())
    assert read == {True: 6 * 6 * 8, False: 3 * 6 * 6 * 8}


def test_a_batch_normalization_is_folded_into_its_own_product_alone() -> None:
    """The second layer's statistics leave the weights of the others as they are."""
    row = in_a_row(shared=True)
    statistics = {name: Tensor(name, (6,), RANDOM.uniform(0.5, 2, 6)) for name in ("gamma", "beta", "mean", "variance")}
    norm = BatchNorm("norm", ("second",), "normed", "gamma", "beta", "mean", "variance", epsilon=1e-3)
    first, second, third = row.operators
    network = replace(
        row,
        tensors={**row.tensors, **statistics, "normed": Tensor("normed", (6,))},
        operators=(first, second, norm, replace(third, inputs=("normed",))),
    )
    fused = fuse(network)
    assert len(fused.operators) == 3
    assert [operator.constants[0] for operator in fused.operators] == ["w", "w.second", "w"]
    np.testing.assert_allclose(float_output(fused, INPUTS), float_output(network, INPUTS), rtol=1e-9, atol=1e-9)


def test_a_bias_that_is_also_added_to_activations_has_a_grid_for_each() -> None:
    row = in_a_row(shared=True)

    def with_sum(constant: str) -> Network:
        added = Add("sum", ("third",), "sum", ("third", constant))
        tensors = {**row.tensors, "sum": Tensor("sum", (6,)), constant: Tensor(constant, (6,), BIAS)}
        return replace(row, tensors=tensors, operators=(*row.operators, added), outputs=("sum",))

    found, expected = (tensors_of(with_sum(constant), {}) for constant in ("b", "other"))
    np.testing.assert_array_equal(found["sum"], expected["sum"])


def test_decoded_weights_follow_each_layers_own_settings() -> None:
    spec = QuantizationSpec.model_validate({"mode": "weight_only", "layers": {"second": {"weight_bits": 3}}})
    networks = [
        decoded_weights(fuse(in_a_row(shared=shared)), spec, weight_bits=8, word=float_format("fp32"))
        for shared in (True, False)
    ]
    found, expected = (float_output(network, INPUTS) for network in networks)
    np.testing.assert_array_equal(found, expected)
    assert [operator.constants[0] for operator in networks[0].operators] == ["w", "w.second", "w"]
