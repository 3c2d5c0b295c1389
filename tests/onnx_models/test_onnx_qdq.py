"""Float operators between DequantizeLinear and QuantizeLinear, in generated files, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import CODES, Agreement, ModelBuilder, compared, random_codes, random_scale
from processor import in_order_of_x86

SEEDS = range(6)


class Drawn:
    """A file that dequantizes its input; ``result`` quantizes what a node has written as "real"."""

    def __init__(self, seed: int, dtype: type, shape: tuple[int, ...]) -> None:
        self.random, self.seed, self.dtype = np.random.default_rng(seed), seed, dtype
        self.file = ModelBuilder()
        self.file.input("x", dtype, ["batch", *shape])
        self.codes = random_codes(self.random, dtype, (3, *shape))
        self.own = self.grid()
        self.real = self.file.dequantize("x", self.own)

    def grid(self, factor: float = 1.0) -> list[str]:
        scale = random_scale(self.random, self.seed) * np.float32(factor)
        return self.file.grid(scale, random_codes(self.random, self.dtype, ()), self.dtype)

    def weights(self, shape: tuple[int, ...], channel_axis: int, scales: np.ndarray) -> str:
        codes = random_codes(self.random, np.int8, shape)
        name = self.file.constant(codes, np.int8)
        grid = self.file.grid(scales, np.zeros(scales.shape), np.int8)
        return self.file.dequantize(name, grid, axis=channel_axis)

    def bias(self, scales: np.ndarray) -> str:
        """Integers on the grid of the product's sums."""
        name = self.file.constant(self.random.integers(-2000, 2000, 8), np.int32)
        on_grid = self.file.constants[self.own[0]] * scales.astype(np.float32)
        return self.file.dequantize(name, self.file.grid(on_grid, np.zeros(on_grid.shape), np.int32), axis=0)

    def compared(self, tmp_path: Path, *, factor: float = 1.0) -> Agreement:
        self.file.quantize("real", self.grid(factor), "y")
        path = tmp_path / "model.onnx"
        path.write_bytes(self.file.build({"y": self.dtype}))
        return compared(path, {"x": self.codes})


@in_order_of_x86
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", [None, "Relu", "Clip"])
def test_convolutions(tmp_path: Path, dtype: type, seed: int, activation: str | None) -> None:
    drawn = Drawn(seed, dtype, (4, 8, 7))
    scales = drawn.random.uniform(0.001, 0.01, 8 if seed % 2 else ())
    inputs = [drawn.real, drawn.weights((8, 2, 3, 3), 0, scales), drawn.bias(scales)]
    drawn.file.node("Conv", inputs, "sums" if activation else "real", group=2, pads=[1, 1, 1, 1])
    bounds = [drawn.file.constant(bound, np.float32) for bound in (0, 6)] if activation == "Clip" else []
    if activation:
        drawn.file.node(activation, ["sums", *bounds], "real")
    found = drawn.compared(tmp_path)
    assert found.elements > 2000
    assert found.total == 0


@in_order_of_x86
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", ["MatMul", "MatMul and Add", "Gemm"])
def test_matrix_products(tmp_path: Path, seed: int, form: str) -> None:
    drawn = Drawn(seed, np.int8, (19,))
    scales = drawn.random.uniform(0.001, 0.01, 8 if seed % 2 else ())
    if form == "Gemm":
        inputs = [drawn.real, drawn.weights((8, 19), 0, scales), drawn.bias(scales)]
        drawn.file.node("Gemm", inputs, "real", transB=1)
    else:
        sums = "real" if form == "MatMul" else "sums"
        drawn.file.node("MatMul", [drawn.real, drawn.weights((19, 8), 1, scales)], sums)
        if form == "MatMul and Add":
            drawn.file.node("Add", ["sums", drawn.bias(scales)], "real")
    assert drawn.compared(tmp_path).total == 0


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("HardSwish", {}), ("HardSigmoid", {"alpha": 0.3}),
        ("LeakyRelu", {"alpha": 0.1}), ("Softmax", {}), ("GlobalAveragePool", {}),
        ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [3, 2], "strides": [3, 3], "pads": [1, 0, 0, 1], "count_include_pad": 1}),
        ("AveragePool", {"kernel_shape": [8, 7], "strides": [8, 7]}),
        ("MaxPool", {"kernel_shape": [2, 2]}),
    ],
)  # fmt: skip
def test_operators_of_one_tensor(
    tmp_path: Path, dtype: type, seed: int, kind: str, attributes: dict[str, float]
) -> None:
    """Sums of floats depend on their order: pools are added as ONNX Runtime's kernels do."""
    drawn = Drawn(seed, dtype, (4, 8, 7))
    drawn.file.node(kind, [drawn.real], "real", **attributes)
    found = drawn.compared(tmp_path, factor=0.05 if kind in ("Softmax", "Sigmoid", "Tanh", "HardSigmoid") else 0.7)
    assert found.total == 0, found.differences


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [None, (4, 1, 1), (7,), ()])
def test_operators_of_two_tensors(
    tmp_path: Path, dtype: type, seed: int, kind: str, shape: tuple[int, ...] | None
) -> None:
    drawn = Drawn(seed, dtype, (4, 8, 7))
    second = drawn.real
    if shape is not None:
        second = drawn.file.constant(drawn.random.uniform(0.5, 2, shape), np.float32)
    if kind == "Div" and shape is None:
        drawn.file.node("Sigmoid", [drawn.real], "part")
        second = "part"
    drawn.file.node(kind, [drawn.real, second], "real")
    found = drawn.compared(tmp_path)
    assert found.total == 0, found.differences


