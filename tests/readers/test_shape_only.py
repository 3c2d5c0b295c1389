"""Networks of shapes alone: the shipped ones hold published figures, and time and traffic are those of real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import hwsim
from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.network.operators.attention import ActivationMatmul
from hwsim.network.steps import MatmulStep
from hwsim.quantize.assumed import assume_quantization
from hwsim.readers.native import read_workload

HEAD = "schema_version: 1\nname: shapes\n"


def shapes(folder: Path, input_shape: list[int], *layers: str) -> Path:
    folder.mkdir(exist_ok=True)
    lines = "".join(f"  - {{{layer}}}\n" for layer in layers)
    (folder / "workload.yaml").write_text(f"{HEAD}input_shape: {input_shape}\nlayers:\n{lines}")
    return folder


def macs_and_weights(network: Network) -> tuple[int, int]:
    """Lower operator by operator: the operands' addresses of a large network would not fit in memory at once."""
    spec = load_arch("edge16")
    quantized = assume_quantization(network, spec.quantization, weight_bits=8, activation_bits=8)
    options = replace(lowering_options(spec, "tflm"), has_values=False)
    macs = weights = 0
    for operator in quantized.operators:
        step = operator.lower(quantized.tensors, options)
        if isinstance(step, MatmulStep):
            macs += step.groups * step.shape.macs
            weights += 0 if isinstance(operator, ActivationMatmul) else step.weights.size
    return macs, weights


@pytest.mark.parametrize(
    ("name", "macs", "source"),
    [
        ("resnet50", 4.089e9, "torchvision.models.ResNet50_Weights.IMAGENET1K_V1.meta['_ops'], in 10^9"),
        ("mobilenet_v2", 0.301e9, "torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.meta['_ops'], in 10^9"),
        ("bert_base", 22.5e9 / 2, "Sun et al., MobileBERT (2020), table 4: 22.5 * 10^9 FLOPs for 128 tokens"),
        ("gpt2", 291_648_307_200 / 2, "Karpathy, nanoGPT, transformer_sizing.ipynb: forward FLOPs for 1024 tokens"),
    ],
)
def test_macs_are_the_published_ones(name: str, macs: float, source: str) -> None:
    found, _ = macs_and_weights(read_workload(name).network)
    assert found == pytest.approx(macs, rel=0.007 if name == "bert_base" else 0.002), source


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # torchvision's num_params, less scale and shift of the batch normalizations and the last layer's bias
        ("resnet50", 25_557_032 - 2 * 26_560 - 1000),
        ("mobilenet_v2", 3_504_872 - 2 * 17_056 - 1000),
        ("bert_base", 12 * 12 * 768 * 768),
        ("gpt2", 12 * 12 * 768 * 768 + 768 * 50257),
    ],
)
def test_weights_are_as_many_as_published(name: str, weights: int) -> None:
    _, found = macs_and_weights(read_workload(name).network)
    assert found == weights


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_time_and_energy_are_those_of_the_network_with_values(tmp_path: Path, dataflow: str) -> None:
    """The shipped digits network loses its arrays and nothing else."""
    spec = yaml.safe_load((Path("workloads") / "digits_cnn" / "workload.yaml").read_text())
    del spec["arrays"], spec["data"]
    (tmp_path / "workload.yaml").write_text(yaml.safe_dump(spec))
    settings = [f"array.dataflow={dataflow}"]
    with_values = hwsim.run("edge16", "digits_cnn", samples=1, engine="functional", overrides=settings)
    alone = hwsim.run("edge16", tmp_path, overrides=settings)
    assert [layer.figures() for layer in alone.layer_results] == [
        layer.figures() | {"overflow_events": 0} for layer in with_values.layer_results
    ]
    assert alone.energy.equals(with_values.energy)
    assert (alone.samples, alone.accuracy, alone.float_accuracy, alone.sqnr_db) == (0, None, None, None)


