"""Runs on arrays of floats: layers held against NumPy, cycles against the integer array, energy against the table."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.analysis.error import run_with_errors
from hwsim.analysis.explain import explain
from hwsim.check import compare_engines
from hwsim.config.load import load_arch
from hwsim.energy.table import EnergyTable
from hwsim.errors import AccumulatorOverflowError, ConfigError, UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.network.network import Network
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten, MaxPool2d, Rectify
from hwsim.network.tensor import Tensor
from hwsim.numerics.number_formats import FLOAT_FORMATS
from hwsim.quantize.fuse import fuse
from hwsim.readers.native import read_workload
from hwsim.readers.workload import Workload
from hwsim.results.layer_result import LayerResult
from hwsim.results.run_result import RunResult
from hwsim.samples import choose_samples
from hwsim.simulate import all_tensors
from hwsim.simulate_float import accuracy_with_nan

CNN, MLP = read_workload("digits_cnn"), read_workload("digits_mlp")
DATAFLOWS = ["output_stationary", "weight_stationary", "input_stationary"]
Floats = np.ndarray[Any, Any]


def run(*overrides: str, workload: Workload = CNN, **arguments: Any) -> RunResult:
    return hwsim.run("edge16", workload, overrides=overrides, **arguments)


def constant(workload: Workload, name: str) -> np.ndarray:
    network: Network = fuse(workload.network)
    return np.asarray(network.tensors[name].data, np.float64)


def summed(left: Floats, right: Floats, dtype: Any, tile: int) -> Floats:
    """Add left (samples, depth) times right (depth, columns) term by term in ``dtype``, tiles one after the other."""
    total = None
    for start in range(0, left.shape[1], tile):
        chain = np.zeros((len(left), right.shape[1]), dtype)
        for term in range(start, min(start + tile, left.shape[1])):
            chain = chain + left[:, term, None].astype(dtype) * right[term].astype(dtype)
        total = chain if total is None else total + chain
    assert total is not None
    return total


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize(("operand", "accumulator"), [("fp16", "fp16"), ("fp16", "fp32"), ("bf16", "bf16")])
def test_a_dense_layer_equals_numpy(dataflow: str, operand: str, accumulator: str) -> None:
    """Sums of 64 terms, in one chain or in tiles of 16; then bias in the accumulator's format, ReLU, rounding."""
    overrides = (
        f"array.dataflow={dataflow}",
        f"array.number_format={operand}",
        f"array.accumulator_format={accumulator}",
    )
    chosen = choose_samples(MLP, samples=40)
    tensors = all_tensors(load_arch("edge16", overrides), chosen)
    narrow, wide = FLOAT_FORMATS[operand], FLOAT_FORMATS[accumulator].dtype
    hidden = fuse(MLP.network).operators[0]
    assert isinstance(hidden, Dense)
    assert hidden.bias is not None
    inputs = narrow.convert(chosen.inputs["input"])
    tile = 64 if dataflow == "output_stationary" else 16
    sums = summed(inputs, narrow.convert(constant(MLP, hidden.weight)), wide, tile)
    biased = (sums + FLOAT_FORMATS[accumulator].convert(constant(MLP, hidden.bias))).astype(np.float64)
    expected = narrow.convert(np.maximum(biased, 0)).astype(np.float32)
    assert np.array_equal(tensors[hidden.output], expected)


@pytest.mark.parametrize("operand", ["fp16", "bf16"])
def test_a_padded_convolution_equals_numpy(operand: str) -> None:
    """3 × 3 on 8 × 8 pixels with a border of zeros: nine terms, row by row of the window."""
    overrides = (f"array.number_format={operand}", f"array.accumulator_format={operand}")
    chosen, word = choose_samples(CNN, samples=20), FLOAT_FORMATS[operand]
    found = all_tensors(load_arch("edge16", overrides), chosen)["relu1"]
    conv = next(one for one in fuse(CNN.network).operators if one.name == "conv1")
    weight, bias = (word.convert(constant(CNN, f"conv1.{name}")) for name in ("weight", "bias"))
    assert weight.shape == (3, 3, 1, 8)
    assert conv.output == "relu1"
    images = np.pad(word.convert(chosen.inputs["input"])[..., 0], [(0, 0), (1, 1), (1, 1)])
    for row, col in np.ndindex(8, 8):
        window = images[:, row : row + 3, col : col + 3].reshape(len(images), 9)
        sums = summed(window, weight.reshape(9, 8), word.dtype, tile=9) + bias
        expected = np.maximum(sums.astype(np.float32), 0)
        assert np.array_equal(found[:, row, col], expected)


