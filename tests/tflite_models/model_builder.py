"""Writes `.tflite` models of a few operators through the schema's object API, without a converter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "int16": schema.TensorType.INT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int4": schema.TensorType.INT4,
}
ABSENT = -1  # an optional operator input that is left out


@dataclass
class Tensor:
    """One tensor; ``data`` makes it a constant, ``scale`` (one, or one per channel of ``axis``) quantizes it."""

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float | np.ndarray | None = None
    zero_point: int = 0
    axis: int = 0
    data: np.ndarray | None = None
    variable: bool = False


@dataclass
class Operator:
    """One operator by its name in the schema; ``options`` is a table of the schema, such as ``Conv2DOptionsT``."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: object | None = None
    intermediates: Sequence[int] = ()


@dataclass
class Graph:
    """Tensors are added first and named by the number that ``add`` returns."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data: np.ndarray, scale: float | np.ndarray | None = None, axis: int = 0) -> int:
        return self.add(Tensor(data.shape, data.dtype.name, scale, 0, axis, data))

    def build(self) -> bytes:
        """Return the file's bytes."""
        model = schema.ModelT()
        model.version = 3
        model.buffers = [schema.BufferT()]
        model.operatorCodes = []
        graph = schema.SubGraphT()
        graph.tensors = [self._tensor(model, number) for number in range(len(self.tensors))]
        graph.operators = [_operator(model, operator) for operator in self.operators]
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model.subgraphs = [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, model: schema.ModelT, number: int) -> schema.TensorT:
        given = self.tensors[number]
        tensor = schema.TensorT()
        tensor.name = f"tensor{number}".encode()
        tensor.shape = list(given.shape)
        tensor.type = TYPES[given.dtype]
        tensor.isVariable = given.variable
        packed = given.data is not None and given.dtype == "int4"
        tensor.buffer = _buffer(model, pack(given.data) if packed else given.data)
        tensor.quantization = _quantization(given)
        return tensor


def options(table: str, **values: object) -> object:
    """Return the schema's table of options called ``table``, such as ``Conv2D``, with these values."""
    made = getattr(schema, f"{table}OptionsT")()
    for name, value in values.items():
        assert hasattr(made, name), f"{table} has no {name}"
        setattr(made, name, value)
    return made


def pack(values: np.ndarray) -> np.ndarray:
    """Put two 4-bit integers into each byte, the first into its lower half."""
    flat = values.reshape(-1).astype(np.int64)
    pairs = np.pad(flat, (0, flat.size % 2)).reshape(-1, 2) & 15
    return (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8)


def _buffer(model: schema.ModelT, data: np.ndarray | None) -> int:
    if data is None:
        return 0
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _quantization(tensor: Tensor) -> schema.QuantizationParametersT | None:
    if tensor.scale is None:
        return None
    scales = np.atleast_1d(np.asarray(tensor.scale, np.float32))
    quantization = schema.QuantizationParametersT()
    quantization.scale = scales
    quantization.zeroPoint = np.full(scales.shape, tensor.zero_point, np.int64)
    quantization.quantizedDimension = tensor.axis
    return quantization


def _operator(model: schema.ModelT, given: Operator) -> schema.OperatorT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, given.name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(given.inputs), list(given.outputs)
    operator.intermediates = list(given.intermediates)
    if given.options is not None:
        table = type(given.options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        operator.builtinOptions = given.options
    return operator
