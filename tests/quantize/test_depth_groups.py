"""Weights with a scale for each group of depth terms: exact sums, cycles by hand, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim.analysis.error import run_with_errors
from hwsim.analysis.explain import explain
from hwsim.compilation import Compiled, compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.config.quantization import QuantizationSpec, WeightQuantizationSpec
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import float_output
from hwsim.execute.integer import run_integer
from hwsim.metrics.sqnr import sqnr_db
from hwsim.network.network import Network
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.depth_groups import DepthProducts
from hwsim.network.tensor import Tensor
from hwsim.quantize.depth_groups import split_depth
from hwsim.quantize.fuse import fuse
from hwsim.quantize.schemes import products
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.rtl.layers import layer_products
from hwsim.samples import choose_samples
from hwsim.simulate import run


def groups_of(size: int, **others: Any) -> dict[str, Any]:
    """A key's double underscores are dots."""
    found = {"quantization.weights.granularity": "per_group", "quantization.weights.group_size": size}
    return found | {key.replace("__", "."): value for key, value in others.items()}


def groups_text(size: int) -> list[str]:
    return [f"{key}={value}" for key, value in groups_of(size).items()]


def compiled(workload: Workload, overrides: dict[str, Any]) -> Compiled:
    return compile_workload(apply_overrides(load_arch("edge16"), overrides), workload)


def tensors(of: Compiled, workload: Workload, samples: int = 60) -> dict[str, np.ndarray]:
    assert workload.inputs is not None
    codes = of.codes({of.input: workload.inputs[:samples]})
    return codes | run_integer(of.steps, of.params, codes, keep=[step.output for step in of.steps]).values


@pytest.fixture(scope="module", params=["digits_mlp", "digits_cnn"])
def digits(request: pytest.FixtureRequest) -> Workload:
    return read_workload(request.param)


@pytest.mark.parametrize("size", [5, 16, 1000])
def test_splitting_changes_no_real_number(digits: Workload, size: int) -> None:
    """5 divides no depth: the last group is filled up with zeros."""
    assert digits.inputs is not None
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity="per_group", group_size=size))
    whole = fuse(digits.network)
    split = split_depth(whole, spec)
    assert len(split.operators) == len(whole.operators) + len(products(whole))
    np.testing.assert_allclose(float_output(split, digits.inputs), float_output(whole, digits.inputs), atol=1e-11)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("mode", ["folded", "operand"])
def test_codes_are_those_of_the_real_sums(digits: Workload, symmetric: bool, mode: str) -> None:
    """Every group's sum times its own scale, in float64: rounded they are the array's codes, ties left out."""
    of = compiled(digits, groups_of(16, quantization__weights__symmetric=symmetric, array__zero_point=mode))
    values = tensors(of, digits)
    fused = fuse(digits.network)
    for product in products(of.network):
        assert isinstance(product, DepthProducts)
        grids = [of.network.tensors[name].quantization for name in (product.input, product.weight)]
        output_name = product.output.removesuffix(".partial")
        inputs, weights, output = (*grids, of.network.tensors[output_name].quantization)
        assert inputs is not None
        assert weights is not None
        assert output is not None
        table = product.gather(of.network.tensors[product.input].shape)
        reals = np.concatenate([inputs.dequantize(values[product.input]), np.zeros((60, 1))], axis=1)
        weight = weights.dequantize(np.asarray(of.network.tensors[product.weight].data))
        matrices = product.weight_matrix(weight)
        total = sum(reals[:, table[group]] @ matrices[group] for group in range(product.groups))
        assert product.whole is not None
        if product.whole.bias is not None:
            total = total + np.asarray(fused.tensors[product.whole.bias].data, np.float64)
        if product.whole.activation == "relu":
            total = np.maximum(total, 0)
        steps = np.asarray(total).reshape(60, -1) / float(output.scale)
        expected = np.clip(np.floor(steps + 0.5) + int(output.zero_point), output.format.min, output.format.max)
        is_tie = np.abs(steps - np.floor(steps) - 0.5) < 1e-4
        assert np.mean(is_tie) < 0.01
        assert np.array_equal(values[output_name][~is_tie], expected[~is_tie]), product.name


