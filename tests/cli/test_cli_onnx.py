"""``.onnx`` files as workloads of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import Hwsim
from onnx import TensorProto, helper, numpy_helper

needs_simulator = pytest.mark.skipif(
    shutil.which("iverilog") is None and shutil.which("verilator") is None,
    reason="neither Icarus Verilog nor Verilator is installed",
)


def written(
    tmp_path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    kind: int,
    shape: tuple[int, ...] = (2, 4, 3),
) -> str:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, ["batch", *shape])],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return str(path)


@pytest.fixture
def integers(tmp_path: Path) -> str:
    """A one-pixel convolution by 2, then 3, of codes that stand for halves: y = clip(2 (a - 1) + 3 (b - 1) + 1)."""
    constants = {
        "s": np.float32(0.5), "z": np.int8(1), "w": np.array([[[[2]], [[3]]]], np.int8), "one": np.float32(1),
        "zw": np.int8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "one", "zw", "s", "z"], ["conv/sums"]),
        helper.make_node("Flatten", ["conv/sums"], ["y"]),
    ]
    return written(tmp_path, nodes, constants, TensorProto.INT8)


def test_several_inputs_of_reals_come_in_one_file(hwsim: Hwsim, tmp_path: Path) -> None:
    """A sum of two products; the file names both inputs, first axis the sample, and so do calibration samples."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["other", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    file = written(tmp_path, nodes, {"w": random.normal(0, 1, (3, 2)).astype(np.float32)}, TensorProto.FLOAT)
    model = onnx.load(file)
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["batch", 2, 4, 3]))
    onnx.save(model, file)
    inputs = str(tmp_path / "inputs.npz")
    np.savez(inputs, x=random.normal(0, 1, (5, 2, 4, 3)), other=random.normal(0, 1, (5, 2, 4, 3)))
    found = hwsim("run", "edge16", file, "--inputs", inputs, "--calibration", inputs, "--json").json
    assert [layer["macs"] for layer in found["layers"]] == [48, 48, 0]
    alone = hwsim("run", "edge16", file, "--inputs", saved(tmp_path, "x.npy", np.zeros((5, 2, 4, 3))),
                  "--calibration", inputs)  # fmt: skip
    assert (alone.code, alone.err) == (2, "hwsim: inputs for x; allowed: one array for each of other, x\n")


def saved(tmp_path: Path, name: str, values: np.ndarray) -> str:
    np.save(tmp_path / name, values)
    return str(tmp_path / name)


def test_a_quantized_file_runs_with_codes_and_dumps_its_tensors_by_name(
    hwsim: Hwsim, integers: str, tmp_path: Path
) -> None:
    codes = np.random.default_rng(0).integers(-9, 10, (3, 2, 4, 3)).astype(np.int8)
    inputs, labels = saved(tmp_path, "x.npy", codes), saved(tmp_path, "labels.npy", np.array([0, 11, 5]))
    target = str(tmp_path / "tensors.npz")
    outcome = hwsim(
        "run", "edge16", integers, "--inputs", inputs, "--labels", labels, "--dump-tensors", target, "--json"
    )
    assert (outcome.code, outcome.err) == (0, "")
    expected = 2 * (codes[:, 0].astype(int) - 1) + 3 * (codes[:, 1].astype(int) - 1) + 1
    assert outcome.json["layers"][0]["layer"] == "qlinearconv_0"
    assert outcome.json["accuracy"] == np.mean(expected.reshape(3, 12).argmax(axis=1) == [0, 11, 5])
    with np.load(target) as tensors:
        assert {name: tensors[name].dtype.name for name in tensors} == {"x": "int8", "conv/sums": "int8", "y": "int8"}
        assert np.array_equal(tensors["x"], codes)
        assert np.array_equal(tensors["conv/sums"], expected[:, np.newaxis])
        assert np.array_equal(tensors["y"], expected.reshape(3, 12))


NO_CALIBRATION = (
    "hwsim: workload model has no calibration data; allowed: data.calibration in its YAML, or --calibration\n"
)


