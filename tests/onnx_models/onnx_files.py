"""Writes small ONNX models, runs them in ONNX Runtime op by op, and compares every tensor of integers with hwsim's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from hwsim.config.load import load_arch
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors

MICROSOFT = "com.microsoft"
CODES = (np.int8, np.uint8)
NINE_BITS = ("array.weight_bits=9", "array.activation_bits=9")


@dataclass
class ModelBuilder:
    """A graph: constants, inputs and nodes are added one by one."""

    opset: int = 17
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def input(self, name: str, dtype: type, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, _type(dtype), list(shape)))
        return name

    def constant(self, values: object, dtype: type) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, dtype)
        return name

    def grid(self, scale: object, zero_point: object, dtype: type) -> list[str]:
        """Names of a scale and a zero point."""
        return [self.constant(scale, np.float32), self.constant(zero_point, dtype)]

    def node(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def quantize(self, source: str, grid: Sequence[str], output: str) -> str:
        return self.node("QuantizeLinear", [source, *grid], output)

    def dequantize(self, source: str, grid: Sequence[str], **attributes: object) -> str:
        return self.node("DequantizeLinear", [source, *grid], f"{source}.real", **attributes)

    def build(self, outputs: Mapping[str, type]) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "test",
            self.inputs,
            [helper.make_tensor_value_info(name, _type(dtype), None) for name, dtype in outputs.items()],
            [numpy_helper.from_array(values, name) for name, values in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def _type(dtype: type) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def runtime_tensors(content: bytes, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return tensors of a model as ONNX Runtime computes them, node by node; samples are run one by one."""
    model = onnx.load_from_string(content)
    given = {output.name for output in model.graph.output}
    fed = {one.name for one in model.graph.input}
    for name in names:
        if name not in given | fed:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [name for name in names if name not in fed]
    samples = range(len(next(iter(inputs.values()))))
    runs = [session.run(wanted, {name: values[one : one + 1] for name, values in inputs.items()}) for one in samples]
    found = {name: np.concatenate([run[number] for run in runs]) for number, name in enumerate(wanted)}
    return found | {name: inputs[name] for name in names if name in fed}


@dataclass(frozen=True)
class Agreement:
    """How many elements were compared, of which tensors, and how many differ."""

    elements: int
    tensors: list[str]
    differences: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.differences.values())


def compared(
    path: Path, inputs: Mapping[str, np.ndarray], tensors: Sequence[str] = (), *, settings: Sequence[str] = NINE_BITS
) -> Agreement:
    """Compare all tensors of a file that hwsim has as integers, or those named."""
    workload = read_workload(path)
    ours = integer_tensors(load_arch("edge16", settings), choose_samples(workload, inputs=dict(inputs)))
    names = list(tensors) or [name for name, values in ours.items() if values.dtype.kind in "iu"]
    theirs = runtime_tensors(path.read_bytes(), inputs, names)
    for name in names:
        assert ours[name].shape == theirs[name].shape, name
        assert ours[name].dtype == theirs[name].dtype, name
    return Agreement(
        sum(theirs[name].size for name in names),
        names,
        {name: int(np.count_nonzero(ours[name] != theirs[name])) for name in names},
    )


def random_codes(random: np.random.Generator, dtype: type, shape: Sequence[int], limit: int = 256) -> np.ndarray:
    info = np.iinfo(dtype)
    return random.integers(max(info.min, -limit), min(info.max, limit) + 1, tuple(shape)).astype(dtype)


def random_scale(random: np.random.Generator, seed: int) -> np.float32:
    """A power of two in every third case: ties then occur."""
    return np.float32(2.0 ** int(random.integers(-6, -1)) if seed % 3 == 0 else random.uniform(0.01, 0.1))
