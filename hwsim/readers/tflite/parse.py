"""Parses a ``.tflite`` file with bounds: nothing outside the file is read, and no more than its size allows.

The schema's classes follow offsets that the file names. A read outside the file fails in ``struct`` or NumPy and
becomes a `ConfigError`. Tables may be shared, so that a small file could name the same long vector many times:
the elements that are read altogether are limited by the file's size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.readers.tflite.model import NO_TENSOR, FileModel, FileOperator, FileTensor, OptionValue

IDENTIFIER = b"TFL3"
IDENTIFIER_END = 8
ELEMENTS_PER_BYTE = 4
MAX_FILE_BYTES = 1 << 30
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 26

BUILTIN_CODE_SLOT = 10  # of the field ``builtin_code`` in the table ``OperatorCode``

_BROKEN = (struct.error, ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError, MemoryError)
_EMPTY_TABLE = struct.pack("<HHi", 4, 4, 4)  # a vtable without fields, and a table that points back to it

NUMPY_TYPES: dict[str, str] = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "FLOAT64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "BOOL": "<u1",
}

PACKED = "INT4"  # two in a byte

_ACTIVATED = ("FusedActivationFunction",)
_WINDOW = ("Padding", "StrideW", "StrideH")
_DILATED = ("DilationWFactor", "DilationHFactor")
_POOL = ("Pool2DOptions", (*_WINDOW, "FilterWidth", "FilterHeight", *_ACTIVATED))
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ADD": ("AddOptions", (*_ACTIVATED, "PotScaleInt16")),
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": ("ConcatenationOptions", ("Axis", *_ACTIVATED)),
    "CONV_2D": ("Conv2DOptions", (*_WINDOW, *_DILATED, *_ACTIVATED)),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_WINDOW, *_DILATED, "DepthMultiplier", *_ACTIVATED)),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        (*_ACTIVATED, "WeightsFormat", "KeepNumDims", "AsymmetricQuantizeInputs"),
    ),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "MAX_POOL_2D": _POOL,
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "MUL": ("MulOptions", _ACTIVATED),
    "PACK": ("PackOptions", ("Axis", "ValuesCount")),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "SPLIT": ("SplitOptions", ("NumSplits",)),
    "SPLIT_V": ("SplitVOptions", ("NumSplits",)),
    "SUB": ("SubOptions", (*_ACTIVATED, "PotScaleInt16")),
    "UNPACK": ("UnpackOptions", ("Num", "Axis")),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        (*_ACTIVATED, "CellClip", "ProjClip", "TimeMajor", "DiagonalRecurrentTensors"),
    ),
}


def parse_file(path: Path) -> FileModel:
    """Return what the file holds.

    Raises:
        ConfigError: no such file, or one that is no ``.tflite`` file, cut off or damaged.
        UnsupportedError: several subgraphs, or tensors that are stored sparsely.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes; allowed: {MAX_FILE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    return parse(content, str(path))


def parse(content: bytes, source: str) -> FileModel:
    """Return what the bytes of a file hold; ``source`` is the file's name in messages.

    Raises:
        ConfigError: as `parse_file`.
    """
    if content[4:IDENTIFIER_END] != IDENTIFIER:
        raise ConfigError(f"{source}: not a TensorFlow Lite file (no identifier {IDENTIFIER.decode()} at byte 4)")
    try:
        return _Parser(content).model()
    except ConfigError as error:
        raise ConfigError(f"{source}: {problem}" for problem in error.problems) from None
    except UnsupportedError as error:
        raise UnsupportedError(f"{source}: {error}") from None
    except _BROKEN:
        raise ConfigError(
            f"{source}: damaged or cut off: its {len(content)} bytes point to places that they do not have"
        ) from None


class _Parser:
    """Walks one file; ``_left`` is how many more elements of vectors it may read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = ELEMENTS_PER_BYTE * len(content)

    def model(self) -> FileModel:
        (root,) = struct.unpack_from("<I", self._content)
        if root > len(self._content) - 4:
            raise ConfigError(f"root table at byte {root} of a file of {len(self._content)} bytes")
        model = import_module("tflite.Model").Model()
        model.Init(self._content, root)
        if self._count(model.SubgraphsLength()) != 1:
            raise UnsupportedError(f"{model.SubgraphsLength()} subgraphs; allowed: 1")
        graph = self._table(model.Subgraphs(0), "subgraph")
        codes = [self._kind(model.OperatorCodes(i)) for i in self._range(model.OperatorCodesLength())]
        buffers = [self._buffer(model.Buffers(i)) for i in self._range(model.BuffersLength())]
        tensors = tuple(self._tensor(graph.Tensors(i), i, buffers) for i in self._range(graph.TensorsLength()))
        operators = tuple(self._operator(graph.Operators(i), i, codes) for i in self._range(graph.OperatorsLength()))
        inputs = self._numbers(graph.InputsLength(), graph.InputsAsNumpy())
        outputs = self._numbers(graph.OutputsLength(), graph.OutputsAsNumpy())
        _check_numbers(tensors, operators, inputs, outputs)
        return FileModel(tensors, operators, inputs, outputs)

    def _count(self, length: int) -> int:
        """Take ``length`` elements off what may still be read."""
        self._left -= length
        if self._left < 0:
            raise ConfigError(f"a vector of {length} elements, more than the file can hold")
        return length

    def _range(self, length: int) -> range:
        return range(self._count(length))

    def _table(self, table: Any, what: str) -> Any:
        if table is None:
            raise ConfigError(f"{what} is missing")
        return table

    def _numbers(self, length: int, values: Any) -> tuple[int, ...]:
        return tuple(int(value) for value in values) if self._count(length) else ()

    def _kind(self, code: Any) -> str:
        """Return the name of an operator code; newer codes stand in another field than older ones."""
        names = import_module("tflite.utils").BUILTIN_OPCODE2NAME
        number = max(_builtin_code(code, self._content), int(code.DeprecatedBuiltinCode()))
        if names.get(number) == "CUSTOM":
            return f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')[:40]!r}"
        return str(names.get(number, f"code {number}"))

    def _buffer(self, buffer: Any) -> NDArray[np.uint8]:
        if buffer.Offset() > 1:
            raise ConfigError("buffers outside the flatbuffer; allowed: inside")
        length = buffer.DataLength()
        return np.asarray(buffer.DataAsNumpy(), np.uint8) if self._count(length) else np.zeros(0, np.uint8)

    def _tensor(self, tensor: Any, index: int, buffers: list[NDArray[np.uint8]]) -> FileTensor:
        shape = self._numbers(tensor.ShapeLength(), tensor.ShapeAsNumpy())
        if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
            raise ConfigError(
                f"tensor {index}: shape {list(shape)}; allowed: up to {MAX_DIMENSIONS} sizes of 0 or more"
            )
        if int(np.prod([float(size) for size in shape])) > MAX_ELEMENTS:
            raise ConfigError(f"tensor {index}: shape {list(shape)}; allowed: {MAX_ELEMENTS} elements")
        if tensor.Sparsity() is not None:
            raise UnsupportedError(f"tensor {index} is stored sparsely; allowed: densely")
        dtype = _dtype_name(int(tensor.Type()))
        scales, zero_points, axis = self._quantization(tensor.Quantization(), index)
        name = tensor.Name() or b""
        return FileTensor(
            index,
            name.decode("utf-8", "replace")[: self._count(len(name))],
            shape,
            dtype,
            _values(buffers[tensor.Buffer()], shape, dtype, index),
            scales,
            zero_points,
            axis,
            bool(tensor.IsVariable()),
        )

    def _quantization(self, found: Any, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        nothing = np.zeros(0), np.zeros(0, np.int64), 0
        if found is None or not self._count(found.ScaleLength()):
            return nothing
        with np.errstate(invalid="ignore"):  # NaN: refused with the quantization
            scales = np.asarray(found.ScaleAsNumpy(), np.float64)
        zero_points = np.zeros(scales.size, np.int64)
        if self._count(found.ZeroPointLength()):
            zero_points = np.asarray(found.ZeroPointAsNumpy(), np.int64)
        if zero_points.size != scales.size:
            raise ConfigError(f"tensor {index}: {scales.size} scales and {zero_points.size} zero points")
        return scales, zero_points, int(found.QuantizedDimension())

    def _operator(self, operator: Any, index: int, codes: list[str]) -> FileOperator:
        kind = codes[operator.OpcodeIndex()]
        return FileOperator(
            index,
            kind,
            self._numbers(operator.InputsLength(), operator.InputsAsNumpy()),
            self._numbers(operator.OutputsLength(), operator.OutputsAsNumpy()),
            self._numbers(operator.IntermediatesLength(), operator.IntermediatesAsNumpy()),
            dict(_options(operator, kind, index)),
        )


def _builtin_code(code: Any, content: bytes) -> int:
    """Return the newer of an operator code's two numbers, 0 where it is missing.

    The class's own accessor ignores it below 127, where some writers fill in nothing else.
    """
    table = code._tab
    place = table.Offset(BUILTIN_CODE_SLOT)
    return int(struct.unpack_from("<i", content, table.Pos + place)[0]) if place else 0


def _options(operator: Any, kind: str, index: int) -> Iterator[tuple[str, OptionValue]]:
    """Yield the options that the reader knows; those of a missing table are the schema's defaults."""
    if kind not in OPTIONS:
        return
    name, fields = OPTIONS[kind]
    options = getattr(import_module(f"tflite.{name}"), name)()
    numbers = vars(import_module("tflite.BuiltinOptions").BuiltinOptions)
    table = operator.BuiltinOptions()
    if table is None:
        options.Init(_EMPTY_TABLE, 4)
    elif operator.BuiltinOptionsType() == numbers[name]:
        options.Init(table.Bytes, table.Pos)
    else:
        raise ConfigError(f"operator {index} ({kind}) has the options of another operator")
    for field in fields:
        yield field, getattr(options, field)()


def _dtype_name(number: int) -> str:
    names = vars(import_module("tflite.TensorType").TensorType)
    return next((name for name, value in names.items() if value == number and name.isupper()), f"type {number}")


def _values(data: NDArray[np.uint8], shape: tuple[int, ...], dtype: str, index: int) -> NDArray[np.generic] | None:
    """Return a constant's values; None for a tensor without a buffer, and for types that are not known here."""
    if data.size == 0 or dtype not in (*NUMPY_TYPES, PACKED):
        return None
    elements = int(np.prod(shape))
    kind = np.dtype(NUMPY_TYPES.get(dtype, "<i1"))
    if data.size != (-(-elements // 2) if dtype == PACKED else elements * kind.itemsize):
        raise ConfigError(f"tensor {index}: {data.size} bytes of data for shape {list(shape)} of {dtype}")
    if dtype == PACKED:
        return _unpacked(data, elements).reshape(shape)
    return data.view(kind).reshape(shape)


def _unpacked(data: NDArray[np.uint8], elements: int) -> NDArray[np.int8]:
    """Return the 4-bit integers in a row of bytes, the lower half of each byte first."""
    shifted = np.stack([data << 4, data & 0xF0], axis=1).reshape(-1).view(np.int8)
    return (shifted >> 4)[:elements]


def _check_numbers(
    tensors: tuple[FileTensor, ...],
    operators: tuple[FileOperator, ...],
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
) -> None:
    """Refuse tensors that do not exist, are read before they are written, or are written twice.

    Raises:
        ConfigError: see above; also a network without an input or an output.
    """
    if not inputs or not outputs:
        raise ConfigError("a graph without inputs or outputs")
    known = {one.index for one in tensors if one.data is not None or one.is_variable}
    written = set(inputs)
    if not all(0 <= number < len(tensors) for number in (*inputs, *outputs)) or written & known:
        raise ConfigError("an input or output of the graph is no tensor that it could be")
    for one in operators:
        for number in one.inputs:
            if number != NO_TENSOR and number not in known | written and not _is_empty(tensors, number):
                raise ConfigError(f"{one.label} reads tensor {number}, which nothing before it has written")
        for number in one.outputs:
            if not 0 <= number < len(tensors) or number in known | written:
                raise ConfigError(f"{one.label} writes tensor {number}, which it cannot")
            written.add(number)
    missing = set(outputs) - written - known
    if missing:
        raise ConfigError(f"no operator writes output tensor {min(missing)}")


def _is_empty(tensors: tuple[FileTensor, ...], number: int) -> bool:
    """Tell whether a tensor exists whose type is not known here: its values are not known here."""
    return 0 <= number < len(tensors) and tensors[number].dtype not in NUMPY_TYPES
