"""Shapes filled with random integers: the same for the same seed, spread over all codes, computed like any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.network.operator import quantization_of
from hwsim.quantize.random_values import with_random_values
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors

NET = """\
schema_version: 1
name: block
input_shape: [6, 6, 8]
layers:
  - {name: one, type: conv2d, filters: 8, kernel: [3, 3], padding: same}
  - {name: relu, type: relu}
  - {name: two, type: conv2d, filters: 8, kernel: [1, 1]}
  - {name: sum, type: add, inputs: [two, input]}
  - {name: relu2, type: relu}
  - {name: most, type: max_pool2d, pool: [3, 3], stride: [2, 2], padding: same}
  - {name: mean, type: global_avg_pool}
  - {name: logits, type: dense, units: 10}
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "block.yaml"
    path.write_text(NET)
    return path


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_both_engines_run_a_residual_block(net: Path, dataflow: str) -> None:
    """A stepped run compares what the machine assembles with the array's shadow."""
    settings = [f"array.dataflow={dataflow}", "array.guard_bits=-3"]
    stepped, functional = (
        hwsim.run("edge16", net, random_values=3, engine=engine, overrides=settings)
        for engine in ("stepped", "functional")
    )
    assert stepped.samples == 1
    assert stepped.accuracy is None
    assert stepped.totals["overflow_events"] > 0
    assert stepped.layers.equals(functional.layers)
    assert stepped.events.equals(functional.events)


def test_time_is_that_of_the_shapes_alone(net: Path) -> None:
    alone, filled = hwsim.run("edge16", net), hwsim.run("edge16", net, random_values=0)
    assert filled.layers["total_cycles"].tolist() == alone.layers["total_cycles"].tolist()
    assert filled.energy.equals(alone.energy)


def test_the_seed_decides(net: Path) -> None:
    spec = load_arch("edge16")
    one, same, other = (with_random_values(read_workload(net), spec, seed) for seed in (1, 1, 2))
    assert one.digest == same.digest != other.digest
    for name, tensor in one.network.tensors.items():
        assert np.array_equal(tensor.data, same.network.tensors[name].data)
    weights = [load.network.tensors["one.weight"].data for load in (one, other)]
    assert not np.array_equal(*weights)


def test_codes_fill_their_format_in_every_layer(net: Path) -> None:
    spec = load_arch("edge16", ["array.weight_bits=4"])
    filled = with_random_values(read_workload(net), spec, 0)
    weight = filled.network.tensors["one.weight"]
    assert (weight.data.min(), weight.data.max()) == (-7, 7)  # a narrow range
    codes = integer_tensors(spec, choose_samples(filled))
    grids = {name: quantization_of(filled.network.tensors[name]).format for name in codes}
    for name, values in codes.items():
        at_the_ends = np.mean((values == grids[name].min) | (values == grids[name].max))
        assert values.std() > 20, name
        assert at_the_ends < 0.8, name  # a ReLU leaves half of them at the lower end


def test_a_layer_is_the_product_of_its_random_integers(net: Path, tmp_path: Path) -> None:
    """Within one code of the product of reals: the requantizer rounds twice."""
    (tmp_path / "fc.yaml").write_text(
        "schema_version: 1\ninput_shape: [20]\nlayers: [{name: fc, type: dense, units: 5, bias: false}]\n"
    )
    spec = load_arch("edge16")
    filled = with_random_values(read_workload(tmp_path / "fc.yaml"), spec, 0)
    network = filled.network
    x, weight, y = (quantization_of(network.tensors[name]) for name in ("input", "fc.weight", "fc"))
    codes = choose_samples(filled).inputs["input"]
    reals = (codes - x.zero_point) @ np.asarray(network.tensors["fc.weight"].data) * float(x.scale * weight.scale)
    expected = np.clip(np.rint(reals / y.scale) + y.zero_point, -128, 127)
    found = integer_tensors(spec, choose_samples(filled))["fc"]
    assert np.abs(found - expected).max() <= 1


def test_networks_of_several_inputs_get_an_array_for_each(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text("Layer,M,N,K,\na,3,4,5,\nb,6,7,8,\n")
    result = hwsim.run("edge16", tmp_path / "net.csv", random_values=0)
    assert [layer.macs for layer in result.layer_results] == [60, 336]


def test_values_of_ones_own_stay() -> None:
    with pytest.raises(ConfigError, match="workload digits_mlp has its own; allowed: for shapes alone"):
        hwsim.run("edge16", "digits_mlp", random_values=0)


def test_attention_and_normalization_are_computed(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "schema_version: 1\ninput_shape: [4, 8]\nlayers:\n"
        "  - {name: place, type: position_embedding}\n"
        "  - {name: scores, type: matmul, inputs: [place, place], transpose: true}\n"
        "  - {name: norm, type: layer_norm}\n"
    )
    result = hwsim.run("edge16", tmp_path / "net.yaml", random_values=0)
    assert result.samples == 1
    assert [layer.layer for layer in result.layer_results] == ["place", "scores"]