def test_single_precision_is_the_float_network_but_for_rounding() -> None:
    result = run("array.number_format=fp32")
    assert result.accuracy == result.float_accuracy
    assert result.sqnr_db is not None
    assert result.sqnr_db > 120  # 24 bits are worth about 144 dB; sums of up to 144 terms lose some
    assert result.engine == "functional"


def test_noise_follows_the_precision() -> None:
    """Significands of 24, 11, 8, 4 and 3 bits, about 6 dB each; E4M3 loses half of one to its narrower range."""
    ratios = [run(f"array.number_format={name}", samples=200).sqnr_db for name in FLOAT_FORMATS]
    bits = [one.significand_bits for one in FLOAT_FORMATS.values()]
    assert bits == [24, 11, 8, 4, 3]
    for (more, fewer), (better, worse) in zip(pairwise(bits), pairwise(ratios), strict=True):
        assert better is not None
        assert worse is not None
        assert (better - worse) / (more - fewer) == pytest.approx(6, abs=3)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("overlap", ["none", "full"])
def test_the_array_takes_as_long_as_for_integers(dataflow: str, overlap: str) -> None:
    settings = (f"array.dataflow={dataflow}", f"array.fold_overlap={overlap}")
    integers = run(*settings, samples=1, engine="functional")
    floats = run(*settings, "array.number_format=fp16", samples=1)
    assert [one.array_cycles for one in floats.layer_results] == [one.array_cycles for one in integers.layer_results]
    eight_bits = run(*settings, "array.number_format=fp8_e5m2", samples=1)
    assert [one.total_cycles for one in eight_bits.layer_results] == [
        one.total_cycles for one in integers.layer_results
    ]


def energies(layer: LayerResult) -> dict[tuple[str, str], float]:
    return {(entry.component, entry.action): entry.energy_pj for entry in layer.energy}


def test_energy_by_format() -> None:
    """Horowitz: FP16 multiply 1.1 pJ, FP32 add 0.9 pJ; words of 16 bits in registers and memories."""
    layer = run("array.number_format=fp16", samples=1).layer_results[0]
    found = energies(layer)
    assert found["pe", "multiply"] == pytest.approx(1.1 * layer.macs, rel=1e-6)
    assert found["pe", "accumulate"] == pytest.approx(0.9 * layer.macs, rel=1e-6)
    assert found["requantizer", "add"] == pytest.approx(0.9 * layer.out_rows * layer.out_cols, rel=1e-6)
    assert ("requantizer", "multiply") not in found
    assert (layer.weight_bits, layer.activation_bits, layer.accumulator_bits) == (16, 16, 32)
    integers = energies(run(samples=1).layer_results[0])
    for place in (("dram", "read_bits"), ("weight_scratchpad", "read_bits"), ("pe", "weight_register_write")):
        assert found[place] == pytest.approx(2 * integers[place])


def test_a_table_without_floats_is_an_error(tmp_path: Any) -> None:
    table = tmp_path / "integers.yaml"
    actions = EnergyTable.load("horowitz_45nm").actions.model_dump(exclude={"float_add", "float_multiply"}, mode="json")
    table.write_text(f"schema_version: 1\nname: integers\nnode_nm: 45\nactions: {actions}\n")
    with pytest.raises(ConfigError, match=r"pe\.multiply: energy table 'integers' has no entry 'float_multiply'"):
        run("array.number_format=bf16", f"energy_table={table}", samples=1)


