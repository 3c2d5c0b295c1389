"""One step of an LSTM on integers: from pre-activations to the next cell state and hidden state.

Pre-activations have scale 2**-12 (8 bits would be too coarse for them), values of gates 2**-15, the cell state 2**k;
all are 16-bit words. The hidden state has a quantization of its own. It starts at its zero point, the cell state at 0.
Peepholes, projection, layer normalization and coupled input and forget gates are not here.

Source: ``LstmStep`` in TensorFlow Lite for Microcontrollers' ``micro/kernels/lstm_eval.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim import registry
from hwsim.errors import UnsupportedError
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.lut import CodeTable, LutOptions, every_code, sigmoid
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.sigmoid_lut import build_function_lut

GATES = ("input", "forget", "cell", "output")
CELL_GATE = GATES.index("cell")
WORD = IntFormat(16)
PRE_ACTIVATION_SCALE = 2.0**-12
VALUE_SCALE = 2.0**-15
CELL_EXPONENTS = (-15, -9)

Rescale = Callable[[IntArray], IntArray]


def words(scale: float) -> Quantization:
    """Return the quantization of 16-bit words with this scale and zero point 0."""
    return Quantization(np.asarray(scale), np.asarray(0), WORD)


@dataclass(frozen=True, eq=False)
class StateGrids:
    """How codes of the states stand for reals.

    ``cell_scale`` is a power of two from 2**-15 to 2**-9, ``cell_clip`` the bound of the cell state as a real number, 0
    for none.
    """

    hidden: Quantization
    cell_scale: float
    cell_clip: float = 0.0

    @property
    def cell_exponent(self) -> int:
        """Base-2 logarithm of the cell state's scale.

        Raises:
            UnsupportedError: the scale is (by a thousandth) no such power of two.
        """
        logarithm = math.log2(self.cell_scale)
        exponent = round(logarithm)
        low, high = CELL_EXPONENTS
        if abs(logarithm - exponent) >= 1e-3 or not low <= exponent <= high:
            raise UnsupportedError(
                f"LSTM cell scale {self.cell_scale}; available: powers of two, 2**{low} to 2**{high}"
            )
        return exponent

    @property
    def joint(self) -> Quantization:
        """How a tensor (2, cells) of hidden state and cell state stands for reals, in words that hold both."""
        hidden = self.hidden
        bits = hidden.format.bits + (not hidden.format.signed)
        scales = np.array([float(hidden.scale), self.cell_scale])
        return Quantization(scales, np.array([int(hidden.zero_point), 0]), IntFormat(max(bits, WORD.bits)), axis=0)

    @property
    def clip(self) -> int | None:
        """trunc(min(clip / S_c, 32767)), or None without a clip; one that truncates to 0 is none either."""
        if self.cell_clip <= 0:
            return None
        return int(min(self.cell_clip / self.cell_scale, WORD.max)) or None


@dataclass(frozen=True, eq=False)
class CellArithmetic:
    """How pre-activations and states become the next states.

    ``forget_product`` and ``input_product`` rescale f c and i g to 16-bit words of the cell state, which ``clip``
    bounds where not None; ``hidden`` rescales o tanh(c) to codes of the hidden state. The tables hold every 16-bit
    code; ``reads_per_lookup`` is how many entries the LUT unit reads for one code of theirs, and
    ``multiplications_per_rescale`` 0 where a shift is enough.
    """

    forget_product: Rescale
    input_product: Rescale
    hidden: Rescale
    clip: int | None
    sigmoid: CodeTable
    gate_tanh: CodeTable
    cell_tanh: CodeTable
    reads_per_lookup: int = 1
    multiplications_per_rescale: int = 1


@dataclass(frozen=True, eq=False)
class LstmState:
    """Codes of the hidden state and the cell state, each of shape (samples, cells)."""

    hidden: IntArray
    cell: IntArray


@dataclass(frozen=True, eq=False)
class LstmGates:
    """Codes of the pre-activations (2**-12) and of the gates' values (2**-15), each (samples, 4, cells)."""

    pre_activations: IntArray
    values: IntArray


