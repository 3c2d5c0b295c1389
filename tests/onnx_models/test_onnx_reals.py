"""Files of reals: every tensor in floating point against ONNX Runtime, and what quantizing them here comes to."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_files import Drawn
from onnx import helper
from onnx_files import runtime_tensors

from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.operator import quantization_of
from hwsim.network.operators.attention import StridedMatmul
from hwsim.network.operators.elementwise import BatchNorm
from hwsim.quantize.fuse import fuse
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples, with_calibration
from hwsim.simulate import integer_tensors, run


def test_a_convolutional_network_tensor_by_tensor(tmp_path: Path) -> None:
    """Grouped, depthwise, dilated and one-sided convolutions, normalization, pools, a residual, a flattened image."""
    drawn = Drawn((3, 12, 10))
    file, node = drawn.file, drawn.file.node
    node("Conv", ["x", drawn.numbers(8, 3, 3, 3), drawn.numbers(8)], "a", pads=[1, 1, 1, 1])
    statistics = [drawn.positive(8), drawn.numbers(8), drawn.numbers(8), drawn.positive(8)]
    node("BatchNormalization", ["a", *statistics], "b", epsilon=1e-3)
    node("Relu", ["b"], "c")
    node("Conv", ["c", drawn.numbers(8, 1, 3, 3)], "d", group=8, pads=[2, 2, 2, 2], dilations=[2, 2])
    node("Clip", ["d", file.constant(0, np.float32), file.constant(6, np.float32)], "e")
    node("Conv", ["e", drawn.numbers(8, 2, 2, 3), drawn.numbers(8)], "f", group=4, auto_pad="SAME_UPPER")
    node("Add", ["f", "c"], "g")
    node("MaxPool", ["g"], "h", kernel_shape=[2, 2], strides=[2, 2])
    node("AveragePool", ["h"], "i", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    node("LeakyRelu", ["i"], "j", alpha=0.1)
    node("Flatten", ["j"], "k")
    node("Gemm", ["k", drawn.numbers(5, 240), drawn.numbers(5)], "y", transB=1, alpha=0.5, beta=2.0)
    names = drawn.check(tmp_path)
    assert {"a", "b", "d", "f", "g", "i", "k", "y"} <= set(names)
    fused = fuse(read_workload(tmp_path / "model.onnx").network)
    assert not any(isinstance(operator, BatchNorm) for operator in fused.operators)


def test_elementwise_operators_and_means(tmp_path: Path) -> None:
    drawn = Drawn((4, 6, 5))
    node = drawn.file.node
    node("Sigmoid", ["x"], "a")
    node("Tanh", ["x"], "b")
    node("Mul", ["a", "b"], "c")
    node("Sub", ["c", drawn.numbers(4, 1, 1)], "d")
    node("Div", ["d", drawn.positive(5)], "e")
    node("HardSwish", ["e"], "f")
    node("ReduceMean", ["f"], "g", axes=[2, 3], keepdims=0)
    node("Softmax", ["g"], "h")
    node("GlobalAveragePool", ["f"], "i")
    node("Squeeze", ["i", drawn.integers(2, 3)], "j")
    node("Add", ["h", "j"], "k")
    node("Identity", ["k"], "l")
    node("Dropout", ["l"], "y")
    assert len(drawn.check(tmp_path)) == 12  # sigmoid(x) tanh(x) is one function of x


def test_moves(tmp_path: Path) -> None:
    drawn = Drawn((6, 4, 8))
    node = drawn.file.node
    drawn.file.nodes.append(helper.make_node("Split", ["x", drawn.integers(2, 4)], ["a", "b"], axis=1))
    node("Pad", ["a", drawn.integers(0, 1, 0, 0, 0, 1, 0, 2)], "c")
    node("Slice", ["c", drawn.integers(0), drawn.integers(8), drawn.integers(3)], "d")
    node("Concat", ["b", "d"], "e", axis=1)
    node("Transpose", ["e"], "f", perm=[0, 2, 3, 1])
    node("Reshape", ["f", drawn.integers(0, 32, -1)], "g")
    node("Unsqueeze", ["g", drawn.integers(1)], "h")
    node("Relu", ["h"], "y")
    assert "e" in drawn.check(tmp_path)


def test_a_constant_added_to_a_product_is_its_bias(tmp_path: Path) -> None:
    drawn = Drawn((7, 9))
    drawn.file.node("MatMul", ["x", drawn.numbers(9, 4)], "a")
    drawn.file.node("Add", ["a", drawn.numbers(4)], "y")
    assert drawn.check(tmp_path) == ["x", "y"]
    (operator,) = read_workload(tmp_path / "model.onnx").network.operators
    assert operator.name == "matmul_0"


def test_a_convolution_over_one_axis(tmp_path: Path) -> None:
    drawn = Drawn((3, 20))
    drawn.file.node("Conv", ["x", drawn.numbers(5, 3, 4), drawn.numbers(5)], "a", strides=[2], pads=[1, 2])
    drawn.file.node("Relu", ["a"], "y")
    drawn.check(tmp_path)


def small_network(drawn: Drawn) -> None:
    node = drawn.file.node
    node("Conv", ["x", drawn.numbers(8, 3, 3, 3), drawn.numbers(8)], "a", pads=[1, 1, 1, 1])
    node("BatchNormalization", ["a", *(drawn.positive(8) for _ in range(4))], "b")
    node("Relu", ["b"], "c")
    node("Conv", ["c", drawn.numbers(8, 8, 3, 3), drawn.numbers(8)], "d", pads=[1, 1, 1, 1])
    node("Add", ["d", "c"], "e")
    node("AveragePool", ["e"], "f", kernel_shape=[2, 2], strides=[2, 2])
    node("Flatten", ["f"], "g")
    node("Gemm", ["g", drawn.numbers(5, 8 * 3 * 4), drawn.numbers(5)], "y", transB=1)


def test_a_file_of_reals_runs_quantized(tmp_path: Path) -> None:
    """Images in the file's layout, first axis the sample; the float network's outputs stand beside the integers."""
    drawn = Drawn((3, 6, 8))
    small_network(drawn)
    workload = replace(drawn.read(tmp_path), calibration=drawn.inputs)
    labels = runtime_tensors((tmp_path / "model.onnx").read_bytes(), {"x": drawn.inputs}, ["y"])["y"].argmax(axis=1)
    result = run("edge16", workload, inputs=drawn.inputs, labels=labels)
    assert (result.accuracy, result.float_accuracy) == (1.0, 1.0)
    assert result.sqnr_db is not None
    assert result.sqnr_db > 25
    assert [layer.layer for layer in result.layer_results if layer.macs] == ["conv_0", "conv_3", "gemm_7"]
    assert result.totals["macs"] == 6 * 8 * (27 * 8 + 72 * 8) + 96 * 5


def test_tensors_are_dumped_in_the_files_layout(tmp_path: Path) -> None:
    drawn = Drawn((3, 6, 8))
    small_network(drawn)
    workload = replace(drawn.read(tmp_path), calibration=drawn.inputs)
    ours = integer_tensors(load_arch("edge16", []), choose_samples(workload, inputs=drawn.inputs))
    assert {name: values.shape[1:] for name, values in ours.items()} == {
        "x": (3, 6, 8), "c": (8, 6, 8), "d": (8, 6, 8), "e": (8, 6, 8), "f": (8, 3, 4), "g": (96,), "y": (5,),
    }  # fmt: skip


def test_inputs_of_another_shape_are_refused(tmp_path: Path) -> None:
    drawn = Drawn((3, 6, 8))
    small_network(drawn)
    workload = replace(drawn.read(tmp_path), calibration=drawn.inputs)
    with pytest.raises(ConfigError) as refused:
        run("edge16", workload, inputs=drawn.inputs[:, :, :, :7])
    assert str(refused.value) == "inputs of shape [6, 3, 6, 7]; allowed: [samples, 3, 6, 8], one sample or more"


def test_what_has_no_place_is_listed(tmp_path: Path) -> None:
    drawn = Drawn((4, 4))
    node = drawn.file.node
    node("MatMul", [drawn.numbers(4, 4), "x"], "a")
    node("CumSum", ["x", drawn.integers(1)], "b")
    node("Conv", ["x", drawn.numbers(4, 4, 3, 3)], "y")
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).replace(f"{tmp_path}/", "").splitlines() == [
        "model.onnx: node 0 (MatMul): input 0 ('c0') is a constant",
        "model.onnx: node 1 (CumSum): no such operator here",
        "model.onnx: node 2 (Conv): input [1, 4, 4] by weights [4, 4, 3, 3]; allowed: one or two spatial axes",
        "model.onnx: 0 of 3 operators would run: none",
    ]


@pytest.mark.parametrize("returns_sequences", [True, False])
def test_an_lstm(tmp_path: Path, returns_sequences: bool) -> None:
    """As exporters write one: batch first in the file, steps first in the node; both biases."""
    drawn = Drawn((7, 5))
    file, cells = drawn.file, 6
    file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [drawn.numbers(1, 4 * cells, 5), drawn.numbers(1, 4 * cells, cells), drawn.numbers(1, 8 * cells)]
    outputs = ["h"] if returns_sequences else ["", "h"]
    file.nodes.append(helper.make_node("LSTM", ["steps", *weights], outputs, hidden_size=cells))
    if returns_sequences:
        file.node("Squeeze", ["h", drawn.integers(1)], "squeezed")
        file.node("Transpose", ["squeezed"], "y", perm=[1, 0, 2])
    else:
        file.node("Squeeze", ["h", drawn.integers(0)], "y")
    assert {"h", "y"} <= set(drawn.check(tmp_path))


def test_an_lstm_runs_quantized(tmp_path: Path) -> None:
    drawn = Drawn((7, 5))
    file, cells = drawn.file, 6
    file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [drawn.numbers(1, 4 * cells, 5), drawn.numbers(1, 4 * cells, cells), drawn.numbers(1, 8 * cells)]
    file.nodes.append(helper.make_node("LSTM", ["steps", *weights], ["", "h"], hidden_size=cells))
    file.node("Squeeze", ["h", drawn.integers(0)], "row")
    file.node("Gemm", ["row", drawn.numbers(cells, 4, scale=1.0), drawn.numbers(4)], "y")
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs, engine="functional")
    assert result.totals["macs"] == 7 * (5 + cells) * 4 * cells + cells * 4
    assert result.sqnr_db is not None
    assert result.sqnr_db > 20


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"direction": "both"}, "another direction than forward, reverse, bidirectional"),
        ({"clip": 1.0}, "other activations than its own, or clip"),
        ({"layout": 1}, "layout or input_forget"),
    ],
)
def test_an_lstm_of_another_kind_is_refused(tmp_path: Path, attributes: dict[str, object], text: str) -> None:
    drawn = Drawn((7, 5))
    drawn.file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [drawn.numbers(1, 24, 5), drawn.numbers(1, 24, 6)]
    drawn.file.node("LSTM", ["steps", *weights], "y", hidden_size=6, **attributes)
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).splitlines()[0] == f"{tmp_path}/model.onnx: node 1 (LSTM): {text}"


def test_a_gru(tmp_path: Path) -> None:
    """As PyTorch exports one: the reset gate after the product; all hidden states and the last one."""
    drawn = Drawn((7, 5))
    file, cells = drawn.file, 6
    file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [drawn.numbers(1, 3 * cells, 5), drawn.numbers(1, 3 * cells, cells), drawn.numbers(1, 6 * cells)]
    file.nodes.append(
        helper.make_node("GRU", ["steps", *weights], ["all", "last"], hidden_size=cells, linear_before_reset=1)
    )
    file.node("Squeeze", ["all", drawn.integers(1)], "sequence")
    file.node("ReduceMean", ["sequence"], "mean", axes=[0], keepdims=1)
    file.node("Add", ["mean", "last"], "sum")
    file.node("Squeeze", ["sum", drawn.integers(0)], "row")
    file.node("Gemm", ["row", drawn.numbers(cells, 4, scale=1.0), drawn.numbers(4)], "y")
    assert {"all", "last", "mean", "y"} <= set(drawn.check(tmp_path))
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs, engine="functional")
    assert result.totals["macs"] == 7 * (5 + cells) * 3 * cells + cells * 4
    once = (5 + cells) * 3 * cells + cells * 4  # codes of 8 bits: weights stay on chip from step to step
    energy = result.energy
    written = (energy["component"] == "weight_scratchpad") & (energy["action"] == "write_bits")
    assert energy[written]["count"].sum() == once * 8
    assert result.sqnr_db is not None
    assert result.sqnr_db > 20


def test_a_gru_that_resets_before_its_product(tmp_path: Path) -> None:
    """The default of ONNX: two products a step."""
    drawn = Drawn((7, 5))
    file, cells = drawn.file, 6
    file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    weights = [drawn.numbers(1, 3 * cells, 5), drawn.numbers(1, 3 * cells, cells), drawn.numbers(1, 6 * cells)]
    file.nodes.append(helper.make_node("GRU", ["steps", *weights], ["all", "last"], hidden_size=cells))
    file.node("Squeeze", ["last", drawn.integers(0)], "row")
    file.node("Gemm", ["row", drawn.numbers(cells, 4, scale=1.0), drawn.numbers(4)], "y")
    assert {"last", "y"} <= set(drawn.check(tmp_path))
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs, engine="functional")
    assert result.totals["macs"] == 7 * (5 + cells) * 3 * cells + cells * 4
    assert result.sqnr_db is not None
    assert result.sqnr_db > 20


def test_a_gru_with_batches_first_is_refused(tmp_path: Path) -> None:
    drawn = Drawn((7, 5))
    drawn.file.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    drawn.file.node("GRU", ["steps", drawn.numbers(1, 18, 5), drawn.numbers(1, 18, 6)], "y", hidden_size=6, layout=1)
    with pytest.raises(UnsupportedError) as refused:
        drawn.read(tmp_path)
    assert str(refused.value).splitlines()[0] == f"{tmp_path}/model.onnx: node 1 (GRU): layout"


def test_parts_of_transformers(tmp_path: Path) -> None:
    """Rows normalized, dense layers on every row, the Gaussian error linear unit whole and in parts."""
    drawn = Drawn((6, 8))
    drawn.file.opset = 20
    node = drawn.file.node
    node("LayerNormalization", ["x", drawn.positive(8), drawn.numbers(8)], "a", epsilon=1e-6)
    node("MatMul", ["a", drawn.numbers(8, 16)], "b")
    node("Add", ["b", drawn.numbers(16)], "c")
    node("Gelu", ["c"], "d")
    node("Gelu", ["d"], "e", approximate="tanh")
    node("Div", ["e", drawn.file.constant(2**0.5, np.float32)], "f")
    node("Erf", ["f"], "g")
    node("Add", ["g", drawn.file.constant(1, np.float32)], "h")
    node("Mul", ["e", "h"], "i")
    node("MatMul", ["i", drawn.numbers(16, 8)], "j")
    node("Add", ["j", "x"], "y")
    assert {"a", "c", "d", "e", "i", "j", "y"} <= set(drawn.check(tmp_path))
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
    assert result.sqnr_db is not None
    assert result.sqnr_db > 25


def encoder(drawn: Drawn, *, tokens: int, heads: int, depth: int) -> None:
    """A float encoder block as PyTorch exports it: heads by Reshape and Transpose, the unit by Erf."""
    node, channels = drawn.file.node, heads * depth
    sizes, joined = drawn.integers(0, tokens, heads, depth), drawn.integers(0, tokens, channels)
    node("LayerNormalization", ["x", drawn.positive(channels), drawn.numbers(channels)], "norm1")
    for name, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        node("MatMul", ["norm1", drawn.numbers(channels, channels)], f"{name}.sums")
        node("Add", [f"{name}.sums", drawn.numbers(channels)], name)
        node("Reshape", [name, sizes], f"{name}.parts")
        node("Transpose", [f"{name}.parts"], f"{name}.heads", perm=order)
    node("MatMul", ["query.heads", "key.heads"], "scores.sums")
    node("Div", ["scores.sums", drawn.file.constant(depth**0.5, np.float32)], "scores")
    node("Softmax", ["scores"], "shares", axis=-1)
    node("MatMul", ["shares", "value.heads"], "context")
    node("Transpose", ["context"], "context.moved", perm=[0, 2, 1, 3])
    node("Reshape", ["context.moved", joined], "context.joined")
    node("MatMul", ["context.joined", drawn.numbers(channels, channels)], "projected")
    node("Add", ["x", "projected"], "attended")
    node("LayerNormalization", ["attended", drawn.positive(channels), drawn.numbers(channels)], "norm2")
    node("MatMul", ["norm2", drawn.numbers(channels, 2 * channels)], "wide")
    node("Div", ["wide", drawn.file.constant(2**0.5, np.float32)], "d")
    node("Erf", ["d"], "e")
    node("Add", ["e", drawn.file.constant(1, np.float32)], "f")
    node("Mul", ["wide", "f"], "g")
    node("Mul", ["g", drawn.file.constant(0.5, np.float32)], "gelu")
    node("MatMul", ["gelu", drawn.numbers(2 * channels, channels)], "narrow")
    node("Add", ["attended", "narrow"], "y")


def test_an_encoder_block_tensor_by_tensor(tmp_path: Path) -> None:
    drawn = Drawn((6, 16))
    encoder(drawn, tokens=6, heads=2, depth=8)
    assert {"norm1", "scores", "shares", "context", "attended", "norm2", "gelu", "y"} <= set(drawn.check(tmp_path))


def test_an_encoder_block_takes_scale_rows_and_unit_as_one_step_each(tmp_path: Path) -> None:
    """The scale is the requantizer's, rows are normalized in integers, the written-out unit is one look-up a code."""
    drawn = Drawn((6, 16))
    encoder(drawn, tokens=6, heads=2, depth=8)
    network = drawn.read(tmp_path).network
    kinds = [type(operator).__name__ for operator in network.operators]
    assert kinds.count("StridedMatmul") == kinds.count("LayerNorm") == 2
    assert [one.scale for one in network.operators if isinstance(one, StridedMatmul)] == [
        pytest.approx(8**-0.5), 1.0,
    ]  # fmt: skip
    result = run("edge16", drawn.read(tmp_path), inputs=drawn.inputs, calibration=drawn.inputs)
    assert result.sqnr_db is not None
    assert result.sqnr_db > 25
    counts = result.energy.groupby(["component", "action"])["count"].sum()
    assert counts["activation_lut", "lookup"] == 6 * 32 + 6 * 12 + 6 * 2  # the unit; softmax: codes, and rows
    assert "float_multiply" not in {action for _, action in counts.index}


def test_gelu_of_codes_is_the_rounded_function_of_each(tmp_path: Path) -> None:
    """All 256 codes at once, against the formula in float64."""
    drawn = Drawn((256,))
    drawn.file.opset = 20
    drawn.file.node("Gelu", ["x"], "y")
    workload = drawn.read(tmp_path)
    calibration = np.linspace(-5, 5, 256, dtype=np.float32)[np.newaxis]
    samples = choose_samples(with_calibration(workload, calibration), inputs=calibration)
    compiled = compile_workload(load_arch("edge16"), samples.workload)
    source, output = (quantization_of(compiled.network.tensors[name]) for name in ("x", "y"))
    codes = np.arange(-128, 128)
    reals = source.dequantize(codes)
    exact = reals * 0.5 * np.vectorize(math.erfc)(-reals / math.sqrt(2))
    (step,) = (one for one in compiled.steps if isinstance(one, ElementwiseStep))
    found = step.compute(codes[np.newaxis].astype(np.int64))[0]
    assert np.array_equal(found, np.clip(np.rint(exact / output.scale) + output.zero_point, -128, 127))
