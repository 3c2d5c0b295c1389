"""Parses an ``.onnx`` file with bounds, before anything as large as it claims to be is allocated.

What a tensor holds must be in the file (or, as external data, in a file of its own beside it): its bytes are counted
before they become an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.readers.onnx.model import Array, AttributeValue, FileInput, FileModel, FileNode

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

MAX_FILE_BYTES = 1 << 30
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 26
STANDARD_DOMAINS = ("", "ai.onnx")
CONSTANT = "Constant"
NARROW_TYPES = {"INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2}


def parse_file(path: Path) -> FileModel:
    """Return what the file holds.

    Raises:
        ConfigError: no such file, or one that is no ``.onnx`` file, cut off or damaged.
        UnsupportedError: sparse tensors, or functions and subgraphs in it.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: {size} bytes; allowed: {MAX_FILE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    return parse(content, str(path), path.parent)


def parse(content: bytes, source: str, folder: Path) -> FileModel:
    """Return what the bytes of a file hold; ``source`` is its name in messages, ``folder`` where it lies.

    Raises:
        ConfigError: as `parse_file`.
        UnsupportedError: as `parse_file`.
    """
    try:
        return _Parser(folder).model(_decode(content))
    except ConfigError as error:
        raise ConfigError(f"{source}: {problem}" for problem in error.problems) from None
    except UnsupportedError as error:
        raise UnsupportedError("\n".join(f"{source}: {line}" for line in str(error).splitlines())) from None
    except (ValueError, TypeError, KeyError, OverflowError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{source}: damaged or cut off ({reason})") from None


def _decode(content: bytes) -> ModelProto:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise ConfigError("not an ONNX file, or one that is damaged or cut off") from None
    if not model.HasField("graph"):
        raise ConfigError("not an ONNX file (it has no graph)")
    return model


class _Parser:
    """Walks one file; external data is read from ``folder`` only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored_bits: dict[str, int] = {}

    def model(self, model: ModelProto) -> FileModel:
        graph = model.graph
        if graph.sparse_initializer:
            raise UnsupportedError("constants that are stored sparsely; allowed: densely")
        constants = {tensor.name: self._array(tensor) for tensor in graph.initializer}
        nodes = []
        for index, node in enumerate(graph.node):
            read = self._node(index, node)
            if read.kind == CONSTANT and read.domain in STANDARD_DOMAINS:
                constants[_only(read.outputs, read)] = _constant_of(read)
            else:
                nodes.append(read)
        inputs = tuple(_value(one) for one in graph.input if one.name not in constants)
        outputs = tuple(_value(one) for one in graph.output)
        _check_names(nodes, constants, inputs, outputs)
        return FileModel(tuple(nodes), constants, inputs, outputs, _opset(model), self._stored_bits)

    def _node(self, index: int, node: NodeProto) -> FileNode:
        texts = (node.domain, node.op_type, *node.input, *node.output)
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"node {index} has names that are no text")
        domain = "" if node.domain in STANDARD_DOMAINS else node.domain
        attributes = dict(self._attribute(index, node, one) for one in node.attribute)
        return FileNode(index, node.op_type, domain, tuple(node.input), tuple(node.output), attributes)

    def _attribute(self, index: int, node: NodeProto, found: AttributeProto) -> tuple[str, AttributeValue]:
        """Return name and value; a kind of value that no known operator has becomes a name of its kind."""
        kinds = type(found)
        if found.type == kinds.TENSOR:
            return found.name, self._array(found.t)
        rules: dict[int, Callable[[], AttributeValue]] = {
            kinds.FLOAT: lambda: float(found.f),
            kinds.INT: lambda: int(found.i),
            kinds.STRING: lambda: found.s.decode("utf-8", "replace"),
            kinds.INTS: lambda: tuple(int(value) for value in found.ints),
            kinds.FLOATS: lambda: tuple(float(value) for value in found.floats),
        }
        unknown = f"attribute type {found.type} of node {index} ({node.op_type})"
        return found.name, rules.get(found.type, lambda: unknown)()

    def _array(self, tensor: TensorProto) -> Array:
        """Return a tensor's values.

        Raises:
            ConfigError: its shape is too large, or it has another number of bytes than its shape says.
            UnsupportedError: a type that hwsim does not know.
        """
        from onnx import TensorProto, numpy_helper

        name = tensor.name[:80]
        shape = tuple(int(size) for size in tensor.dims)
        if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
            raise ConfigError(f"constant '{name}': shape {list(shape)}; allowed: up to {MAX_DIMENSIONS} sizes")
        elements = float(np.prod([float(size) for size in shape]))
        if elements > MAX_ELEMENTS:
            raise ConfigError(f"constant '{name}': shape {list(shape)}; allowed: {MAX_ELEMENTS} elements")
        if tensor.data_location == TensorProto.EXTERNAL:
            self._read_external(tensor, name)
        kind = _type_name(tensor.data_type)
        found = _elements(tensor, kind, name)
        if found != int(elements):
            raise ConfigError(f"constant '{name}': {found} elements of data for shape {list(shape)} of {kind}")
        values = numpy_helper.to_array(tensor)
        if kind == "FLOAT16":
            return values.astype(np.float32)
        if kind in NARROW_TYPES:
            self._stored_bits[tensor.name] = NARROW_TYPES[kind]
            return values.astype(np.int8 if kind.startswith("INT") else np.uint8)
        return values

    def _read_external(self, tensor: TensorProto, name: str) -> None:
        """Put external data into the tensor.

        Raises:
            ConfigError: it lies outside the model's folder, or is not there.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        folder = self._folder.resolve()
        path = (folder / entries.get("location", "")).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise ConfigError(f"constant '{name}': external data in '{entries.get('location', '')[:80]}'; "
                              "allowed: a file in the model's folder")  # fmt: skip
        size = path.stat().st_size
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", size - offset))
        if not 0 <= offset <= offset + length <= size or length > MAX_FILE_BYTES:
            raise ConfigError(f"constant '{name}': bytes {offset} to {offset + length} of a file of {size} bytes")
        with path.open("rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        tensor.data_location = type(tensor).DEFAULT


def _elements(tensor: TensorProto, kind: str, name: str) -> int:
    """Return how many elements of data there are, before they are unpacked.

    Raises:
        UnsupportedError: a type that hwsim does not know.
    """
    bits = _WIDTHS.get(kind)
    if bits is None:
        raise UnsupportedError(f"constant '{name}' is {kind}; allowed: {', '.join(_WIDTHS)}")
    if tensor.HasField("raw_data"):
        whole = int(np.prod(tensor.dims)) if bits < 8 else 0
        stored = len(tensor.raw_data) * 8 // bits
        return whole if bits < 8 and -(-whole * bits // 8) == len(tensor.raw_data) else stored
    field: Sequence[Any] = getattr(tensor, _FIELDS.get(kind, "int32_data"))
    if bits < 8:
        whole = int(np.prod(tensor.dims))
        return whole if -(-whole * bits // 8) == len(field) else len(field)
    return len(field)


_WIDTHS = {
    "FLOAT": 32, "DOUBLE": 64, "FLOAT16": 16, "INT8": 8, "UINT8": 8, "INT16": 16, "UINT16": 16, "INT32": 32,
    "UINT32": 32, "INT64": 64, "UINT64": 64, "BOOL": 8, "INT4": 4, "UINT4": 4, "INT2": 2, "UINT2": 2,
}  # fmt: skip
_FIELDS = {"FLOAT": "float_data", "DOUBLE": "double_data", "INT64": "int64_data", "UINT64": "uint64_data",
           "UINT32": "uint64_data"}  # fmt: skip


def _type_name(number: int) -> str:
    from onnx import TensorProto

    names = {value: name for name, value in TensorProto.DataType.items()}
    return str(names.get(number, f"type {number}"))


def _only(outputs: Sequence[str], node: FileNode) -> str:
    if len(outputs) != 1:
        raise ConfigError(f"{node.label} has {len(outputs)} outputs; allowed: 1")
    return outputs[0]


def _constant_of(node: FileNode) -> Array:
    for name, value in node.attributes.items():
        if name == "value" and isinstance(value, np.ndarray):
            return value
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
    raise UnsupportedError(f"{node.label}: a constant of another kind than numbers")


def _value(info: ValueInfoProto) -> FileInput:
    kind = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        raise UnsupportedError(f"'{info.name[:80]}' is no tensor")
    if not kind.HasField("shape"):
        return FileInput(info.name, _real_or_code(kind.elem_type), None)
    if len(kind.shape.dim) > MAX_DIMENSIONS:
        raise ConfigError(f"'{info.name[:80]}' has {len(kind.shape.dim)} axes; allowed: up to {MAX_DIMENSIONS}")
    sizes = tuple(int(size.dim_value) for size in kind.shape.dim)
    if any(size < 0 for size in sizes) or np.prod([float(size or 1) for size in sizes]) > MAX_ELEMENTS:
        raise ConfigError(f"'{info.name[:80]}': shape {list(sizes)}; allowed: {MAX_ELEMENTS} elements")
    return FileInput(info.name, _real_or_code(kind.elem_type), sizes)


def _real_or_code(kind: int) -> str:
    """Return a tensor's type; 16-bit reals are read as 32-bit ones, in which hwsim computes."""
    name = _type_name(kind)
    return "FLOAT" if name == "FLOAT16" else name


def _opset(model: ModelProto) -> int:
    versions = [one.version for one in model.opset_import if one.domain in STANDARD_DOMAINS]
    return int(versions[0]) if versions else 1


def _check_names(
    nodes: Sequence[FileNode], constants: dict[str, Array], inputs: Sequence[FileInput], outputs: Sequence[FileInput]
) -> None:
    """Refuse tensors that are read before they are written, or are written twice.

    Raises:
        ConfigError: see above; also a graph without an input or an output.
    """
    if not inputs or not outputs:
        raise ConfigError("a graph without inputs or outputs")
    known = {"", *constants, *(one.name for one in inputs)}
    for node in nodes:
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise ConfigError(f"{node.label} reads '{missing[0][:80]}', which nothing before it has written")
        for name in _written(node):
            if name in known:
                raise ConfigError(f"{node.label} writes '{name[:80]}', which is there already")
            known.add(name)
    for one in outputs:
        if one.name not in known:
            raise ConfigError(f"no node writes the output '{one.name[:80]}'")


def _written(node: FileNode) -> Iterator[str]:
    if not any(node.outputs):
        raise ConfigError(f"{node.label} has no outputs; allowed: 1 or more")
    yield from (name for name in node.outputs if name)
