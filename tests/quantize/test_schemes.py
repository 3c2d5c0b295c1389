"""Schemes of weights and activations: scales, ranges, widths, and what single layers have of their own."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from hwsim.compilation import Compiled, compile_workload
from hwsim.config import apply_overrides, load_arch
from hwsim.errors import ConfigError
from hwsim.execute.integer import run_integer
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.quantization import GridRule, Quantization, from_range
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.simulate import run


@pytest.fixture(scope="module")
def digits() -> Workload:
    return read_workload("digits_cnn")


def compiled(workload: Workload, **settings: Any) -> Compiled:
    """Compile for edge16; a key's double underscores are dots below ``quantization``."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    overrides = {key if key.startswith(("array", "requant")) else f"quantization.{key}": named[key] for key in named}
    return compile_workload(apply_overrides(load_arch("edge16"), overrides), workload)


def grid_of(of: Compiled, tensor: str) -> Quantization:
    found = of.network.tensors[tensor].quantization
    assert found is not None
    return found


def logits(of: Compiled, workload: Workload, samples: int = 100) -> IntArray:
    assert workload.inputs is not None
    codes = of.codes({of.input: workload.inputs[:samples]})
    return run_integer(of.steps, of.params, codes, keep=[of.output]).values[of.output]


@pytest.mark.parametrize(("symmetric", "signed", "narrow"), list(product((True, False), repeat=3)))
@pytest.mark.parametrize("bits", [2, 3, 8, 16])
def test_every_kind_of_grid_holds_its_range_to_half_a_step(
    bits: int, symmetric: bool, signed: bool, narrow: bool
) -> None:
    """Asymmetric grids round their zero point, which may move an end by half a step more."""
    low, high = (0.0 if symmetric and not signed else -0.7), 1.3
    grid = from_range(low, high, IntFormat(bits, signed, narrow=narrow), symmetric=symmetric)
    reals = np.linspace(low, high, 1001)
    errors = np.abs(grid.dequantize(grid.quantize(reals)) - reals)
    assert errors.max() <= float(grid.scale) * (0.5 if symmetric else 1.0) * (1 + 1e-9)
    assert (grid.zero_point == 0) or not symmetric
    assert grid.quantize(np.array([0.0])) == grid.zero_point


@pytest.mark.parametrize(("high", "scale"), [(127.0, 1.0), (127.1, 2.0), (63.0, 0.5), (1.0, 2.0**-6)])
def test_a_power_of_two_is_the_least_one_that_covers_the_range(high: float, scale: float) -> None:
    rule = GridRule(IntFormat(8, narrow=True), symmetric=True, power_of_two=True)
    assert float(rule.over(-high, high).scale) == scale


def test_with_powers_of_two_a_shift_loses_nothing(digits: Workload) -> None:
    """M = S_w S_x / S_y is a power of two, so that the multiplier of the fixed-point scheme does nothing but shift."""
    kinds = {"weights__scale": "power_of_two", "activations__scale": "power_of_two"}
    multiplied = compiled(digits, **kinds)
    shifted = compiled(digits, **kinds, requantizer__scheme="power_of_two")
    for tensor in multiplied.network.tensors.values():
        if tensor.quantization is not None:
            mantissas, _ = np.frexp(tensor.quantization.scale)
            assert np.all(mantissas == 0.5), tensor.name
    assert np.array_equal(logits(multiplied, digits), logits(shifted, digits))


def test_without_them_a_shift_alone_gives_other_results(digits: Workload) -> None:
    shifted = compiled(digits, requantizer__scheme="power_of_two")
    assert not np.array_equal(logits(compiled(digits), digits), logits(shifted, digits))


def test_a_layer_has_widths_of_its_own(digits: Workload) -> None:
    of = compiled(digits, layers={"conv2": {"weight_bits": 4, "activation_bits": 5}})
    formats = {step.name: (step.weight_format.bits, step.activation_format.bits) for step in products(of)}
    assert formats == {"conv1": (8, 8), "conv2": (4, 5), "conv3": (8, 8), "fc1": (8, 8), "logits": (8, 8)}
    assert grid_of(of, "relu1").format == IntFormat(5)  # what conv1 writes, conv2 reads after pooling
    assert grid_of(of, "pool1") is grid_of(of, "relu1")
    assert grid_of(of, of.output).format == IntFormat(8)


def products(of: Compiled) -> list[MatmulStep]:
    return [step for step in of.steps if isinstance(step, MatmulStep)]


def test_a_result_names_the_widths_of_each_layer_and_moves_fewer_bits(digits: Workload) -> None:
    spec = apply_overrides(load_arch("edge16"), {"quantization.layers.fc1.weight_bits": 4})
    narrow, wide = run(spec, digits, samples=1), run("edge16", digits, samples=1)
    assert narrow.layers["weight_bits"].tolist() == [8, 8, 8, 4, 8]
    assert wide.layers["weight_bits"].tolist() == [8] * 5
    before, after = (
        result.energy[(result.energy["layer"] == "fc1") & (result.energy["component"] == "weight_scratchpad")]["count"]
        for result in (wide, narrow)
    )
    assert (after * 2).tolist() == before.tolist()


def test_a_layer_has_a_scheme_of_its_own(digits: Workload) -> None:
    own = {"weights": {"granularity": "per_tensor", "symmetric": False}, "activations": {"signed": False}}
    of = compiled(digits, layers={"conv3": own})
    assert grid_of(of, "conv3.weight").axis is None
    assert grid_of(of, "conv3.weight").format == IntFormat(8)
    assert grid_of(of, "relu2").format == IntFormat(8, signed=False)
    assert grid_of(of, "conv2.weight").axis == 3
    assert grid_of(of, "relu1").format == IntFormat(8)


def test_a_layer_has_a_calibrator_of_its_own(digits: Workload) -> None:
    clipped = {"name": "percentile", "percentile": 90}
    of = compiled(digits, layers={"conv3": {"activations": {"calibrator": clipped}}})
    plain = compiled(digits)
    assert grid_of(of, "relu2").scale < 0.9 * grid_of(plain, "relu2").scale
    assert grid_of(of, "relu3").scale == grid_of(plain, "relu3").scale


def test_weights_have_a_calibrator(digits: Workload) -> None:
    of, plain = (
        compiled(digits, array__weight_bits=2, weights__calibrator="mse"),
        compiled(digits, array__weight_bits=2),
    )
    assert np.all(grid_of(of, "conv2.weight").scale <= grid_of(plain, "conv2.weight").scale)
    assert np.any(grid_of(of, "conv2.weight").scale < 0.9 * grid_of(plain, "conv2.weight").scale)


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (
            {"conv4": {"weight_bits": 4}},
            "quantization.layers.conv4: workload digits_cnn has no such layer to quantize; allowed: conv1, conv2, "
            "conv3, fc1, logits; did you mean 'conv3'?",
        ),
        (
            {"pool1": {"activation_bits": 4}},
            "quantization.layers.pool1: workload digits_cnn has no such layer to quantize; allowed: conv1, conv2, "
            "conv3, fc1, logits",
        ),
    ],
)
def test_a_layer_that_the_network_does_not_have_is_refused(digits: Workload, layers: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compiled(digits, layers=layers)
    assert str(refused.value) == problem