def test_asymmetric_weights_cost_row_sums(tmp_path: Path) -> None:
    net = shapes(tmp_path, [20], "name: fc, type: dense, units: 5")
    result = hwsim.run("edge16", net, overrides=["quantization.weights.symmetric=false"])
    assert result.energy.set_index("action").loc["row_sum_add", "count"] == 20


def test_attention_is_a_product_for_each_head(tmp_path: Path) -> None:
    """Scores: 2 heads of (6 x 8) by (8 x 6); context: 2 heads of (6 x 6) by (6 x 8)."""
    net = shapes(
        tmp_path,
        [6, 16],
        "name: query, type: dense, units: 16",
        "name: key, type: dense, inputs: [input], units: 16",
        "name: value, type: dense, inputs: [input], units: 16",
        "name: scores, type: matmul, inputs: [query, key], heads: 2, transpose: true",
        "name: attention, type: softmax, heads: 2",
        "name: context, type: matmul, inputs: [attention, value], heads: 2",
        "name: sum, type: add, inputs: [context, input]",
        "name: norm, type: layer_norm",
    )
    compiled = compile_workload(load_arch("edge16"), read_workload(net))
    products = {one.name: one.step for one in compiled.layers if one.step is not None}
    found = {
        name: (step.groups, step.shape.out_rows, step.shape.depth, step.shape.out_cols)
        for name, step in products.items()
    }
    assert found == {
        "query": (1, 6, 16, 16),
        "key": (1, 6, 16, 16),
        "value": (1, 6, 16, 16),
        "scores": (2, 6, 8, 6),
        "context": (2, 6, 6, 8),
    }
    assert products["scores"].output_shape == (6, 12)
    result = hwsim.run("edge16", net).energy.set_index(["layer", "component", "action"])["count"]
    assert result["scores", "activation_lut", "lookup"] == 6 * 12 + 2 * 6  # an exponential each, a reciprocal a row
    assert result["sum", "vector_unit", "compare"] == 6 * (32 + 31)  # a digit of root and reciprocal, of each row


def test_what_stands_in_place_of_weights_comes_from_dram(tmp_path: Path) -> None:
    """The query stays in the activation scratchpad; the key is written to DRAM and read as weights are."""
    net = shapes(
        tmp_path,
        [16, 32],
        "name: query, type: dense, units: 32",
        "name: key, type: dense, inputs: [input], units: 32",
        "name: scores, type: matmul, inputs: [query, key], heads: 2, transpose: true",
    )
    energy = hwsim.run("edge16", net).energy.set_index(["layer", "component", "action"])["count"] / 8
    assert ("query", "dram", "write_bits") not in energy.index
    assert energy["key", "dram", "write_bits"] == 16 * 32
    assert energy["scores", "dram", "read_bits"] == 16 * 32
    assert energy["scores", "weight_scratchpad", "write_bits"] == 16 * 32


def test_a_residual_block_reads_both_ways(tmp_path: Path) -> None:
    net = shapes(
        tmp_path,
        [8, 8, 4],
        "name: conv, type: conv2d, filters: 4, kernel: [3, 3], padding: same",
        "name: sum, type: add, inputs: [conv, input]",
        "name: relu, type: relu",
        "name: mean, type: global_avg_pool",
        "name: logits, type: dense, units: 3",
    )
    compiled = compile_workload(load_arch("edge16"), read_workload(net))
    assert [(one.name, one.inputs, one.output) for one in compiled.layers] == [
        ("conv", ("input",), "conv"),
        ("sum", ("conv", "input"), "mean"),  # the ReLU is part of the sum, the mean follows it in the vector unit
        ("logits", ("mean",), "logits"),
    ]
    energy = hwsim.run("edge16", net).energy.set_index(["layer", "component", "action"])["count"]
    assert energy["sum", "activation_scratchpad", "read_bits"] == 2 * 8 * 8 * 4 * 8


