"""Unrolled LSTMs in integers: exact products, rescaled in float32; 16-bit words of gates and cells; tables.

Between the steps a state is two tensors of 32-bit integers, ``NAME.hidden`` and ``NAME.cell``.
"""

from __future__ import annotations

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.export.graph import Attributes
from hwsim.export.tables import look_up
from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.lstm import GateProduct, LstmCell, LstmHidden, LstmStart
from hwsim.network.operators.moves import Index
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.lstm import GATES, PRE_ACTIVATION_SCALE, VALUE_SCALE, WORD, CellArithmetic, words
from hwsim.numerics.quantization import Quantization

OPERAND_BITS = 8
CELL = GATES.index("cell")
INT32: Attributes = {"to": 6}  # TensorProto.INT32


def start(writer: OnnxWriter, operator: LstmStart) -> None:
    """Constants: one row, which the first step repeats for every sample."""
    hidden = np.full((1, operator.cells), operator.hidden_zero_point, np.int32)
    writer.graph.constant(f"{operator.output}.hidden", hidden)
    writer.graph.constant(f"{operator.output}.cell", np.zeros_like(hidden))


def product(writer: OnnxWriter, operator: GateProduct) -> None:
    """MatMulInteger, the bias, and words of pre-activations: ``rint(float32(sum) (S_x S_w) / S_v)``."""
    source = operator.input_quantization(writer.network.tensors)
    tensor = writer.network.tensors[operator.weight]
    weights, output = quantization_of(tensor), operator.output
    operands = [
        writer.graph.cast(_source_codes(writer, operator), _type(source.format)),
        writer.graph.constant(
            f"{operator.weight}.codes", np.asarray(tensor.data).astype(_type(weights.format).lower())
        ),
        _zero(writer, f"{output}.source_zero_point", source),
        _zero(writer, f"{operator.weight}.zero_point", weights),
    ]
    sums = writer.step("MatMulInteger", operands, f"{output}.sums")
    if operator.bias is not None:
        bias = np.asarray(writer.network.tensors[operator.bias].data).astype(np.int32)
        sums = writer.step("Add", [sums, writer.graph.constant(f"{operator.bias}.codes", bias)], f"{output}.biased")
    ratio = np.float32(source.scale) * weights.scale.astype(np.float32) / np.float32(PRE_ACTIVATION_SCALE)
    whole = _rescaled(writer, sums, writer.graph.constant(f"{output}.multiplier", ratio), WORD)
    reals = writer.step("Mul", [whole, writer.number(np.float32(PRE_ACTIVATION_SCALE), "float32")], f"{output}.exact")
    writer.put(reals, output)


def _source_codes(writer: OnnxWriter, operator: GateProduct) -> str:
    if operator.is_recurrent:
        return f"{operator.input}.hidden"
    return writer.graph.reshape(writer.codes(operator.input), [operator.rows, operator.depth])


def _type(word: IntFormat) -> str:
    if word.bits > OPERAND_BITS:
        raise UnsupportedError(f"an LSTM's operands of {word.bits} bits; allowed: 2 to {OPERAND_BITS}")
    return "INT8" if word.signed else "UINT8"


def _zero(writer: OnnxWriter, name: str, grid: Quantization) -> str:
    return writer.graph.constant(name, grid.zero_point.astype(_type(grid.format).lower()))


def _rescaled(writer: OnnxWriter, integers: str, multiplier: str, word: IntFormat, zero_point: int = 0) -> str:
    """Multiply integers in float32, round, add a zero point, and clamp; whole numbers in float32."""
    real = writer.step("Mul", [writer.graph.cast(integers, "FLOAT"), multiplier], f"{integers}.rescaled")
    whole = writer.step("Round", [real], f"{real}.whole")
    if zero_point:
        whole = writer.step("Add", [whole, writer.number(np.float32(zero_point), "float32")], f"{whole}.moved")
    return _clipped(writer, whole, word.min, word.max)


def _clipped(writer: OnnxWriter, source: str, low: int, high: int) -> str:
    bounds = [writer.number(np.float32(bound), "float32") for bound in (low, high)]
    return writer.step("Clip", [source, *bounds], f"{source}.clamped")