def test_one_group_as_deep_as_the_product_is_a_scale_for_each_channel(digits: Workload) -> None:
    """But for the bias, which has a finer grid here than 32 bits on the grid of the products."""
    of_groups, of_channels = (tensors(compiled(digits, overrides), digits) for overrides in (groups_of(1000), {}))
    assert np.mean(of_groups["relu1"] != of_channels["relu1"]) < 0.002
    assert np.abs(of_groups["logits"] - of_channels["logits"]).max() <= 2


def test_a_group_is_no_larger_than_the_depth() -> None:
    """digits_cnn's products are 9, 72, 144, 64 and 32 terms deep: none of them multiplies zeros to fill a group up."""
    whole = run("edge16", "digits_cnn", samples=1).totals["macs"]
    assert run("edge16", "digits_cnn", overrides=groups_text(144), samples=1).totals["macs"] == whole


def test_finer_scales_keep_more_of_narrow_weights(digits: Workload) -> None:
    assert digits.inputs is not None
    reference = float_output(digits.network, digits.inputs[:60])
    widths = {"array.weight_bits": 3, "array.activation_bits": 8, "array.guard_bits": 16}
    ratios = []
    for overrides in ({}, groups_of(16), groups_of(4)):
        of = compiled(digits, widths | overrides)
        ratios.append(sqnr_db(reference, of.reals(tensors(of, digits)[of.output])))
    assert ratios == sorted(ratios)
    assert ratios[2] > ratios[0] + 3


def test_with_powers_of_two_a_shift_loses_nothing_here_either(digits: Workload) -> None:
    kinds = {"quantization.weights.scale": "power_of_two", "quantization.activations.scale": "power_of_two"}
    by_scheme = [
        tensors(of, digits)[of.output]
        for of in (
            compiled(digits, groups_of(16) | kinds | {"requantizer.scheme": scheme})
            for scheme in ("fixed_point", "power_of_two")
        )
    ]
    assert np.array_equal(*by_scheme)


def test_every_group_is_a_set_of_folds_and_the_vector_unit_adds_them_up() -> None:
    """1 x 64 x 64 on 16 x 16: a group of 16 terms is 4 folds of 2 * 16 + 16 + 16 - 2 = 62 cycles; 4 groups: 992.

    The vector unit's 16 lanes multiply and add 4 * 64 sums in 32 cycles, but the output scratchpad's port passes 16
    bytes a cycle: 4 * 64 words of 4 bytes in, 64 codes out are 68 cycles.
    """
    spec = apply_overrides(load_arch("edge16"), groups_of(16))
    result = run(spec, "digits_mlp", samples=2)
    hidden = result.layers.set_index("layer").loc["hidden"]
    assert (hidden["array_cycles"], hidden["vector_cycles"]) == (992, 68)
    energy = result.energy[result.energy["layer"] == "hidden"].set_index(["component", "action"])["count"]
    assert energy["vector_unit", "multiply"] == energy["vector_unit", "add"] == 4 * 64
    assert energy["vector_unit", "shift"] == 64
    assert ("requantizer", "multiply") not in energy.index
    assert energy["output_scratchpad", "write_bits"] == 4 * 64 * 32 + 64 * 8


def test_bias_correction_works_on_every_groups_sums(digits: Workload) -> None:
    assert digits.inputs is not None
    reference = float_output(digits.network, digits.inputs[:60])
    narrow = groups_of(16, array__weight_bits=3)
    ratios = []
    for repairs in ([], ["bias_correction"]):
        of = compiled(digits, narrow | {"quantization.repairs": repairs})
        ratios.append(sqnr_db(reference, of.reals(tensors(of, digits)[of.output])))
    assert ratios[1] > ratios[0] + 1


