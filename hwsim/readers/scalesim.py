"""Reads SCALE-Sim's topology files: one layer a line, comma-separated, shapes alone.

    Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
    Layer, M, N, K,

Layers are independent of each other: each reads an input of its own. Sizes of a convolution's input hold its padding;
its outputs are ceil((size - filter + stride) / stride) along each axis. A layer with ``DP`` in its name is run once
for each channel, with all its filters. M, N, K are out_rows, out_cols and depth of a matrix product.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import RowsDense
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.tensor import Shape, Tensor
from hwsim.readers.workload import Workload

LARGEST_SIZE = 1 << 20
CONVOLUTION = ("IFMAP height", "IFMAP width", "filter height", "filter width", "channels", "filters", "stride")
PRODUCT = ("M", "N", "K")
DENSE_RATIO = "1:1"
DEPTHWISE = "DP"
_RATIO = re.compile(r"(\d+)\s*:\s*(\d+)")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file: its place, the layer's name, its sizes, and the share of weights that are kept (N:M)."""

    place: str
    name: str
    sizes: tuple[int, ...]
    ratio: str


def read_topology(path: Path) -> Workload:
    """Return the layers of a topology file as a network of shapes alone.

    Commas at the end of a line, blanks, empty lines, either kind of line end and a byte order mark make no difference.

    Raises:
        ConfigError: one line for each problem of the file, with its line number.
        UnsupportedError: layers with sparse weights.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no text in UTF-8: {error.reason} at byte {error.start}") from None
    lines = _lines(path, text)
    _refuse_sparse(lines)
    return Workload(path.stem, _network(path.stem, lines), None, None, None, hashlib.sha256(data).hexdigest())


def _lines(path: Path, text: str) -> list[_Line]:
    """Return the layers; the first line that is not empty is the header, which says which kind they are."""
    rows = [(number, _fields(row)) for number, row in enumerate(text.splitlines(), start=1)]
    rows = [(number, fields) for number, fields in rows if fields]
    if len(rows) < 2:
        raise ConfigError(f"{path}: no layers; allowed: a header and a line for each layer")
    number, header = rows[0]
    columns = _columns(f"{path}:{number}", header)
    lines: list[_Line] = []
    problems: list[str] = []
    for number, fields in rows[1:]:
        place = f"{path}:{number}"
        found = list(_problems(fields, columns))
        problems += [f"{place}: {problem}" for problem in found]
        if not found:
            lines.append(_line(place, fields, columns))
    if problems:
        raise ConfigError(problems)
    return lines


def _fields(row: str) -> list[str]:
    """Return the fields without blanks; commas at the end mean nothing."""
    return [field.strip() for field in row.rstrip(", \t").split(",")] if row.strip(", \t") else []


def _columns(place: str, header: list[str]) -> tuple[str, ...]:
    """Return what the columns after the name are.

    Raises:
        ConfigError: the header is a layer, which SCALE-Sim would leave out, or names columns in another order.
    """
    if len(header) > 1 and header[1].isdecimal():
        raise ConfigError(f"{place}: a layer where the header should be, and SCALE-Sim would leave it out")
    letters = tuple(name.upper() for name in header[1:4])
    if sorted(letters) != sorted(PRODUCT):
        return CONVOLUTION
    if letters != PRODUCT:
        raise ConfigError(f"{place}: columns {', '.join(letters)}; allowed: {', '.join(PRODUCT)}, in this order")
    return PRODUCT


def _problems(fields: list[str], columns: tuple[str, ...]) -> Iterator[str]:
    name, values = fields[0], fields[1:]
    if not name or not name.isprintable():
        yield "a layer without a printable name"
    named = list(zip(columns, values, strict=False))
    extra = values[len(columns) :]
    if columns is CONVOLUTION and extra and extra[0].isdecimal():
        named.append(("stride to the right", extra.pop(0)))
    if len(values) < len(columns) or len(extra) > 1:
        yield f"{len(values)} values; allowed: {', '.join(columns)}, and a ratio such as {DENSE_RATIO}"
        return
    for what, value in named:
        if not (value.isdecimal() and value.isascii() and len(value) < 10 and 1 <= int(value) <= LARGEST_SIZE):
            yield f"{what} '{value}'; allowed: a whole number from 1 to {LARGEST_SIZE}"
    if extra and not _RATIO.fullmatch(extra[0]):
        yield f"ratio '{extra[0]}'; allowed: N:M such as {DENSE_RATIO}"
    if columns is CONVOLUTION:
        yield from _too_large_filters(dict(named))


def _too_large_filters(sizes: dict[str, str]) -> Iterator[str]:
    for axis in ("height", "width"):
        filter_size, size = sizes[f"filter {axis}"], sizes[f"IFMAP {axis}"]
        if filter_size.isdecimal() and size.isdecimal() and int(filter_size) > int(size):
            yield f"filter {axis} {filter_size}; allowed: up to the input's {size}"


def _line(place: str, fields: list[str], columns: tuple[str, ...]) -> _Line:
    values = fields[1:]
    ratio = values.pop() if ":" in values[-1] else DENSE_RATIO
    if columns is CONVOLUTION and len(values) == len(columns):
        values.append(values[-1])
    return _Line(place, fields[0], tuple(map(int, values)), ratio)


def _refuse_sparse(lines: list[_Line]) -> None:
    sparse = [line for line in lines if len(set(re.split(r"\s*:\s*", line.ratio))) > 1]
    if sparse:
        raise UnsupportedError(
            "\n".join(f"{one.place}: layer {one.name}: {one.ratio} sparse weights" for one in sparse)
        )


def _network(name: str, lines: list[_Line]) -> Network:
    tensors: dict[str, Tensor] = {}
    operators: list[MatmulOperator] = []
    taken: dict[str, int] = {}
    for line in lines:
        taken[line.name] = taken.get(line.name, 0) + 1
        layer = line.name if taken[line.name] == 1 else f"{line.name}#{taken[line.name]}"
        operator, shape = _product(layer, line) if len(line.sizes) == len(PRODUCT) else _convolution(layer, line)
        tensors[operator.input] = Tensor(operator.input, shape)
        tensors[operator.weight] = Tensor(operator.weight, _weight_shape(operator, shape))
        tensors[layer] = Tensor(layer, operator.output_shape(shape))
        operators.append(operator)
    inputs, outputs = (tuple(names) for names in zip(*((one.input, one.output) for one in operators), strict=True))
    return Network(name, tensors, tuple(operators), inputs, outputs, has_values=False)


def _product(layer: str, line: _Line) -> tuple[MatmulOperator, Shape]:
    out_rows, out_cols, depth = line.sizes
    operator = RowsDense(layer, (f"{layer}.input",), layer, f"{layer}.weight", units=out_cols, depth=depth)
    return operator, (out_rows, depth)


def _convolution(layer: str, line: _Line) -> tuple[MatmulOperator, Shape]:
    height, width, filter_height, filter_width, channels, filters, stride_down, stride_right = line.sizes
    groups = channels if DEPTHWISE in line.name else 1
    operator = Conv2d(
        layer,
        (f"{layer}.input",),
        layer,
        f"{layer}.weight",
        groups=groups,
        filters=filters * groups,
        kernel=(filter_height, filter_width),
        stride=(stride_down, stride_right),
        padding="ceil",
    )
    return operator, (height, width, channels)


def _weight_shape(operator: MatmulOperator, shape: Shape) -> Shape:
    if isinstance(operator, Conv2d):
        return (*operator.kernel, shape[2] // operator.groups, operator.filters)
    return (shape[1], operator.output_shape(shape)[1])