def network(weight: np.ndarray, bias: float = 0.0) -> Workload:
    tensors = {
        "x": Tensor("x", (len(weight),)),
        "w": Tensor("w", weight.shape, weight),
        "b": Tensor("b", (weight.shape[1],), np.full(weight.shape[1], bias)),
        "y": Tensor("y", (weight.shape[1],)),
    }
    dense = Dense("fc", ("x",), "y", "w", "b", units=weight.shape[1])
    return Workload("hand", Network("hand", tensors, (dense,), ("x",), ("y",)), None, None, None, "")


def test_overflows_are_counted_and_their_samples_wrong() -> None:
    """E4M3 ends at 448: 400 + 400 fits FP32 sums and no output; without infinity it is NaN, and NaN is no class."""
    load = network(np.array([[1.0, 0.0], [1.0, 0.0]]))
    inputs, labels = np.array([[400.0, 400.0], [100.0, 100.0]]), np.array([0, 0])
    result = run("array.number_format=fp8_e4m3", workload=load, inputs=inputs, labels=labels)
    assert (result.accuracy, result.float_accuracy, result.sqnr_db) == (0.5, 1.0, None)
    assert result.layer_results[0].overflow_events == 1
    assert result.layer_results[0].pe_overflows == ()
    wide = run("array.number_format=fp8_e5m2", workload=load, inputs=inputs, labels=labels)
    assert (wide.accuracy, wide.layer_results[0].overflow_events) == (1.0, 0)


def test_overflow_in_the_array_has_a_place() -> None:
    load = network(np.full((3, 2), 200.0))
    result = run(
        "array.number_format=fp16", "array.accumulator_format=fp16", workload=load, inputs=np.full((2, 3), 300.0)
    )
    (layer,) = result.layer_results
    assert layer.overflow_events == 4
    assert [(one.row, one.col, one.overflow_events) for one in layer.pe_overflows] == [(0, 0, 2), (0, 1, 2)]


def test_weights_and_inputs_beyond_the_format_are_counted() -> None:
    load = network(np.array([[1e6], [1.0]]), bias=1e39)
    result = run("array.number_format=fp16", workload=load, inputs=np.array([[1.0, 1e9]]))
    assert result.layer_results[0].overflow_events == 3  # a weight, the bias in FP32, an input


def test_overflow_error_stops_the_run() -> None:
    load = network(np.array([[1.0], [1.0]]))
    with pytest.raises(
        AccumulatorOverflowError, match="layer fc: values leave fp8_e4m3, or sums fp32: infinite or NaN"
    ):
        run("array.number_format=fp8_e4m3", "array.overflow=error", workload=load, inputs=np.array([[400.0, 400.0]]))


def test_accuracy_where_all_is_nan() -> None:
    assert accuracy_with_nan(np.full((2, 3), np.nan), np.array([0, 1])) == 0.0


def test_tensors_of_every_layer_lie_beside_the_float_networks() -> None:
    chosen = choose_samples(CNN, samples=5)
    found = all_tensors(load_arch("edge16", ["array.number_format=fp16"]), chosen)
    for name, exact in float_values(fuse(CNN.network), chosen.inputs["input"]):
        assert found[name].shape == exact.shape
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], exact, rtol=0.02, atol=0.02 * np.abs(exact).max())


def test_what_looks_at_integers_refuses() -> None:
    spec, chosen = load_arch("edge16", ["array.number_format=bf16"]), choose_samples(CNN, samples=1)
    refused = r"array\.number_format bf16: there are no integers here to work with; allowed: integer"
    for look in (
        lambda: explain(spec, chosen, "logits"),
        lambda: compare_engines(spec, chosen),
    ):
        with pytest.raises(ConfigError, match=refused):
            look()


def test_the_stepped_engine_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"engine stepped with array\.number_format fp16: registers are stepped for int"
    ):
        run("array.number_format=fp16", engine="stepped")


def test_networks_without_floats_are_refused() -> None:
    quantized = replace(CNN, network=replace(CNN.network, holds_codes=True))
    chosen = replace(choose_samples(CNN, samples=1), workload=quantized)
    with pytest.raises(
        UnsupportedError, match=r"workload digits_cnn keeps its file.s own numbers; allowed on an array of floats"
    ):
        hwsim.simulate.simulate(
            load_arch("edge16", ["array.number_format=fp16"]), chosen, engine="functional", with_data=False
        )


