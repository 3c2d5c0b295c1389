"""Small ``.tflite`` files, written table by table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import flatbuffers
import numpy as np
import tflite

Buffer, Model, Operator, OperatorCode, QuantizationParameters, SubGraph, Tensor, DenseOptions = (
    import_module(f"tflite.{name}")
    for name in (
        "Buffer",
        "Model",
        "Operator",
        "OperatorCode",
        "QuantizationParameters",
        "SubGraph",
        "Tensor",
        "FullyConnectedOptions",
    )
)
ADD = "ADD"
SCALED = (0.5, 3)
DENSE_BIAS = [100, -100]


class FileBuilder:
    """Tensors and operators are added first; ``build`` writes the rest. Tensors are called by their numbers."""

    def __init__(self, *, names: bool = True) -> None:
        self._builder = flatbuffers.Builder(1024)
        self._names = names
        self._buffers = [self._buffer(b"")]
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._codes: list[int] = []

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str,
        scale: float | None = None,
        zero_point: int = 0,
        *,
        data: bytes | None = None,
        table: int | None = None,
    ) -> int:
        """Add a tensor; ``table`` is a quantization that is written already."""
        builder = self._builder
        if data is not None:
            self._buffers.append(self._buffer(data))
        sizes = builder.CreateNumpyVector(np.array(shape, np.int32))
        name = builder.CreateString(f"tensor{len(self._tensors)}") if self._names else None
        grid = self._quantization([scale], zero_point) if scale is not None else table
        Tensor.Start(builder)
        Tensor.AddShape(builder, sizes)
        Tensor.AddType(builder, getattr(tflite.TensorType, dtype))
        Tensor.AddBuffer(builder, 0 if data is None else len(self._buffers) - 1)
        if name is not None:
            Tensor.AddName(builder, name)
        if grid is not None:
            Tensor.AddQuantization(builder, grid)
        self._tensors.append(Tensor.End(builder))
        return len(self._tensors) - 1

    def shared_scales(self, count: int) -> int:
        """Write a quantization with many scales."""
        return self._quantization([0.5] * count, 0)

    def operator(
        self,
        kind: str | int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        options: tuple[int, int] | None = None,
        custom: str = "",
    ) -> None:
        """Add an operator by name or number; ``options`` are the type and the place of a table."""
        builder = self._builder
        number = kind if isinstance(kind, int) else getattr(tflite.BuiltinOperator, kind)
        name = builder.CreateString(custom) if custom else None
        OperatorCode.Start(builder)
        OperatorCode.AddDeprecatedBuiltinCode(builder, min(number, 127))
        OperatorCode.AddBuiltinCode(builder, number)
        if name is not None:
            OperatorCode.AddCustomCode(builder, name)
        self._codes.append(OperatorCode.End(builder))
        ends = [builder.CreateNumpyVector(np.array(end, np.int32)) for end in (inputs, outputs)]
        Operator.Start(builder)
        Operator.AddOpcodeIndex(builder, len(self._codes) - 1)
        Operator.AddInputs(builder, ends[0])
        Operator.AddOutputs(builder, ends[1])
        if options is not None:
            Operator.AddBuiltinOptionsType(builder, options[0])
            Operator.AddBuiltinOptions(builder, options[1])
        self._operators.append(Operator.End(builder))

    def dense_options(self) -> tuple[int, int]:
        """Write the options of a fully connected operator."""
        DenseOptions.Start(self._builder)
        return tflite.BuiltinOptions.FullyConnectedOptions, DenseOptions.End(self._builder)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        builder = self._builder
        ends = [builder.CreateNumpyVector(np.array(end, np.int32)) for end in (inputs, outputs)]
        tensors, operators = self._vector(self._tensors), self._vector(self._operators)
        SubGraph.Start(builder)
        SubGraph.AddTensors(builder, tensors)
        SubGraph.AddInputs(builder, ends[0])
        SubGraph.AddOutputs(builder, ends[1])
        SubGraph.AddOperators(builder, operators)
        graphs = self._vector([SubGraph.End(builder)])
        codes, buffers = self._vector(self._codes), self._vector(self._buffers)
        Model.Start(builder)
        Model.AddVersion(builder, 3)
        Model.AddOperatorCodes(builder, codes)
        Model.AddSubgraphs(builder, graphs)
        Model.AddBuffers(builder, buffers)
        builder.Finish(Model.End(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, data: bytes) -> int:
        values = self._builder.CreateByteVector(data) if data else None
        Buffer.Start(self._builder)
        if values is not None:
            Buffer.AddData(self._builder, values)
        return int(Buffer.End(self._builder))

    def _quantization(self, scales: Sequence[float | None], zero_point: int) -> int:
        builder = self._builder
        values = builder.CreateNumpyVector(np.array(scales, np.float32))
        zeros = builder.CreateNumpyVector(np.full(len(scales), zero_point, np.int64))
        QuantizationParameters.Start(builder)
        QuantizationParameters.AddScale(builder, values)
        QuantizationParameters.AddZeroPoint(builder, zeros)
        return int(QuantizationParameters.End(builder))

    def _vector(self, places: Sequence[int]) -> int:
        self._builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self._builder.PrependUOffsetTRelative(place)
        return int(self._builder.EndVector())


def dense_file(*, names: bool = True, options: bool = True) -> bytes:
    """Three inputs, two units: weights [[1, 2, 3], [4, 5, 6]]."""
    file = FileBuilder(names=names)
    source = file.tensor((1, 3), "INT8", *SCALED)
    weight = file.tensor((2, 3), "INT8", 0.25, 0, data=np.arange(1, 7, dtype=np.int8).tobytes())
    bias = file.tensor((2,), "INT32", 0.125, 0, data=np.array(DENSE_BIAS, np.int32).tobytes())
    result = file.tensor((1, 2), "INT8", 1.0, -2)
    file.operator(
        "FULLY_CONNECTED", [source, weight, bias], [result], options=file.dense_options() if options else None
    )
    return file.build([source], [result])
