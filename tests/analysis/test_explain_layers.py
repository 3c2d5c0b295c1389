"""Worked examples of real layers; that the code equals the network's run is asserted by ``explain`` itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.analysis.explain import explain
from hwsim.analysis.explanation import Explanation
from hwsim.config.load import load_arch
from hwsim.errors import CheckFailedError, ConfigError, UnsupportedError
from hwsim.numerics.requantize import Requantizer
from hwsim.readers.read import read_workload
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import integer_tensors


@pytest.fixture(scope="module")
def digits() -> Samples:
    return choose_samples(read_workload("digits_cnn"), samples=3)


def worked(
    digits: Samples, layer: str, *overrides: str, output: tuple[int, ...] = (0,), sample: int = 0
) -> Explanation:
    return explain(load_arch("edge16", overrides), digits, layer, output=output, sample=sample)


@pytest.mark.parametrize("scheme", ["fixed_point", "power_of_two", "float"])
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize(("layer", "output"), [("conv2", (1, 2, 5)), ("logits", (3,))])
def test_layers_by_hand(
    digits: Samples, scheme: str, zero_point: str, dataflow: str, layer: str, output: tuple[int, ...]
) -> None:
    settings = (f"requantizer.scheme={scheme}", f"array.zero_point={zero_point}", f"array.dataflow={dataflow}")
    found = worked(digits, layer, *settings, output=output, sample=1)
    tensors = integer_tensors(load_arch("edge16", settings), digits)
    assert found.requantized.code == tensors[found.output_grid.tensor][(1, *output)]
    assert found.accumulation.overflow_events == 0


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@pytest.mark.parametrize("bias", ["requantizer", "preload"])
def test_asymmetric_weights(digits: Samples, zero_point: str, bias: str) -> None:
    """All four terms of the product: Z_w is not 0, so that sum(x) counts."""
    found = worked(
        digits,
        "conv3",
        "quantization.weights.symmetric=false",
        f"array.zero_point={zero_point}",
        f"requantizer.bias={bias}",
        output=(1, 1, 9),
    )
    x_zero, w_zero = found.input_grid.zero_point, found.weight_grid.zero_point
    assert w_zero != 0
    offset = 0 if zero_point == "operand" else 1
    real = sum(
        (term.activation - offset * x_zero) * (term.weight - offset * w_zero) for term in found.accumulation.terms
    )
    assert found.requantized.sum == real + found.constants.bias
    assert (found.constants.row_sum != 0) == (zero_point == "folded")
    assert found.accumulation.starts_from == (0 if bias == "requantizer" else found.requantized.sum - _data(found))


def _data(found: Explanation) -> int:
    return sum(term.product for term in found.accumulation.terms) + found.constants.row_sum


def test_overflows_are_shown_where_they_happen(digits: Samples) -> None:
    found = worked(digits, "logits", "array.guard_bits=-3", "array.overflow=wrap", output=(3,), sample=2)
    adds = found.accumulation.adds
    assert found.accumulation.overflow_events == sum(not -4096 <= add.exact <= 4095 for add in adds) > 0
    assert all((add.exact - add.stored) % 2**13 == 0 for add in adds)


def test_the_real_values_lie_beside_the_floats(digits: Samples) -> None:
    found = worked(digits, "logits", output=(3,))
    assert digits.float_outputs is not None
    assert found.float_value == pytest.approx(digits.float_outputs[0, 3])
    assert found.exact_real == pytest.approx(found.float_value, abs=0.2)
    assert found.real == pytest.approx(found.exact_real, abs=0.5 * found.output_grid.scale)


def test_padding_has_no_place(digits: Samples) -> None:
    """The first window of a 3 × 3 convolution with same padding: its first row and column hang over the edge."""
    terms = worked(digits, "conv1").accumulation.terms
    assert [term.place is None for term in terms] == [True, True, True, True, False, False, True, False, False]
    assert terms[4].place == (0, 0, 0)


def test_an_output_by_number_or_by_index(digits: Samples) -> None:
    by_number = worked(digits, "conv1", output=(3 * 64 + 2 * 8 + 5,))
    assert by_number == worked(digits, "conv1", output=(3, 2, 5))
    assert (by_number.output, by_number.out_row, by_number.channel) == ((3, 2, 5), 3 * 8 + 2, 5)


def test_refusals(digits: Samples) -> None:
    with pytest.raises(ConfigError, match=r"no layer 'logit'; allowed: conv1, .*; did you mean 'logits'\?"):
        worked(digits, "logit")
    with pytest.raises(UnsupportedError, match="layer pool1 is no product of integers; allowed: conv1, conv2"):
        worked(digits, "pool1")
    with pytest.raises(ConfigError, match=r"layer conv1: no output 8,0,0; allowed: 0 to 511, or up to 7,7,7"):
        worked(digits, "conv1", output=(8, 0, 0))
    with pytest.raises(ConfigError, match="sample 3; allowed: 0 to 2"):
        worked(digits, "conv1", sample=3)


def test_a_difference_from_the_networks_run_is_an_error(digits: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Requantizer.apply
    monkeypatch.setattr(Requantizer, "apply", lambda self, sums: np.maximum(apply(self, sums), 100))
    with pytest.raises(CheckFailedError, match=r"layer logits: output 3 is -?\d+ by hand, 100 in the network's run"):
        worked(digits, "logits", output=(3,))


@pytest.mark.parametrize(
    "settings",
    [
        ("quantization.weights.codebook_entries=8",),
        ("quantization.weights.granularity=per_tensor", "quantization.activations.symmetric=true"),
        ("quantization.activations.signed=false", "quantization.weights.scale=power_of_two"),
        ("quantization.weights.signed=false", "quantization.weights.symmetric=false", "requantizer.rounding=half_even"),
    ],
)
def test_other_ways_to_quantize(digits: Samples, settings: tuple[str, ...]) -> None:
    for layer in ("conv1", "conv3", "fc1"):
        found = worked(digits, layer, *settings, output=(7,))
        assert found.real == pytest.approx(found.float_value, abs=2)


def test_shapes_alone_have_nothing_to_work_out() -> None:
    chosen = choose_samples(read_workload("bert_base"))
    with pytest.raises(ConfigError, match="bert_base has shapes alone and no values to compute with"):
        explain(load_arch("edge16"), chosen, "any")


def test_a_workload_without_products(digits: Samples) -> None:
    pool = next(one for one in digits.workload.network.operators if one.name == "pool1")
    tensors = digits.workload.network.tensors
    network = replace(digits.workload.network, operators=(pool,), inputs=pool.inputs, outputs=(pool.output,))
    images = np.zeros((2, *tensors[pool.input].shape))
    workload = replace(digits.workload, network=network, calibration=images, inputs=images, labels=None)
    with pytest.raises(ConfigError, match="no layer 'conv1'; allowed: none: the workload has no product of integers"):
        explain(load_arch("edge16"), choose_samples(workload), "conv1")