def test_operators_without_a_unit_are_listed() -> None:
    """Each kind of a layer once: every step of an LSTM has a cell."""
    with pytest.raises(UnsupportedError) as error:
        run("array.number_format=fp16", workload=read_workload("digits_lstm"), samples=1)
    assert str(error.value).split("\n") == [
        "layer lstm: LstmStart on an array of fp16 MACs",
        "layer lstm: LstmCell on an array of fp16 MACs",
        "allowed: products by weights, pools, sums, functions of elements and of rows, moves",
    ]


def grouped() -> Workload:
    """A convolution of two groups, a pool, a ReLU6 that stands alone, and a dense layer."""
    random = np.random.default_rng(12)
    tensors = {
        name: Tensor(name, shape)
        for name, shape in {
            "x": (6, 6, 4),
            "c": (6, 6, 6),
            "p": (3, 3, 6),
            "r": (3, 3, 6),
            "f": (54,),
            "y": (3,),
        }.items()
    }
    constants = {"cw": random.standard_normal((3, 3, 2, 6)), "dw": random.standard_normal((54, 3))}
    tensors |= {name: Tensor(name, values.shape, values) for name, values in constants.items()}
    operators = (
        Conv2d("c", ("x",), "c", "cw", None, groups=2, filters=6, kernel=(3, 3), stride=(1, 1), padding="same"),
        MaxPool2d("p", ("c",), "p", (2, 2), (2, 2)),
        Rectify("r", ("p",), "r", "relu6"),
        Flatten("f", ("r",), "f"),
        Dense("y", ("f",), "y", "dw", None, units=3),
    )
    images = 2 * random.standard_normal((4, 6, 6, 4))
    return Workload("grouped", Network("grouped", tensors, operators, ("x",), ("y",)), None, images, None, "")


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_groups_pools_and_clamps(dataflow: str) -> None:
    load = grouped()
    assert load.inputs is not None
    spec = load_arch("edge16", [f"array.dataflow={dataflow}", "array.number_format=fp32"])
    found = all_tensors(spec, choose_samples(load))
    for name, exact in float_values(load.network, load.inputs):
        np.testing.assert_allclose(found[name], exact, rtol=1e-4, atol=1e-4)
    assert found["r"].min() == 0
    assert found["r"].max() == 6
    layers = {
        layer.layer: layer
        for layer in run(f"array.dataflow={dataflow}", "array.number_format=fp32", workload=load).layer_results
    }
    assert [(layer.groups, layer.depth, layer.out_cols) for layer in layers.values()] == [(2, 18, 3), (1, 54, 3)]
    compares = sum(
        entry.count for entry in layers["c"].energy if (entry.component, entry.action) == ("vector_unit", "compare")
    )
    assert compares == 3 * 54 + 2 * 54  # three of each window of four, two ends of each clamp


@pytest.mark.parametrize("name", ["fp16", "fp8_e5m2"])
def test_errors_of_each_layer_against_numpy(name: str) -> None:
    spec, chosen = load_arch("edge16", [f"array.number_format={name}"]), choose_samples(CNN, samples=300)
    result, found = run_with_errors(spec, chosen), all_tensors(spec, chosen)
    floats = dict(float_values(fuse(CNN.network), chosen.inputs["input"]))
    assert [one.layer for one in result.tensor_errors] == [
        "input", "conv1", "pool1", "conv2", "pool2", "conv3", "fc1", "logits"
    ]  # fmt: skip
    for one in result.tensor_errors:
        noise = found[one.tensor] - floats[one.tensor]
        if one.layer == "input" and name == "fp16":  # sixteenths, which FP16 holds
            assert (one.sqnr_db, noise.any()) == (None, False)
            continue
        assert one.sqnr_db == pytest.approx(10 * np.log10((floats[one.tensor] ** 2).sum() / (noise**2).sum()))
        assert one.worst_error == pytest.approx(np.abs(noise).max())
        assert (one.clipping_rate, one.saturation_rate) == (0, 0)
    assert result.tensor_errors[-1].sqnr_db == pytest.approx(result.sqnr_db)