def cell(writer: OnnxWriter, operator: LstmCell) -> None:
    """The gates by table, then the next states: `gate_values` and `next_state`."""
    assert operator.grids is not None  # noqa: S101  (it is lowered with them)
    inputs, recurrent, before = operator.inputs
    arithmetic, scale, output = operator.arithmetic(writer.options), operator.grids.cell_scale, operator.output
    total = writer.step("Add", [_row(writer, inputs, operator.row), writer.codes(recurrent)], f"{output}.sum")
    within = _clipped(writer, writer.graph.cast(total, "FLOAT"), WORD.min, WORD.max)
    gates = _gates(writer, writer.graph.cast(within, "INT32"), arithmetic)
    kept = _product(writer, (gates[1], f"{before}.cell"), scale, words(scale))
    added = _product(writer, (gates[0], gates[CELL]), VALUE_SCALE, words(scale))
    low, high = (WORD.min, WORD.max) if arithmetic.clip is None else (-arithmetic.clip, arithmetic.clip)
    after = _clipped(writer, writer.step("Add", [kept, added], f"{output}.next"), low, high)
    cells = writer.graph.node("Cast", [after], f"{output}.cell", INT32)
    squashed = look_up(writer, cells, WORD.min, arithmetic.cell_tanh.values.astype(np.int32))
    hidden = _product(writer, (gates[3], squashed), VALUE_SCALE, operator.grids.hidden)
    writer.graph.node("Cast", [hidden], f"{output}.hidden", INT32)


def _row(writer: OnnxWriter, tensor: str, row: int) -> str:
    """Return the codes of W x + b of one step, (samples, 4 cells)."""
    codes = writer.codes(tensor)
    return writer.step("Gather", [codes, writer.number(row, "int64")], f"{codes}.row", {"axis": 1})


def _gates(writer: OnnxWriter, total: str, arithmetic: CellArithmetic) -> list[str]:
    """Return the gates' values, (samples, cells) each."""
    parts = writer.graph.parts(total, len(GATES), 1)
    functions = [arithmetic.gate_tanh if gate == CELL else arithmetic.sigmoid for gate in range(len(GATES))]
    return [
        look_up(writer, part, WORD.min, function.values.astype(np.int32))
        for part, function in zip(parts, functions, strict=True)
    ]


def _product(writer: OnnxWriter, factors: tuple[str, str], factor_scale: float, output: Quantization) -> str:
    """Multiply a gate's value by codes of a scale, as codes of ``output``: whole numbers in float32."""
    integers = writer.step("Mul", list(factors), f"{factors[0]}.product")
    ratio = np.float32(VALUE_SCALE) * np.float32(factor_scale) / np.float32(output.scale)
    return _rescaled(writer, integers, writer.number(ratio, "float32"), output.format, int(output.zero_point))


def hidden_states(writer: OnnxWriter, operator: LstmHidden) -> None:
    """The hidden states side by side."""
    grid, output = writer.grid(operator.output), operator.output
    steps = [f"{state}.hidden" for state in operator.operands]
    joined = steps[0] if len(steps) == 1 else writer.step("Concat", steps, f"{output}.joined", {"axis": 1})
    _put_codes(writer, joined, grid, output)


def last_state(writer: OnnxWriter, operator: Index) -> bool:
    """Write the part of a state that an operator takes; nothing if it takes no part of a state."""
    state = operator.input
    if f"{state}.hidden" not in writer.graph.names:
        return False
    part = f"{state}.{('hidden', 'cell')[operator.begin]}"
    _put_codes(writer, part, writer.grid(operator.output), operator.output)
    return True


def _put_codes(writer: OnnxWriter, codes: str, grid: Quantization, output: str) -> None:
    steps = writer.graph.cast(codes, "FLOAT")
    if int(grid.zero_point):
        zero = writer.number(np.float32(grid.zero_point), "float32")
        steps = writer.step("Sub", [steps, zero], f"{output}.steps")
    reals = writer.step("Mul", [steps, writer.number(np.float32(grid.scale), "float32")], f"{output}.exact")
    writer.put_stored(reals, output)


FORMS: dict[type[Operator], Form] = {
    GateProduct: product,
    LstmCell: cell,
    LstmHidden: hidden_states,
    LstmStart: start,
}