def test_a_file_of_reals_is_quantized_by_calibration_samples(hwsim: Hwsim, tmp_path: Path) -> None:
    """Images go in as the file has them, channels first."""
    random = np.random.default_rng(0)
    constants = {"w": random.normal(0, 1, (3, 2, 3, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Flatten", ["r"], ["y"]),
    ]
    model = written(tmp_path, nodes, constants, TensorProto.FLOAT)
    images = saved(tmp_path, "x.npy", random.normal(0, 1, (20, 2, 4, 3)).astype(np.float32))
    without = hwsim("run", "edge16", model, "--inputs", images)
    assert (without.code, without.err) == (2, NO_CALIBRATION)
    outcome = hwsim("run", "edge16", model, "--inputs", images, "--calibration", images, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["sqnr_db"] > 35


@pytest.fixture
def dense(tmp_path: Path) -> str:
    """A dense layer of reals, 6 to 4."""
    constants = {"w": np.random.default_rng(0).normal(0, 1, (6, 4)).astype(np.float32), "b": np.ones(4, np.float32)}
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    return written(tmp_path, nodes, constants, TensorProto.FLOAT, shape=(6,))


@pytest.fixture
def samples(tmp_path: Path) -> str:
    """One sample of -2, one of 3."""
    return saved(tmp_path, "x.npy", np.array([[-2.0], [3.0]], np.float32).repeat(6, axis=1))


@pytest.mark.parametrize(
    "command",
    [
        "check edge16 MODEL",
        "check edge16 MODEL --engines --inputs x.npy",
        pytest.param("check edge16 MODEL --rtl --inputs x.npy", marks=needs_simulator),
        "explain edge16 MODEL --layer gemm_0 --inputs x.npy",
        "analyze error edge16 MODEL --inputs x.npy",
        "analyze guard-bits edge16 MODEL --inputs x.npy",
        "export rtl edge16 MODEL chip --inputs x.npy",
        "export qdq edge16 MODEL out.onnx",
        "export qonnx edge16 MODEL out.onnx",
    ],
)
def test_every_command_takes_calibration_samples(hwsim: Hwsim, dense: str, samples: str, command: str) -> None:
    words = [dense if word == "MODEL" else word for word in command.split()]
    without = hwsim(*words)
    assert (without.code, without.err) == (2, NO_CALIBRATION)
    outcome = hwsim(*words, "--calibration", samples)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out


def test_the_input_has_the_scale_of_the_calibration_samples(hwsim: Hwsim, dense: str, samples: str, here: Path) -> None:
    """From -2 to 3 in 255 steps."""
    files = ("--inputs", samples, "--calibration", samples)
    explained = hwsim("explain", "edge16", dense, "--layer", "gemm_0", *files, "--json").json
    assert explained["input_grid"]["scale"] == pytest.approx(5 / 255)
    assert hwsim("export", "qdq", "edge16", dense, "q.onnx", *files[2:]).code == 0
    graph = onnx.load(here / "q.onnx").graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    assert first.input[0] == graph.input[0].name
    scale = next(numpy_helper.to_array(one) for one in graph.initializer if one.name == first.input[1])
    assert scale == np.float32(5 / 255)


@pytest.mark.parametrize("option", ["--inputs", "--calibration"])
def test_files_of_samples_are_refused_without_a_workload(hwsim: Hwsim, option: str) -> None:
    outcome = hwsim("check", "edge16", "--rtl", option, "x.npy")
    assert (outcome.code, outcome.err) == (2, f"hwsim: {option} without WORKLOAD; allowed: both\n")


def test_what_is_unsupported_is_listed_with_exit_code_3(hwsim: Hwsim, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("CumSum", ["x", "axis"], ["a"]),
        helper.make_node("Relu", ["x"], ["b"]),
        helper.make_node("Einsum", ["b"], ["y"], equation="abcd->abdc"),
    ]
    model = written(tmp_path, nodes, {"axis": np.int64(1)}, TensorProto.FLOAT)
    outcome = hwsim("run", "edge16", model, "--inputs", saved(tmp_path, "x.npy", np.zeros((1, 2, 4, 3), np.float32)))
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.replace(f"{tmp_path}/", "").splitlines() == [
        "hwsim: model.onnx: node 0 (CumSum): no such operator here",
        "hwsim: model.onnx: node 2 (Einsum): no such operator here",
        "hwsim: model.onnx: 1 of 3 operators would run: Relu",
    ]