@in_order_of_x86
@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Sigmoid", {}), ("Tanh", {}), ("HardSwish", {}), ("HardSigmoid", {"alpha": 0.3}), ("GlobalAveragePool", {}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [5, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("AveragePool", {"kernel_shape": [8, 7]}),
    ],
)  # fmt: skip
def test_reals_of_one_tensor_bit_for_bit(tmp_path: Path, opset: int, kind: str, attributes: dict[str, float]) -> None:
    """So that 16-bit codes of them are equal too. AveragePool adds in another order from opset 19 on."""
    drawn = Drawn(5, np.uint8, (4, 8, 7))
    drawn.file.opset = opset
    drawn.file.node(kind, [drawn.real], "real", **attributes)
    path = tmp_path / "model.onnx"
    path.write_bytes(drawn.file.build({"real": np.float32}))
    assert compared(path, {"x": drawn.codes}, ["real"]).total == 0


def test_a_chain_between_two_quantizations_is_one_step(tmp_path: Path) -> None:
    """x sigmoid(x) is a look-up; reals in between are no tensors of hwsim's."""
    from hwsim.network.operators.qlinear import InFloat32
    from hwsim.readers.read import read_workload

    drawn = Drawn(1, np.int8, (40,))
    drawn.file.node("Sigmoid", [drawn.real], "part")
    drawn.file.node("Mul", [drawn.real, "part"], "real")
    assert drawn.compared(tmp_path).total == 0
    (operator,) = read_workload(tmp_path / "model.onnx").network.operators
    assert (operator.name, operator.inputs) == ("mul_2", ("x",))
    assert isinstance(operator, InFloat32)
    assert operator.actions_once == {("activation_lut", "lookup"): 40}


@in_order_of_x86
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Softmax"])
@pytest.mark.parametrize("seed", SEEDS)
def test_sums_that_several_nodes_read_are_rounded_float32_sums(tmp_path: Path, seed: int, activation: str) -> None:
    """Each of them quantizes the same reals."""
    drawn = Drawn(seed, np.uint8, (4, 8, 7))
    scales = drawn.random.uniform(0.001, 0.01, 8)
    weights, bias = drawn.weights((8, 4, 3, 3), 0, scales), drawn.bias(scales)
    drawn.file.node("Conv", [drawn.real, weights, bias], "sums", pads=[1, 1, 1, 1])
    drawn.file.node(activation, ["sums"], "active")
    for name, source in (("y", "active"), ("z", "active"), ("w", "sums")):
        drawn.file.quantize(source, drawn.grid(0.05 if activation == "Softmax" and name != "w" else 1.0), name)
    path = tmp_path / "model.onnx"
    path.write_bytes(drawn.file.build(dict.fromkeys("yzw", drawn.dtype)))
    found = compared(path, {"x": drawn.codes})
    assert (found.total, found.elements) == (0, 3 * (4 + 3 * 8) * 8 * 7)


def test_a_product_that_stays_real_leaves_as_its_sums(tmp_path: Path) -> None:
    """The last layer of many files has no QuantizeLinear: its outputs are float32."""
    drawn = Drawn(2, np.int8, (19,))
    scales = np.asarray(0.004)
    drawn.file.node("MatMul", [drawn.real, drawn.weights((19, 8), 1, scales)], "y")
    path = tmp_path / "model.onnx"
    path.write_bytes(drawn.file.build({"y": np.float32}))
    found = compared(path, {"x": drawn.codes}, ["x"])
    assert found.total == 0
    from onnx_files import runtime_tensors

    from hwsim.simulate import run

    expected = runtime_tensors(path.read_bytes(), {"x": drawn.codes}, ["y"])["y"]
    labels = expected.argmax(axis=1)
    assert run("edge16", path, inputs=drawn.codes, labels=labels).accuracy == 1.0


def test_moves_of_reals_move_their_codes(tmp_path: Path) -> None:
    drawn = Drawn(4, np.uint8, (4, 8, 6))
    file = drawn.file
    file.node("Transpose", [drawn.real], "a", perm=[0, 2, 3, 1])
    file.node("Reshape", ["a", file.constant([0, -1, 8], np.int64)], "b")
    file.node("Pad", ["b", file.constant([0, 1, 0, 0, 0, 2], np.int64)], "c")
    file.node("Concat", ["c", "c"], "real", axis=1)
    found = drawn.compared(tmp_path)
    assert found.total == 0


def test_what_is_not_a_number_becomes_the_least_code(tmp_path: Path) -> None:
    drawn = Drawn(1, np.int8, (64,))
    drawn.codes[:, ::3] = drawn.file.constants[drawn.own[1]]  # 0 / 0
    drawn.file.node("Div", [drawn.real, drawn.real], "real")
    assert drawn.compared(tmp_path).total == 0