def test_one_layer_alone_may_have_groups() -> None:
    digits = read_workload("digits_cnn")
    of = compiled(
        digits, {"quantization.layers": {"conv2": {"weights": {"granularity": "per_group", "group_size": 24}}}}
    )
    assert [step.name for step in of.steps] == [
        "conv1", "pool1", "conv2", "conv2.sum", "pool2", "conv3", "flatten", "fc1", "logits",
    ]  # fmt: skip
    split = products(of.network)[1]
    assert isinstance(split, DepthProducts)
    assert split.groups == 3


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"requantizer__scheme": "float"}, "scheme float"),
        ({"requantizer__rounding": "double"}, "rounding double"),
        ({"requantizer__rounding_profile": "tflm"}, "rounding_profile tflm"),
    ],
)
def test_a_requantizer_that_rounds_each_group_by_itself_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        compiled(read_workload("digits_mlp"), groups_of(16, **settings))
    assert str(refused.value).splitlines()[0] == (
        f"layer hidden: granularity per_group with requantizer.{problem}, which rounds each group by itself; "
        "allowed: schemes fixed_point and power_of_two, roundings single, floor, half_even"
    )


def test_sums_that_might_not_fit_are_refused() -> None:
    wide = {"array__weight_bits": 16, "array__activation_bits": 16}
    with pytest.raises(ConfigError) as refused:
        compiled(read_workload("digits_mlp"), groups_of(16, **wide))
    assert str(refused.value) == (
        "layer hidden: sums of 4 groups may need more than 32 bits, or 62 times their multipliers; levers: "
        "quantization.weights.group_size, requantizer.multiplier_bits, narrower operands"
    )


def test_a_grouped_convolution_is_refused() -> None:
    shapes = {"x": (3, 3, 4), "y": (3, 3, 4)}
    found = {name: Tensor(name, shape) for name, shape in shapes.items()}
    found["w"] = Tensor("w", (1, 1, 2, 4), np.ones((1, 1, 2, 4)))
    network = Network("n", found, (Conv2d("conv", ("x",), "y", "w", groups=2, filters=4),), ("x",), ("y",))
    spec = QuantizationSpec(weights=WeightQuantizationSpec(granularity="per_group"))
    with pytest.raises(ConfigError) as refused:
        split_depth(network, spec)
    assert str(refused.value) == (
        "layer conv: granularity per_group for a grouped convolution; allowed: per_tensor, per_channel"
    )
    single = replace(network, operators=(replace(network.operators[0], groups=1),))
    assert (
        len(
            split_depth(
                replace(single, tensors=found | {"w": Tensor("w", (1, 1, 4, 4), np.ones((1, 1, 4, 4)))}), spec
            ).operators
        )
        == 2
    )


def test_errors_are_those_of_whole_layers() -> None:
    spec = apply_overrides(load_arch("edge16"), groups_of(16))
    errors = run_with_errors(spec, choose_samples(read_workload("digits_cnn"), samples=20)).errors
    assert errors["layer"].tolist() == ["input", "conv1", "pool1", "conv2", "pool2", "conv3", "fc1", "logits"]
    assert errors["sqnr_db"].min() > 20


def test_partial_sums_are_neither_explained_nor_taken_to_the_rtl() -> None:
    spec, samples = apply_overrides(load_arch("edge16"), groups_of(16)), choose_samples(read_workload("digits_mlp"))
    with pytest.raises(UnsupportedError) as unexplained:
        explain(spec, samples, "hidden")
    assert str(unexplained.value) == ("layer hidden keeps its sums as they are, without a requantization to explain")
    with pytest.raises(ConfigError) as refused:
        layer_products(spec, samples, "hidden")
    assert str(refused.value) == (
        "layer hidden: the RTL requantizes every sum; allowed: granularity per_tensor or per_channel"
    )