def float_state(
    input_part: FloatArray, recurrent_part: FloatArray, state: FloatArray, cell_clip: float = 0.0
) -> FloatArray:
    """Return the state after a step in reals: (samples, 2, cells), hidden state before cell state.

    i, f, o = sigmoid(v) and g = tanh(v) of v = (W x + b) + R h, each part (samples, 4 cells); c' = f c + i g, within
    +- ``cell_clip`` unless that is 0; h' = o tanh(c').
    """
    total = (input_part + recurrent_part).reshape(len(state), len(GATES), -1)
    input_gate, forget_gate, _, output_gate = sigmoid(total).swapaxes(0, 1)
    cell = forget_gate * state[:, 1] + input_gate * np.tanh(total[:, CELL_GATE])
    if cell_clip:
        cell = np.clip(cell, -cell_clip, cell_clip)
    return np.stack([output_gate * np.tanh(cell), cell], axis=1)


def gate_values(arithmetic: CellArithmetic, input_part: IntArray, recurrent_part: IntArray) -> LstmGates:
    """Return the gates from the rescaled W x + b and R h, each of shape (samples, 4 cells).

    v = sat16(W x + b + R h); input, forget and output gate are sigmoid(v), the cell gate tanh(v).
    """
    total = WORD.saturate(input_part + recurrent_part).reshape(len(input_part), len(GATES), -1)
    values = arithmetic.sigmoid.look_up(total)
    values[:, CELL_GATE] = arithmetic.gate_tanh.look_up(total[:, CELL_GATE])
    return LstmGates(total, values)


def next_state(arithmetic: CellArithmetic, gates: LstmGates, state: LstmState) -> LstmState:
    """Return the state after a step: c' = sat16(rescaled(f c) + rescaled(i g)), clipped; h' = rescaled(o tanh(c'))."""
    input_gate, forget_gate, cell_gate, output_gate = (gates.values[:, gate] for gate in range(len(GATES)))
    kept = arithmetic.forget_product(forget_gate * state.cell)
    cell = WORD.saturate(kept + arithmetic.input_product(input_gate * cell_gate))
    if arithmetic.clip is not None:
        cell = np.clip(cell, -arithmetic.clip, arithmetic.clip)
    return LstmState(arithmetic.hidden(output_gate * arithmetic.cell_tanh.look_up(cell)), cell)


def build_cell_arithmetic(grids: StateGrids, requantizer: RequantizerOptions, lut: LutOptions) -> CellArithmetic:
    """Build a step on a machine's own units: products rescaled by its requantizer's scheme, functions by its LUT.

    f c is rescaled by 2**-15, i g by 2**-30 / S_c, o tanh(c) by 2**-30 / S_h, each as the scheme rounds; sigmoid and
    tanh are tabulated for pre-activations and for the cell state's own scale.

    Raises:
        ConfigError: a table that cannot be made.
        UnsupportedError: a cell scale that is not a power of two from 2**-15 to 2**-9.
    """
    scale = 2.0**grids.cell_exponent
    gate, cell, value = words(PRE_ACTIVATION_SCALE), words(scale), words(VALUE_SCALE)
    tables = [
        build_function_lut(function, source, value, lut)
        for function, source in (("sigmoid", gate), ("tanh", gate), ("tanh", cell))
    ]
    sigmoid, gate_tanh, cell_tanh = (CodeTable(table.look_up(every_code(WORD)), WORD) for table in tables)
    return CellArithmetic(
        _rescale(requantizer, scale, words(scale)),
        _rescale(requantizer, VALUE_SCALE, words(scale)),
        _rescale(requantizer, VALUE_SCALE, grids.hidden),
        grids.clip,
        sigmoid,
        gate_tanh,
        cell_tanh,
        reads_per_lookup=tables[0].reads_per_lookup,
        multiplications_per_rescale=int(requantizer.scheme != "power_of_two"),
    )


def _rescale(options: RequantizerOptions, factor_scale: float, output: Quantization) -> Rescale:
    """Return how a product of a gate's value and a factor becomes codes of ``output``."""
    scheme = registry.load(registry.REQUANTIZATION_SCHEMES, options.scheme)
    built = scheme.build(VALUE_SCALE, np.asarray(factor_scale), float(output.scale), options)
    zero_point = int(output.zero_point)
    return lambda products: output.format.saturate(built.scale(products) + zero_point)