def test_pools_reach_over_the_edge_where_padding_says_so(tmp_path: Path) -> None:
    net = shapes(
        tmp_path,
        [7, 7, 2],
        "name: most, type: max_pool2d, pool: [3, 3], stride: [2, 2], padding: same",
        "name: mean, type: avg_pool2d, pool: [2, 2], stride: [1, 1]",
    )
    tensors = read_workload(net).network.tensors
    assert [tensors[name].shape for name in ("most", "mean")] == [(4, 4, 2), (3, 3, 2)]


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (
            ["name: a, type: add, inputs: [inptu, input]"],
            "4:35: layers[0].inputs[0]: no layer before this one is called 'inptu'; allowed: input, or a layer before; "
            "did you mean 'input'?",
        ),
        (
            ["name: a, type: add"],
            "4:5: layers[0]: add reads 2 tensors, got 1; allowed: inputs: [layer, layer]",
        ),
        (["name: input, type: relu"], "4:12: layers[0].name: 'input' is the name of the network's input"),
    ],
)
def test_wrong_connections_are_located(tmp_path: Path, layers: list[str], problem: str) -> None:
    shapes(tmp_path, [4, 4], *layers)
    text = (tmp_path / "workload.yaml").read_text().replace("name: shapes\n", "")
    (tmp_path / "workload.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_workload(tmp_path)
    assert refused.value.problems == (f"{tmp_path}/workload.yaml:{problem}",)


def test_data_without_arrays_are_refused(tmp_path: Path) -> None:
    (tmp_path / "workload.yaml").write_text(
        "schema_version: 1\ninput_shape: [4]\nlayers:\n  - {name: s, type: relu}\ndata: {calibration: a, inputs: b}\n"
    )
    with pytest.raises(ConfigError) as refused:
        read_workload(tmp_path)
    assert str(refused.value) == f"{tmp_path}/workload.yaml:5:7: data: names arrays, and there is no file of arrays"


@pytest.mark.parametrize(
    ("layer", "shape", "problem"),
    [
        (
            "type: matmul, inputs: [input, input]",
            [4, 6],
            "1 heads of [4, 6] by [4, 6]; allowed: heads that divide both",
        ),
        ("type: matmul, inputs: [input, input]", [4], "inputs of shape [4] and [4]; allowed: two axes"),
        ("type: softmax, heads: 3", [4, 8], "3 heads of 8; allowed: heads that divide it"),
        ("type: global_avg_pool", [4, 8], "input of shape [4, 8]; allowed: [height, width, channels]"),
    ],
)
def test_inputs_that_a_layer_cannot_take(tmp_path: Path, layer: str, shape: list[int], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_workload(shapes(tmp_path, shape, f"name: one, {layer}"))
    assert f"layer one: {problem}" in str(refused.value)


@pytest.mark.parametrize("value", [{"inputs": np.zeros((1, 4))}, {"labels": np.zeros(1, int)}, {"samples": 3}])
def test_values_are_refused(tmp_path: Path, value: dict[str, object]) -> None:
    net = shapes(tmp_path, [4], "name: fc, type: dense, units: 2")
    with pytest.raises(ConfigError) as refused:
        hwsim.run("edge16", net, **value)  # type: ignore[arg-type]
    (name,) = value
    assert str(refused.value) == (
        f"{name}: workload shapes has shapes alone and no values to compute with; allowed: time, traffic and energy"
    )


def test_an_engine_is_refused(tmp_path: Path) -> None:
    net = shapes(tmp_path, [4], "name: fc, type: dense, units: 2")
    with pytest.raises(ConfigError, match="engine stepped: workload shapes has shapes alone"):
        hwsim.run("edge16", net, engine="stepped")


def test_batch_norm_is_part_of_the_product(tmp_path: Path) -> None:
    net = shapes(
        tmp_path,
        [8, 8, 4],
        "name: conv, type: conv2d, filters: 4, kernel: [3, 3], bias: false",
        "name: norm, type: batch_norm",
        "name: relu, type: relu6",
    )
    assert [layer.layer for layer in hwsim.run("edge16", net).layer_results] == ["conv"]
